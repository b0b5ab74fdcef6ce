//! A run: its header, its seconds and its totals.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Blocks, Checks, Counts, Distributions, Failures, Interval, Retries};

/// The version of the run folder's formats that this program writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// What a run was, known before its first request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the run folder's formats: [`SCHEMA`] for a run of this program.
    pub schema: u32,
    /// The version of patchload that ran it.
    pub version: String,
    /// The scenario's name.
    pub name: String,
    /// The target's name in the first column of every report.
    pub target: String,
    /// The variants' names, in the order of the scenario.
    pub variants: Vec<String>,
    /// The run's seed.
    pub seed: u64,
    /// When the schedule started, in seconds since 1970-01-01T00:00:00Z.
    pub started_unix_s: f64,
    /// How long the schedule is, in seconds.
    pub planned_s: f64,
    /// The machine.
    pub host: Host,
    /// The scenario as it was resolved, secrets redacted.
    pub scenario: serde_json::Value,
}

/// Facts about the machine that a result depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Operating system and release.
    pub os: String,
    /// Processor architecture.
    pub arch: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Threads that sent requests.
    pub workers: usize,
    /// Threads of the embedded simulator; 0 where there was none.
    pub simulator_threads: usize,
}

/// How far a run got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It goes on, or was killed.
    Running,
    /// It reached its end.
    Finished,
    /// It was stopped before its end.
    Interrupted,
}

/// Which part of the run a second belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The schedule has begun; what is due now is in no figure.
    Warmup,
    /// The schedule is on; what is due now is what the figures are of, whenever it is done.
    Main,
    /// The schedule ends; what is due now is in no figure.
    Cooldown,
    /// The schedule is over; what was in flight finishes.
    Drain,
}

impl Phase {
    /// The name in `timeline.csv`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Warmup => "warmup",
            Self::Main => "main",
            Self::Cooldown => "cooldown",
            Self::Drain => "drain",
        }
    }
}

/// One closed second of a run, of all workers together.
#[derive(Debug, Clone)]
pub struct Second {
    /// Whole seconds since the start of the run.
    pub second: u64,
    /// The part of the run in which it starts.
    pub phase: Phase,
    /// What was counted and recorded.
    pub interval: Interval,
    /// Operations in flight at its end.
    pub in_flight: u64,
    /// CPU time of the busiest worker in this second as a share of one core, 0 to 1.
    pub cpu_share: f64,
}

impl Second {
    /// Whether all that was done in it was due in the main phase.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.interval.aside.counts.attempts() == 0
    }
}

/// The sum of all seconds of one variant.
#[derive(Debug, Clone, Default)]
pub struct VariantTotals {
    /// Counts of the run.
    pub counts: Counts,
    /// Failures by one-second blocks.
    pub blocks: Blocks,
    /// Durations of the run.
    pub distributions: Distributions<u64>,
}

/// The sum of all seconds of a run.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// By variant, in the order of the scenario.
    pub variants: Vec<VariantTotals>,
    /// Failures of all variants by one-second blocks.
    pub blocks: Blocks,
    /// What was not accepted.
    pub failures: Failures,
    /// What was tried again.
    pub retries: Retries,
    /// The most operations that waited for their retry at one time, to the second.
    pub parked_peak: u64,
    /// Whole seconds that are counted.
    pub seconds: u64,
    /// Seconds of the schedule that have passed, at most those planned.
    pub elapsed_s: f64,
    /// Of them, those of the main phase: the time over which rates are computed.
    pub main_s: f64,
    /// Logins for the tokens of the run.
    pub logins: Logins,
    /// What the checks found; `None` where there were none, and while the run goes on.
    pub checks: Option<Checks>,
}

/// Logins for the tokens of a run, those before its start included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logins {
    /// Logins that gave a token.
    pub made: u64,
    /// Of them, those for a token most of whose life was over.
    pub renewed_by_age: u64,
    /// Of them, those for a token that the server refused with 401.
    pub renewed_after_401: u64,
    /// Logins that the server put off; those before the start were tried again.
    pub throttled: u64,
    /// Renewals that gave no token, throttled ones included.
    pub failed: u64,
}

impl Logins {
    /// Whether there is more to tell than that each token took one login.
    #[must_use]
    pub fn is_eventful(&self) -> bool {
        self.renewed_by_age + self.renewed_after_401 + self.throttled + self.failed > 0
    }
}

impl fmt::Display for Logins {
    /// `5 logins; 1 renewed by age, 1 renewed after a 401, 2 throttled, 1 renewal failed`, without what is zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::units::format::count;
        let part = |n: u64, what: &str| (n > 0).then(|| format!("{} {what}", count(n)));
        let parts = [
            part(self.renewed_by_age, "renewed by age"),
            part(self.renewed_after_401, "renewed after a 401"),
            part(self.throttled, "throttled"),
            part(self.failed, if self.failed == 1 { "renewal failed" } else { "renewals failed" }),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        write!(f, "{} login{}", count(self.made), if self.made == 1 { "" } else { "s" })?;
        if parts.is_empty() { Ok(()) } else { write!(f, "; {}", parts.join(", ")) }
    }
}

impl Totals {
    /// Totals of nothing.
    #[must_use]
    pub fn new(variants: usize) -> Self {
        Self { variants: (0..variants).map(|_| VariantTotals::default()).collect(), ..Self::default() }
    }

    /// Adds one second.
    pub fn add(&mut self, second: &Second) {
        for (total, part) in self.variants.iter_mut().zip(&second.interval.variants) {
            total.counts.add(&part.counts);
            total.blocks.add_second(&part.counts);
            total.distributions.add(&part.distributions);
        }
        self.blocks.add_second(&second.interval.counts());
        self.failures.add(&second.interval.failures);
        self.retries.add(&second.interval.retries);
        self.seconds = self.seconds.max(second.second + 1);
    }

    /// The sum over all variants.
    #[must_use]
    pub fn all(&self) -> VariantTotals {
        let mut all = VariantTotals { blocks: self.blocks, ..VariantTotals::default() };
        for variant in &self.variants {
            all.counts.add(&variant.counts);
            all.distributions.add(&variant.distributions);
        }
        all
    }
}

/// What a reader must know before trusting the figures: what was seen, why it matters and what to try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Warning {
    /// The target stopped answering, and the run was given up.
    TargetDied {
        /// For so long nothing but broken attempts was seen, in seconds.
        after_s: f64,
    },
    /// Tokens could not be renewed.
    RenewalsFailed {
        /// Renewals that failed.
        count: u64,
        /// What the last of them said.
        last_error: String,
    },
    /// The scenario says `insecure`.
    CertificatesNotChecked,
    /// A threshold stopped the run.
    Aborted {
        /// Which, with what was measured.
        threshold: String,
    },
    /// A table whose rows are taken once has run out before the schedule did.
    RowsRanOut {
        /// The table's name.
        table: String,
        /// Its rows.
        rows: u64,
    },
    /// The run was stopped before the end of its schedule.
    Interrupted {
        /// Seconds of the schedule that had passed.
        elapsed_s: f64,
        /// Seconds of the schedule.
        planned_s: f64,
    },
    /// The target asked for a longer pause than the scenario allows, and the run was given up.
    RetryAfterTooLong {
        /// The pause that was asked for, in seconds.
        retry_after_s: f64,
        /// The longest that is allowed, in seconds.
        most_s: f64,
    },
    /// The target refused the credentials for too long, and the run was given up.
    Unauthorized {
        /// The share of 401 and 403 in all answers of that time, 0 to 1.
        share: f64,
        /// For how long, in seconds.
        for_s: f64,
    },
    /// The budget was used up.
    BudgetSpent {
        /// The requests of the budget.
        budget: u64,
        /// Seconds of the schedule that had passed.
        elapsed_s: f64,
        /// Seconds of the schedule.
        planned_s: f64,
    },
    /// The allowed hours ended.
    WindowClosed {
        /// The allowed hours.
        window: String,
        /// Seconds of the schedule that had passed.
        elapsed_s: f64,
        /// Seconds of the schedule.
        planned_s: f64,
    },
    /// Attributes could not be put back.
    NotRestored {
        /// Rows whose attributes are not as they were.
        rows: u64,
        /// What the first of them told.
        first: String,
    },
    /// Somebody left while attributes were put back.
    RestoreLeft {
        /// Rows whose attributes are not as they were, or of which nobody knows.
        rows: u64,
        /// Rows that were read before the run.
        of: u64,
    },
    /// What became of writes could not be read after the run, or not of all resources.
    AuditIncomplete {
        /// Resources that were not read.
        rows: u64,
        /// Resources that were to be read.
        of: u64,
        /// Why the first of them was not.
        first: String,
    },
    /// The process ended without closing the run; the reports hold what was written until then.
    Killed {
        /// Whole seconds that are counted.
        seconds: u64,
    },
}

impl Warning {
    /// Whether it tells what became of attributes: a later restore makes it untrue.
    #[must_use]
    pub fn is_of_restoration(&self) -> bool {
        matches!(self, Self::NotRestored { .. } | Self::RestoreLeft { .. })
    }

    /// Whether it says that the run did not reach the end of its schedule because something or somebody stopped it. A budget
    /// that is used up is an end that the scenario chose.
    #[must_use]
    pub fn cuts_the_run(&self) -> bool {
        match self {
            Self::TargetDied { .. }
            | Self::Interrupted { .. }
            | Self::Aborted { .. }
            | Self::RetryAfterTooLong { .. }
            | Self::Unauthorized { .. }
            | Self::WindowClosed { .. }
            | Self::Killed { .. } => true,
            Self::RenewalsFailed { .. }
            | Self::CertificatesNotChecked
            | Self::BudgetSpent { .. }
            | Self::RowsRanOut { .. }
            | Self::AuditIncomplete { .. }
            | Self::NotRestored { .. }
            | Self::RestoreLeft { .. } => false,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::units::format::{count, percent, seconds};
        match self {
            Self::TargetDied { after_s } => write!(
                f,
                "for {} every attempt broke without a response, so the run was given up; check that the target is up, \
                 or raise `target.give_up`",
                seconds(*after_s)
            ),
            Self::CertificatesNotChecked => f.write_str(
                "certificates were not checked, so nobody knows who answered, and the tokens may have been read; name the \
                 server's authority in `target.connection.tls.ca_file` instead of `insecure`",
            ),
            Self::Aborted { threshold } => {
                write!(f, "{threshold}, so the run was stopped; the figures are of the part before")
            }
            Self::RenewalsFailed { count: failed, last_error } => write!(
                f,
                "{} renewals of a token failed, so some 401 may be of expired tokens; the last one: {last_error}",
                count(*failed)
            ),
            Self::RowsRanOut { table, rows } => write!(
                f,
                "the data table `{table}` of {} rows has run out, so nothing more was due; add rows, or take them again with \
                 `pick`",
                count(*rows)
            ),
            Self::Interrupted { elapsed_s, planned_s } => write!(
                f,
                "stopped after {} of {}, so the figures are of that part only; run it again for the whole",
                seconds(*elapsed_s),
                seconds(*planned_s)
            ),
            Self::RetryAfterTooLong { retry_after_s, most_s } => write!(
                f,
                "the target asked for a pause of {}, and more than {} is too long, so the run was given up; find out which \
                 quota is used up, or raise `stop.retry_after`",
                seconds(*retry_after_s),
                seconds(*most_s)
            ),
            Self::Unauthorized { share, for_s } => write!(
                f,
                "for {} {} of all answers were 401 or 403, so the run was given up; check the credentials and what they \
                 permit, or change `stop.unauthorized`",
                seconds(*for_s),
                percent(*share)
            ),
            Self::BudgetSpent { budget, elapsed_s, planned_s } => write!(
                f,
                "the budget of {} requests was used up after {} of {}, so the figures are of that part only; raise \
                 `limit.budget` for more",
                count(*budget),
                seconds(*elapsed_s),
                seconds(*planned_s)
            ),
            Self::WindowClosed { window, elapsed_s, planned_s } => write!(
                f,
                "the allowed hours {window} ended, so the run was stopped after {} of {}; start it earlier for the whole",
                seconds(*elapsed_s),
                seconds(*planned_s)
            ),
            Self::NotRestored { rows, first } => write!(
                f,
                "the attributes of {} {} are not as they were before the run: {first}; `snapshot` in run.json names more",
                count(*rows),
                if *rows == 1 { "row" } else { "rows" }
            ),
            Self::RestoreLeft { rows, of } => write!(
                f,
                "left while attributes were put back: {} of {} rows may not be as they were before the run; `patchload \
                 restore` with the run folder puts them back",
                count(*rows),
                count(*of)
            ),
            Self::AuditIncomplete { rows, of, first } => write!(
                f,
                "{} of {} resources were not read after the run ({first}), so whether their writes are still there is not \
                 told",
                count(*rows),
                count(*of)
            ),
            Self::Killed { seconds } => write!(
                f,
                "the process ended without closing the run, so the figures are of its first {seconds} s only; up to two \
                 seconds more may have been sent"
            ),
        }
    }
}

/// A run: as it was written, or as it was read back from its folder.
#[derive(Debug, Clone)]
pub struct Run {
    /// What it was.
    pub header: Header,
    /// How far it got.
    pub state: State,
    /// What to know before trusting the figures.
    pub warnings: Vec<Warning>,
    /// The sum of its seconds.
    pub totals: Totals,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_told_without_what_is_zero() {
        let one = Logins { made: 1, ..Logins::default() };
        assert_eq!((one.to_string().as_str(), one.is_eventful()), ("1 login", false));
        let many = Logins { made: 1_234, renewed_by_age: 2, renewed_after_401: 1, throttled: 4, failed: 1 };
        assert_eq!(
            many.to_string(),
            "1,234 logins; 2 renewed by age, 1 renewed after a 401, 4 throttled, 1 renewal failed"
        );
        assert!(Logins { failed: 1, ..one }.is_eventful());
    }
}
