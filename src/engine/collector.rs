//! Puts the workers' parts together into seconds and totals. Pure: it is told the time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::log::Part;
use crate::measure::{Interval, Logins, Phase, Second, Totals};
use crate::pace::Window;

/// Collects the parts of all workers.
pub(super) struct Collector {
    variants: usize,
    /// The part of the schedule of which the figures are.
    main: Window,
    /// The schedule's end, or the moment at which the run was stopped before it.
    end: Duration,
    /// For each worker, the first second that it may still add to; `u64::MAX` once it is done.
    passed: Vec<u64>,
    /// For each worker, its operations in flight as it last told them.
    in_flight: Vec<u64>,
    /// For each worker, the most operations that waited for their retry in its last part.
    parked: Vec<u64>,
    open: BTreeMap<u64, OpenSecond>,
    /// The first second that is not closed.
    next: u64,
    totals: Totals,
}

#[derive(Default)]
struct OpenSecond {
    interval: Option<Interval>,
    cpu_share: f64,
}

impl Collector {
    pub(super) fn new(variants: usize, workers: usize, main: Window, end: Duration) -> Self {
        Self {
            variants,
            main,
            end,
            passed: vec![0; workers],
            in_flight: vec![0; workers],
            parked: vec![0; workers],
            open: BTreeMap::new(),
            next: 0,
            totals: Totals::new(variants),
        }
    }

    /// The schedule ends here instead of where it was planned to.
    pub(super) fn end_at(&mut self, now: Duration) {
        self.end = self.end.min(now);
        self.measure_elapsed();
    }

    fn measure_elapsed(&mut self) {
        let passed = Duration::from_secs(self.next).min(self.end);
        self.totals.elapsed_s = passed.as_secs_f64();
        self.totals.main_s = self.main.passed(passed).as_secs_f64();
    }

    /// Adds a part, and returns an emptied interval to reuse. A part of a second that is closed already counts in the
    /// next one: it is late, not lost.
    pub(super) fn add(&mut self, part: Part) -> Interval {
        let Part { worker, second, mut interval, in_flight, parked_peak, cpu_share, is_last, .. } = part;
        self.passed[worker] = if is_last { u64::MAX } else { self.passed[worker].max(second + 1) };
        self.in_flight[worker] = in_flight;
        self.parked[worker] = parked_peak;
        self.totals.parked_peak = self.totals.parked_peak.max(self.parked.iter().sum());
        let open = self.open.entry(second.max(self.next)).or_default();
        open.cpu_share = open.cpu_share.max(cpu_share);
        open.interval.get_or_insert_with(|| Interval::new(self.variants)).add(&interval);
        interval.clear();
        interval
    }

    /// Closes the next second if all workers have passed it, or if it ended more than a second before `now`.
    pub(super) fn close(&mut self, now: Duration) -> Option<Second> {
        if self.passed.iter().all(|passed| *passed == u64::MAX) {
            return self.close_rest();
        }
        let all_passed = self.passed.iter().all(|passed| *passed > self.next);
        (all_passed || now.as_secs() >= self.next + 2).then(|| self.close_next())
    }

    /// Closes what is left once all workers are gone.
    pub(super) fn close_rest(&mut self) -> Option<Second> {
        (!self.open.is_empty()).then(|| self.close_next())
    }

    fn close_next(&mut self) -> Second {
        let second = self.next;
        self.next += 1;
        let open = self.open.remove(&second).unwrap_or_default();
        let closed = Second {
            second,
            phase: self.phase(Duration::from_secs(second)),
            interval: open.interval.unwrap_or_else(|| Interval::new(self.variants)),
            in_flight: self.in_flight.iter().sum(),
            cpu_share: open.cpu_share,
        };
        self.totals.add(&closed);
        self.measure_elapsed();
        closed
    }

    fn phase(&self, at: Duration) -> Phase {
        match at {
            at if at >= self.end => Phase::Drain,
            at if at < self.main.from => Phase::Warmup,
            at if at < self.main.to => Phase::Main,
            _ => Phase::Cooldown,
        }
    }

    /// So many logins there were so far.
    pub(super) fn note_logins(&mut self, logins: Logins) {
        self.totals.logins = logins;
    }

    /// The sum of all closed seconds.
    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The sum of all closed seconds, at the end.
    pub(super) fn into_totals(self) -> Totals {
        self.totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::checks::Noted;
    use crate::engine::observed::Seen;

    /// Of a schedule of so many seconds, all of them main.
    fn collector(workers: usize, seconds: u64) -> Collector {
        let end = Duration::from_secs(seconds);
        Collector::new(1, workers, Window { from: Duration::ZERO, to: end }, end)
    }

    fn part(worker: usize, second: u64, due: usize) -> Part {
        let mut interval = Interval::new(1);
        interval.variants[0].counts.due = due as u64;
        let (seen, noted) = (Seen::default(), Noted::default());
        Part { worker, second, interval, in_flight: 1, parked_peak: 0, cpu_share: 0.1, seen, noted, is_last: false }
    }

    fn due(second: &Second) -> u64 {
        second.interval.counts().due
    }

    #[test]
    fn a_second_closes_when_all_workers_have_passed_it() {
        let mut collector = collector(2, 10);
        collector.add(part(0, 0, 3));
        assert!(collector.close(Duration::from_millis(1_100)).is_none());
        collector.add(part(1, 0, 4));
        let second = collector.close(Duration::from_millis(1_100)).unwrap();
        assert_eq!((second.second, due(&second), second.in_flight), (0, 7, 2));
    }

    #[test]
    fn a_second_closes_a_second_late_without_a_slow_worker_whose_part_counts_in_the_next() {
        let mut collector = collector(2, 10);
        collector.add(part(0, 0, 3));
        assert_eq!(collector.close(Duration::from_secs(2)).map(|second| due(&second)), Some(3));
        collector.add(part(0, 1, 1));
        collector.add(part(1, 0, 4));
        collector.add(part(1, 1, 2));
        assert_eq!(collector.close(Duration::from_secs(2)).map(|second| due(&second)), Some(7));
        assert_eq!(collector.totals().variants[0].counts.due, 10);
    }

    #[test]
    fn a_worker_that_is_done_delays_nobody_and_the_rate_is_of_the_time_that_passed() {
        let mut collector = collector(2, 10);
        collector.add(Part { is_last: true, ..part(0, 0, 3) });
        collector.add(part(1, 0, 4));
        let now = Duration::from_millis(1_100);
        assert_eq!(collector.close(now).map(|second| due(&second)), Some(7));
        collector.add(Part { is_last: true, ..part(1, 1, 1) });
        assert_eq!(collector.close(now).map(|second| due(&second)), Some(1));
        assert!(collector.close(now).is_none());
        collector.end_at(now);
        assert!((collector.into_totals().elapsed_s - 1.1).abs() < 1e-9);
    }

    #[test]
    fn seconds_after_the_end_are_drain() {
        let mut collector = collector(1, 1);
        for second in 0..2 {
            collector.add(part(0, second, 1));
        }
        assert_eq!(collector.close_rest().unwrap().phase, Phase::Main);
        assert_eq!(collector.close_rest().unwrap().phase, Phase::Drain);
        assert!(collector.close_rest().is_none());
        assert!((collector.into_totals().elapsed_s - 1.0).abs() < 1e-9);
    }
}
