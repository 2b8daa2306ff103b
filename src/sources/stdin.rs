//! Standard input as a source: `app | veritail run -c …`. Its end ends the source.

use super::{
    Closed,
    config::Stdin,
    lines::{Item, LineReader},
};
use crate::{intake::Intake, record::Origin, stop::Stop};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{io, os::fd::AsFd};

/// Bytes read at a time.
const CHUNK: usize = 64 << 10;
/// How often a stop is looked for while nothing comes in.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Reads standard input to its end, or until `stop`.
///
/// # Errors
/// [`Closed`] when the ledger has stopped.
pub fn run(config: &Stdin, mut intake: Intake, stop: &Stop) -> Result<(), Closed> {
    let stdin = io::stdin();
    let limit = usize::try_from(config.max_record.0).unwrap_or(usize::MAX);
    let mut lines = LineReader::new(0, limit);
    let mut chunk = vec![0; CHUNK];
    let mut count = 0;
    while !stop.is_stopped() {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        if matches!(poll(&mut fds, Some(&LOOK)), Ok(0)) {
            continue;
        }
        // Unbuffered: what `poll` sees is all there is.
        let read = match rustix::io::read(stdin.as_fd(), &mut chunk) {
            Ok(read) => read,
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => {
                tracing::error!(error = %e, "standard input cannot be read; the source ends");
                0
            }
        };
        let at_end = read == 0;
        let partial = at_end && lines.next_offset() > lines.line_start();
        let bytes = if partial { b"\n" } else { chunk.get(..read).unwrap_or_default() };
        lines.feed(bytes, |item| {
            count += 1;
            let origin = Origin::Stdin { line: count };
            match item {
                Item::Line { bytes, .. } if bytes.trim_ascii().is_empty() => {}
                Item::Line { bytes, .. } => intake.record(bytes, &origin, None),
                Item::TooLong(long) => {
                    let told = ("too_long", "longer than max_record");
                    intake.refuse(told, (long.sha256, long.len), (&origin, None));
                }
            }
        });
        super::Output::flush(&mut intake)?;
        if at_end {
            break;
        }
    }
    Ok(())
}
