//! What one key has used up, and which model answers for it.

use super::Model;
use super::bucket::{Level, TokenBucket, Tokens};
use super::concurrency::InFlight;
use super::gcra::Expected;
use super::sliding_counter::Counters;
use super::sliding_log::Log;
use super::window::Open;

/// What one key has used up, in the terms of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Used {
    FirstRequestWindow(Open),
    ClockWindow(Open),
    SlidingLog(Log),
    SlidingCounter(Counters),
    FlooredCounter(Counters),
    AnchoredCounter(Counters),
    TokenBucket(Tokens),
    TickingBucket(Tokens),
    Gcra(Expected),
    LeakyMeter(Level),
    LeakyQueue(Expected),
    Concurrency(InFlight),
}

impl Used {
    /// Nothing is used up.
    pub(super) fn fresh(model: Model) -> Self {
        match model {
            Model::FirstRequestWindow { .. } => Self::FirstRequestWindow(Open::default()),
            Model::ClockWindow { .. } => Self::ClockWindow(Open::default()),
            Model::SlidingLog { .. } => Self::SlidingLog(Log::default()),
            Model::SlidingCounter { .. } => Self::SlidingCounter(Counters::default()),
            Model::FlooredCounter { .. } => Self::FlooredCounter(Counters::default()),
            Model::AnchoredCounter { .. } => Self::AnchoredCounter(Counters::default()),
            Model::TickingBucket { rate, burst, .. } => Self::TickingBucket(TokenBucket::new(rate, burst).full()),
            Model::TokenBucket { rate, burst } => Self::TokenBucket(TokenBucket::new(rate, burst).full()),
            Model::Gcra { .. } => Self::Gcra(Expected::default()),
            Model::LeakyMeter { .. } => Self::LeakyMeter(Level::default()),
            Model::LeakyQueue { .. } => Self::LeakyQueue(Expected::default()),
            Model::Concurrency { .. } => Self::Concurrency(InFlight::default()),
        }
    }
}

/// Evaluates an expression with the [`Rule`](super::rule::Rule) of a [`Limiter`](super::Limiter) and what a key has used up of it.
///
/// Each model has a type of state of its own, so the expression is compiled once for each: no call goes through a
/// pointer.
macro_rules! with_rule {
    ($limiter:expr, $used:expr, |$rule:ident, $state:ident| $do:expr) => {
        with_rule!(@of $limiter, $used, |$rule, $state| $do;
            FirstRequestWindow { rate }, $crate::quota::window::FixedWindow::from_first_request(rate);
            ClockWindow { rate }, $crate::quota::window::FixedWindow::on_clock(rate);
            SlidingLog { rate }, $crate::quota::sliding_log::SlidingLog::new(rate, $limiter.slow);
            SlidingCounter { rate }, $crate::quota::sliding_counter::SlidingCounter::exact(rate);
            FlooredCounter { rate }, $crate::quota::sliding_counter::SlidingCounter::floored(rate);
            AnchoredCounter { rate }, $crate::quota::sliding_counter::SlidingCounter::anchored(rate);
            TokenBucket { rate, burst }, $crate::quota::bucket::TokenBucket::new(rate, burst);
            TickingBucket { rate, burst, tick }, $crate::quota::ticking_bucket::TickingBucket::new(rate, burst, tick);
            Gcra { rate, burst }, $crate::quota::gcra::Gcra::new(rate, burst);
            LeakyMeter { rate, burst }, $crate::quota::bucket::LeakyMeter::new(rate, burst);
            LeakyQueue { rate, burst }, $crate::quota::queue::LeakyQueue::new(rate, burst);
            Concurrency { limit }, $crate::quota::concurrency::Concurrency::from(limit);
        )
    };
    (@of $limiter:expr, $used:expr, |$rule:ident, $state:ident| $do:expr;
        $($model:ident { $($field:ident),+ }, $new:expr;)+) => {
        match ($limiter.model, $used) {
            $(($crate::quota::Model::$model { $($field),+ }, $crate::quota::used::Used::$model($state)) => {
                let $rule = $new;
                $do
            })+
            _ => unreachable!("a state goes with the limiter that made it"),
        }
    };
}

pub(super) use with_rule;
