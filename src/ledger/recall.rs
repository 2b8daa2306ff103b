//! The ids sealed before the newest segment began.
//!
//! A client that was not told of a record sends it again after a restart, and a roll may have come
//! between its seal and the crash. So the newest segment's ids are not enough: older segments are
//! read backwards, for ids alone, until as many are known as the settings ask for, or [`ENOUGH`]
//! bytes were read. Judging those segments is left to `verify`; a line whose MAC does not fit is not
//! believed.

use super::{Error, line, recover::Tail, segment};
use crate::{queue::IdKey, record::Digest};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    path::Path,
};

/// Bytes that a start reads at most for ids; a client re-sends what it had in flight, which is far
/// less.
const ENOUGH: u64 = 64 << 20;

/// An id and the seal of its entry.
type Remembered = (IdKey, (u64, Digest));

/// Adds the ids of the segments before `tail`'s to those it holds.
///
/// # Errors
/// When the directory cannot be read. A segment that cannot is passed over with a warning.
pub(super) fn ids(dir: &Path, tail: &mut Tail) -> Result<(), Error> {
    let mut left = ENOUGH;
    let (segments, _) = segment::list(dir)?;
    for (_, path) in segments.iter().rev().filter(|(number, _)| *number < tail.segment) {
        if tail.ids.is_full() || left == 0 {
            break;
        }
        match read(path, left, tail) {
            Ok((found, bytes)) => {
                left = left.saturating_sub(bytes);
                found.into_iter().rev().for_each(|(key, seal)| tail.ids.put_older(key, seal));
            }
            Err(e) => tracing::warn!(
                file = %path.display(), error = %e,
                "the ids sealed in this segment are not known; a record of it that is sent again is \
                 sealed again"
            ),
        }
    }
    Ok(())
}

/// The ids in the last `most` bytes of a segment, in its order, and how many bytes it has.
fn read(path: &Path, most: u64, tail: &Tail) -> io::Result<(Vec<Remembered>, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(most);
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let (mut bytes, mut found) = (Vec::new(), Vec::new());
    if from > 0 {
        // The middle of a line, most likely.
        reader.read_until(b'\n', &mut bytes)?;
    }
    loop {
        bytes.clear();
        reader.read_until(b'\n', &mut bytes)?;
        let Some((b'\n', whole)) = bytes.split_last() else { break };
        let Ok(line) = line::parse(whole) else { continue };
        let hash = line.hash();
        let sound = line.chain_hash == hash
            && line.stream == tail.stream
            && tail.mac.verify(&hash, &line.signature);
        if let (true, Some(key)) = (sound, super::recover::told_id(&line)) {
            found.push((key, (line.seq, hash)));
        }
    }
    Ok((found, length))
}
