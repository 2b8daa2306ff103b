//! From a request's body into the ledger and back: one request is one batch, taken whole or not at
//! all, and answered when all of it is synced.

use super::answer::Refused;
use crate::{
    intake::Intake,
    record::{Origin, Replies, Reply},
};
use sha2::{Digest, Sha256};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

/// Records of one request. A record costs half a kilobyte whatever its length, so their number needs
/// a limit beside the body's.
pub(super) const MOST_RECORDS: u64 = 10_000;
/// Bytes of bodies in memory at a time, all requests of a source together; at least two of the
/// longest.
pub(super) const BODIES: usize = 32 << 20;
/// Requests that are redacted and encoded at a time, those included that wait for the ledger's room:
/// the others wait with nothing but their bodies.
const TURNS: usize = 2;
/// Longest wait for room; a client would rather be told than wait.
const FOR_ROOM: Duration = Duration::from_secs(5);
/// Longest wait for the sync.
const FOR_SYNC: Duration = Duration::from_secs(30);
/// Bytes that one permit of the bodies' room stands for.
const UNIT: usize = 4 << 10;

/// Where requests are taken in.
pub(super) struct Desk {
    intake: Box<dyn Fn() -> Intake + Send + Sync>,
    pub(super) max_body: usize,
    pub(super) stop: watch::Receiver<bool>,
    bodies: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Desk {
    pub(super) fn new(
        intake: impl Fn() -> Intake + Send + Sync + 'static,
        max_body: usize,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let units = BODIES.max(max_body.saturating_mul(3)) / UNIT;
        Desk {
            intake: Box::new(intake),
            max_body,
            stop,
            bodies: Arc::new(Semaphore::new(units)),
            turns: Arc::new(Semaphore::new(TURNS)),
        }
    }

    /// Room for that many bytes of a body.
    pub(super) async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refused> {
        let units = u32::try_from(bytes / UNIT + 1).unwrap_or(u32::MAX);
        let got = timeout(FOR_ROOM, self.bodies.clone().acquire_many_owned(units)).await;
        got.ok().and_then(Result::ok).ok_or(Refused::Behind)
    }

    /// Reads a body with `reader`, away from the connections' threads, and seals what it finds.
    /// Returns the outcomes and what the reader returned.
    pub(super) async fn take<T: Send + 'static>(
        self: Arc<Self>,
        (body, peer): (super::body::Read, IpAddr),
        reader: impl FnOnce(&[u8], &mut Hand) -> Result<T, Unreadable> + Send + 'static,
    ) -> Result<(Vec<Reply>, Result<T, String>), Refused> {
        let turn = timeout(FOR_ROOM, self.turns.clone().acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(Refused::Behind)?;
        let desk = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut hand = Hand::new((desk.intake)(), peer);
            let found = match reader(&body.bytes, &mut hand) {
                Err(Unreadable { code, detail }) => {
                    // Nothing of it counts; what was refused is known by its digest.
                    hand = Hand::new((desk.intake)(), peer);
                    hand.refuse((code, &detail), &body.bytes);
                    Err(detail)
                }
                Ok(found) => Ok(found),
            };
            (hand, found)
        });
        // A reader that panicked: the request's own failure, not the daemon's.
        let broke = |_| Refused::Broken("internal failure while reading the body".into());
        let (mut hand, found) = read.await.map_err(broke)?;
        if hand.count > MOST_RECORDS {
            return Err(Refused::TooLarge(format!(
                "more than {MOST_RECORDS} records; send fewer at a time"
            )));
        }
        match timeout(FOR_ROOM, hand.intake.send()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Refused::Draining),
            Err(_) => return Err(Refused::Behind),
        }
        drop(turn);
        let replies = hand.outcomes();
        let replies = timeout(FOR_SYNC, replies).await.map_err(|_| Refused::NotYet)?;
        Ok((replies, found))
    }
}

/// A body that cannot be read as a whole.
pub(super) struct Unreadable {
    /// A stable word, sealed as the reason.
    pub(super) code: &'static str,
    /// What is wrong, without a word of the body.
    pub(super) detail: String,
}

/// One request's records on their way.
pub(super) struct Hand {
    intake: Intake,
    origin: Origin,
    replies: Arc<Replies>,
    count: u64,
}

impl Hand {
    fn new(mut intake: Intake, peer: IpAddr) -> Self {
        let replies = Arc::new(Replies::default());
        intake.answer_to(replies.clone());
        Hand { intake, origin: Origin::Http { peer }, replies, count: 0 }
    }

    /// Whether one more would be too many; what comes then is not looked at.
    pub(super) fn is_full(&self) -> bool {
        self.count > MOST_RECORDS
    }

    /// The next record's number, and the intake and origin to take it with.
    pub(super) fn next(&mut self) -> (&mut Intake, &Origin, Option<u64>) {
        self.count += 1;
        (&mut self.intake, &self.origin, Some(self.count))
    }

    /// Refuses bytes as one record, by digest and length.
    pub(super) fn refuse(&mut self, told: (&str, &str), bytes: &[u8]) {
        let digest = Sha256::digest(bytes).into();
        let (intake, origin, n) = self.next();
        intake.refuse(told, (digest, bytes.len() as u64), (origin, n));
    }

    /// All outcomes, once they are known.
    async fn outcomes(&self) -> Vec<Reply> {
        let mut all = self.replies.take();
        while (all.len() as u64) < self.count {
            self.replies.ready().await;
            all.extend(self.replies.take());
        }
        all
    }
}
