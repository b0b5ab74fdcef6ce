//! What checks of idempotency and consistency found, as counts.

use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::new_histogram;

/// How an operation is repeated to find out whether once and twice are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The same request again, after its answer.
    Replay,
    /// Several of the same request in flight together.
    Concurrent,
    /// The client hangs up after it has sent, before the answer, and sends the same request again.
    Retry,
    /// The same request with the same `Idempotency-Key` again, and another body with that key, which must be refused.
    Keyed,
}

impl Mode {
    /// All modes, in the order of the reports.
    pub const ALL: [Self; 4] = [Self::Replay, Self::Concurrent, Self::Retry, Self::Keyed];

    /// The mode's position in [`Mode::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name in scenarios and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Concurrent => "concurrent",
            Self::Retry => "retry",
            Self::Keyed => "keyed",
        }
    }

    /// The mode of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is found about writes and reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// An acknowledged write was seen.
    Visible,
    /// An acknowledged write was not seen within the bound, nor when it was looked for once more, although nobody of ours
    /// wrote the resource meanwhile.
    NeverVisible,
    /// A write was seen and later gone for good, although nobody of ours wrote the resource meanwhile.
    Reverted,
    /// An acknowledged write is missing, and other keys of the resource were written meanwhile; or it is missing in the end,
    /// and nobody had looked for it before.
    Lost,
    /// A write was refused or failed, and was applied all the same.
    Phantom,
    /// A read showed something older than what an earlier read had shown, and a later one the newer again.
    StaleRead,
    /// An attribute that no request of the run names has changed.
    UntouchedChanged,
    /// Nobody can tell: the answer did not come, a read could not be sent, or somebody wrote the key meanwhile.
    Indeterminate,
}

impl Check {
    /// All of them, in the order of the reports.
    pub const ALL: [Self; 8] = [
        Self::Visible,
        Self::NeverVisible,
        Self::Reverted,
        Self::Lost,
        Self::Phantom,
        Self::StaleRead,
        Self::UntouchedChanged,
        Self::Indeterminate,
    ];

    /// The position in [`Check::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name in reports and thresholds.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Visible => "visible",
            Self::NeverVisible => "never_visible",
            Self::Reverted => "reverted",
            Self::Lost => "lost",
            Self::Phantom => "phantom",
            Self::StaleRead => "stale_read",
            Self::UntouchedChanged => "untouched_changed",
            Self::Indeterminate => "indeterminate",
        }
    }

    /// The check of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.name() == name)
    }

    /// Whether it is against what a client may expect of an API that keeps its word.
    #[must_use]
    pub fn is_violation(self) -> bool {
        !matches!(self, Self::Visible | Self::Indeterminate)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Repetitions of one variant in one mode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repetitions {
    /// Repetitions that were judged, whatever came of them; those that are inconclusive stand apart.
    pub pairs: u64,
    /// Of them, those whose statuses are of one class.
    pub same_status: u64,
    /// Of them, those whose bodies are the same, but for what is called volatile.
    pub same_response: u64,
    /// Of them, those after which the resource is what one request would have made of it.
    pub same_state: u64,
    /// Of them, those that differ in any of the three.
    pub violations: u64,
    /// Repetitions that nobody can judge.
    pub inconclusive: u64,
    /// The first violation.
    pub sample: Option<Violation>,
}

/// A violation, with what repeats it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which operation, and which part differed, in a line.
    pub text: String,
    /// The requests as curl lines, in their order, without secrets.
    pub requests: Vec<String>,
}

/// What was looked for, and how often it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// Cases in which it would have been found.
    pub checked: u64,
    /// Cases in which it was found.
    pub found: u64,
    /// The first of them, in a line.
    pub sample: Option<String>,
}

/// All that was found of one variant.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantChecks {
    /// By [`Mode::index`].
    pub repetitions: [Repetitions; 4],
    /// By [`Check::index`].
    pub findings: [Findings; 8],
    /// From an acknowledgement to the end of the first read that showed the write, in microseconds: at the latest then.
    pub visible: Histogram<u64>,
    /// How long before that the last read that did not show it was sent: the resolution of each of these times, in
    /// microseconds.
    pub resolution: Histogram<u64>,
}

impl Default for VariantChecks {
    fn default() -> Self {
        Self {
            repetitions: Default::default(),
            findings: Default::default(),
            visible: new_histogram(),
            resolution: new_histogram(),
        }
    }
}

/// What a write does to the keys that it does not name, as far as resources of which users wrote different keys prove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// It leaves them: writes to several keys are there together, and none that was acknowledged is missing.
    PerKey,
    /// It takes them away: nothing is there but one last write.
    WholeMap,
    /// Some were left, and some that were there before the run were taken away.
    Mixed,
}

/// All that the checks of a run found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checks {
    /// By variant, in the order of the scenario.
    pub variants: Vec<VariantChecks>,
    /// What became of keys that others wrote; `None` where nothing proves it.
    pub merge: Option<Merge>,
    /// What the checks cost and what they left out.
    pub effort: Effort,
}

/// What the checks cost and what they left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effort {
    /// Reads that were sent.
    pub reads: u64,
    /// Writes that were sent: none of them is an attempt of the load.
    pub writes: u64,
    /// Operations that were to be checked and were not, because the checks' part of the limit had no room.
    pub not_sampled: u64,
    /// Writes in the ledger.
    pub ledger: u64,
    /// Writes that the ledger had no room for; all writes of a resource are kept, or none.
    pub beyond_ledger: u64,
}
