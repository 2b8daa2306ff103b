//! The ids sealed before the newest segment began.
//!
//! A client that was not told of a record sends it again after a restart, and a roll may have come
//! between its seal and the crash. So the newest segment's ids are not enough: older segments are
//! read backwards, for ids alone, until as many are known as the settings ask for, or [`ENOUGH`]
//! bytes were read. Judging those segments is left to `verify`; a line whose MAC does not fit is not
//! believed.

use super::{Error, line, recover::Tail, segment};
use crate::{queue::IdKey, record::Digest};
use flate2::read::GzDecoder;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
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
    let mut segments = archived(&dir.join("archive"));
    segments.extend(segment::list(dir)?.0);
    for (_, path) in segments.range(..tail.segment).rev() {
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

/// The compressed segments. What cannot be listed cannot be asked for ids.
fn archived(dir: &Path) -> BTreeMap<segment::Number, PathBuf> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    names
        .filter_map(|entry| {
            Some((segment::number_of(&entry.file_name().to_string_lossy())?, entry.path()))
        })
        .collect()
}

/// The ids in the last `most` bytes of a segment, in its order, and how many bytes it has.
fn read(path: &Path, most: u64, tail: &Tail) -> io::Result<(Vec<Remembered>, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let compressed = path.extension().is_some_and(|end| end == "gz");
    // A compressed one has no end to go to.
    let from = if compressed { 0 } else { length.saturating_sub(most) };
    file.seek(SeekFrom::Start(from))?;
    let file: Box<dyn Read> =
        if compressed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
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
