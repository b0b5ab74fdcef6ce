//! When an answer is put to the test, what the test taught, and which pace follows from it.

use std::time::Duration;

use super::super::advice::Advice;
use super::super::events::Events;
use super::super::finding::{Check, Spent, Verdict};
use super::super::fit::{Effort, Fit};
use super::super::rivals;
use super::super::schedules::Terms;
use super::super::verify::Verification;
use super::{CLEAR, Profiler, Stage};

impl Profiler {
    /// Takes note of what came of a test that is over.
    pub(super) fn take_test(&mut self, verification: &Verification) {
        let checks = verification.checks(&self.log, &self.course);
        let holds = checks.iter().all(Check::holds);
        self.finding.checks.extend(checks);
        self.finding.verdict = if holds { Verdict::Identified } else { Verdict::NotConfirmed };
        if let Some((advice, proof)) = verification.proof(&self.log, &self.course) {
            (self.finding.advice, self.finding.proof) = (Some(advice), Some(proof));
        }
    }

    /// What pace to recommend in the end: the one that was put to the test, else what follows from the best that is known
    /// and from all that explain as much; none where nothing explains what was seen.
    pub(super) fn advise(&mut self) {
        let stands =
            matches!(self.finding.verdict, Verdict::Identified | Verdict::NotVerified | Verdict::Equivalent(_));
        if !stands {
            (self.finding.advice, self.finding.proof) = (None, None);
            return;
        }
        if self.finding.advice.is_some() && self.finding.proof.is_some() {
            return;
        }
        let of_best = self.finding.best.as_ref().map(|best| (&best.hypothesis, self.finding.tiers.as_slice()));
        let rivals = rivals::of(&self.fits, CLEAR);
        let of_rivals = rivals.iter().map(|rival| (&rival.hypothesis, [].as_slice()));
        let all = of_best.into_iter().chain(of_rivals);
        let each = all.filter_map(|(hypothesis, measured)| Advice::of(hypothesis, measured));
        self.finding.advice = each.reduce(Advice::stricter);
    }

    /// The test itself is evidence, too: what it tells of the numbers, and whether the answer still stands.
    pub(super) fn learn_from_test(&mut self, events: &Events) {
        self.refit(events, Effort::Full);
        let Some(best) = self.fits.first() else {
            return;
        };
        let is_same = self.finding.best.as_ref().is_some_and(|fit| fit.hypothesis.is_like(&best.hypothesis));
        if !is_same || best.surprises > rivals::allowed(events) {
            self.finding.verdict = Verdict::NotConfirmed;
        }
        let best = best.clone();
        self.finding.best = Some(best.clone());
        self.measure(&best, events);
    }

    pub(super) fn verify(&mut self, best: &Fit, events: &Events, (now, terms): (Duration, Terms)) {
        let terms = Terms { time: self.plan.time.saturating_sub(now), ..terms };
        self.finding.before_test = Some(Spent { requests: self.sent, time: now });
        (self.finding.advice, self.finding.proof) = (None, None);
        let Some((verification, course)) = Verification::of(best, &self.finding, events, (now, terms)) else {
            self.finding.verdict = Verdict::NotVerified;
            return self.conclude();
        };
        self.stage = Stage::Verifying(Box::new(verification));
        self.course = course;
    }
}
