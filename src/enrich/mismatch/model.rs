//! Whether the model that ran may be the one that was named.
//!
//! A request names an alias (`anthropic/claude-haiku-4.5:nitro`), an answer the dated name of what
//! ran (`anthropic/claude-4.5-haiku-20251001`): another order of words, other punctuation, a date
//! more. So names are compared as sets of words, and only a date may be added.

/// Whether `ran`, as the generation endpoint names it, may be what `named` stands for.
pub(super) fn may_be(named: &str, ran: &str) -> bool {
    let (named, ran) = (plain(named), plain(ran));
    if named == ran || is_choice(&named) {
        return true;
    }
    let ((author, named), (ran_author, ran)) = (split(&named), split(&ran));
    if author.is_some() && ran_author.is_some() && author != ran_author {
        return false;
    }
    let mut left = words(ran);
    for word in words(named) {
        match left.iter().position(|other| *other == word) {
            Some(at) => drop(left.remove(at)),
            // `…-latest` stands for whichever is: its words must all be there, others may.
            None if word == "latest" => return is_latest(&words(named), &words(ran)),
            None => return false,
        }
    }
    left.is_empty() || is_date(&left)
}

/// Lower case, without the variant (`:free`, `:nitro`), which says how to route.
fn plain(name: &str) -> String {
    let name = name.trim().trim_start_matches('~').to_ascii_lowercase();
    name.split(':').next().unwrap_or_default().to_owned()
}

/// Names that leave the choice of model to OpenRouter.
fn is_choice(name: &str) -> bool {
    name.starts_with("openrouter/") || name.starts_with('@')
}

fn split(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((author, name)) => (Some(author), name),
        None => (None, name),
    }
}

fn words(name: &str) -> Vec<&str> {
    name.split(['-', '.', '_', '@', '/']).filter(|word| !word.is_empty()).collect()
}

fn is_latest(named: &[&str], ran: &[&str]) -> bool {
    named.iter().all(|word| *word == "latest" || ran.contains(word))
}

/// `20251001`, `2025-10-01`, `2025-10`, `10-01`, `1001` (month and day) or `2510` (year and month).
fn is_date(words: &[&str]) -> bool {
    let number = |word: &str, digits: usize| {
        (word.len() == digits && word.bytes().all(|b| b.is_ascii_digit()))
            .then(|| word.parse::<u32>().ok())
            .flatten()
    };
    let month = |m: u32| (1..=12).contains(&m);
    let day = |d: u32| (1..=31).contains(&d);
    let year = |y: u32| (2000..2100).contains(&y);
    match words {
        [one] => match (number(one, 8), number(one, 4)) {
            (Some(n), _) => year(n / 10_000) && month(n / 100 % 100) && day(n % 100),
            (_, Some(n)) => {
                month(n / 100) && day(n % 100) || (20..40).contains(&(n / 100)) && month(n % 100)
            }
            _ => false,
        },
        [a, b] => match (number(a, 4), number(a, 2), number(b, 2)) {
            (Some(y), _, Some(m)) => year(y) && month(m),
            (_, Some(m), Some(d)) => month(m) && day(d),
            _ => false,
        },
        [a, b, c] => match (number(a, 4), number(b, 2), number(c, 2)) {
            (Some(y), Some(m), Some(d)) => year(y) && month(m) && day(d),
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_its_dated_name() {
        for (named, ran) in [
            ("anthropic/claude-haiku-4.5", "anthropic/claude-4.5-haiku-20251001"),
            ("google/gemini-3.5-flash-lite:nitro", "google/gemini-3.5-flash-lite-20260721"),
            ("anthropic/claude-3.7-sonnet:thinking", "anthropic/claude-3-7-sonnet-20250219"),
            ("openai/gpt-4-turbo", "openai/gpt-4-turbo-2024-04-09"),
            ("qwen/qwen3-235b-a22b", "qwen/qwen3-235b-a22b-04-28"),
            ("deepseek/deepseek-chat-v3", "deepseek/deepseek-chat-v3-0324"),
            ("mistralai/mistral-large", "mistralai/mistral-large-2411"),
            ("OpenAI/GPT-4o", "openai/gpt-4o-2024-08-06"),
            ("gpt-4o", "openai/gpt-4o-2024-08-06"),
            ("openai/gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06"),
            ("openrouter/auto", "anthropic/claude-4.5-haiku-20251001"),
            ("@preset/support", "anthropic/claude-4.5-haiku-20251001"),
            ("~anthropic/claude-opus-latest", "anthropic/claude-4.5-opus-20251101"),
        ] {
            assert!(may_be(named, ran), "{named} is {ran}");
        }
    }

    #[test]
    fn another_model_is_another() {
        for (named, ran) in [
            ("anthropic/claude-haiku-4.5", "anthropic/claude-4.5-sonnet-20250929"),
            ("openai/gpt-4o", "openai/gpt-4o-mini-2024-07-18"),
            ("openai/gpt-4o-2024-05-13", "openai/gpt-4o-2024-08-06"),
            ("openai/gpt-4o", "azure/gpt-4o"),
            ("meta-llama/llama-3.1-8b-instruct", "meta-llama/llama-3.1-70b-instruct"),
            ("google/gemini-2.5-flash", "google/gemini-2.5-flash-001"),
            ("openai/gpt-4.1", "openai/gpt-4"),
            ("~anthropic/claude-opus-latest", "anthropic/claude-4.5-haiku-20251001"),
        ] {
            assert!(!may_be(named, ran), "{named} is not {ran}");
        }
    }
}
