//! Windows that end, while others send requests that nobody here sees.

use super::belief::{Belief, Drift};
use super::{Crowded, portions_of};
use crate::profile::events::Event;
use crate::profile::score::{admission, softened};
use crate::profile::theory::Family;

/// Histories that are kept, fewer where arrivals are unsure anyway, and how much likelier than those that are not.
const MOST: usize = 24;
const FEW: usize = 6;
const NEGLIGIBLE: f64 = 1e-4;

/// Instants at which others may have opened a window before us; fewer where arrivals are unsure anyway.
const OPENINGS: u32 = 12;
const FEW_OPENINGS: u32 = 4;

/// Less than this chance that others opened a window before us is none.
const HARDLY: f64 = 0.02;

/// What may have happened so far: which window is open, and how much of it is used.
#[derive(Debug, Clone)]
struct Branch {
    chance: f64,
    /// When its window ends, and how surely that is known.
    end: f64,
    soft: f64,
    /// Our own requests in it.
    own: u32,
    others: Belief,
    /// Until when others are accounted for.
    at: f64,
}

/// A fixed window, from its first request or on a clock, that others use, too.
pub(super) struct Windows {
    crowded: Crowded,
    branches: Vec<Branch>,
}

impl Windows {
    pub(super) fn new(crowded: Crowded, first: f64) -> Self {
        let mut windows = Self { crowded, branches: Vec::new() };
        // Others have been there for long.
        windows.branches = windows.opened(first - crowded.theory.time * 10.0, first, (0.0, 0.0));
        windows
    }

    /// The probability of what became of a request, which is then known.
    pub(super) fn judge(&mut self, event: &Event, blur: f64, admitted: bool) -> f64 {
        let at = event.at.as_secs_f64();
        let sigma = event.sigma + blur;
        let limit = self.crowded.theory.limit;
        let mut next = Vec::with_capacity(self.branches.len() * 2);
        for branch in std::mem::take(&mut self.branches) {
            let over = admission(at - branch.end, branch.soft.hypot(sigma));
            if over > NEGLIGIBLE {
                let opened = self.opened(branch.end, at.max(branch.end), (sigma, blur));
                next.extend(opened.into_iter().map(|one| Branch { chance: one.chance * branch.chance * over, ..one }));
            }
            if over < 1.0 - NEGLIGIBLE {
                let mut same = branch;
                let room = limit.saturating_sub(same.own);
                let births = self.crowded.others * (at - same.at).max(0.0);
                same.others.pass(Drift { births, deaths: 0.0, drained: 0.0, most: portions_of(room) });
                same.chance *= 1.0 - over;
                same.at = same.at.max(at);
                next.push(same);
            }
        }
        let mut total = 0.0;
        for branch in &mut next {
            let left = limit.checked_sub(branch.own + 1).map(portions_of);
            let room = branch.others.up_to(left);
            let likely = if admitted { room } else { 1.0 - room };
            total += branch.chance * likely;
            branch.chance *= softened(likely);
            branch.others.learn(left, admitted);
            branch.own += u32::from(admitted);
        }
        self.branches = likeliest(next, if blur > 0.0 { FEW } else { MOST });
        total
    }

    /// The windows that may be open when a request comes, the one before having ended.
    fn opened(&self, ended: f64, at: f64, (sigma, blur): (f64, f64)) -> Vec<Branch> {
        let openings = if blur > 0.0 { FEW_OPENINGS } else { OPENINGS };
        let theory = &self.crowded.theory;
        if theory.kind.family == Family::ClockWindow {
            let number = ((at + sigma - theory.phase) / theory.time).floor();
            let begin = theory.phase + number * theory.time;
            return vec![self.branch(1.0, (begin, at), 0.0)];
        }
        let (others, gap) = (self.crowded.others, at - ended);
        let ours = if gap < theory.time { (-others * gap).exp() } else { 1.0 / (1.0 + others * theory.time) };
        if 1.0 - ours < HARDLY {
            return vec![self.branch(1.0, (at, at), sigma)];
        }
        let mut found = vec![self.branch(ours, (at, at), sigma)];
        let long = gap.min(theory.time);
        let soft = long / f64::from(openings) / 3.0;
        let parts = (0..openings).map(|n| (f64::from(n) + 0.5) / f64::from(openings));
        // After a long pause any of the windows of others may be open, else the first one, soon after the end.
        let weights: Vec<_> = parts
            .map(|part| if gap < theory.time { (part, (-others * part * gap).exp()) } else { (1.0 - part, 1.0) })
            .collect();
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        found.extend(weights.into_iter().map(|(part, weight)| {
            let begin = at - long * (1.0 - part);
            Branch { own: 0, ..self.branch((1.0 - ours) * weight / sum, (begin, at), soft) }
        }));
        found
    }

    fn branch(&self, chance: f64, (begin, at): (f64, f64), soft: f64) -> Branch {
        let theory = &self.crowded.theory;
        let most = portions_of(theory.limit);
        let others = Belief::poisson(self.crowded.others * (at - begin).max(0.0), most);
        Branch { chance, end: begin + theory.time, soft, own: 0, others, at }
    }
}

/// The likeliest of these, as shares of all.
fn likeliest(mut branches: Vec<Branch>, most: usize) -> Vec<Branch> {
    branches.sort_by(|a, b| b.chance.total_cmp(&a.chance));
    branches.truncate(most);
    let best = branches.first().map_or(0.0, |branch| branch.chance);
    branches.retain(|branch| branch.chance >= best * NEGLIGIBLE);
    let sum: f64 = branches.iter().map(|branch| branch.chance).sum();
    for branch in &mut branches {
        branch.chance /= sum;
    }
    branches
}
