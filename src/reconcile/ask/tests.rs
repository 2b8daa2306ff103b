//! Every way in which the other side may answer, over a real connection.

use super::*;
use crate::{
    secret::{Environment, SecretRef},
    standin::{
        StandIn,
        activity::{Activity as Standin, Generation, Trouble},
    },
    units::Span,
};
use tokio::runtime::Runtime;

const KEY: &str = "sk-or-v1-management-key-of-the-test";

struct Bench {
    runtime: Runtime,
    config: Config,
    key: Secret,
    standin: Standin,
    _server: StandIn,
}

fn secret(value: &str) -> Secret {
    let environment: Environment = [("K".to_owned(), value.to_owned())].into_iter().collect();
    SecretRef::Env("K".into()).resolve(&environment).unwrap()
}

fn config(base_url: String) -> Config {
    Config {
        management_key: SecretRef::Env("K".into()),
        base_url,
        every: None,
        settle: Span(Duration::ZERO),
        timeout: Span(Duration::from_secs(20)),
        api_key_hashes: Vec::new(),
        workspace_id: None,
    }
}

fn day() -> Day {
    Day::parse("2026-11-21").unwrap()
}

fn call(n: i64) -> Generation {
    let at = day().start() / 1_000_000 + n;
    Generation {
        id: format!("gen-{at}-{n:020}"),
        at,
        model: "openai/gpt-4o".into(),
        permaslug: "openai/gpt-4o-2026".into(),
        provider: "OpenAI".into(),
        api_key_hash: if n % 2 == 0 { "aa" } else { "bb" }.into(),
        prompt_tokens: 10,
        completion_tokens: 20,
        usd: 0.1,
        byok_usd: 0.0,
    }
}

impl Bench {
    fn new() -> Self {
        let standin = Standin::new(KEY);
        let server = StandIn::start_with(standin.router()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = config(server.base_url());
        Bench { runtime, config, key: secret(KEY), standin, _server: server }
    }

    fn activity(&self) -> Result<(Vec<Row>, Vec<Digest>), Error> {
        let asker = Asker::new(&self.config, &self.key).unwrap();
        self.runtime.block_on(asker.activity(day()))
    }

    fn list(&self) -> Result<Vec<String>, Error> {
        let asker = Asker::new(&self.config, &self.key).unwrap();
        let mut ids = Vec::new();
        let each = &mut |id: &str| ids.push(id.to_owned());
        self.runtime.block_on(asker.list(Window::of(day()), each))?;
        ids.sort();
        Ok(ids)
    }
}

#[test]
fn a_day_is_asked_for_and_added_up_by_model_and_provider() {
    let bench = Bench::new();
    (0..3).for_each(|n| bench.standin.add(call(n)));
    bench.standin.add(Generation { at: call(0).at - 1, ..call(9) });
    let (rows, digests) = bench.activity().unwrap();
    assert_eq!((rows.len(), digests.len()), (1, 1));
    let figures = &rows[0].figures;
    assert_eq!((figures.requests, figures.prompt_tokens, figures.completion_tokens), (3, 30, 60));
    // 0.1 + 0.1 + 0.1 in floats.
    assert_eq!(figures.usd.to_string(), "0.30000000000000004");
    assert_eq!(rows[0].permaslug, "openai/gpt-4o-2026");
    let asked = bench.standin.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].what, "date=2026-11-21");
    assert_eq!(asked[0].authorization, format!("Bearer {KEY}"));
}

#[test]
fn a_comparison_limited_to_keys_asks_for_each_and_for_their_ids_alone() {
    let mut bench = Bench::new();
    (0..5).for_each(|n| bench.standin.add(call(n)));
    bench.config.api_key_hashes = vec!["aa".into()];
    let (rows, digests) = bench.activity().unwrap();
    assert_eq!((rows[0].figures.requests, digests.len()), (3, 1));
    assert_eq!(bench.list().unwrap().len(), 3);
    bench.config.api_key_hashes.push("bb".into());
    let (rows, digests) = bench.activity().unwrap();
    let requests: u64 = rows.iter().map(|row| row.figures.requests).sum();
    assert_eq!((requests, digests.len()), (5, 2));
    assert_eq!(bench.list().unwrap().len(), 5);
    bench.standin.trouble(QUERY, Trouble::Warned);
    let warned = bench.list().unwrap_err().to_string();
    assert!(warned.contains("api_key_hashes"), "{warned}");
}

#[test]
fn a_list_that_is_cut_is_asked_for_in_parts() {
    let bench = Bench::new();
    let all: Vec<String> = (0..40).map(|n| call(n * 2000).id).collect();
    (0..40).for_each(|n| bench.standin.add(call(n * 2000)));
    bench.standin.limit_rows(7);
    assert_eq!(bench.list().unwrap(), all);
    assert!(bench.standin.asked().len() > 6);
    bench.standin.limit_rows(0);
    let cut = bench.list().unwrap_err().to_string();
    assert!(cut.contains("in a second"), "{cut}");
}

#[test]
fn a_key_of_the_wrong_class_or_none_is_told_and_asked_with_once() {
    let mut bench = Bench::new();
    bench.standin.add_plain_key("sk-or-v1-plain-key");
    for (key, status) in [("sk-or-v1-plain-key", 403), ("sk-or-v1-unknown", 401)] {
        bench.key = secret(key);
        let before = bench.standin.asked().len();
        let refused = bench.activity().unwrap_err();
        assert!(matches!(refused, Error::KeyRefused(s, ACTIVITY) if s == status), "{refused}");
        assert!(!refused.to_string().contains(key) && refused.to_string().contains("management"));
        assert!(matches!(bench.list(), Err(Error::KeyRefused(s, QUERY)) if s == status));
        assert_eq!(bench.standin.asked().len(), before + 2, "asked with a refused key again");
    }
}

#[test]
fn passing_trouble_is_waited_out_and_lasting_trouble_is_told() {
    let bench = Bench::new();
    bench.standin.add(call(1));
    bench.standin.trouble(ACTIVITY, Trouble::Throttled(0));
    bench.standin.trouble(ACTIVITY, Trouble::Status(500));
    assert_eq!(bench.activity().unwrap().0.len(), 1);
    assert_eq!(bench.standin.asked().len(), 3);
    for _ in 0..TRIES {
        bench.standin.trouble(QUERY, Trouble::Throttled(0));
    }
    let gone = bench.list().unwrap_err().to_string();
    assert!(gone.contains("status 429"), "{gone}");
    for status in [400, 404] {
        bench.standin.trouble(ACTIVITY, Trouble::Status(status));
        let refused = bench.activity().unwrap_err();
        assert!(matches!(refused, Error::Refused(s, _) if s == status), "{refused}");
        assert!(!refused.to_string().contains("user_"), "{refused}");
    }
}

#[test]
fn what_is_no_count_is_not_taken_for_one() {
    let bench = Bench::new();
    bench.standin.add(call(1));
    for trouble in [Trouble::WebPage, Trouble::Truncated] {
        bench.standin.trouble(ACTIVITY, trouble.clone());
        assert!(matches!(bench.activity(), Err(Error::NoAnswer(ACTIVITY, _))), "{trouble:?}");
        bench.standin.trouble(QUERY, trouble.clone());
        assert!(matches!(bench.list(), Err(Error::NoAnswer(QUERY, _))), "{trouble:?}");
    }
    assert_eq!(bench.list().unwrap().len(), 1);
}

#[test]
fn rows_are_read_whatever_their_numbers_look_like() {
    let body = br#"{"data":[
        {"date":"2026-11-21","model":"a/b","model_permaslug":"a/b-1","provider_name":"P","usage":1.5e-05,"byok_usage_inference":null,"requests":"12","prompt_tokens":"7","completion_tokens":9,"reasoning_tokens":0,"new":{}},
        {"date":"2026-11-21 00:00:00","model":"a/c\u0007\u001b[31m","requests":1},
        {"date":"2026-11-20","model":"a/d","requests":1}],"more":1}"#;
    let rows = activity_rows(body, "2026-11-21").unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].figures.usd.to_string(), "0.000015");
    assert_eq!((rows[0].figures.requests, rows[0].figures.prompt_tokens), (12, 7));
    assert_eq!((rows[1].permaslug.as_str(), rows[1].provider.as_str()), ("a/c[31m", "(unknown)"));
    for wrong in [
        &br#"{"data":[{"model":"a"}]}"#[..],
        br#"{"data":[{"requests":-1}]}"#,
        br#"{"data":[{"requests":1,"usage":"much"}]}"#,
        br#"{"error":{"code":500}}"#,
        b"",
    ] {
        assert!(activity_rows(wrong, "2026-11-21").is_err());
    }
}

#[test]
fn a_list_is_ids_and_says_whether_it_is_whole() {
    let page = |body: &str| {
        listed_ids(body.as_bytes()).map(|(ids, page)| (ids, matches!(page, Page::Whole)))
    };
    let whole = r#"{"data":{"data":[{"generation_id":"gen-abc123","request_count":1},{"generation_id":null}],"metadata":{"truncated":false}}}"#;
    assert_eq!(page(whole), Ok((vec!["gen-abc123".into()], true)));
    assert!(!page(&whole.replace("false", "true")).unwrap().1);
    assert!(page(&whole.replace("gen-abc123", "<script>")).is_err());
    assert!(page(&whole.replace("\"truncated\":false", "")).is_err());
}
