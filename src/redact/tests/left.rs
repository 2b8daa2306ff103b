//! What looks like personal data and is none stays as it is.

use super::{Redactor, Scope, hits, plain, scrub};
use proptest::prelude::*;

fn stays(text: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(hits(&plain(), text, None), vec![], "in {:?}", text);
    Ok(())
}

proptest! {
    #[test]
    fn identifiers(uuid in "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
                   numeric in "[0-9]{8}-[0-9]{4}-4[0-9]{3}-8[0-9]{3}-[0-9]{12}",
                   hash in "[0-9a-f]{40}", tail in "[A-Za-z0-9]{20}",
                   seconds in 1_500_000_000u64..2_000_000_000, session in "[0-9a-f]{8}") {
        prop_assume!(hash.bytes().any(|b| b.is_ascii_alphabetic()));
        for prefix in ["", "trace ", "card ", "phone: ", "\"id\":\"", "call "] {
            stays(&format!("{prefix}{uuid}"))?;
            stays(&format!("{prefix}{numeric}"))?;
            stays(&format!("{prefix}gen-{seconds}-{tail}"))?;
            stays(&format!("{prefix}commit {hash}"))?;
            stays(&format!("{prefix}sess_{session} user_{seconds}"))?;
        }
    }

    #[test]
    fn times(seconds in 1_000_000_000u64..2_000_000_000, below in 0u64..1_000_000) {
        for text in [
            format!("at {seconds}"),
            format!("phone {seconds}"),
            format!("ts={seconds}.{below:06}"),
            format!("{seconds}{:03}", below / 1000),
            format!("{seconds}{below:06}"),
            format!("\"created\": {seconds}, \"ns\": {seconds}{below:06}000"),
        ] {
            stays(&text)?;
        }
        stays(&crate::clock::rfc3339((seconds * 1_000_000 + below) as i64))?;
    }

    #[test]
    fn orders_and_versions(order in 1_000_000_000u64..10_000_000_000, part in 10u32..100,
                           a in 0u32..40, b in 0u32..40, c in 0u32..2000) {
        stays(&format!("order {order}-{part}"))?;
        stays(&format!("release v{a}.{b}.{c}, then {a}.{b}.{c}.{part}, pkg@{a}.{b}.{c}"))?;
    }

    #[test]
    fn numbers_nobody_issued(group in 0u32..100, serial in 0u32..10_000, area in 900u32..1000) {
        stays(&format!("ssn 000-{group:02}-{serial:04} 666-{group:02}-{serial:04}"))?;
        stays(&format!("{area}-{group:02}-{serial:04}"))?;
        stays(&format!("{:03}-00-{serial:04} {:03}-{group:02}-0000", area - 800, area - 800))?;
    }

    /// A card number with one digit changed fails the check.
    #[test]
    fn cards_that_fail(filler in any::<u64>(), at in 6usize..16, add in 1u8..10) {
        let mut digits = super::luhn("4", 16, filler).into_bytes();
        digits[at] = b'0' + (digits[at] - b'0' + add) % 10;
        let digits = String::from_utf8(digits).unwrap();
        stays(&format!("card {digits}"))?;
        stays(&format!("card {}", super::grouped(&digits, &[4, 4, 4], " ")))?;
    }
}

#[test]
fn look_alikes() {
    for text in [
        "icon@2x.png and hero@2x.webp",
        "@scope/pkg@5.0.0-beta.2",
        "a@b and x @ y . z",
        "@app.route(\"/v1/chat\") @dataclass",
        "docker pull nginx@sha256:8b0382dfae5069ace8a124182ad4cbff594eddfa",
        "git remote add origin git@github.com:someone/some.git",
        "systemctl status getty@tty1.service",
        "the task-tsccadjtwcichquikqikctabcdef and risk-free",
        ".sk-cube-grid .sk-cube-grid-large-and-very-long-indeed { margin: 0 }",
        "export ANTHROPIC_API_KEY=sk-ant-... OPENROUTER_API_KEY=sk-or-v1-...",
        "gpt-4o-2024-08-06, claude-3-5-sonnet-20241022, openai/gpt-4-turbo",
        "Chrome/122.0.9033.158 Safari/537.36",
        "score 0.554348264891724 vs 0.4111111111111111",
        "-122.4194155, 37.77490001; 1,234,567,890",
        "reference 7295769370455023 is not a card",
        "DE95 4111 1111 1111 1111 53",
        "serial 0118854254 ttl 3600",
        "zip 65456-5774",
        "call me on 2026-11-22 at 10:30 or 22.11.2026",
        "phone app at 192.168.100.200:8080",
        "1 1 2 3 5 8 13 21 34 55 89 144 233 377 610 987 1597 2584",
        "[EMAIL] [PHONE] [SSN] [API_KEY] [CARD]",
        "café 東京 🚀 \"quoted\"\n\ttabbed",
        "4111111111111111abc x4111111111111111 a_4155550100",
        "4242424242424242-4242 1-4111-1111-1111-1111",
    ] {
        assert_eq!(scrub(text), text);
    }
}

#[test]
fn identifiers_may_look_like_numbers() {
    let redactor: Redactor = plain();
    for id in ["4111111111111111", "415-555-0100", "123-45-6788", "+14155550100"] {
        assert_ne!(redactor.scrub(id, None, Scope::Text), id);
        assert_eq!(redactor.scrub(id, Some("phone"), Scope::Identifier), id);
    }
    assert_eq!(redactor.scrub("ann@example.com", None, Scope::Identifier), "[EMAIL]");
}
