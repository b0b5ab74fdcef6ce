//! How far the lengths of time of a fit may be off.

use super::events::Events;
use super::fit::Fit;
use super::log::Log;
use super::score::{Terms, score};
use super::theory::{Hypothesis, Theory};

/// The values of a parameter that the data allow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Interval {
    pub(super) fn middle(self) -> f64 {
        f64::midpoint(self.low, self.high)
    }
}

/// A length of time that a limiter has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// Of its window, or the time in which one request is regained.
    Time,
    /// For which a refusal blocks.
    Block,
}

impl Length {
    /// Those that a limiter has.
    pub(super) fn all(theory: &Theory) -> &'static [Self] {
        if theory.kind.blocks() { &[Self::Time, Self::Block] } else { &[Self::Time] }
    }

    pub(super) fn of(self, theory: &Theory) -> f64 {
        match self {
            Self::Time => theory.time,
            Self::Block => theory.penalty,
        }
    }

    /// The same limiter with another one.
    pub(super) fn with(self, theory: Theory, length: f64) -> Theory {
        match self {
            Self::Time => Theory { time: length, ..theory },
            Self::Block => Theory { penalty: length, ..theory },
        }
    }
}

/// Half of the 95 % quantile of chi-squared with one degree of freedom: how far the log-likelihood may fall.
const LIKELY: f64 = 1.92;

impl Fit {
    /// The lengths of time under which the fit explains almost as much, its phase fitted anew.
    #[must_use]
    pub fn time(&self, log: &Log) -> Interval {
        self.length(&Events::of(log), Length::Time)
    }

    /// The lengths of the first limiter under which the fit explains almost as much.
    pub(super) fn length(&self, events: &Events, length: Length) -> Interval {
        let [low, high] = self.ends(events, length).map(|end| length.of(&end.tiers[0]));
        Interval { low, high }
    }

    /// The hypotheses with the least and the greatest length of the first limiter that explain the events almost as well.
    pub(super) fn ends(&self, events: &Events, length: Length) -> [Hypothesis; 2] {
        [-1.0, 1.0].map(|sign| {
            let (mut inside, mut step) = (0.0_f64, 1e-6_f64);
            let mut end = self.hypothesis.clone();
            while step < 0.5 {
                let Some(held) = self.held(events, length, (&end, sign * step)) else {
                    break;
                };
                (end, inside) = (held, step);
                step *= 2.0;
            }
            let mut outside = step;
            for _ in 0..5 {
                let middle = f64::midpoint(inside, outside);
                match self.held(events, length, (&end, sign * middle)) {
                    Some(held) => (end, inside) = (held, middle),
                    None => outside = middle,
                }
            }
            let outermost = length.of(&self.hypothesis.tiers[0]) * (1.0 + sign * outside);
            end.tiers[0] = length.with(end.tiers[0], outermost);
            end
        })
    }

    /// The hypothesis with a length that is so much greater, in parts of it, where it explains almost as much.
    fn held(&self, events: &Events, length: Length, (last, off): (&Hypothesis, f64)) -> Option<Hypothesis> {
        let theory = self.hypothesis.tiers[0];
        let floor = self.log_likelihood - LIKELY;
        let near = last.tiers[0].phase - theory.phase;
        // A block has no part in when windows begin.
        let cycle = theory.cycle().filter(|_| length == Length::Time).unwrap_or(0.0);
        let shifts: &[f64] = if cycle > 0.0 { &[0.0, -0.5, 0.5, -1.0, 1.0, -2.0, 2.0, -4.0, 4.0] } else { &[0.0] };
        shifts.iter().find_map(|shift| {
            let mut hypothesis = self.hypothesis.clone();
            let phase = theory.phase + near + shift * off * cycle;
            hypothesis.tiers[0] = Theory { phase, ..length.with(theory, length.of(&theory) * (1.0 + off)) };
            score(events, &hypothesis, Terms { blur: 0.0, floor }).map(|_| hypothesis)
        })
    }
}
