//! What all threads of the server share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::api::Api;
use super::chance::Chance;

/// What all threads share.
#[derive(Debug)]
pub(super) struct Shared {
    /// All threads answer from one state, and a request needs its answer at once: a lock, not a channel with a round trip
    /// between threads. It is held for the look-ups of one request (parsing and waiting happen outside) and never
    /// across an await.
    api: Mutex<Api>,
    pub(super) chance: Chance,
    /// The server's start: instants count from here.
    pub(super) epoch: Instant,
    /// Busy time of each thread in nanoseconds, written by that thread alone.
    busy: Vec<AtomicU64>,
}

impl Shared {
    pub(super) fn new(api: Api, chance: Chance, threads: usize) -> Self {
        let busy = (0..threads).map(|_| AtomicU64::new(0)).collect();
        Self { api: Mutex::new(api), chance, epoch: Instant::now(), busy }
    }

    pub(super) fn api(&self) -> MutexGuard<'_, Api> {
        // A panic under the lock ends one connection; the counters are still the best account there is.
        self.api.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// The time that each thread ran or waited for a core, as it was last made known.
    pub(super) fn busy(&self) -> Vec<Duration> {
        self.busy.iter().map(|nanos| Duration::from_nanos(nanos.load(Ordering::Relaxed))).collect()
    }

    /// Makes the busy time of the calling thread known as that of thread `index`.
    pub(super) fn publish_busy(&self, index: usize) {
        let nanos = busy_nanos();
        self.busy[index].store(nanos, Ordering::Relaxed);
    }
}

/// The time that the calling thread ran or waited for a core, in nanoseconds: a thread that others keep from its core is no
/// less busy. Zero where the system does not tell.
fn busy_nanos() -> u64 {
    // proc(5): time on the CPU, time on the run queue, number of time slices.
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    schedstat.split_whitespace().take(2).filter_map(|nanos| nanos.parse::<u64>().ok()).sum()
}
