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
    /// CPU time of each thread in nanoseconds, written by that thread alone.
    cpu: Vec<AtomicU64>,
}

impl Shared {
    pub(super) fn new(api: Api, chance: Chance, threads: usize) -> Self {
        let cpu = (0..threads).map(|_| AtomicU64::new(0)).collect();
        Self { api: Mutex::new(api), chance, epoch: Instant::now(), cpu }
    }

    pub(super) fn api(&self) -> MutexGuard<'_, Api> {
        // A panic under the lock ends one connection; the counters are still the best account there is.
        self.api.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// CPU time of each thread, as it was last made known.
    pub(super) fn cpu(&self) -> Vec<Duration> {
        self.cpu.iter().map(|nanos| Duration::from_nanos(nanos.load(Ordering::Relaxed))).collect()
    }

    /// Makes the CPU time of the calling thread known as that of thread `index`.
    pub(super) fn publish_cpu(&self, index: usize) {
        let nanos = u64::try_from(thread_cpu().as_nanos()).unwrap_or(u64::MAX);
        self.cpu[index].store(nanos, Ordering::Relaxed);
    }
}

/// The CPU time of the calling thread.
#[cfg(target_os = "linux")]
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Unknown here.
#[cfg(not(target_os = "linux"))]
fn thread_cpu() -> Duration {
    Duration::ZERO
}
