//! One flag that ends a source's thread, and one bell that wakes it early.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Tells a blocking source to stop. Clones share the same flag and bell.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    stopped: AtomicBool,
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Stop {
    /// Asks for the stop and wakes whoever waits. There is no way back.
    pub fn stop(&self) {
        self.inner.stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether the stop was asked for.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::SeqCst)
    }

    /// Ends the present or the next [`Stop::wait`] early: there may be work.
    pub fn wake(&self) {
        *self.inner.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.inner.bell.notify_all();
    }

    /// Waits until woken or until `at_most` has passed; returns whether it was woken. A wake that
    /// came before the call counts, so none is lost between two waits.
    #[must_use]
    pub fn wait(&self, at_most: Duration) -> bool {
        let rung = self.inner.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) = self
            .inner
            .bell
            .wait_timeout_while(rung, at_most, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *rung)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_before_the_wait_is_not_lost() {
        let stop = Stop::default();
        stop.clone().wake();
        assert!(stop.wait(Duration::from_secs(3600)));
        assert!(!stop.wait(Duration::ZERO), "one wake ends one wait");
    }

    #[test]
    fn a_stop_wakes_another_thread() {
        let stop = Stop::default();
        let theirs = stop.clone();
        let waiter = std::thread::spawn(move || theirs.wait(Duration::from_secs(3600)));
        stop.stop();
        assert!(waiter.join().unwrap() && stop.is_stopped());
    }
}
