//! What the values of `[redact]` mean.

use super::Check;
use crate::{
    config::{problem::did_you_mean, read::quote},
    redact::config::{Config, Rule},
};
use std::collections::BTreeMap;

/// Labels of the built-in rules.
const BUILT_IN: &[&str] = &["EMAIL", "PHONE", "SSN", "API_KEY", "CARD"];

/// Largest compiled pattern, in bytes: bounds the memory and the time that one rule may cost.
const LARGEST_PATTERN: usize = 1 << 20;

impl Check<'_> {
    /// Checks the labels and each rule, and that rules can be told apart.
    pub(super) fn redact(&mut self, config: &Config) {
        for (index, label) in config.disable.iter().enumerate() {
            if !BUILT_IN.contains(&label.as_str()) {
                let hint = did_you_mean(label, BUILT_IN);
                let accepted = BUILT_IN.join(", ");
                let message =
                    format!("{} is not a built-in label; accepted: {accepted}{hint}", quote(label));
                self.wrong(&format!("redact.disable[{index}]"), message);
            }
        }
        let (mut names, mut labels) = (BTreeMap::new(), BTreeMap::new());
        for (index, rule) in config.rule.iter().enumerate() {
            let path = format!("redact.rule[{index}]");
            self.rule(&path, rule);
            if let Some(other) = names.insert(&rule.name, path.clone()) {
                let message = format!(
                    "{} is also the name of {other}; each needs its own",
                    quote(&rule.name)
                );
                self.wrong(&format!("{path}.name"), message);
            }
            if let Some(other) = labels.insert(&rule.label, path.clone()) {
                let message = format!(
                    "{} is also the label of {other}; each needs its own, or put both into one \
                     pattern: (?:one|other)",
                    quote(&rule.label)
                );
                self.wrong(&format!("{path}.label"), message);
            }
        }
    }

    fn rule(&mut self, path: &str, rule: &Rule) {
        self.name(&format!("{path}.name"), &rule.name);
        let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let label = &rule.label;
        if !label.starts_with(|c: char| c.is_ascii_uppercase())
            || label.len() > 64
            || !label.chars().all(fits)
        {
            let upper = label.to_uppercase().replace(['-', ' ', '.'], "_");
            let hint = did_you_mean(label, &[&upper]);
            let message = format!(
                "{} is not a label; accepted: a letter, then letters, digits and _, all upper \
                 case, at most 64{hint}",
                quote(label)
            );
            self.wrong(&format!("{path}.label"), message);
        }
        if let Err(message) = pattern(&rule.pattern) {
            self.wrong(&format!("{path}.pattern"), message);
        }
    }
}

/// Compiles a pattern, or says why it is refused.
fn pattern(text: &str) -> Result<(), String> {
    let compiled = regex::RegexBuilder::new(text).size_limit(LARGEST_PATTERN).build();
    match compiled {
        Ok(regex) if regex.is_match("") => {
            Err("matches the empty text, so it would match everywhere; make it need a character"
                .into())
        }
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => {
            Err("is too large when compiled (over 1 MiB); use smaller repetitions, or (?-u:…) for \
             classes that need no Unicode"
                .into())
        }
        Err(why) => Err(reason(&why.to_string())),
    }
}

/// The reason in a regex error, whose last line tells it after a picture of the pattern.
fn reason(error: &str) -> String {
    let last = error.lines().last().unwrap_or_default();
    let why = last.trim().trim_start_matches("error: ");
    if why.contains("look-around") {
        "uses look-around ((?=…) (?!…) (?<=…) (?<!…)), which cannot be matched in linear time; \
         use \\b, or match the context too"
            .into()
    } else if why.contains("backreferences") {
        "uses a back-reference (\\1), which cannot be matched in linear time; write the \
         repetition out"
            .into()
    } else {
        format!(
            "is not a regular expression: {why}; put it in single quotes, so that TOML \
             leaves \\ alone"
        )
    }
}
