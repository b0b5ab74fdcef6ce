//! Why the figures of a run are not to be believed as they stand.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Quantity;
use crate::measure::Check;
use crate::units::format::{count, micros, percent, seconds};

/// Whether the measurement can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing speaks against it.
    #[default]
    Valid,
    /// Something may mislead; the reasons say what.
    Suspect,
    /// Its figures are not of what the scenario asked for.
    Invalid,
}

impl Verdict {
    /// The name in the reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Suspect => "suspect",
            Self::Invalid => "invalid",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// From this lag on it may be a reason: a shorter one is within what an undisturbed machine does.
const LAG_MATTERS_US: u64 = 1_000;

/// From this lag on it may spoil a run.
const LAG_SPOILS_US: u64 = 5_000;

/// Above this share of the response, lag is a reason.
const LAG_SUSPECT: f64 = 0.1;

/// Above this share of the response, lag spoils the run.
const LAG_INVALID: f64 = 0.5;

/// Fewer operations than this may be missing from any run.
const MISSING_MATTERS: u64 = 10;

/// Above this share of the intended operations, missing ones are a reason.
const MISSING_SUSPECT: f64 = 0.01;

/// Above this share of the intended operations, missing ones spoil the run.
const MISSING_INVALID: f64 = 0.1;

/// Above this share of the operations, those that waited for a free user are a reason.
const DELAYED_SUSPECT: f64 = 0.01;

/// Above this share of the time in which a worker wanted to run, waiting for a core is a reason.
///
/// A worker with all the work it can do that shares its core with one busy program waits for half of that time; one with
/// little work more, because each of its many short turns begins behind the other's turn. Measured on two cores, with the
/// embedded simulator as the only neighbour: 15 % to 26 % at 400/s and at 2,000/s, 26 % to 33 % with 400 users and 200 ms
/// think time. On one core with the simulator and a busy loop: 62 % to 82 % at 400/s, 68 % to 84 % at 2,000/s.
const CORE_SUSPECT: f64 = 0.4;

/// Above this share of the run's time, waiting for a core is a reason: a run that hardly uses its core (20 requests in 5 s
/// waited for 0.7 %) may wait for most of what it uses, and nothing is seen of it in the figures.
const CORE_MATTERS: f64 = 0.01;

/// Above this share of the machine's time, steal is a reason.
const STEAL_SUSPECT: f64 = 0.05;

/// From this delay of an event loop on it is a reason.
const LOOP_MATTERS_US: u64 = 10_000;

/// Above this share of the response, an event loop's delay is a reason.
const LOOP_SUSPECT: f64 = 0.1;

/// From this share of the time on, the simulator's work is a reason.
const SIMULATOR_SUSPECT: f64 = 0.8;

/// Something that was seen in a run, with its numbers. Its text is one sentence that says what was seen, why it matters
/// and what to try.
///
/// [`level`](Self::level) says how bad it is. What this machine did to the figures beyond repair, and what leaves the
/// scenario's question without an answer, makes a run invalid; what may mislead makes it suspect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Reason {
    /// Requests were sent late by ourselves. Suspect where the lag is 1 ms or more and above 10 % of the response, invalid
    /// where it is 5 ms or more and above 50 %.
    Lag {
        /// The 99th percentile of lag, in microseconds.
        lag_p99_us: u64,
        /// The 99th percentile of response, in microseconds.
        response_p99_us: u64,
    },
    /// The schedule's load was not offered. Suspect where 10 operations or more and above 1 % are missing, invalid where
    /// above 10 % are.
    LoadNotAchieved {
        /// Operations that the schedule wanted.
        intended: u64,
        /// Those that started.
        started: u64,
    },
    /// No user was free. Suspect where above 1 % of the operations waited for one.
    UsersExhausted {
        /// The bound on users.
        max_users: u64,
        /// Operations that waited for a free user.
        delayed: u64,
        /// Operations that were due.
        operations: u64,
    },
    /// A worker waited for a core. Suspect where it waited above 40 % of the time in which it wanted to run, and above
    /// 1 % of the run's time. What that did to the requests is judged apart, as lag and as the event loop's delay.
    CoreContended {
        /// For so long it waited, in seconds.
        waited_s: f64,
        /// For so long it ran, in seconds.
        ran_s: f64,
        /// The time in which it was watched, in seconds.
        elapsed_s: f64,
    },
    /// The hypervisor took time away from this machine. Suspect above 5 %.
    CpuStolen {
        /// The share of the machine's time, 0 to 1.
        share: f64,
    },
    /// An event loop came late to its work. Suspect from 10 ms on, where that is above 10 % of the response.
    EventLoopDelayed {
        /// The 99th percentile of the delay, in microseconds.
        delay_p99_us: u64,
        /// The 99th percentile of response, in microseconds; `None` where it is unknown.
        response_p99_us: Option<u64>,
    },
    /// The embedded simulator was the bottleneck. Suspect from 80 % on.
    SimulatorBusy {
        /// The share of the time, 0 to 1, in which its busiest thread ran or waited for a core.
        busy_share: f64,
    },
    /// The process may open fewer files than its connections need. Invalid.
    FewDescriptors {
        /// Descriptors that the run needs.
        needed: u64,
        /// Those that the process may open.
        available: u64,
    },
    /// The machine has fewer ephemeral ports than its connections may need. Suspect, because the need is an estimate.
    FewPorts {
        /// Ports that the run may need at once, those of closed connections included.
        needed: u64,
        /// Those that there are.
        available: u64,
    },
    /// A threshold cannot be judged. Invalid.
    TooFewSamples {
        /// The metric's name.
        metric: String,
        /// The condition as the scenario writes it.
        condition: String,
        /// The samples that there are.
        samples: u64,
        /// The fewest that tell.
        least_samples: u64,
    },
    /// Responses became slower or faster all the time. Suspect; see [`drift`](super::drift) for what counts.
    NotStationary {
        /// The percentile of each second that moved: `p50` or `p90`.
        percentile: String,
        /// Where it began, in microseconds.
        from_us: u64,
        /// Where it ended, in microseconds.
        to_us: u64,
        /// The probability of such a trend by chance.
        p_value: f64,
    },
}

impl Reason {
    /// What it makes of the run; valid where the numbers are too small to matter.
    #[must_use]
    pub fn level(&self) -> Verdict {
        match *self {
            Self::Lag { lag_p99_us, response_p99_us } => match ratio(lag_p99_us, response_p99_us) {
                share if share > LAG_INVALID && lag_p99_us >= LAG_SPOILS_US => Verdict::Invalid,
                share => suspect(share > LAG_SUSPECT && lag_p99_us >= LAG_MATTERS_US),
            },
            Self::LoadNotAchieved { intended, started } => {
                let missing = intended.saturating_sub(started);
                match ratio(missing, intended) {
                    _ if missing < MISSING_MATTERS => Verdict::Valid,
                    share if share > MISSING_INVALID => Verdict::Invalid,
                    share => suspect(share > MISSING_SUSPECT),
                }
            }
            Self::UsersExhausted { delayed, operations, .. } => suspect(ratio(delayed, operations) > DELAYED_SUSPECT),
            Self::CoreContended { waited_s, ran_s, elapsed_s } => {
                suspect(waited_s > CORE_SUSPECT * (waited_s + ran_s) && waited_s > CORE_MATTERS * elapsed_s)
            }
            Self::CpuStolen { share } => suspect(share > STEAL_SUSPECT),
            Self::EventLoopDelayed { delay_p99_us, response_p99_us } => {
                let share = response_p99_us.map_or(1.0, |response| ratio(delay_p99_us, response));
                suspect(delay_p99_us >= LOOP_MATTERS_US && share > LOOP_SUSPECT)
            }
            Self::SimulatorBusy { busy_share } => suspect(busy_share >= SIMULATOR_SUSPECT),
            Self::FewDescriptors { needed, available } if needed > available => Verdict::Invalid,
            Self::FewPorts { needed, available } => suspect(needed > available),
            Self::TooFewSamples { samples, least_samples, .. } if samples < least_samples => Verdict::Invalid,
            Self::FewDescriptors { .. } | Self::TooFewSamples { .. } => Verdict::Valid,
            Self::NotStationary { .. } => Verdict::Suspect,
        }
    }
}

fn suspect(is_suspect: bool) -> Verdict {
    if is_suspect { Verdict::Suspect } else { Verdict::Valid }
}

/// A part of a whole; of nothing, all of it where there is any part.
#[expect(clippy::cast_precision_loss, reason = "counts and microseconds of a run stay far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    match (part, whole) {
        (0, _) => 0.0,
        (_, 0) => 1.0,
        _ => part as f64 / whole as f64,
    }
}

impl Reason {
    /// What was seen.
    #[must_use]
    pub fn seen(&self) -> String {
        match self {
            Self::Lag { lag_p99_us: lag, response_p99_us } => format!(
                "requests were sent late by this machine itself, by {} at the 99th percentile, which is {} of the response \
                 there",
                micros(*lag),
                percent(ratio(*lag, *response_p99_us))
            ),
            Self::LoadNotAchieved { intended, started } => format!(
                "{} of the {} operations of the schedule were started ({})",
                count(*started),
                count(*intended),
                percent(ratio(*started, *intended))
            ),
            Self::UsersExhausted { max_users, delayed, operations } => format!(
                "all {} users were busy when {} of {} operations were due ({})",
                count(*max_users),
                count(*delayed),
                count(*operations),
                percent(ratio(*delayed, *operations))
            ),
            Self::CoreContended { waited_s, ran_s, .. } => format!(
                "a worker waited for a core for {}, {} of the time in which it had work to do",
                seconds(*waited_s),
                percent(waited_s / (waited_s + ran_s).max(f64::MIN_POSITIVE))
            ),
            Self::CpuStolen { share } => {
                format!("the hypervisor gave {} of this machine's processor time to others", percent(*share))
            }
            Self::EventLoopDelayed { delay_p99_us, .. } => {
                format!("a worker came to its work {} late at the 99th percentile", micros(*delay_p99_us))
            }
            Self::SimulatorBusy { busy_share } => {
                format!("the simulator's busiest thread was busy {} of the time", percent(*busy_share))
            }
            Self::FewDescriptors { needed, available } => {
                format!("the run needs {} open files and may have {}", count(*needed), count(*available))
            }
            Self::FewPorts { needed, available } => {
                format!("the run may need {} local ports at once and there are {}", count(*needed), count(*available))
            }
            Self::TooFewSamples { metric, condition, samples, least_samples } => format!(
                "the threshold {metric} {condition} rests on {} samples and takes at least {}",
                count(*samples),
                count(*least_samples)
            ),
            Self::NotStationary { percentile, from_us, to_us, .. } => format!(
                "the {percentile} of each second's responses moved from {} to {} during the run",
                micros(*from_us),
                micros(*to_us)
            ),
        }
    }

    /// Why it matters.
    #[must_use]
    pub fn matters(&self) -> &'static str {
        match self {
            Self::Lag { .. } => "responses look slower than they were",
            Self::LoadNotAchieved { .. } => "the figures are of a lower load than intended",
            Self::UsersExhausted { .. } => {
                "these waited for a user, and the server saw less of a burst than the schedule holds"
            }
            Self::CoreContended { .. } => "requests left and answers were noticed late",
            Self::CpuStolen { .. } => "latencies hold pauses that are not the server's",
            Self::EventLoopDelayed { .. } => "answers waited that long to be noticed",
            Self::SimulatorBusy { .. } => "latencies and rates are the simulator's own",
            Self::FewDescriptors { .. } => "connections fail that the server would have taken",
            Self::FewPorts { .. } => "connections may fail that the server would have taken",
            Self::TooFewSamples { .. } => "nobody can tell whether it is met",
            Self::NotStationary { .. } => "the figures depend on how long it ran",
        }
    }

    /// What to try.
    #[must_use]
    pub fn remedy(&self) -> String {
        let remedy = match self {
            Self::Lag { .. } | Self::EventLoopDelayed { .. } => "lower the load, or use a machine with more free cores",
            Self::LoadNotAchieved { .. } => "lower the rate, or raise `load.max_users`",
            Self::UsersExhausted { .. } => "raise `load.max_users`",
            Self::CoreContended { .. } => "stop other programs, or use a machine with more free cores",
            Self::CpuStolen { .. } => "run it again at a calmer time, or on a machine of its own",
            Self::SimulatorBusy { .. } => "lower the load, or run `patchload sim` on another machine",
            Self::FewDescriptors { needed, .. } => {
                return format!("raise the limit with `ulimit -n {needed}`, or set `load.connections` to \"shared\"");
            }
            Self::FewPorts { .. } => "reuse connections, or widen net.ipv4.ip_local_port_range",
            Self::TooFewSamples { metric, .. } => more_samples(Quantity::at_end_of(metric)),
            Self::NotStationary { .. } => "find out what fills up or warms up, or add a longer warm-up",
        };
        remedy.to_owned()
    }
}

/// What gives a figure more cases.
fn more_samples(quantity: Option<Quantity>) -> &'static str {
    match quantity {
        Some(Quantity::Found(check) | Quantity::FoundRate(check)) => match check {
            Check::UntouchedChanged => {
                "give the resources attributes before the run that no request names, and let the reading after the run end, \
                 which [checks.lost_updates] is for"
            }
            Check::Lost => {
                "let the reading after the run end, which [checks.lost_updates] is for; of writes that were seen before, only \
                 those count beside which another key was written"
            }
            _ => "add [checks.visibility], or run longer, or raise its `share`",
        },
        Some(Quantity::Violations) => "run longer, or raise the `share` of [checks.idempotency]",
        _ => "run longer, or choose a lower percentile",
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, so {}; {}", self.seen(), self.matters(), self.remedy())
    }
}
