//! The loop: follows the ledger, asks, hands over what comes back, says where a restart begins.

use super::{
    Access, Settings,
    answer::{Attempt, Call, generation_body, unresolved_body},
    answered::Answered,
    breaker::{Change, Why},
    client::Outcome,
    counters::OUTCOMES,
    scan::{self, Search, Seen},
    schedule::Millis,
    waiting::{Ask, Now, Said, Then, Waiting},
};
use crate::{
    clock::{self, Clock},
    json,
    ledger::{
        Error, Oldest,
        follow::{Follower, Reader},
    },
    queue::Batch,
    record::{Closed, Replies},
};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

/// Calls in memory: 20 MiB of them, 30 MiB with all their attempts. Further ones wait in the ledger.
const MOST: usize = 65_536;
/// Entries looked at before anything else gets its turn.
const STRETCH: usize = 256;
/// Answers on their way into the queue. They wait there when the disk refuses; then nobody asks.
const SENDING: usize = 16;
/// Time until a ledger that could not be read is read again.
const AGAIN: Millis = 5_000;

type Wishes = watch::Receiver<Option<Arc<Settings>>>;

/// Runs, or idles, as is wished for; ends when nobody wishes any more, or when the ledger ends.
pub(super) async fn run(access: &Access, mut wishes: Wishes) {
    loop {
        let settings = wishes.borrow_and_update().clone();
        access.counters.runs(settings.is_some());
        let pause = match settings {
            None => None,
            Some(settings) => match Engine::new(access, settings).run(&mut wishes).await {
                Ok(()) => continue,
                Err(Stopped::Told) => return,
                Err(Stopped::Ledger(e)) => {
                    tracing::error!(error = %e, "enrichment cannot read the ledger; it tries again");
                    Some(Duration::from_millis(AGAIN))
                }
            },
        };
        tokio::select! {
            told = wishes.changed() => if told.is_err() { return },
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

/// Why the loop cannot go on.
enum Stopped {
    /// Told so, or the ledger ended.
    Told,
    /// The ledger could not be read.
    Ledger(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Stopped::Ledger(error)
    }
}

impl From<Closed> for Stopped {
    fn from(_: Closed) -> Self {
        Stopped::Told
    }
}

/// A question that ended. The entry's bytes where they were read before.
struct Done {
    seq: u64,
    lane: usize,
    line: Option<Vec<u8>>,
    outcome: Outcome,
}

struct Engine<'a> {
    access: &'a Access,
    settings: Arc<Settings>,
    follower: Follower,
    reader: Reader,
    /// Calls that were settled when it began.
    answered: Answered,
    /// The first entry that is not settled and not followed yet.
    next: Option<Oldest>,
    waiting: Waiting,
    questions: JoinSet<Done>,
    sending: JoinSet<Result<(), Closed>>,
    /// What was handed over and is not durable yet: whether it is an answer.
    handed: HashMap<u64, bool>,
    replies: Arc<Replies>,
    began: Instant,
    dice: u64,
}

impl<'a> Engine<'a> {
    fn new(access: &'a Access, settings: Arc<Settings>) -> Self {
        let head = *access.head.borrow();
        let known = access.status.oldest_waiting();
        let (place, _) = scan::beginning(&access.dir, known, head);
        let lanes = (settings.keyring.lanes(), settings.limits);
        let mut seed = [0; 8];
        // Without a random seed the jitter is the same at every start, which does little harm.
        let _ = getrandom::fill(&mut seed);
        Engine {
            follower: Follower::new(&access.dir, place, access.head.clone()),
            reader: Reader::new(&access.dir),
            answered: Answered::default(),
            next: known,
            waiting: Waiting::new(settings.schedule, lanes, MOST),
            questions: JoinSet::new(),
            sending: JoinSet::new(),
            handed: HashMap::new(),
            replies: Arc::default(),
            began: clock::monotonic(),
            dice: u64::from_le_bytes(seed) | 1,
            access,
            settings,
        }
    }

    fn now(&self) -> Now {
        let ms = clock::monotonic().duration_since(self.began).as_millis();
        Now { ms: u64::try_from(ms).unwrap_or(u64::MAX), wall: Clock::System.now() }
    }

    /// Runs until something else is wished for. Whatever ends it but the end of all: what it handed
    /// over is durable then, so that a new beginning finds it in the ledger.
    async fn run(mut self, wishes: &mut Wishes) -> Result<(), Stopped> {
        let ended = self.work(wishes).await;
        if !matches!(ended, Err(Stopped::Told)) {
            self.leave(wishes).await?;
        }
        ended
    }

    async fn work(&mut self, wishes: &mut Wishes) -> Result<(), Stopped> {
        if !self.search(wishes).await? {
            return Ok(());
        }
        loop {
            let is_behind = self.follow()?;
            self.ask();
            self.publish();
            let wake = self.wakes_in();
            tokio::select! {
                biased;
                told = wishes.changed() => return told.map_err(|_| Stopped::Told),
                Some(done) = self.questions.join_next() => self.take(done)?,
                Some(sent) = self.sending.join_next() => sent.unwrap_or(Err(Closed))?,
                () = self.replies.ready() => self.settle(),
                alive = self.follower.wait(), if !is_behind && !self.waiting.is_full() => {
                    if !alive {
                        return Err(Stopped::Told);
                    }
                }
                () = tokio::time::sleep(wake.unwrap_or_default()), if wake.is_some() => {}
                // Last, so that a ledger to catch up with keeps nothing above from its turn.
                () = tokio::task::yield_now(), if is_behind && !self.waiting.is_full() => {}
            }
        }
    }

    /// Finds out which calls are settled, before any is asked for: their answers may stand anywhere
    /// behind them. `false` when something else is wished for meanwhile.
    async fn search(&mut self, wishes: &Wishes) -> Result<bool, Stopped> {
        let head = *self.access.head.borrow();
        let (place, from) = scan::beginning(&self.access.dir, self.next, head);
        let mut search = Search::new(&self.access.dir, place, from, head);
        while search.advance(STRETCH)? {
            if wishes.has_changed().unwrap_or(true) {
                return Ok(false);
            }
            tokio::task::yield_now().await;
        }
        self.answered = search.found();
        Ok(true)
    }

    /// Reads on; `true` when there is more.
    fn follow(&mut self) -> Result<bool, Stopped> {
        let now = self.now();
        let first = self.next.map_or(0, |next| next.seq);
        for _ in 0..STRETCH {
            if self.waiting.is_full() {
                break;
            }
            let Some((place, entry)) = self.follower.advance()? else { return Ok(false) };
            let Some((seq, seen)) = scan::look(entry, place) else { continue };
            match seen {
                Seen::Call(call, mut new) if seq >= first && !self.answered.contains(seq) => {
                    new.lane = self.settings.keyring.lane(&call);
                    self.waiting.add(new, now);
                }
                Seen::Settles(call) => self.waiting.settle(call),
                Seen::Call(..) | Seen::Other => {}
            }
            if seq >= first {
                self.next = Some(Oldest { segment: place.segment, seq: seq + 1 });
                self.answered.forget_before(seq);
            }
        }
        Ok(true)
    }

    /// Sends out the questions that may go out now.
    fn ask(&mut self) {
        let now = self.now().ms;
        while self.sending.len() < SENDING
            && let Some(ask) = self.waiting.next(now)
        {
            self.send_out(ask, now);
        }
    }

    fn send_out(&mut self, ask: Ask, now: Millis) {
        let Ask { seq, place, lane, generation_id, is_first } = ask;
        // After a restart or an outage many calls of long ago are asked for the first time, in their
        // order: read in that order, an archived segment is unpacked once for all of them.
        let line = match is_first.then(|| self.reader.entry(place)) {
            Some(Err(e)) => return self.unreadable((seq, lane), &e, now),
            Some(Ok(line)) => Some(line),
            None => None,
        };
        let settings = self.settings.clone();
        self.questions.spawn(async move {
            let outcome = match settings.keyring.at(lane) {
                Some((url, key)) => settings.client.ask(url, key, &generation_id).await,
                None => Outcome::Refused { status: 0, why: "bad_key" },
            };
            Done { seq, lane, line, outcome }
        });
    }

    /// Its entry cannot be read now: nothing could be sealed.
    fn unreadable(&mut self, (seq, lane): (u64, usize), error: &Error, now: Millis) {
        tracing::warn!(seq, %error, "a call's entry cannot be read; it is asked for later");
        self.waiting.put_off((seq, lane), now + self.settings.schedule.scaled(60 * AGAIN));
    }

    /// Takes what a question brought.
    fn take(&mut self, done: Result<Done, tokio::task::JoinError>) -> Result<(), Stopped> {
        let done = match done {
            Ok(done) => done,
            Err(e) => {
                tracing::error!(error = %e, "a question broke off; its call waits until a restart");
                return Ok(());
            }
        };
        let (said, class) = classify(&done.outcome);
        if let Some(counter) = self.access.counters.attempts.get(class) {
            counter.fetch_add(1, Relaxed);
        }
        let (now, mut dice) = (self.now(), self.dice);
        let status = done.outcome.status();
        let (change, then) = self.waiting.take(
            (done.seq, done.lane),
            (said, status, done.outcome.what()),
            now,
            &mut |below| draw(&mut dice, below),
        );
        self.dice = dice;
        self.tell(change, done.lane, status);
        let (attempts, is_answer) = match then {
            Then::Wait => return Ok(()),
            Then::Seal(attempts) => (attempts, true),
            Then::GiveUp(attempts) => (attempts, false),
        };
        let line = match done.line.map_or_else(|| self.read(done.seq), Ok) {
            Ok(line) => line,
            Err(error) => {
                tracing::warn!(seq = done.seq, %error, "a call's entry cannot be read again");
                let at = now.ms + self.settings.schedule.scaled(60 * AGAIN);
                self.waiting.take_back(done.seq, at);
                return Ok(());
            }
        };
        let Some(call) = Call::read(&line) else { return Ok(()) };
        let body = self.body(&call, &done.outcome, &attempts);
        self.handed.insert(done.seq, is_answer);
        self.hand_over(done.seq, body);
        Ok(())
    }

    fn read(&mut self, seq: u64) -> Result<Vec<u8>, Error> {
        let place = self.waiting.place(seq).unwrap_or_default();
        self.reader.entry(place)
    }

    /// The entry that settles a call.
    fn body(&self, call: &Call, outcome: &Outcome, attempts: &[Attempt]) -> Vec<u8> {
        let policy = self.access.policies.get();
        match outcome {
            Outcome::Answer(answer) => {
                let body = generation_body(call, answer, &policy, attempts);
                if has_mismatch(&body) {
                    self.access.counters.mismatches.fetch_add(1, Relaxed);
                }
                body
            }
            other => unresolved_body(call, &policy, attempts, other.what()),
        }
    }

    /// Puts an entry on its way. Its reply says when it is durable.
    fn hand_over(&mut self, seq: u64, body: Vec<u8>) {
        let batch = Batch::own(body, seq, self.replies.clone());
        let queue = self.access.queue.clone();
        self.sending.spawn(async move { queue.send(batch).await });
    }

    /// Lets the calls go whose entries are durable.
    fn settle(&mut self) {
        for reply in self.replies.take() {
            self.waiting.settle(reply.n);
            let counters = &self.access.counters;
            match self.handed.remove(&reply.n) {
                Some(true) => counters.answered.fetch_add(1, Relaxed),
                Some(false) => counters.unresolved.fetch_add(1, Relaxed),
                None => 0,
            };
        }
    }

    /// Drops the questions and waits until nothing is on its way any more.
    async fn leave(&mut self, wishes: &mut Wishes) -> Result<(), Stopped> {
        self.questions.shutdown().await;
        while !self.handed.is_empty() {
            tokio::select! {
                told = wishes.changed() => told.map_err(|_| Stopped::Told)?,
                Some(sent) = self.sending.join_next() => sent.unwrap_or(Err(Closed))?,
                () = self.replies.ready() => self.settle(),
            }
        }
        self.publish();
        Ok(())
    }

    /// Says where a restart begins, and what there is to be seen.
    fn publish(&self) {
        let oldest = self.waiting.oldest();
        let at = oldest.map(|(seq, place, _)| Oldest { segment: place.segment, seq });
        if let Some(at) = at.or(self.next) {
            self.access.status.set_oldest_waiting(Some(at));
        }
        let counters = &self.access.counters;
        counters.waiting.store(self.waiting.len() as u64, Relaxed);
        counters.full.store(self.waiting.is_full(), Relaxed);
        counters.oldest.store(oldest.map_or(0, |(_, _, sealed_at)| sealed_at), Relaxed);
        let (mut parked, mut tripped) = (0, 0);
        for (_, why) in self.waiting.shut() {
            match why {
                Why::Key => parked += 1,
                Why::Server => tripped += 1,
            }
        }
        counters.parked.store(parked, Relaxed);
        counters.tripped.store(tripped, Relaxed);
    }

    /// Tells people what shut or opened.
    fn tell(&self, change: Change, lane: usize, status: u16) {
        let (key, url) = self.settings.keyring.name(lane);
        match change {
            Change::Same => {}
            Change::Shut(Why::Key) => tracing::error!(
                key,
                url,
                status,
                "OpenRouter refuses this key: its calls wait, nothing is lost; \
                 check the key and its credit, it is tried again by itself"
            ),
            Change::Shut(Why::Server) => tracing::warn!(
                key,
                url,
                status,
                "OpenRouter's generation endpoint fails: calls wait, sealing goes on"
            ),
            Change::Opened(Why::Key) => {
                tracing::info!(key, url, "OpenRouter accepts the key again")
            }
            Change::Opened(Why::Server) => tracing::info!(key, url, "OpenRouter answers again"),
        }
    }

    /// Time until the next question; `None` when something else comes first.
    fn wakes_in(&mut self) -> Option<Duration> {
        if self.sending.len() >= SENDING {
            return None;
        }
        let now = self.now().ms;
        let at = self.waiting.wakes_at(now)?;
        Some(Duration::from_millis(at.saturating_sub(now)))
    }
}

/// What an outcome means to the one who waits, and its place in [`OUTCOMES`].
fn classify(outcome: &Outcome) -> (Said, usize) {
    let (said, name) = match outcome {
        Outcome::Answer(_) => (Said::Answer, "answer"),
        Outcome::NotYet(_) => (Said::NotYet, "not_yet"),
        Outcome::Throttled { wait, .. } => {
            let wait = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            (Said::Throttled(wait), "throttled")
        }
        Outcome::KeyRefused(_) => (Said::KeyRefused, "key_refused"),
        Outcome::ServerError(_) => (Said::Failed, "server_error"),
        Outcome::NoAnswer(_) => (Said::Failed, "no_answer"),
        // Nothing was asked: the key or the address cannot be used.
        Outcome::Refused { status: 0, .. } => (Said::KeyRefused, "refused"),
        // What stands between us and OpenRouter says this to everybody.
        Outcome::Refused { why: "not_json" | "redirect" | "unexpected_status", .. } => {
            (Said::Failed, "refused")
        }
        Outcome::Refused { .. } => (Said::Refused, "refused"),
    };
    (said, OUTCOMES.iter().position(|known| *known == name).unwrap_or(OUTCOMES.len()))
}

/// Whether an answer's body says that something disagrees.
fn has_mismatch(body: &[u8]) -> bool {
    let whole = [b"{", body, b"}"].concat();
    json::members(&whole).flatten().any(|(name, _)| name == b"\"mismatch\"")
}

/// A number below `below`. Marsaglia's xorshift: only jitter comes from it.
fn draw(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below.max(1)
}
