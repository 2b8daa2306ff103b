//! Two counts of one day, compared. Pure.
//!
//! OpenRouter's rows name a model twice: by the alias that callers use and by the dated permaslug
//! that ran. A call's own report has the alias, the generation endpoint's answer has the permaslug;
//! both lead to one line here. Providers are compared where every call of the model names one; a
//! call that was never answered may not, and then the model is compared as a whole.

use super::money;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Calls.
    pub requests: u64,
    /// Tokens of the prompts, by the provider's own count.
    pub prompt_tokens: u64,
    /// Tokens of the completions, reasoning included, by the provider's own count.
    pub completion_tokens: u64,
    /// Dollars that OpenRouter charged.
    #[serde(with = "money::text")]
    pub usd: Decimal,
    /// Dollars that providers charged to keys of the caller's own.
    #[serde(with = "money::text")]
    pub byok_usd: Decimal,
    /// Calls among these of which the ledger knows no token counts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub without_tokens: u64,
    /// Calls among these of which the ledger knows no cost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub without_usd: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Figures {
    /// Adds another's.
    pub fn add(&mut self, other: &Figures) {
        self.requests = self.requests.saturating_add(other.requests);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        money::add(&mut self.usd, other.usd);
        money::add(&mut self.byok_usd, other.byok_usd);
        self.without_tokens = self.without_tokens.saturating_add(other.without_tokens);
        self.without_usd = self.without_usd.saturating_add(other.without_usd);
    }

    /// Which figures differ from another's, by name.
    #[must_use]
    pub fn differences(&self, other: &Figures) -> Vec<String> {
        let pairs = [
            ("requests", self.requests == other.requests),
            ("prompt_tokens", self.prompt_tokens == other.prompt_tokens),
            ("completion_tokens", self.completion_tokens == other.completion_tokens),
            ("usd", money::same(self.usd, other.usd)),
            ("byok_usd", money::same(self.byok_usd, other.byok_usd)),
        ];
        pairs.iter().filter(|(_, same)| !same).map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// One row of OpenRouter's count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The alias that callers use.
    pub model: String,
    /// The dated name of what ran.
    pub permaslug: String,
    /// Who served it.
    pub provider: String,
    /// What was used.
    pub figures: Figures,
}

/// The ledger's sums by model and provider, each as the entries name it.
pub(super) type Groups = BTreeMap<(String, Option<String>), Figures>;

/// One line of the comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// The model, by its alias where OpenRouter knows it.
    pub model: String,
    /// The provider; absent where the model is compared as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The ledger's count.
    pub ledger: Figures,
    /// OpenRouter's count.
    pub openrouter: Figures,
    /// The figures that differ, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
}

/// Compares the ledger's sums with OpenRouter's rows: the lines that differ first, then by model.
#[must_use]
pub(super) fn compare(ours: &Groups, theirs: &[Row]) -> Vec<Compared> {
    let names = Names::of(theirs);
    let whole: BTreeSet<String> = ours
        .keys()
        .filter(|(_, provider)| provider.is_none())
        .map(|(model, _)| names.family(model))
        .collect();
    let mut lines: BTreeMap<(String, Option<String>), Compared> = BTreeMap::new();
    let mut put =
        |model: &str, provider: Option<&str>, ours: Option<&Figures>, theirs: Option<&Figures>| {
            let family = names.family(model);
            let provider = provider.filter(|_| !whole.contains(&family));
            let key = (family.clone(), provider.map(str::to_lowercase));
            let line = lines.entry(key).or_insert_with(|| Compared {
                model: family,
                provider: provider.map(str::to_owned),
                ledger: Figures::default(),
                openrouter: Figures::default(),
                differs: Vec::new(),
            });
            ours.into_iter().for_each(|figures| line.ledger.add(figures));
            theirs.into_iter().for_each(|figures| line.openrouter.add(figures));
        };
    for row in theirs {
        put(&row.permaslug, Some(&row.provider), None, Some(&row.figures));
    }
    for ((model, provider), figures) in ours {
        put(model, provider.as_deref(), Some(figures), None);
    }
    let mut lines: Vec<Compared> = lines.into_values().collect();
    for line in &mut lines {
        line.differs = line.ledger.differences(&line.openrouter);
    }
    lines.sort_by_key(|line| line.differs.is_empty());
    lines
}

/// Which names are one model's.
struct Names {
    /// Any name → the family's name.
    families: BTreeMap<String, String>,
}

impl Names {
    /// An alias and a permaslug that stand in one row are one model's; so are two aliases of one
    /// permaslug, and two permaslugs of one alias (a release at noon).
    fn of(rows: &[Row]) -> Self {
        let mut families: BTreeMap<String, String> = BTreeMap::new();
        for row in rows {
            let known = |name: &String| families.get(name).cloned();
            let joined: BTreeSet<String> =
                [known(&row.model), known(&row.permaslug)].into_iter().flatten().collect();
            // The alias is what people know; of several the shortest has no variant behind it.
            let best = joined
                .iter()
                .chain([&row.model])
                .min_by_key(|name| (name.len(), (*name).clone()))
                .cloned()
                .unwrap_or_default();
            for family in families.values_mut().filter(|family| joined.contains(*family)) {
                family.clone_from(&best);
            }
            families.insert(row.model.clone(), best.clone());
            families.insert(row.permaslug.clone(), best);
        }
        Names { families }
    }

    /// The family of a name; a routing variant (`:nitro`, `:floor`) that OpenRouter's rows do not
    /// know is the plain model's.
    fn family(&self, name: &str) -> String {
        let plain = name.rsplit_once(':').map_or(name, |(plain, _)| plain);
        let known = self.families.get(name).or_else(|| self.families.get(plain));
        known.cloned().unwrap_or_else(|| name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn figures(requests: u64, tokens: u64, micro_usd: i64) -> Figures {
        Figures {
            requests,
            prompt_tokens: tokens,
            completion_tokens: tokens * 2,
            usd: Decimal::new(micro_usd, 6),
            ..Figures::default()
        }
    }

    fn row(model: &str, permaslug: &str, provider: &str, figures: Figures) -> Row {
        Row { model: model.into(), permaslug: permaslug.into(), provider: provider.into(), figures }
    }

    fn groups(all: &[(&str, Option<&str>, Figures)]) -> Groups {
        let one = |(model, provider, figures): &(&str, Option<&str>, Figures)| {
            (((*model).to_owned(), provider.map(str::to_owned)), figures.clone())
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn alias_and_permaslug_are_one_model() {
        let theirs =
            [row("openai/gpt-4o", "openai/gpt-4o-2026-01-01", "OpenAI", figures(3, 30, 300))];
        let ours = groups(&[
            ("openai/gpt-4o", Some("OpenAI"), figures(1, 10, 100)),
            ("openai/gpt-4o:nitro", Some("openai"), figures(1, 10, 100)),
            ("openai/gpt-4o-2026-01-01", Some("OpenAI"), figures(1, 10, 100)),
        ]);
        let lines = compare(&ours, &theirs);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!((lines[0].model.as_str(), lines[0].differs.len()), ("openai/gpt-4o", 0));
        assert_eq!(lines[0].provider.as_deref(), Some("OpenAI"));
    }

    #[test]
    fn an_alias_that_moved_and_a_variant_stay_one_family() {
        let theirs = [
            row("a/m", "a/m-1", "P", figures(1, 1, 1)),
            row("a/m:free", "a/m-2", "P", figures(1, 1, 1)),
            row("a/m", "a/m-2", "P", figures(1, 1, 1)),
            row("a/other", "a/other-1", "P", figures(1, 1, 1)),
        ];
        let names = Names::of(&theirs);
        for name in ["a/m", "a/m-1", "a/m-2", "a/m:free", "a/m:nitro"] {
            assert_eq!(names.family(name), "a/m", "{name}");
        }
        assert_eq!(names.family("a/other-1"), "a/other");
        assert_eq!(names.family("b/unheard:free"), "b/unheard:free");
    }

    #[test]
    fn a_model_with_an_unattributed_call_is_compared_as_a_whole() {
        let theirs = [
            row("a/m", "a/m-1", "P", figures(1, 1, 10)),
            row("a/m", "a/m-1", "Q", figures(1, 1, 10)),
            row("b/n", "b/n-1", "P", figures(1, 1, 10)),
        ];
        let ours = groups(&[
            ("a/m", None, figures(1, 1, 10)),
            ("a/m-1", Some("Q"), figures(1, 1, 10)),
            ("b/n", Some("R"), figures(1, 1, 10)),
        ]);
        let lines = compare(&ours, &theirs);
        let shown: Vec<_> = lines
            .iter()
            .map(|line| (line.model.as_str(), line.provider.as_deref(), line.differs.len()))
            .collect();
        let expected = [("b/n", Some("P"), 4), ("b/n", Some("R"), 4), ("a/m", None, 0)];
        assert_eq!(shown, expected);
    }

    #[test]
    fn each_figure_that_differs_is_named() {
        let theirs = [row("a/m", "a/m-1", "P", figures(2, 10, 100))];
        let differs = |ours: Figures| {
            compare(&groups(&[("a/m", Some("P"), ours)]), &theirs).remove(0).differs
        };
        assert!(differs(figures(2, 10, 100)).is_empty());
        assert_eq!(differs(figures(1, 10, 100)), ["requests"]);
        assert_eq!(differs(figures(2, 9, 100)), ["prompt_tokens", "completion_tokens"]);
        assert_eq!(differs(figures(2, 10, 101)), ["usd"]);
        let mut byok = figures(2, 10, 100);
        byok.byok_usd = Decimal::new(1, 3);
        assert_eq!(differs(byok), ["byok_usd"]);
        assert_eq!(compare(&Groups::new(), &theirs)[0].differs.len(), 4);
        let only_ours = compare(&groups(&[("x/y", None, figures(1, 0, 0))]), &[]);
        assert_eq!(only_ours[0].differs, ["requests"]);
    }

    proptest! {
        /// However a day's calls are spread over models, providers and spellings, a day that is
        /// counted alike on both sides has no difference, and one call less has one.
        #[test]
        fn what_both_counted_is_equal(calls in prop::collection::vec((0usize..4, 0usize..3, any::<bool>(), any::<bool>(), 1u64..1000), 1..40)) {
            let (mut ours, mut theirs) = (Groups::new(), BTreeMap::<(usize, usize), Row>::new());
            for (model, provider, by_alias, attributed, tokens) in &calls {
                let call = figures(1, *tokens, *tokens as i64);
                let (alias, permaslug) = (format!("a/m{model}"), format!("a/m{model}-2026"));
                let named = format!("P{provider}");
                let own = if *by_alias { alias.clone() } else { permaslug.clone() };
                let group = (own, attributed.then(|| named.clone()));
                ours.entry(group).or_default().add(&call);
                let row = theirs.entry((*model, *provider)).or_insert_with(|| row(&alias, &permaslug, &named, Figures::default()));
                row.figures.add(&call);
            }
            let mut rows: Vec<Row> = theirs.into_values().collect();
            prop_assert!(compare(&ours, &rows).iter().all(|line| line.differs.is_empty()));
            rows[0].figures.requests += 1;
            let differing = compare(&ours, &rows).into_iter().filter(|line| !line.differs.is_empty()).count();
            prop_assert_eq!(differing, 1);
        }
    }
}
