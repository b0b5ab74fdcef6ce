//! Counts what is found, and puts the first of each kind into words.

use super::history::REPEATED;
use crate::measure::{Check, Mode, Repetitions, VariantChecks, Violation};

/// What was found of which variant.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) variant: usize,
    pub(super) check: Check,
    /// When the write was sent: of all findings of a kind the first in time is told.
    pub(super) at: u64,
}

/// Counts by variant and check.
#[derive(Debug)]
pub(super) struct Tally {
    variants: Vec<VariantChecks>,
    /// The instants of the samples, by variant and check.
    told: Vec<[u64; Check::ALL.len()]>,
    /// The same of violations, by variant and mode.
    violated: Vec<[u64; Mode::ALL.len()]>,
}

impl Tally {
    pub(super) fn new(variants: usize) -> Self {
        let told = vec![[u64::MAX; Check::ALL.len()]; variants];
        let violated = vec![[u64::MAX; Mode::ALL.len()]; variants];
        Self { variants: vec![VariantChecks::default(); variants], told, violated }
    }

    /// Counts cases in which something would have been found.
    pub(super) fn check(&mut self, variant: usize, check: Check, cases: u64) {
        if let Some(checks) = self.variants.get_mut(variant) {
            checks.findings[check.index()].checked += cases;
        }
    }

    /// Counts cases in which something was found; that they were checked is counted apart.
    pub(super) fn find(&mut self, finding: &Finding, cases: u64, text: impl FnOnce() -> String) {
        let Finding { variant, check, at } = *finding;
        let Some(checks) = self.variants.get_mut(variant) else { return };
        let findings = &mut checks.findings[check.index()];
        findings.found += cases;
        let told = &mut self.told[variant][check.index()];
        if findings.sample.is_none() || at < *told {
            *told = at;
            findings.sample = Some(text());
        }
    }

    /// Records when a write was first seen, and how exactly that is known, both in nanoseconds.
    pub(super) fn seen_after(&mut self, variant: usize, time: u64, resolution: u64) {
        if let Some(checks) = self.variants.get_mut(variant) {
            checks.visible.saturating_record(time.div_ceil(1000));
            checks.resolution.saturating_record(resolution.div_ceil(1000));
        }
    }

    /// The counts of one variant in one mode.
    pub(super) fn repetitions(&mut self, variant: usize, mode: Mode) -> Option<&mut Repetitions> {
        self.variants.get_mut(variant).map(|checks| &mut checks.repetitions[mode.index()])
    }

    /// Counts a violation of one variant in one mode, whose first read was sent `at`.
    pub(super) fn violate(&mut self, variant: usize, mode: Mode, at: u64, what: impl FnOnce() -> Violation) {
        let Some(counts) = self.variants.get_mut(variant).map(|checks| &mut checks.repetitions[mode.index()]) else {
            return;
        };
        counts.violations += 1;
        let told = &mut self.violated[variant][mode.index()];
        if counts.sample.is_none() || at < *told {
            *told = at;
            counts.sample = Some(what());
        }
    }

    pub(super) fn into_variants(self) -> Vec<VariantChecks> {
        self.variants
    }
}

impl Finding {
    /// Counts one case that was checked, and that something was found.
    pub(super) fn count(&self, tally: &mut Tally, text: impl FnOnce() -> String) {
        tally.check(self.variant, self.check, 1);
        tally.find(self, 1, text);
    }
}

/// An operation by its number.
pub(super) fn operation(value: u64) -> String {
    if value < REPEATED { format!("operation {value}") } else { format!("repeated operation {}", value - REPEATED) }
}

/// An instant of the run in seconds, to the millisecond.
pub(super) fn instant(nanos: u64) -> String {
    let millis = nanos / 1_000_000;
    format!("{}.{:03}s", millis / 1000, millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_in_time_is_told_whatever_the_order_of_finding() {
        let mut tally = Tally::new(1);
        for at in [5, 3, 4] {
            tally.find(&Finding { variant: 0, check: Check::Lost, at }, 1, || instant(at * 1_500_000_000));
        }
        tally.check(0, Check::Lost, 7);
        let variants = tally.into_variants();
        let lost = &variants[0].findings[Check::Lost.index()];
        assert_eq!((lost.checked, lost.found, lost.sample.as_deref()), (7, 3, Some("4.500s")));
    }

    #[test]
    fn findings_of_a_variant_that_the_run_does_not_have_are_dropped() {
        let mut tally = Tally::new(0);
        tally.find(&Finding { variant: 0, check: Check::Lost, at: 0 }, 1, String::new);
        assert!(tally.into_variants().is_empty());
    }

    #[test]
    fn operations_that_were_repeated_are_named_after_those_of_the_load() {
        assert_eq!(operation(REPEATED + 7), "repeated operation 7");
        assert_eq!(operation(7), "operation 7");
    }
}
