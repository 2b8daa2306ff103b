//! Honest ledgers pass; every attack has its name and place.
mod attacks;
mod honest;
mod insiders;
mod maker;
mod python;
mod random;

use super::{Finding, Kind, Report, Severity};

/// The findings that follow from no other, as (name, file's last digit, line, seq).
fn roots(report: &Report) -> Vec<(Kind, u32, u64, Option<u64>)> {
    let digit = |file: &str| {
        let name = file.strip_suffix(".gz").unwrap_or(file).strip_suffix(".jsonl");
        name.and_then(|name| name.chars().last()).and_then(|c| c.to_digit(10)).unwrap_or(0)
    };
    let root = |f: &&Finding| f.follows.is_empty() && f.severity > Severity::Information;
    report.findings.iter().filter(root).map(|f| (f.kind, digit(&f.file), f.line, f.seq)).collect()
}

/// Asserts the exit status and the findings that follow from no other.
#[track_caller]
fn expect(report: &Report, exit: u8, want: &[(Kind, u32, u64, Option<u64>)]) {
    assert_eq!(roots(report), want, "{}", report.to_text());
    assert_eq!(report.exit_code(), exit, "{}", report.to_text());
}

/// Whether a finding of this name is there, whatever it follows from.
fn has(report: &Report, kind: Kind) -> bool {
    report.findings.iter().any(|f| f.kind == kind)
}
