//! A sliding window by memory: each admitted request is remembered until it is one window old.

use std::collections::VecDeque;

use super::Slow;
use super::exact::{ceil, nanos};
use super::rule::Rule;
use super::window::Window;
use crate::units::Rate;

/// At most so many units in any window, its end included and its start not: a request no longer counts one window
/// later.
pub(super) struct SlidingLog {
    window: Window,
    /// The newest units that are worth remembering.
    keep: u64,
}

/// The requests of one key.
///
/// At most `keep` entries of 16 bytes, and whoever asks need not go through them: a running total makes it a binary
/// search. A request that is forgotten while it still counts, which happens when refused requests count or the log is
/// told of admissions beyond its limit, is missed by nobody: the newer ones alone are `keep` units, so nothing is
/// admitted until the oldest of them goes, and by then the forgotten one would have gone too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    /// The running total of the entry forgotten last.
    forgotten: u64,
}

/// All requests of one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    at: u64,
    /// Units of all requests so far, these included: a count that lasts for centuries of requests.
    total: u64,
}

impl SlidingLog {
    /// Under soft throttling, requests over the limit are worth remembering too, until the delay cannot grow further.
    pub(super) fn new(rate: Rate, slow: Option<Slow>) -> Self {
        let window = Window::from(rate);
        let slowed = match slow {
            Some(Slow { by, most }) if !by.is_zero() => ceil(nanos(most).into(), nanos(by)),
            _ => 0,
        };
        Self { window, keep: window.limit.saturating_add(slowed) }
    }

    /// The first instant at which an entry no longer counts.
    fn end(&self, entry: &Entry) -> u64 {
        entry.at.saturating_add(self.window.per)
    }
}

impl Log {
    fn total(&self) -> u64 {
        self.entries.back().map_or(self.forgotten, |entry| entry.total)
    }

    fn forget_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.forgotten = entry.total;
        }
    }
}

impl Rule for SlidingLog {
    type Used = Log;

    fn limit(&self) -> u64 {
        self.window.limit
    }

    fn room(&self, log: &Log, at: u64) -> i128 {
        // Right after something was added, which is when most ask, nothing is over.
        let is_any_over = log.entries.front().is_some_and(|oldest| self.end(oldest) <= at);
        let over = if is_any_over { log.entries.partition_point(|entry| self.end(entry) <= at) } else { 0 };
        let before = over.checked_sub(1).map_or(log.forgotten, |last| log.entries[last].total);
        i128::from(self.window.limit) - i128::from(log.total() - before)
    }

    fn frees(&self, log: &Log, _at: u64, cost: u64) -> Option<u64> {
        let must_go = log.total().saturating_add(cost).saturating_sub(self.window.limit);
        let last_to_go = log.entries.partition_point(|entry| entry.total < must_go);
        log.entries.get(last_to_go).map(|entry| self.end(entry))
    }

    fn add(&self, log: &mut Log, at: u64, cost: u64) {
        while log.entries.front().is_some_and(|oldest| self.end(oldest) <= at) {
            log.forget_oldest();
        }
        let total = log.total().saturating_add(cost);
        match log.entries.back_mut() {
            Some(entry) if entry.at >= at => entry.total = total,
            _ => log.entries.push_back(Entry { at, total }),
        }
        while log.entries.front().is_some_and(|oldest| total - oldest.total >= self.keep) {
            log.forget_oldest();
        }
    }

    fn idle_from(&self, log: &Log) -> Option<u64> {
        Some(log.entries.back().map_or(0, |newest| self.end(newest)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::scripts::{arrivals, check, cost_of, rate, rates, scripts};
    use super::super::{Admission, Arrival, Limiter, Model};
    use super::*;

    #[test]
    fn what_is_released_echoes_what_was_admitted_one_window_earlier() {
        let limiter = Limiter::new(Model::SlidingLog { rate: "3/s".parse().unwrap() });
        let mut state = limiter.fresh();
        for (ms, cost) in [(100, 1), (400, 2)] {
            limiter.note_admitted(&mut state, Arrival { at: Duration::from_millis(ms), cost });
        }
        for (cost, until_ms) in [(1, 1_100), (2, 1_400), (3, 1_400)] {
            let until = Some(Duration::from_millis(until_ms));
            let arrival = Arrival { at: Duration::from_millis(500), cost };
            assert_eq!(limiter.judge(&state, arrival), Admission::Refused { until });
        }
    }

    proptest! {
        #[test]
        fn never_admits_more_than_the_limit_in_any_window(rate in rates(), script in scripts()) {
            let Window { limit, per } = rate.into();
            check(Model::SlidingLog { rate }, &script, |noted, now, cost| {
                (cost_of(noted, |at| at + per > now) + cost).saturating_sub(limit)
            })?;
        }

        #[test]
        fn remembers_no_more_than_it_says(limit in 1..10_u32, script in scripts(), delays in 0..20_u32) {
            let rate = rate(limit, 1_000_000_000);
            let by = Duration::from_millis(7);
            let slow = (delays > 0).then_some(Slow { by, most: by * delays });
            let (rule, mut log) = (SlidingLog::new(rate, slow), Log::default());
            for (arrival, _) in arrivals(Model::SlidingLog { rate }, &script) {
                rule.add(&mut log, nanos(arrival.at), arrival.cost.into());
                let entries = u32::try_from(log.entries.len()).unwrap();
                prop_assert!(entries <= limit + delays, "{entries} entries");
            }
        }
    }
}
