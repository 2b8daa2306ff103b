//! The ledger's loop: takes batches, seals them, hands groups to the writer, keeps its appointments
//! (checkpoint, heartbeat, roll).

use super::{
    Error, Ledger, Start, control,
    follow::Place,
    store::{Group, Job, Store},
};
use crate::{
    clock::{self, Date},
    disk::File,
    queue::{Message, Queue},
};
use std::{
    sync::{atomic::Ordering, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Longest time without a look at the appointments.
const LOOK: Duration = Duration::from_secs(1);

/// The thread that writes, and how it ended.
type Writer = JoinHandle<Result<(), Error>>;

/// The loop's own state.
struct Loop {
    jobs: mpsc::Sender<Job>,
    writer: Writer,
    /// Groups handed over and not yet durable.
    busy: usize,
    /// Memory of a group that is done, to be used again.
    spare: Vec<u8>,
    /// When the group at hand is due; `None` while it is empty.
    due: Option<Instant>,
    signed_at: Instant,
    ready: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Ledger {
    /// Seals what `messages` brings until [`Message::Stop`], then what is left, a `daemon_stop` and a
    /// last checkpoint. Fires `ready` when the start itself is durable.
    ///
    /// # Errors
    /// When the disk refuses at the start, or still refuses when the daemon gives up; then not
    /// everything that was received is durable (but nothing was acknowledged that is not).
    pub fn run(
        mut self,
        start: &Start,
        (queue, messages): (Queue, &mpsc::Receiver<Message>),
        ready: tokio::sync::oneshot::Sender<()>,
    ) -> Result<(), Error> {
        let (jobs, writer) = self.writer(queue)?;
        let mut state = Loop {
            jobs,
            writer,
            busy: 0,
            spare: Vec::new(),
            due: None,
            signed_at: clock::monotonic(),
            ready: Some(ready),
        };
        self.control(&control::daemon_start(start, self.clean));
        self.checkpoint(false);
        self.hand_over(&mut state);
        while self.turn(&mut state, messages) {}
        self.finish(state, messages)
    }

    /// Starts the thread that writes.
    fn writer(&self, queue: Queue) -> Result<(mpsc::Sender<Job>, Writer), Error> {
        let file = self.file()?;
        let durable = file.length().map_err(|e| Error::io("read", &self.path, e))?;
        self.head.send_replace(Place { segment: self.segment, offset: durable });
        let store = Store {
            disk: self.disk.clone(),
            file,
            durable,
            durability: self.config.durability,
            head: self.head.clone(),
            status: self.status.clone(),
            queue,
        };
        let (jobs, receiver) = mpsc::channel();
        let writer = std::thread::Builder::new()
            .name("ledger-writer".into())
            .spawn(move || store.run(&receiver))
            .map_err(|e| Error::io("start the writer of", &self.path, e))?;
        Ok((jobs, writer))
    }

    /// The open segment's file, made now when this start opens a new segment.
    fn file(&self) -> Result<File, Error> {
        let fail = |e| Error::io("open", &self.path, e);
        if self.path.exists() {
            return self.disk.open(&self.path).map_err(fail);
        }
        let file = self.disk.create(&self.path, 0o640).map_err(fail)?;
        self.disk.sync_dir(&self.path).map_err(fail)?;
        Ok(file)
    }

    /// One message or appointment; `false` when it was the last.
    fn turn(&mut self, state: &mut Loop, messages: &mpsc::Receiver<Message>) -> bool {
        self.status.beats.fetch_add(1, Ordering::Relaxed);
        let now = clock::monotonic();
        let wait = state.due.filter(|_| state.busy == 0).map_or(LOOK, |due| due - now.min(due));
        match messages.recv_timeout(wait.min(LOOK)) {
            Ok(Message::Batch(batch)) => self.append(batch),
            Ok(Message::Control(body)) => self.control(&body),
            Ok(Message::Positions(answer)) => {
                // Whoever asked may have given up.
                let _ = answer.send(self.positions.values().cloned().collect());
            }
            Ok(Message::Written(memory)) => {
                state.busy -= 1;
                state.spare = memory;
                if let Some(ready) = state.ready.take() {
                    // Whoever started us may have gone; the ledger is sound all the same.
                    let _ = ready.send(());
                }
            }
            Ok(Message::Stop | Message::Failed) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                return false;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        self.appointments(state);
        if !self.group.is_empty() {
            let now = clock::monotonic();
            let due = *state.due.get_or_insert(now + self.config.group_wait.0);
            let full = self.group.bytes.len() as u64 >= self.config.group_size.0;
            if state.busy == 0 && (full || due <= now) {
                self.hand_over(state);
            }
        }
        true
    }

    fn appointments(&mut self, state: &mut Loop) {
        let since = clock::monotonic().duration_since(state.signed_at);
        let config = &self.config;
        let checkpoint = self.unsigned >= config.checkpoint_entries
            || (self.unsigned > 0 && since >= config.checkpoint_interval.0)
            || since >= config.heartbeat_interval.0;
        let full = self.length - self.opening >= config.segment_size.0;
        if full || Date::of(self.clock.now()) > self.date {
            self.roll(state);
            state.signed_at = clock::monotonic();
        } else if checkpoint {
            self.checkpoint(false);
            state.signed_at = clock::monotonic();
        }
    }

    fn roll(&mut self, state: &mut Loop) {
        self.checkpoint(true);
        self.hand_over(state);
        self.open_segment(None);
        // Fails only when the writer has failed; the loop is told so by a message.
        let _ = state.jobs.send(Job::Roll(self.path.clone()));
    }

    fn hand_over(&mut self, state: &mut Loop) {
        let fresh = Group { bytes: std::mem::take(&mut state.spare), ..Group::default() };
        let group = std::mem::replace(&mut self.group, fresh);
        self.status.next_seq.store(self.seq, Ordering::Relaxed);
        state.due = None;
        state.busy += 1;
        let _ = state.jobs.send(Job::Write(group));
    }

    /// Seals what is still queued, says goodbye, and waits until all of it is durable.
    fn finish(mut self, mut state: Loop, messages: &mpsc::Receiver<Message>) -> Result<(), Error> {
        for message in messages.try_iter() {
            match message {
                Message::Batch(batch) => self.append(batch),
                Message::Control(body) => self.control(&body),
                _ => {}
            }
        }
        self.control(&control::daemon_stop(self.seq));
        self.checkpoint(false);
        self.hand_over(&mut state);
        drop(state.jobs);
        match state.writer.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
