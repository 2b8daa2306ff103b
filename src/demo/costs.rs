//! What the answers in a ledger say: who cost how much, who disagrees, who stays unknown.

use crate::{enrich::money, json::text, ledger::line};
use std::{
    collections::BTreeMap,
    fmt::Write,
    fs, io,
    io::{BufRead, BufReader},
    path::Path,
};

/// One model's calls.
#[derive(Debug, Default)]
struct Sum {
    calls: u64,
    prompt: u64,
    completion: u64,
    cost: rust_decimal::Decimal,
}

/// All answers of a ledger.
#[derive(Debug, Default)]
pub(super) struct Costs {
    models: BTreeMap<String, Sum>,
    disagreeing: Vec<String>,
    unresolved: Vec<String>,
    /// Calls that have their answer, or the word that there is none.
    pub(super) settled: u64,
}

impl Costs {
    /// Reads a ledger's plain segments.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn read(ledger: &Path) -> io::Result<Self> {
        let mut costs = Costs::default();
        let (segments, _) = crate::ledger::segment::list(ledger).map_err(io::Error::other)?;
        for (_, path) in segments {
            for entry in BufReader::new(fs::File::open(path)?).lines() {
                if let Some(line) = line::peek(entry?.as_bytes()) {
                    costs.add(&line);
                }
            }
        }
        Ok(costs)
    }

    fn add(&mut self, line: &line::Line<'_>) {
        let plain = |name| line.member(name).map(|raw| String::from_utf8_lossy(text::inner(raw)));
        let count = |name| plain(name).and_then(|digits| digits.parse::<u64>().ok()).unwrap_or(0);
        let id = plain("id").unwrap_or_default().into_owned();
        match line.event_type {
            "generation" => {
                let model = plain("model_permaslug").unwrap_or_default().into_owned();
                let sum = self.models.entry(model).or_default();
                sum.calls += 1;
                sum.prompt += count("native_tokens_prompt");
                sum.completion += count("native_tokens_completion");
                let cost = plain("total_cost").and_then(|digits| money::decimal(&digits));
                sum.cost = money::sum(sum.cost, cost.unwrap_or_default()).unwrap_or(sum.cost);
                if let Some(what) = line.member("mismatch") {
                    self.disagreeing.push(format!("{id} {}", String::from_utf8_lossy(what)));
                }
            }
            "generation_unresolved" => {
                let tries =
                    line.member("attempts").map_or(0, |all| crate::json::items(all).count());
                self.unresolved.push(format!("{id} (asked {tries} times)"));
            }
            _ => return,
        }
        self.settled += 1;
    }

    /// A table of costs by model, and what is odd.
    pub(super) fn to_text(&self) -> String {
        let mut out = format!(
            "{:<50} {:>6} {:>9} {:>11} {:>12}\n",
            "cost by model, as OpenRouter billed it", "calls", "prompt", "completion", "USD"
        );
        let mut total = Sum::default();
        // Writing to a String cannot fail.
        let mut row = |name: &str, sum: &Sum| {
            let Sum { calls, prompt, completion, cost } = sum;
            let _ =
                writeln!(out, "  {name:<48} {calls:>6} {prompt:>9} {completion:>11} {cost:>12}");
        };
        for (model, sum) in &self.models {
            row(model, sum);
            total.calls += sum.calls;
            total.prompt += sum.prompt;
            total.completion += sum.completion;
            total.cost = money::sum(total.cost, sum.cost).unwrap_or(total.cost);
        }
        row("all", &total);
        for (what, ids) in [
            ("disagrees with what the application reported", &self.disagreeing),
            ("unknown to OpenRouter, and sealed as that", &self.unresolved),
        ] {
            let _ = writeln!(out, "{what}: {}", ids.join(", "));
        }
        out
    }
}
