//! `veritail redact`.

use super::{CONFIG, fail, refuse};
use crate::{config, preview::Preview, redact::Redactor, secret::Environment};
use std::{
    io::{self, BufRead, BufWriter, Write},
    path::Path,
    process::ExitCode,
};

pub(super) fn redact(file: Option<&Path>, explain: bool, environment: &Environment) -> ExitCode {
    let settings = match file.map(|file| config::load(file, environment)).transpose() {
        Ok(config) => config.map(|config| config.redact).unwrap_or_default(),
        Err(problems) => return refuse(&problems),
    };
    let redactor = match Redactor::new(&settings) {
        Ok(redactor) => redactor,
        Err(errors) => {
            for e in &errors {
                eprintln!("veritail: {e}");
            }
            return CONFIG.into();
        }
    };
    match lines(&mut Preview::new(&redactor, explain)) {
        // Whoever reads our output may have had enough: `… | head`.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => fail(1, &e),
        _ => ExitCode::SUCCESS,
    }
}

fn lines(preview: &mut Preview<'_>) -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut output = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let (mut line, mut out) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return output.flush();
        }
        let line = line.trim_ascii_end();
        if line.is_empty() {
            continue;
        }
        out.clear();
        preview.line(line, &mut out);
        out.push(b'\n');
        output.write_all(&out)?;
    }
}
