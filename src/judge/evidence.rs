//! What was seen of a run, and the verdict on it.

use std::time::Duration;

use super::drift::drift;
use super::{Judged, Reason, Standing, Verdict};
use crate::measure::micros;
use crate::units::Share;

/// What was seen of a run beside its figures; `None` where the system does not tell or the question does not arise, and
/// then no rule speaks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// The 99th percentile of lag over all attempts; `None` with too few of them.
    pub lag_p99: Option<Duration>,
    /// The 99th percentile of response over all attempts; `None` with too few of them.
    pub response_p99: Option<Duration>,
    /// Operations of an open model; `None` for a closed one, which asks for users and not for a rate, and for a run that was
    /// stopped before its end.
    pub arrivals: Option<Arrivals>,
    /// How often no user was free; `None` for a closed model.
    pub users: Option<Users>,
    /// How the worker that waited longest for a core fared.
    pub core_time: Option<CoreTime>,
    /// The part of the machine's processor time that a hypervisor gave to others.
    pub steal: Option<Share>,
    /// The 99th percentile of how late an event loop came to its work.
    pub event_loop_delay_p99: Option<Duration>,
    /// The part of the time in which the embedded simulator's busiest thread ran or waited for a core.
    pub simulator_busy: Option<Share>,
    /// Open files.
    pub descriptors: Option<Demand>,
    /// Ephemeral ports.
    pub ports: Option<Demand>,
    /// The median response of each second of main with a constant load, in microseconds, in the order of time, seconds with
    /// too few samples left out. Empty where the load changes on purpose.
    pub response_p50_us: Vec<f64>,
    /// The 90th percentile, likewise.
    pub response_p90_us: Vec<f64>,
    /// What became of the thresholds.
    pub thresholds: Vec<Judged>,
}

/// Operations of an open model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrivals {
    /// Those that the schedule wanted, as far as the scenario's own limit allows them.
    pub intended: u64,
    /// Those that started.
    pub started: u64,
}

/// How often no user was free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Users {
    /// The bound on users.
    pub max: u64,
    /// Operations that waited because all users were busy.
    pub delayed: u64,
    /// Operations that were due.
    pub operations: u64,
}

/// How a worker fared with its core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreTime {
    /// It ran.
    pub ran: Duration,
    /// It could have run, and waited for a core.
    pub waited: Duration,
    /// It was watched.
    pub elapsed: Duration,
}

/// What a run needs of something that a machine has not without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The run needs so many at once.
    pub needed: u64,
    /// There are so many.
    pub available: u64,
}

/// The verdict, which is that of the worst reason, and the reasons, the worst first.
#[must_use]
pub fn verdict(evidence: &Evidence) -> (Verdict, Vec<Reason>) {
    let mut reasons: Vec<_> =
        suspicions(evidence).chain(unjudged(&evidence.thresholds)).chain(drifting(evidence)).collect();
    reasons.retain(|reason| reason.level() > Verdict::Valid);
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.level()));
    (reasons.first().map_or(Verdict::Valid, Reason::level), reasons)
}

/// What the evidence could be a reason for, however small.
fn suspicions(evidence: &Evidence) -> impl Iterator<Item = Reason> {
    let response_p99_us = evidence.response_p99.map(micros);
    let lag = evidence.lag_p99.zip(response_p99_us);
    let lag = lag.map(|(lag, response_p99_us)| Reason::Lag { lag_p99_us: micros(lag), response_p99_us });
    let arrivals =
        evidence.arrivals.map(|Arrivals { intended, started }| Reason::LoadNotAchieved { intended, started });
    let users = evidence.users.map(|users| Reason::UsersExhausted {
        max_users: users.max,
        delayed: users.delayed,
        operations: users.operations,
    });
    let core = evidence.core_time.map(|time| Reason::CoreContended {
        waited_s: time.waited.as_secs_f64(),
        ran_s: time.ran.as_secs_f64(),
        elapsed_s: time.elapsed.as_secs_f64(),
    });
    let steal = evidence.steal.map(|share| Reason::CpuStolen { share: share.get() });
    let event_loop = evidence
        .event_loop_delay_p99
        .map(|delay| Reason::EventLoopDelayed { delay_p99_us: micros(delay), response_p99_us });
    let simulator = evidence.simulator_busy.map(|share| Reason::SimulatorBusy { busy_share: share.get() });
    let descriptors =
        evidence.descriptors.map(|Demand { needed, available }| Reason::FewDescriptors { needed, available });
    let ports = evidence.ports.map(|Demand { needed, available }| Reason::FewPorts { needed, available });
    [lag, arrivals, users, core, steal, event_loop, simulator, descriptors, ports].into_iter().flatten()
}

/// Thresholds that could not be judged.
fn unjudged(thresholds: &[Judged]) -> impl Iterator<Item = Reason> {
    thresholds.iter().filter(|judged| judged.standing == Standing::TooFewSamples).map(|judged| Reason::TooFewSamples {
        metric: judged.metric.clone(),
        condition: judged.condition.clone(),
        samples: judged.samples,
        least_samples: judged.least_samples,
    })
}

/// The first percentile that moved during the run: where the median does, the 90th does too.
fn drifting(evidence: &Evidence) -> Option<Reason> {
    [("p50", &evidence.response_p50_us), ("p90", &evidence.response_p90_us)].into_iter().find_map(|(name, seconds)| {
        let drift = drift(seconds)?;
        Some(Reason::NotStationary {
            percentile: name.to_owned(),
            from_us: whole(drift.from_us),
            to_us: whole(drift.to_us),
            p_value: drift.p_value,
        })
    })
}

/// Microseconds rounded to the nearest.
fn whole(us: f64) -> u64 {
    micros(Duration::try_from_secs_f64(us / 1e6).unwrap_or_default())
}

#[cfg(test)]
mod tests;
