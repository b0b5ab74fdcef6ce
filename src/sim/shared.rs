//! What all threads of the server share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::api::Api;
use super::chance::Chance;
use super::refusal::to_json;
use crate::scenario::Simulator;

/// So many requests are copied out of the log at a time: the lock is held for no longer than that.
const PAGE: usize = 256;

/// What all threads share.
#[derive(Debug)]
pub(super) struct Shared {
    /// All threads answer from one state, and a request needs its answer at once: a lock, not a channel with a round trip
    /// between threads. It is held for the look-ups of one request (parsing and waiting happen outside) and never
    /// across an await.
    api: Mutex<Api>,
    pub(super) chance: Chance,
    pub(super) config: Simulator,
    /// The configuration as JSON.
    pub(super) shown: Bytes,
    /// The server's start: instants count from here.
    pub(super) epoch: Instant,
    /// The same instant on the wall clock.
    pub(super) started: SystemTime,
    /// Busy time of each thread in nanoseconds, written by that thread alone.
    busy: Vec<AtomicU64>,
}

/// Some lines of the truth.
pub(super) struct Page {
    /// The number of the first request that is still known, from the one asked for on.
    pub(super) first: u64,
    /// The number of the request after the last.
    pub(super) next: u64,
    /// A line for each.
    pub(super) text: Vec<u8>,
}

impl Shared {
    pub(super) fn new(config: &Simulator, threads: usize) -> Self {
        // The same instant on both clocks, before the population is made: that takes its time.
        let (epoch, started) = (Instant::now(), SystemTime::now());
        Self {
            api: Mutex::new(Api::new(config, started)),
            chance: Chance::new(config),
            config: config.clone(),
            shown: to_json(&config.shown()).into(),
            epoch,
            started,
            busy: (0..threads).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(super) fn api(&self) -> MutexGuard<'_, Api> {
        // A panic under the lock ends one connection; the counters are still the best account there is.
        self.api.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the state to `f`, with an instant that no earlier call had a later one than.
    pub(super) fn with_api<T>(&self, f: impl FnOnce(&mut Api, Duration) -> T) -> T {
        let mut api = self.api();
        let now = self.now();
        f(&mut api, now)
    }

    /// The next page of the truth: the requests from number `from` on, and before `end`, that are still known.
    pub(super) fn page(&self, from: u64, end: u64) -> Page {
        let (first, entries) = self.api().copy_log(from, PAGE);
        let left = usize::try_from(end.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut page = Page { first, next: first, text: Vec::new() };
        for (number, entry) in (first..).zip(entries.iter().take(left)) {
            page.text.extend(entry.line(number, &self.chance, &self.config.quotas));
            page.text.push(b'\n');
            page.next = number + 1;
        }
        page
    }

    /// The time since the start in whole microseconds: the truth tells instants in them, and so tells the very instants
    /// that quotas and states were judged at.
    pub(super) fn now(&self) -> Duration {
        let elapsed = self.epoch.elapsed();
        Duration::new(elapsed.as_secs(), elapsed.subsec_micros() * 1_000)
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
