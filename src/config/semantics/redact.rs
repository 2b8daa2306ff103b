//! What the values of `[redact]` mean. The redactor judges them itself: what loads here starts
//! there.

use super::Check;
use crate::{
    config::read::quote,
    redact::{Redactor, config::Config},
};
use std::collections::BTreeMap;

impl Check<'_> {
    /// Tells what the redactor refuses, and labels that two rules share, whose counts could not be
    /// told apart.
    pub(super) fn redact(&mut self, config: &Config) {
        for error in Redactor::new(config).err().unwrap_or_default() {
            let path = match error.rule {
                Some(_) => format!("redact.rule[{}].{}", error.index, error.key),
                None => format!("redact.{}[{}]", error.key, error.index),
            };
            let hint = if error.key == "pattern" && error.problem.contains("escape") {
                "; in single quotes, TOML leaves \\ alone"
            } else {
                ""
            };
            self.wrong(&path, format!("{}; {}{hint}", error.problem, error.accepted));
        }
        let mut labels = BTreeMap::new();
        for (index, rule) in config.rule.iter().enumerate() {
            let path = format!("redact.rule[{index}]");
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
}
