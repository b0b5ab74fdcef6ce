//! How far the time of a fit may be off.

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

/// Half of the 95 % quantile of chi-squared with one degree of freedom: how far the log-likelihood may fall.
const LIKELY: f64 = 1.92;

impl Fit {
    /// The lengths of time under which the fit explains almost as much, its phase fitted anew.
    #[must_use]
    pub fn time(&self, log: &Log) -> Interval {
        let [low, high] = self.ends(&Events::of(log), 0);
        Interval { low: low.tiers[0].time, high: high.tiers[0].time }
    }

    /// The hypotheses with the shortest and the longest time of a tier that explain the events almost as well.
    pub(super) fn ends(&self, events: &Events, tier: usize) -> [Hypothesis; 2] {
        [-1.0, 1.0].map(|sign| {
            let (mut inside, mut step) = (0.0_f64, 1e-6_f64);
            let mut end = self.hypothesis.clone();
            while step < 0.5 {
                let Some(held) = self.held(events, tier, (&end, sign * step)) else {
                    break;
                };
                (end, inside) = (held, step);
                step *= 2.0;
            }
            let mut outside = step;
            for _ in 0..5 {
                let middle = f64::midpoint(inside, outside);
                match self.held(events, tier, (&end, sign * middle)) {
                    Some(held) => (end, inside) = (held, middle),
                    None => outside = middle,
                }
            }
            end.tiers[tier].time = self.hypothesis.tiers[tier].time * (1.0 + sign * outside);
            end
        })
    }

    /// The hypothesis with a time that is so much longer, in parts of it, where it explains almost as much.
    fn held(&self, events: &Events, tier: usize, (last, off): (&Hypothesis, f64)) -> Option<Hypothesis> {
        let theory = self.hypothesis.tiers[tier];
        let floor = self.log_likelihood - LIKELY;
        let near = last.tiers[tier].phase - theory.phase;
        let cycle = theory.cycle().unwrap_or(0.0);
        let shifts: &[f64] = if cycle > 0.0 { &[0.0, -0.5, 0.5, -1.0, 1.0, -2.0, 2.0, -4.0, 4.0] } else { &[0.0] };
        shifts.iter().find_map(|shift| {
            let mut hypothesis = self.hypothesis.clone();
            let phase = theory.phase + near + shift * off * cycle;
            hypothesis.tiers[tier] = Theory { time: theory.time * (1.0 + off), phase, ..theory };
            score(events, &hypothesis, Terms { blur: 0.0, floor }).map(|_| hypothesis)
        })
    }
}
