//! What one worker records, handed over once a second without a lock on the request path.

use std::cell::RefCell;
use std::time::Duration;

use tokio::sync::mpsc;

use super::checks::Noted;
use super::cpu::{core_time, thread_cpu};
use super::observed::Seen;
use crate::consistency::Event;
use crate::measure::{Effort, GivenUp, Interval, Of, Outcome, Recorder, Sample};
use crate::pace::Window;

/// What a worker hands over.
#[derive(Debug)]
pub(super) struct Part {
    /// Which worker.
    pub(super) worker: usize,
    /// The second of the run that the interval is of; the last one, where an earlier hand-over had to wait.
    pub(super) second: u64,
    /// What was recorded.
    pub(super) interval: Interval,
    /// Operations in flight at the hand-over.
    pub(super) in_flight: u64,
    /// The most operations that waited for their retry at one time since the last hand-over.
    pub(super) parked_peak: u64,
    /// CPU time of the worker's thread since the last hand-over, as a share of the time between.
    pub(super) cpu_share: f64,
    /// What the worker saw of itself since the last hand-over.
    pub(super) seen: Seen,
    /// What its checks recorded since the last hand-over.
    pub(super) noted: Noted,
    /// The worker is done and hands over no more.
    pub(super) is_last: bool,
}

/// Where a worker's parts go, and where emptied intervals come back from.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) worker: usize,
    pub(super) parts: mpsc::Sender<Part>,
    pub(super) emptied: mpsc::Receiver<Interval>,
}

/// An operation that the schedule wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) variant: usize,
    /// When it was wanted.
    pub(super) at: Duration,
}

/// A worker's record; its users share it without a lock.
pub(super) struct Log {
    /// What is due in it counts in the figures.
    main: Window,
    state: RefCell<State>,
}

struct State {
    recorder: Recorder,
    variants: usize,
    outlet: Outlet,
    second: u64,
    since: Duration,
    cpu: Duration,
    core_time: Option<(Duration, Duration)>,
    seen: Seen,
    noted: Noted,
    /// Operations that are due and neither finished nor given up.
    pending: u64,
    /// Operations that wait for their retry, and the most since the last hand-over.
    parked: u64,
    parked_peak: u64,
}

impl Log {
    pub(super) fn new(variants: usize, main: Window, outlet: Outlet) -> Self {
        let state = State {
            recorder: Recorder::new(variants),
            variants,
            outlet,
            second: 0,
            since: Duration::ZERO,
            cpu: thread_cpu(),
            core_time: core_time(),
            seen: Seen::default(),
            noted: Noted::default(),
            pending: 0,
            parked: 0,
            parked_peak: 0,
        };
        Self { main, state: RefCell::new(state) }
    }

    /// The schedule wants an operation.
    pub(super) fn due(&self, now: Duration, due: Due) {
        let mut state = self.at(now);
        state.recorder.due(self.of(due));
        state.pending += 1;
    }

    /// An operation that was due is given up before its first attempt.
    pub(super) fn unsent(&self, now: Duration, due: Due) {
        let mut state = self.at(now);
        state.recorder.unsent(self.of(due));
        state.pending -= 1;
    }

    /// The first attempt of an operation is about to be sent.
    pub(super) fn started(&self, now: Duration, due: Due) {
        self.at(now).recorder.started(self.of(due));
    }

    /// An attempt is done.
    pub(super) fn record(&self, sample: &Sample) {
        let mut state = self.at(sample.done);
        state.recorder.record(self.of(Due { variant: sample.variant, at: sample.due }), sample);
        state.pending -= u64::from(sample.last);
    }

    /// An operation is not tried again although its last attempt was one to try again.
    pub(super) fn give_up(&self, now: Duration, due: Due, why: GivenUp) {
        self.at(now).recorder.give_up(self.of(due), why);
    }

    /// An operation that was to be tried again ends with the attempt that it had, which brought `outcome` at `done`.
    pub(super) fn finish_early(&self, now: Duration, due: Due, (outcome, done): (Outcome, Duration)) {
        let mut state = self.at(now);
        state.recorder.give_up(self.of(due), GivenUp::RunEnded);
        state.recorder.finish(self.of(due), outcome, done.saturating_sub(due.at));
        state.pending -= 1;
    }

    /// An operation begins to wait for its retry.
    pub(super) fn park(&self) {
        let mut state = self.state.borrow_mut();
        state.parked += 1;
        state.parked_peak = state.parked_peak.max(state.parked);
    }

    /// Its time has come, or the run has ended.
    pub(super) fn unpark(&self) {
        self.state.borrow_mut().parked -= 1;
    }

    /// An operation found no user free although no more were allowed.
    pub(super) fn delayed(&self, due: Due) {
        self.state.borrow_mut().seen.delayed += u64::from(self.of(due) != Of::Aside);
    }

    /// The worker's share of the budget is used up.
    pub(super) fn budget_spent(&self) {
        self.state.borrow_mut().seen.budget_spent = true;
    }

    /// An operation does not take place because its data table has run out.
    pub(super) fn out_of_rows(&self) {
        self.state.borrow_mut().seen.out_of_rows = true;
    }

    /// The event loop came so late to its work.
    pub(super) fn loop_delay(&self, delay: Duration) {
        self.state.borrow_mut().seen.loop_delays.push(delay);
    }

    /// Something happened that the ledger is to know.
    pub(super) fn event(&self, event: Event) {
        self.state.borrow_mut().noted.events.push(event);
    }

    /// Checks cost something, or left something out.
    pub(super) fn effort(&self, add: impl FnOnce(&mut Effort)) {
        add(&mut self.state.borrow_mut().noted.effort);
    }

    /// Operations that are due and neither finished nor given up.
    pub(super) fn pending(&self) -> u64 {
        self.state.borrow().pending
    }

    /// What an operation counts as: by its due time, so that what it takes changes nothing about it.
    fn of(&self, due: Due) -> Of {
        if self.main.contains(due.at) { Of::Variant(due.variant) } else { Of::Aside }
    }

    /// Hands over what belongs to a second that has passed at `now`.
    pub(super) fn roll(&self, now: Duration) {
        drop(self.at(now));
    }

    /// Hands over the rest; the worker is done.
    pub(super) async fn finish(self, now: Duration) {
        let mut state = self.state.into_inner();
        let part = Part { is_last: true, ..state.part(now, Interval::default()) };
        // The collector is gone only when the whole run is given up; then nobody wants the part.
        let _ = state.outlet.parts.send(part).await;
    }

    /// The state in the second of `now`: what was recorded before is handed over first.
    fn at(&self, now: Duration) -> std::cell::RefMut<'_, State> {
        let mut state = self.state.borrow_mut();
        if now.as_secs() > state.second {
            state.hand_over(now);
        }
        state
    }
}

impl State {
    /// Hands over the interval; when the collector lags behind, goes on recording into it and tries again a second
    /// later, so that nothing is lost and nobody waits.
    fn hand_over(&mut self, now: Duration) {
        // The place is taken before the interval is: workers share the channel, and it may have one place left for two.
        if let Ok(place) = self.outlet.parts.clone().try_reserve_owned() {
            let empty = self.outlet.emptied.try_recv().unwrap_or_else(|_| Interval::new(self.variants));
            place.send(self.part(now, empty));
        }
        self.second = now.as_secs();
    }

    fn part(&mut self, now: Duration, empty: Interval) -> Part {
        let cpu = thread_cpu();
        let (used, passed) = (cpu.saturating_sub(self.cpu), now.saturating_sub(self.since));
        (self.cpu, self.since) = (cpu, now);
        let mut seen = std::mem::take(&mut self.seen);
        if let (Some((ran, waited)), Some((ran_before, waited_before))) = (core_time(), self.core_time) {
            (seen.ran, seen.waited) = (ran.saturating_sub(ran_before), waited.saturating_sub(waited_before));
            self.core_time = Some((ran, waited));
        }
        Part {
            worker: self.outlet.worker,
            second: self.second,
            interval: self.recorder.swap(empty),
            in_flight: self.recorder.in_flight(),
            parked_peak: std::mem::replace(&mut self.parked_peak, self.parked),
            // A small part of a second says nothing about the load.
            cpu_share: if passed < Duration::from_millis(500) {
                0.0
            } else {
                used.as_secs_f64() / passed.as_secs_f64()
            },
            seen,
            noted: self.noted.take(),
            is_last: false,
        }
    }
}
