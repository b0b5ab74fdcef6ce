//! What the engine sees of itself while a run goes on: whether its own machine let it do what it meant to.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::cpu::steal;
use crate::judge::{Arrivals, CoreTime, Evidence, Users};
use crate::measure::{Clock, Phase, Second, Totals, micros, new_histogram, quantile};
use crate::pace::Window;
use crate::scenario::{Scenario, Schedule};
use crate::units::Share;

/// A second with fewer samples says nothing about its median.
const LEAST_SAMPLES: u64 = 20;

/// Users come in over the first seconds of a held stage; after them the load is what it stays.
const SETTLED: Duration = Duration::from_secs(2);

/// What one worker saw of itself since it last told.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Its thread ran.
    pub(super) ran: Duration,
    /// Its thread could have run, and waited for a core.
    pub(super) waited: Duration,
    /// Operations that found no user free although no more were allowed.
    pub(super) delayed: u64,
    /// Its share of the budget is used up.
    pub(super) budget_spent: bool,
    /// How late its event loop came to its work, each time that it was asked.
    pub(super) loop_delays: Vec<Duration>,
    /// An operation did not take place because its data table has run out.
    pub(super) out_of_rows: bool,
}

/// What all workers saw.
pub(super) struct Observed {
    main: Window,
    workers: Vec<(Duration, Duration)>,
    delayed: u64,
    /// A worker's share of the budget is used up.
    budget_spent: bool,
    loop_delay: Histogram<u64>,
    /// Of each second of main with a constant load.
    medians: Vec<(f64, f64)>,
    is_steady: bool,
    /// An operation did not take place because its data table has run out.
    pub(super) out_of_rows: bool,
    /// Time that a hypervisor gave to others, and all time, at the start.
    stolen_before: Option<(u64, u64)>,
}

impl Observed {
    /// Nothing is seen yet of so many workers.
    pub(super) fn new(scenario: &Scenario, workers: usize) -> Self {
        Self {
            main: scenario.load.main,
            workers: vec![(Duration::ZERO, Duration::ZERO); workers],
            delayed: 0,
            budget_spent: false,
            loop_delay: new_histogram(),
            medians: Vec::new(),
            is_steady: is_steady(scenario),
            out_of_rows: false,
            stolen_before: steal(),
        }
    }

    /// Adds what a worker saw up to the end of a second. How it fared counts in the main phase alone, as the figures do.
    pub(super) fn add(&mut self, worker: usize, second: u64, seen: &Seen) {
        self.delayed += seen.delayed;
        self.budget_spent |= seen.budget_spent;
        self.out_of_rows |= seen.out_of_rows;
        if !self.main.contains(Duration::from_secs(second)) {
            return;
        }
        let (ran, waited) = &mut self.workers[worker];
        (*ran, *waited) = (ran.saturating_add(seen.ran), waited.saturating_add(seen.waited));
        for delay in &seen.loop_delays {
            self.loop_delay.saturating_record(micros(*delay));
        }
    }

    /// Whether a worker's share of the budget is used up.
    pub(super) fn is_budget_spent(&self) -> bool {
        self.budget_spent
    }

    /// Looks at a closed second.
    pub(super) fn second(&mut self, second: &Second) {
        let is_settled = second.phase == Phase::Main && Duration::from_secs(second.second) >= SETTLED;
        if !self.is_steady || !is_settled || !second.is_whole() {
            return;
        }
        let response = second.interval.all_of(Clock::Response);
        if response.len() >= LEAST_SAMPLES {
            #[expect(clippy::cast_precision_loss, reason = "microseconds of a day at most")]
            let at = |share| response.value_at_quantile(share) as f64;
            self.medians.push((at(0.5), at(0.9)));
        }
    }

    /// The evidence for the verdict. `is_whole` when the run reached the end of its schedule.
    pub(super) fn evidence(self, scenario: &Scenario, totals: &Totals, is_whole: bool) -> Evidence {
        let all = totals.all();
        let p99 = |clock| quantile(&all.distributions.all(clock), 99.0).map(Duration::from_micros);
        let (operations, open) = (all.counts.due, matches!(scenario.load.schedule, Schedule::Arrivals(_)));
        let waited_longest = self.workers.iter().max_by_key(|(_, waited)| *waited);
        Evidence {
            lag_p99: p99(Clock::Lag),
            response_p99: p99(Clock::Response),
            // Where a limit of our own holds operations back, the schedule alone is not what is intended.
            arrivals: (open && is_whole && scenario.limit.is_none())
                .then_some(Arrivals { intended: operations, started: all.counts.started }),
            users: open.then_some(Users { max: scenario.load.max_users().into(), delayed: self.delayed, operations }),
            core_time: waited_longest.filter(|(ran, _)| !ran.is_zero()).map(|(ran, waited)| CoreTime {
                ran: *ran,
                waited: *waited,
                elapsed: Duration::try_from_secs_f64(totals.main_s).unwrap_or_default(),
            }),
            steal: self.stolen_before.zip(steal()).and_then(|(before, after)| share_of(before, after)),
            event_loop_delay_p99: quantile(&self.loop_delay, 99.0).map(Duration::from_micros),
            response_p50_us: self.medians.iter().map(|(p50, _)| *p50).collect(),
            response_p90_us: self.medians.iter().map(|(_, p90)| *p90).collect(),
            ..Evidence::default()
        }
    }
}

/// Whether the load is the same all the time, so that a response that changes is the target's doing. Users that wait for a
/// limit of our own wait the longer the more have come before them.
fn is_steady(scenario: &Scenario) -> bool {
    let main = scenario.load.main;
    let settled = Window { from: main.from.max(SETTLED), ..main };
    let is_level = match &scenario.load.schedule {
        Schedule::Users(closed) => closed.stages.is_level_in(settled),
        Schedule::Arrivals(open) => {
            let rate_at = |second| open.arrivals.rate_at(Duration::from_secs(second));
            let mut rates = (settled.from.as_secs()..settled.to.as_secs()).map(rate_at);
            let first = rates.next();
            rates.all(|rate| first.is_some_and(|first| (rate - first).abs() < f64::EPSILON))
        }
    };
    is_level && scenario.limit.is_none()
}

/// The part that was stolen between two looks.
fn share_of(before: (u64, u64), after: (u64, u64)) -> Option<Share> {
    #[expect(clippy::cast_precision_loss, reason = "clock ticks stay far below 2^53")]
    let (stolen, all) = (after.0.saturating_sub(before.0) as f64, after.1.saturating_sub(before.1) as f64);
    Share::new(stolen / all)
}
