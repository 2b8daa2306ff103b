//! What an entry means to enrichment: a call that may be asked for, or the end of one.

use super::{answer::Call, answered::Answered, waiting::Newcomer};
use crate::ledger::{
    Oldest,
    follow::{Follower, Place, entry_at},
    line,
};
use memchr::memmem;
use std::path::Path;
use tokio::sync::watch;

/// What an entry is.
pub(super) enum Seen {
    /// A call with a generation id. Its lane is still to be found.
    Call(Box<Call>, Newcomer),
    /// The answer to the call of that number, or the word that there is none.
    Settles(u64),
    /// Neither.
    Other,
}

/// Looks at a durable entry; gives its sequence number too.
pub(super) fn look(entry: &[u8], place: Place) -> Option<(u64, Seen)> {
    let line = line::peek(entry)?;
    let seq = line.seq;
    if is_settling(line.event_type) {
        return Some((seq, settled(&line).map_or(Seen::Other, Seen::Settles)));
    }
    // Most of what has no generation id is told by this alone.
    if memmem::find(line.body, b"\"generation_id\":").is_none() {
        return Some((seq, Seen::Other));
    }
    let Some(call) = Call::read(entry) else { return Some((seq, Seen::Other)) };
    let status = call.status.as_deref();
    let newcomer = Newcomer {
        seq,
        place,
        sealed_at: line.recorded_at.parse::<jiff::Timestamp>().map_or(0, |at| at.as_microsecond()),
        generation_id: call.generation_id.clone(),
        lane: 0,
        late: matches!(status, Some("cancelled" | "timeout")),
    };
    Some((seq, Seen::Call(Box::new(call), newcomer)))
}

fn is_settling(event_type: &str) -> bool {
    matches!(event_type, "generation" | "generation_unresolved")
}

fn settled(line: &line::Line<'_>) -> Option<u64> {
    std::str::from_utf8(line.member("call_seq")?).ok()?.parse().ok()
}

/// Looks through the ledger for the calls that are settled already, a stretch at a time.
#[derive(Debug)]
pub(super) struct Search {
    follower: Follower,
    from: Oldest,
    found: Answered,
}

impl Search {
    /// From `place`, for calls from `from` on, up to the entries that are durable now.
    pub(super) fn new(dir: &Path, place: Place, from: Oldest, head: Place) -> Self {
        // Its sender is dropped: this head stays where it is.
        let (_, head) = watch::channel(head);
        Search { follower: Follower::new(dir, place, head), from, found: Answered::default() }
    }

    /// Reads on by `entries`; `false` at the end.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn advance(&mut self, entries: usize) -> Result<bool, crate::ledger::Error> {
        for _ in 0..entries {
            let Some((_, entry)) = self.follower.advance()? else { return Ok(false) };
            let Some(line) = line::peek(entry).filter(|line| is_settling(line.event_type)) else {
                continue;
            };
            if let Some(seq) = settled(&line).filter(|seq| *seq >= self.from.seq) {
                self.found.insert(seq);
            }
        }
        Ok(true)
    }

    /// What was found.
    pub(super) fn found(self) -> Answered {
        self.found
    }
}

/// Where following begins: at the segment of the oldest call that waits, as far as it is still there;
/// where none is known, at the beginning of the newest segment.
pub(super) fn beginning(dir: &Path, oldest: Option<Oldest>, head: Place) -> (Place, Oldest) {
    let oldest = oldest.unwrap_or(Oldest { segment: head.segment, seq: 0 });
    let mut place = Place { segment: oldest.segment.min(head.segment), offset: 0 };
    while place.segment < head.segment && entry_at(dir, place).is_err() {
        place.segment += 1;
    }
    (place, oldest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{chain::MacKey, line::Envelope};

    fn sealed(seq: u64, body: &str) -> Vec<u8> {
        let mac = MacKey::derive(&[1; 32], "app-00000000", "k1");
        let envelope = Envelope {
            stream: "app-00000000",
            seq,
            prev_hash: [0; 32],
            recorded_at: "1970-01-01T00:00:01.000002Z",
            key_id: "k1",
        };
        let mut out = Vec::new();
        line::write(&mut out, &envelope, body.as_bytes(), &mac);
        out.pop();
        out
    }

    #[test]
    fn tells_calls_and_ends_from_the_rest() {
        let place = Place { segment: 3, offset: 9 };
        let call = sealed(
            5,
            r#""event_type":"chat_completion","id":"c","generation_id":"gen-1-abc","status":"timeout""#,
        );
        let Some((5, Seen::Call(call, new))) = look(&call, place) else { panic!("no call") };
        assert_eq!((call.id.as_str(), new.generation_id.as_str()), ("c", "gen-1-abc"));
        assert_eq!((new.place, new.sealed_at, new.late), (place, 1_000_002, true));
        for kind in ["generation", "generation_unresolved"] {
            let end = format!(r#""event_type":"{kind}","id":"c","call_seq":5,"generation_id":"g""#);
            assert!(matches!(look(&sealed(8, &end), place), Some((8, Seen::Settles(5)))));
        }
        for other in [
            r#""event_type":"checkpoint","size":3"#,
            r#""event_type":"chat_completion","id":"c","metadata":{"generation_id":"gen-1-abc"}"#,
            r#""event_type":"x","id":"c","metadata":{"event_type":"generation","call_seq":5}"#,
        ] {
            assert!(matches!(look(&sealed(8, other), place), Some((8, Seen::Other))), "{other}");
        }
    }
}
