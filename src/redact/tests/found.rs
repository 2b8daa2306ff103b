//! Valid values of each kind are found, over their whole domain and to their last byte.

use super::{
    super::{
        key::Body,
        rules::{Detect, RULES},
    },
    Config, Redactor, Scope, grouped, hits, luhn, plain, scrub,
};
use proptest::prelude::*;

/// First and last prefix of an issuer's range, and the length of its numbers.
const ISSUERS: &[(u32, u32, usize)] = &[
    (4, 4, 13),
    (4, 4, 16),
    (4, 4, 19),
    (51, 55, 16),
    (2221, 2720, 16),
    (34, 34, 15),
    (37, 37, 15),
    (6011, 6011, 16),
    (6011, 6011, 19),
    (644, 649, 16),
    (65, 65, 16),
    (65, 65, 19),
    (622_126, 622_925, 16),
    (3528, 3589, 16),
    (3528, 3589, 19),
    (2131, 2131, 15),
    (1800, 1800, 15),
    (300, 305, 14),
    (309, 309, 14),
    (36, 36, 14),
    (38, 39, 14),
    (62, 62, 16),
    (62, 62, 17),
    (62, 62, 19),
    (2200, 2204, 16),
];

fn card() -> impl Strategy<Value = (String, usize)> {
    (prop::sample::select(ISSUERS), any::<u32>(), any::<u64>()).prop_map(
        |((first, last, len), at, filler)| {
            let prefix = first + at % (last - first + 1);
            (luhn(&prefix.to_string(), len, filler), len)
        },
    )
}

/// What is put around a value, and stays.
fn around() -> impl Strategy<Value = (&'static str, &'static str)> {
    const BEFORE: &[&str] =
        &["", "see ", "(", "\"", "x=", "is: ", "\n", r"line\n", "“", "号码", "ID-", "|"];
    const AFTER: &[&str] =
        &["", ".", ", then", ")", "\"", "\n", r"\n", "”", "です", ";x", "!", " ok"];
    (prop::sample::select(BEFORE), prop::sample::select(AFTER))
}

fn is_all(kind: &str, value: &str, (before, after): (&str, &str)) -> Result<(), TestCaseError> {
    let text = format!("{before}{value}{after}");
    let expected = vec![(kind.to_owned(), value)];
    let redactor = plain();
    prop_assert_eq!(hits(&redactor, &text, None), expected, "in {:?}", text);
    prop_assert_eq!(scrub(&text), format!("{before}[{kind}]{after}"));
    Ok(())
}

proptest! {
    #[test]
    fn cards((digits, len) in card(), separator in prop::sample::select(&[" ", "-"][..]),
             around in around()) {
        let sizes: &[usize] = if len == 14 || len == 15 { &[4, 6] } else { &[4, 4, 4, 4] };
        is_all("CARD", &grouped(&digits, sizes, separator), around)?;
        if len <= 16 {
            is_all("CARD", &digits, around)?;
        }
        let redactor = plain();
        prop_assert_eq!(hits(&redactor, &digits, Some("cardNumber")).len(), 1);
        prop_assert_eq!(scrub(&format!("Visa card: {digits}")), "Visa card: [CARD]");
    }

    #[test]
    fn security_numbers(area in 1u32..900, group in 1u32..100, serial in 1u32..10_000,
                        separator in prop::sample::select(&["-", ".", " ", "‑", "–"][..]),
                        around in around()) {
        prop_assume!(area != 666);
        let value = format!("{area:03}{separator}{group:02}{separator}{serial:04}");
        is_all("SSN", &value, around)?;
        let bare = format!("{area:03}{group:02}{serial:04}");
        prop_assert_eq!(scrub(&format!("SSN {bare}")), "SSN [SSN]");
        prop_assert_eq!(hits(&plain(), &bare, Some("ssn")).len(), 1);
    }

    #[test]
    fn north_american_numbers(area in 200u32..1000, exchange in 200u32..1000, line in 0u32..10_000,
                              form in 0usize..12, around in around()) {
        let (a, b, c) = (format!("{area:03}"), format!("{exchange:03}"), format!("{line:04}"));
        let value = match form {
            0 => format!("{a}-{b}-{c}"),
            1 => format!("({a}) {b}-{c}"),
            2 => format!("({a}){b}-{c}"),
            3 => format!("{a}.{b}.{c}"),
            4 => format!("{a} {b} {c}"),
            5 => format!("+1 {a} {b} {c}"),
            6 => format!("+1-{a}-{b}-{c}"),
            7 => format!("1-{a}-{b}-{c}"),
            8 => format!("+1 ({a}) {b}-{c}"),
            9 => format!("{a}-{b}-{c} x8017"),
            10 => format!("001-{a}-{b}-{c}"),
            _ => format!("+1{a}{b}{c}"),
        };
        is_all("PHONE", &value, around)?;
        prop_assert_eq!(scrub(&format!("Mobile: {a}{b}{c}")), "Mobile: [PHONE]");
    }

    #[test]
    fn international_numbers(
        code in prop::sample::select(&["7", "20", "27", "30", "33", "39", "44", "49", "55", "81",
            "86", "91", "212", "234", "351", "353", "380", "420", "852", "886", "971", "998"][..]),
        rest in "[1-9][0-9]{7,9}", separator in prop::sample::select(&["", " ", "-", "."][..]),
        around in around(),
    ) {
        let value = format!("+{code}{separator}{}", grouped(&rest, &[2, 3], separator));
        is_all("PHONE", &value, around)?;
    }

    #[test]
    fn addresses(local in "[a-z0-9]([._+-]?[a-z0-9]){1,20}",
                 domain in "([a-z][a-z0-9]{0,9}\\.|bücher\\.|例え\\.|uni-köln\\.){1,3}",
                 top in prop::sample::select(&["com", "org", "co.uk", "museum", "io", "xn--p1ai"][..]),
                 around in around()) {
        // A dash before it would belong to the address; a number in it is tested below.
        let (before, after) = around;
        let around = (if before.ends_with('-') { "" } else { before }, after);
        if !hits(&plain(), &local, None).is_empty() {
            return Ok(());
        }
        is_all("EMAIL", &format!("{local}@{domain}{top}"), around)?;
    }

    #[test]
    fn keys(rule in 0..RULES.len(), letters in "[A-Za-z0-9]{100}", around in around()) {
        let Detect::Key(key) = &RULES[rule].detect else { return Ok(()) };
        let (before, after) = around;
        let value = match key.body {
            Body::Jwt => format!("eyJ{}.eyJ{}.{letters}", &letters[..40], &letters[..60]),
            Body::Upper => format!("{}{}", key.prefix, letters[..key.min].to_uppercase()),
            _ => format!("{}a1{}", key.prefix, &letters[..key.min - 2]),
        };
        // A dash before a JWT may belong to another token.
        prop_assume!(!(before.ends_with('-') && matches!(key.body, Body::Jwt)));
        is_all("API_KEY", &value, (before, after))?;
        let redactor = plain();
        let scrubbed = redactor.scrub(&value, None, Scope::Identifier).into_owned();
        prop_assert_eq!(scrubbed, "[API_KEY]");
    }

    /// What the seeds of this project called a key is one, whatever its body.
    #[test]
    fn openrouter_keys(hex in "[0-9a-f]{64}", other in "[A-Za-z0-9_-]{16,120}") {
        prop_assert_eq!(scrub(&format!("use key sk-or-v1-{hex} now")), "use key [API_KEY] now");
        prop_assert_eq!(scrub(&format!("use key sk-or-{other} now")), "use key [API_KEY] now");
    }

    /// Invisible characters and look-alikes hide nothing, and go with what they were hidden in.
    #[test]
    fn disguises(value in prop::sample::select(&[
        ("415-555-0100", "PHONE"), ("4111 1111 1111 1111", "CARD"), ("123-45-6788", "SSN"),
        ("ann@example.com", "EMAIL"), ("sk-or-v1-0123456789abcdef", "API_KEY"),
    ][..]), at in any::<prop::sample::Index>(),
        hidden in prop::sample::select(&["\u{200b}", "\u{ad}", "\u{feff}", "\u{2060}\u{200d}"][..])) {
        let (value, kind) = value;
        let at = 1 + at.index(value.len() - 1);
        let text = format!("é {}{hidden}{} é", &value[..at], &value[at..]);
        prop_assert_eq!(scrub(&text), format!("é [{kind}] é"));
        let wide: String = value.chars().map(|c| match c {
            '0'..='9' | 'a'..='z' | '@' => char::from_u32(u32::from(c) + 0xFEE0).unwrap(),
            '-' => '‑',
            ' ' => '\u{a0}',
            c => c,
        }).collect();
        prop_assert_eq!(scrub(&format!("é {wide} é")), format!("é [{kind}] é"));
    }
}

#[test]
fn a_plus_makes_a_telephone_number_of_what_passes_for_a_card() {
    assert_eq!(scrub("+4206681270954"), "[PHONE]");
    assert_eq!(scrub("4206681270954"), "[CARD]");
    assert_eq!(scrub("+4111111111111111"), "+[CARD]");
}

#[test]
fn words_make_numbers_telephone_numbers() {
    for text in [
        "Telefon 01512 1485898",
        "numéro de téléphone est 01 24 15 02 53",
        "電話番号は090-7832-3455",
        "我的手机号码是136 9033 9295",
        "Номер телефону: 03112 37146",
        "Phone:\n467 3395",
        "(37) 788-063-Office",
        "Desk: +41 (0)96 471 07 95",
        r#"{"phoneNumber": "0490 75 40 81"}"#,
    ] {
        let out = scrub(text);
        assert!(out.contains("[PHONE]"), "{text} became {out}");
        assert!(!out.contains(|c: char| c.is_ascii_digit()), "{text} became {out}");
    }
}

#[test]
fn passwords_in_addresses_of_services() {
    let scrubbed = scrub("postgres://app:ZBJqIC2IDaz1vkqF@db.internal:5432/app");
    assert_eq!(scrubbed, "postgres://app:[API_KEY]@db.internal:5432/app");
    assert_eq!(scrub("https://john@db.example.com/"), "https://john@db.example.com/");
    assert_eq!(scrub("mailto:john@example.com"), "mailto:[EMAIL]");
}

#[test]
fn a_disabled_kind_is_left() {
    let config = Config { disable: vec!["PHONE".into(), "API_KEY".into()], ..Config::default() };
    let redactor = Redactor::new(&config).unwrap();
    let text = "415-555-0100 sk-or-v1-0123456789abcdef a@example.com";
    assert_eq!(
        redactor.scrub(text, None, Scope::Text),
        "415-555-0100 sk-or-v1-0123456789abcdef [EMAIL]"
    );
}

#[test]
fn an_address_takes_the_number_in_it() {
    assert_eq!(scrub("415-555-0100@example.com"), "[EMAIL]");
    assert_eq!(scrub("4111111111111111.x@example.com"), "[EMAIL]");
    assert_eq!(scrub("4111111111111111.eyJa.eyJb.cann@example.com"), "[EMAIL]");
    assert_eq!(scrub("4111 1111 1111 1111@example"), "[CARD]@example");
}
