//! What came out: as an entry's members, as JSON, as a table.

use super::{
    compare::{self, Compared, Figures, Groups, Row},
    config::Config,
    count::Window,
    day::Day,
    ids::{self, Ids},
    line::{self, Used},
};
use crate::record::Digest;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Ids named in each list; more are only counted.
const MOST_NAMED: usize = 1000;
/// Lines of the comparison that are kept, those that differ first.
const MOST_LINES: usize = 500;
/// Models and providers told apart; an application that makes up names gets one line for the rest.
const MOST_GROUPS: usize = 10_000;
/// What that line is called.
const OTHERS: &str = "(others)";

/// Who wanted to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedBy {
    /// Somebody at a terminal.
    Command,
    /// The daemon itself.
    Timer,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No figure differs and no call is missing on either side.
    Equal,
    /// Something differs.
    Differs,
}

/// The calls of the day that the ledger has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Different generation ids that the application reported.
    pub reported: u64,
    /// Those of them that the generation endpoint answered for.
    pub answered: u64,
    /// Further records of an id that was reported already; not counted.
    pub repeated: u64,
    /// Calls without any id: refused before they were routed, or reported without it. OpenRouter
    /// does not count the former; the latter cannot be matched.
    pub without_id: u64,
    /// Calls with an id that is not OpenRouter's.
    pub elsewhere: u64,
}

/// Some ids by name, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// All of them, named or not.
    pub count: u64,
    /// The first 1000.
    pub ids: Vec<String>,
}

impl Named {
    fn add(&mut self, id: &str) {
        self.count += 1;
        if self.ids.len() < MOST_NAMED {
            self.ids.push(id.to_owned());
        }
    }
}

/// The comparison by generation id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ById {
    /// Why OpenRouter's ids could not be had; the lists of what is missing are then empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// Ids of the day that OpenRouter listed.
    pub listed: u64,
    /// Listed by OpenRouter, never reported by the application.
    pub ledger_lacks: Named,
    /// In the ledger, not listed by OpenRouter.
    pub openrouter_lacks: Named,
    /// Seen by Broadcast, never reported by the application.
    pub only_broadcast: Named,
}

/// The result for one day. Its members are those of the sealed entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The UTC day.
    pub day: String,
    /// Who wanted to know.
    pub asked_by: AskedBy,
    /// What it comes to.
    pub verdict: Verdict,
    /// The ledger's sums.
    pub ledger: Figures,
    /// OpenRouter's sums.
    pub openrouter: Figures,
    /// The ledger's calls.
    pub calls: Calls,
    /// Line by line.
    pub models: Vec<Compared>,
    /// Lines that were left out; their differences count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub models_left_out: usize,
    /// By generation id.
    pub by_id: ById,
    /// Where OpenRouter was asked.
    pub base_url: String,
    /// The keys that the comparison is limited to; all of the account's when empty.
    pub api_key_hashes: Vec<String>,
    /// The workspace that it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// SHA-256 of OpenRouter's count as it came, one for each document.
    pub activity_sha256: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A report in the making.
pub(super) struct Draft {
    report: Report,
    groups: Groups,
}

impl Draft {
    pub(super) fn new(day: Day, asked_by: AskedBy, config: &Config) -> Self {
        let report = Report {
            day: day.to_string(),
            asked_by,
            verdict: Verdict::Equal,
            ledger: Figures::default(),
            openrouter: Figures::default(),
            calls: Calls::default(),
            models: Vec::new(),
            models_left_out: 0,
            by_id: ById::default(),
            base_url: config.base_url.clone(),
            api_key_hashes: config.api_key_hashes.clone(),
            workspace_id: config.workspace_id.clone(),
            activity_sha256: Vec::new(),
        };
        Draft { report, groups: Groups::new() }
    }

    pub(super) fn activity(&mut self, rows: &[Row], sha256: Vec<Digest>) {
        rows.iter().for_each(|row| self.report.openrouter.add(&row.figures));
        self.report.activity_sha256 = sha256.into_iter().map(const_hex::encode).collect();
    }

    /// Whether ids are compared.
    pub(super) fn by_id(&self) -> bool {
        self.report.by_id.unavailable.is_none()
    }

    /// Ids are not compared after all. What some windows told so far is no longer said.
    pub(super) fn no_ids(&mut self, why: &str) {
        let only_broadcast = std::mem::take(&mut self.report.by_id.only_broadcast);
        self.report.by_id =
            ById { unavailable: Some(why.to_owned()), only_broadcast, ..ById::default() };
    }

    /// OpenRouter lists an id. One that says its own second belongs to that second's window alone,
    /// so that both sides draw the line alike; another counts where it is listed first.
    pub(super) fn listed(&mut self, id: &str, window: Window, ids: &mut Ids) {
        let second = line::second_of(id);
        if second.is_some_and(|at| !window.holds(at)) {
            return;
        }
        let known = ids.get(id);
        if known & ids::LISTED != 0 {
            return;
        }
        // Without room it may be told twice, which is better than not at all.
        let _ = ids.mark(id, ids::LISTED);
        let by_id = &mut self.report.by_id;
        by_id.listed += 1;
        let told = second.is_none() && by_id.ledger_lacks.ids.iter().any(|told| told == id);
        if known & (ids::CALL | ids::ANSWER) == 0 && !told {
            by_id.ledger_lacks.add(id);
        }
    }

    pub(super) fn call(&mut self, answered: bool) {
        self.report.calls.reported += 1;
        self.report.calls.answered += u64::from(answered);
    }

    pub(super) fn repeated(&mut self) {
        self.report.calls.repeated += 1;
    }

    pub(super) fn without_id(&mut self, elsewhere: bool) {
        let calls = &mut self.report.calls;
        *(if elsewhere { &mut calls.elsewhere } else { &mut calls.without_id }) += 1;
    }

    pub(super) fn used(&mut self, used: Used) {
        self.report.ledger.add(&used.figures);
        let mut key = (used.model.unwrap_or_else(|| "(unknown)".into()), used.provider);
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) {
            key = (OTHERS.into(), None);
        }
        self.groups.entry(key).or_default().add(&used.figures);
    }

    pub(super) fn not_listed(&mut self, id: &str) {
        if self.by_id() {
            self.report.by_id.openrouter_lacks.add(id);
        }
    }

    pub(super) fn only_broadcast(&mut self, id: &str) {
        self.report.by_id.only_broadcast.add(id);
    }

    /// Compares what was gathered.
    pub(super) fn finish(mut self, rows: &[Row]) -> Report {
        let mut lines = compare::compare(&self.groups, rows);
        let report = &mut self.report;
        let missing = [
            &report.by_id.ledger_lacks,
            &report.by_id.openrouter_lacks,
            &report.by_id.only_broadcast,
        ];
        let differs = lines.iter().any(|line| !line.differs.is_empty())
            || missing.iter().any(|named| named.count > 0);
        report.verdict = if differs { Verdict::Differs } else { Verdict::Equal };
        report.models_left_out = lines.len().saturating_sub(MOST_LINES);
        lines.truncate(MOST_LINES);
        report.models = lines;
        self.report
    }
}

impl Report {
    /// The members of its entry.
    #[must_use]
    pub fn members(&self) -> serde_json::Value {
        // Texts and numbers alone cannot fail to serialize.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// As a table, for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = format!("{} (UTC), the ledger against {}\n", self.day, self.base_url);
        let limits = self.api_key_hashes.len();
        if limits > 0 || self.workspace_id.is_some() {
            let workspace =
                self.workspace_id.iter().map(|id| format!("workspace {id}")).collect::<String>();
            let keys = if limits > 0 { format!("{limits} API keys") } else { String::new() };
            let both = [keys, workspace].into_iter().filter(|part| !part.is_empty());
            let _ = writeln!(out, "limited to {}", both.collect::<Vec<_>>().join(", "));
        }
        out.push('\n');
        self.table(&mut out);
        self.ids(&mut out);
        let Calls { reported, answered, repeated, without_id, elsewhere } = self.calls;
        let _ = write!(out, "\ncalls reported {reported}, answered for {answered}");
        for (count, what) in [
            (repeated, "reported again"),
            (without_id, "without an id"),
            (elsewhere, "with an id that is not OpenRouter's"),
            (self.ledger.without_tokens, "without known tokens"),
            (self.ledger.without_usd, "without known cost"),
        ] {
            if count > 0 {
                let _ = write!(out, ", {count} {what}");
            }
        }
        let _ = match self.verdict {
            Verdict::Equal => writeln!(out, "\n\nEQUAL"),
            Verdict::Differs => writeln!(out, "\n\nDIFFERENT"),
        };
        out
    }

    fn table(&self, out: &mut String) {
        let mut rows = vec![
            ["model", "provider", "", "requests", "prompt", "completion", "usd", "byok usd", ""]
                .map(str::to_owned),
        ];
        for line in &self.models {
            let provider = line.provider.clone().unwrap_or_else(|| "(all)".into());
            rows.extend(pair((line.model.clone(), provider), &line.ledger, &line.openrouter));
        }
        rows.extend(pair(("TOTAL".into(), String::new()), &self.ledger, &self.openrouter));
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..9).map(width).collect();
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Names to the left, numbers to the right.
                let _ = match column {
                    0..=2 | 8 => write!(line, "{cell:<width$}  "),
                    _ => write!(line, "{cell:>width$}  "),
                };
            }
            let _ = writeln!(out, "{}", line.trim_end());
        }
        if self.models_left_out > 0 {
            let _ = writeln!(out, "and {} more lines", self.models_left_out);
        }
    }

    fn ids(&self, out: &mut String) {
        let by_id = &self.by_id;
        match &by_id.unavailable {
            Some(why) => {
                let _ = writeln!(out, "\nnot compared by id: {why}");
            }
            None => {
                let _ = writeln!(out, "\nlisted by OpenRouter: {} ids", by_id.listed);
            }
        }
        for (named, what) in [
            (&by_id.ledger_lacks, "OpenRouter counted, the application never reported"),
            (&by_id.openrouter_lacks, "the ledger has, OpenRouter does not list"),
            (&by_id.only_broadcast, "seen by Broadcast, never reported by the application"),
        ] {
            if named.count == 0 {
                continue;
            }
            let _ = writeln!(out, "{what}: {}", named.count);
            for id in &named.ids {
                let _ = writeln!(out, "  {id}");
            }
            let more = named.count.saturating_sub(named.ids.len() as u64);
            if more > 0 {
                let _ = writeln!(out, "  and {more} more");
            }
        }
    }
}

/// A line for each side; where both say the same, one.
fn pair((model, provider): (String, String), ours: &Figures, theirs: &Figures) -> Vec<[String; 9]> {
    let cells = |names: (String, String), who: &str, figures: &Figures, mark: &str| {
        [
            names.0,
            names.1,
            who.to_owned(),
            figures.requests.to_string(),
            figures.prompt_tokens.to_string(),
            figures.completion_tokens.to_string(),
            shown(figures.usd),
            shown(figures.byok_usd),
            mark.to_owned(),
        ]
    };
    let differs = ours.differences(theirs);
    if differs.is_empty() {
        return vec![cells((model, provider), "both", ours, "")];
    }
    let mark = format!("<- {}", differs.join(", "));
    vec![
        cells((model, provider), "ledger", ours, ""),
        cells((String::new(), String::new()), "openrouter", theirs, &mark),
    ]
}

/// Dollars for people: OpenRouter adds floats, whose noise stands far behind what is compared.
fn shown(usd: rust_decimal::Decimal) -> String {
    usd.round_dp(9).normalize().to_string()
}

#[cfg(test)]
mod tests;
