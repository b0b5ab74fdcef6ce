//! Which operations are checked, and how: idempotency, visibility, lost updates.

use std::time::Duration;

use rand::RngExt;

use super::operation::{Purpose, random};
use super::template::{Template, Values};
use super::{Operation, RenderError, Scenario};
use crate::measure::Mode;
use crate::units::Share;

/// What is checked. A scenario with checks says how attributes are read, too.
#[derive(Debug, Clone)]
pub struct Checks {
    /// The attribute whose value bears `{{ unique }}`.
    pub(super) track: Template,
    /// By variant, whether its body gives that attribute such a value: only those are checked.
    pub(super) tracked: Vec<bool>,
    /// The most of the limit's permits that go to checks.
    pub limit_share: Share,
    /// The most writes that are remembered.
    pub ledger: usize,
    /// Whether the history of writes and reads is written into the run folder.
    pub history: bool,
    /// Whether and how operations are repeated.
    pub idempotency: Option<Idempotency>,
    /// Whether and how writes are looked for.
    pub visibility: Option<Visibility>,
    /// Whether all resources are read before the run and after it, and compared with what was acknowledged.
    pub lost_updates: bool,
}

/// How operations are repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct Idempotency {
    /// The share of operations after which one is repeated.
    pub share: Share,
    /// How, in turn; at least one.
    pub modes: Vec<Mode>,
    /// How many identical requests are in flight together in [`Mode::Concurrent`], at least 2.
    pub concurrent: u32,
    /// The pause between the last repetition and the read of its effect: longer than writes take to be seen.
    pub settle: Duration,
    /// Where responses may differ: JSON pointers (RFC 6901).
    pub volatile: Vec<String>,
}

/// How writes are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Visibility {
    /// The share of operations that are looked for.
    pub share: Share,
    /// What is not seen so long after its answer is never visible.
    pub within: Duration,
    /// The pause between the answer and the first look.
    pub first: Duration,
    /// What each pause between two looks is to the one before, 1 or more.
    pub factor: f64,
    /// No pause is longer.
    pub most: Duration,
    /// So long after a write was first seen it is looked at again.
    pub recheck: Duration,
}

/// What is checked of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sampled {
    /// It is looked for.
    pub visibility: bool,
    /// An operation of the same user, row and variant is repeated in this way.
    pub idempotency: Option<Mode>,
}

impl Checks {
    /// Whether operations of a variant are checked.
    #[must_use]
    pub fn is_tracked(&self, variant: usize) -> bool {
        self.tracked[variant]
    }

    /// The name of the attribute that bears the operation's `unique`.
    ///
    /// # Errors
    /// When the template fails on the operation's row.
    pub fn key(&self, scenario: &Scenario, operation: &Operation) -> Result<String, RenderError> {
        let rows = scenario.table_of(operation.variant).map(|data| &data.rows);
        let values = Values::new(rows, scenario.seed, operation);
        self.track.render(&values).map(std::borrow::Cow::into_owned)
    }

    /// What is checked of an operation: a function of seed and number.
    #[must_use]
    pub fn sampled(&self, seed: u64, operation: &Operation) -> Sampled {
        if !self.is_tracked(operation.variant) {
            return Sampled::default();
        }
        let mut draw = random(seed, Purpose::Check, operation.number);
        let mut is_drawn = |share: Share| draw.random::<f64>() < share.get();
        let visibility = self.visibility.is_some_and(|visibility| is_drawn(visibility.share));
        let repeated = self.idempotency.as_ref().filter(|idempotency| is_drawn(idempotency.share));
        let idempotency = repeated.map(|idempotency| idempotency.modes[draw.random_range(0..idempotency.modes.len())]);
        Sampled { visibility, idempotency }
    }
}
