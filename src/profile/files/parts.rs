//! The parts of the document.

use serde::{Deserialize, Serialize};

use crate::profile::Plan;
use crate::profile::advice::Advice;
use crate::profile::answer::Key;
use crate::profile::figures::{Estimate, Figures};
use crate::profile::finding::{Check, Proof, Spent, Stopped};
use crate::profile::fit::Fit;
use crate::profile::paces::Held;
use crate::profile::scope::{Dimension, Shared, Sharing};
use crate::profile::theory::{Penalty, Refusals, Theory};
use crate::stats::ShareInterval;

/// A number with the interval of it that the data allow, at 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Span {
    value: f64,
    low: f64,
    high: f64,
}

/// A limiter with its parameters. What it does not have is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Limiter {
    /// As the simulator's table calls it.
    model: String,
    words: String,
    refused_requests: Counting,
    block: Block,
    limit: u32,
    time_s: Option<f64>,
    /// When a window or tick began, or will, on the clock of the log.
    phase_s: Option<f64>,
    tick_s: Option<f64>,
    block_s: Option<f64>,
}

/// Whether refused requests use up the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Counting {
    Free,
    Counted,
}

/// What a refusal brings with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Block {
    None,
    Fixed,
    Extended,
}

/// One of the limiters of the best explanation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Tier {
    #[serde(flatten)]
    limiter: Limiter,
    limit_low: u32,
    limit_high: u32,
    time: Option<Span>,
    rate_per_s: Option<Span>,
    block_time: Option<Span>,
    burst: u32,
    recovery_s: f64,
}

/// An explanation and how good it is; lower is better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Candidate {
    tiers: Vec<Limiter>,
    bic: Option<f64>,
    surprises: usize,
    stalled: usize,
}

/// What the requests of another key tell of a limiter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Scope {
    tier: usize,
    key: usize,
    label: String,
    differs: Vec<Difference>,
    shared: Answer,
    refused: u32,
    admitted: u32,
    controls: u32,
    strange: u32,
}

/// In what a key differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Difference {
    Token,
    Client,
    Resource,
    Method,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Yes,
    No,
    Unclear,
}

/// A prediction and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Test {
    share: f64,
    sent: u32,
    predicted: u32,
    expected: u32,
    tolerance: u32,
    admitted: u32,
    holds: bool,
}

/// The longest stretch without a refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stretch {
    pub(super) per_s: f64,
    pub(super) requests: u32,
}

/// A pace that was held, and what share of its requests was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pace {
    per_s: f64,
    requests: u32,
    refused: u32,
    refused_share: Span,
}

/// Why nothing more was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stop {
    why: Why,
    retry_after_s: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Why {
    Done,
    Requests,
    Time,
    Failures,
    RetryAfter,
    Interrupted,
    Silent,
    TurnedAway,
}

/// The limit to impose on oneself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Advised {
    /// As a scenario's `limit.rate` has it.
    rate: String,
    rate_per_s: f64,
    burst: u32,
    /// As a scenario's `limit.per` has it.
    per: String,
    tier: usize,
    largest_burst: u32,
    recovery_s: f64,
    window_s: f64,
}

/// The run that kept to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Proven {
    windows: u32,
    requests: u32,
    refused: u32,
    holds: bool,
}

/// What a part of it cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Cost {
    requests: u32,
    seconds: f64,
}

/// What it might have cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Bounds {
    requests: u32,
    seconds: f64,
    first_burst: u32,
    in_flight: u32,
    precision: f64,
}

impl Span {
    pub(super) fn of(Estimate { value, interval }: Estimate) -> Self {
        Self { value, low: interval.low, high: interval.high }
    }
}

impl Pace {
    pub(super) fn of(held: &Held) -> Self {
        let ShareInterval { low, high } = held.interval();
        let Held { rate, requests, refused } = *held;
        Self { per_s: rate, requests, refused, refused_share: Span { value: held.refused_share(), low, high } }
    }
}

impl Limiter {
    fn of(theory: &Theory) -> Self {
        let kind = theory.kind;
        Self {
            model: theory.limiter().model.name().to_owned(),
            words: kind.to_string(),
            refused_requests: match kind.refusals {
                Refusals::Free => Counting::Free,
                Refusals::Counted => Counting::Counted,
            },
            block: match kind.penalty {
                Penalty::None => Block::None,
                Penalty::Fixed => Block::Fixed,
                Penalty::Extended => Block::Extended,
            },
            limit: theory.limit,
            time_s: theory.rate().map(|_| theory.time),
            phase_s: theory.cycle().map(|_| theory.phase),
            tick_s: theory.cycle().filter(|_| kind.is_bucket()),
            block_s: (kind.penalty != Penalty::None).then_some(theory.penalty),
        }
    }
}

impl Tier {
    pub(super) fn of(figures: &Figures) -> Self {
        Self {
            limiter: Limiter::of(&figures.theory),
            limit_low: figures.limits.0,
            limit_high: figures.limits.1,
            time: figures.time.map(Span::of),
            rate_per_s: figures.rate.map(Span::of),
            block_time: figures.block.map(Span::of),
            burst: figures.burst(),
            recovery_s: figures.theory.recovery(),
        }
    }
}

impl Candidate {
    pub(super) fn of(fit: &Fit) -> Self {
        let tiers = fit.hypothesis.tiers.iter().map(Limiter::of).collect();
        let bic = Some(fit.bic).filter(|bic| bic.is_finite());
        Self { tiers, bic, surprises: fit.surprises, stalled: fit.stalled }
    }
}

impl Scope {
    pub(super) fn of(sharing: &Sharing, key: Option<&Key>) -> Self {
        let difference = |dimension: &Dimension| match dimension {
            Dimension::Token => Difference::Token,
            Dimension::Client => Difference::Client,
            Dimension::Resource => Difference::Resource,
            Dimension::Method => Difference::Method,
        };
        Self {
            tier: sharing.tier,
            key: sharing.key,
            label: key.map(|key| key.label.clone()).unwrap_or_default(),
            differs: key.map(|key| key.differs.iter().map(difference).collect()).unwrap_or_default(),
            shared: match sharing.shared() {
                Shared::Yes => Answer::Yes,
                Shared::No => Answer::No,
                Shared::Unclear => Answer::Unclear,
            },
            refused: sharing.refused,
            admitted: sharing.admitted,
            controls: sharing.controls,
            strange: sharing.strange,
        }
    }
}

impl Test {
    pub(super) fn of(check: &Check) -> Self {
        let Check { share, sent, predicted, expected, tolerance, admitted } = *check;
        Self { share, sent, predicted, expected, tolerance, admitted, holds: check.holds() }
    }
}

impl Advised {
    pub(super) fn of(advice: &Advice, is_per_token: bool) -> Self {
        Self {
            rate: advice.rate.to_string(),
            rate_per_s: advice.rate.per_second(),
            burst: advice.burst.get(),
            per: if is_per_token { "token" } else { "run" }.to_owned(),
            tier: advice.tier,
            largest_burst: advice.largest_burst,
            recovery_s: advice.recovery.as_secs_f64(),
            window_s: advice.window.as_secs_f64(),
        }
    }
}

impl Proven {
    pub(super) fn of(proof: &Proof) -> Self {
        let Proof { windows, requests, refused } = *proof;
        Self { windows, requests, refused, holds: proof.holds() }
    }
}

impl Cost {
    pub(super) fn of(spent: &Spent) -> Self {
        Self { requests: spent.requests, seconds: spent.time.as_secs_f64() }
    }
}

impl Stop {
    pub(super) fn of(stopped: Stopped) -> Self {
        let (why, retry_after) = match stopped {
            Stopped::Done => (Why::Done, None),
            Stopped::Requests => (Why::Requests, None),
            Stopped::Time => (Why::Time, None),
            Stopped::Failures => (Why::Failures, None),
            Stopped::Interrupted => (Why::Interrupted, None),
            Stopped::Silent => (Why::Silent, None),
            Stopped::TurnedAway => (Why::TurnedAway, None),
            Stopped::RetryAfter(wait) => (Why::RetryAfter, Some(wait.as_secs_f64())),
        };
        Self { why, retry_after_s: retry_after }
    }
}

impl Bounds {
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            requests: plan.requests,
            seconds: plan.time.as_secs_f64(),
            first_burst: plan.first_burst,
            in_flight: plan.widest,
            precision: plan.precision,
        }
    }
}
