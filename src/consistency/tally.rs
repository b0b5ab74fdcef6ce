//! Counts what is found, and puts the first of each kind into words.

use super::history::REPEATED;
use super::lines::Line;
use crate::measure::{Check, Mode, Repetitions, VariantChecks, Violation};

/// What was found of which variant.
#[derive(Debug)]
pub(super) struct Finding<'a> {
    pub(super) variant: usize,
    pub(super) check: Check,
    /// When the write was sent: of all findings of a kind the first in time is told.
    pub(super) at: u64,
    pub(super) of: Of<'a>,
}

/// What something was found of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) row: u32,
    pub(super) key: &'a str,
    /// The number of the operation; `None` where it is that of no operation.
    pub(super) value: Option<u64>,
}

/// Counts by variant and check.
#[derive(Debug)]
pub(super) struct Tally {
    variants: Vec<VariantChecks>,
    /// All that was found, where it is to be listed.
    list: Option<Vec<Line>>,
    /// The instants of the samples, by variant and check.
    told: Vec<[u64; Check::ALL.len()]>,
    /// The same of violations, by variant and mode.
    violated: Vec<[u64; Mode::ALL.len()]>,
}

impl Tally {
    pub(super) fn new(variants: usize) -> Self {
        let told = vec![[u64::MAX; Check::ALL.len()]; variants];
        let violated = vec![[u64::MAX; Mode::ALL.len()]; variants];
        Self { variants: vec![VariantChecks::default(); variants], list: None, told, violated }
    }

    /// One that lists what is found, too, but for writes that were seen.
    pub(super) fn listing(variants: usize) -> Self {
        Self { list: Some(Vec::new()), ..Self::new(variants) }
    }

    /// Counts cases in which something would have been found.
    pub(super) fn check(&mut self, variant: usize, check: Check, cases: u64) {
        if let Some(checks) = self.variants.get_mut(variant) {
            checks.findings[check.index()].checked += cases;
        }
    }

    /// Counts cases in which something was found; that they were checked is counted apart.
    pub(super) fn find(&mut self, finding: &Finding<'_>, cases: u64, text: impl FnOnce() -> String) {
        let Finding { variant, check, at, of } = *finding;
        let Some(checks) = self.variants.get_mut(variant) else { return };
        let findings = &mut checks.findings[check.index()];
        findings.found += cases;
        let told = &mut self.told[variant][check.index()];
        let is_first = findings.sample.is_none() || at < *told;
        let list = self.list.as_mut().filter(|_| check != Check::Visible);
        if !is_first && list.is_none() {
            return;
        }
        let text = text();
        if let Some(list) = list {
            list.push(line(of, at, check.name(), &text));
        }
        if is_first {
            *told = at;
            findings.sample = Some(text);
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

    /// Counts a repetition of one variant in one mode that violates, whose first read was sent `at`.
    pub(super) fn violate(
        &mut self,
        (variant, mode): (usize, Mode),
        at: u64,
        of: Of<'_>,
        what: impl FnOnce() -> Violation,
    ) {
        let Some(counts) = self.variants.get_mut(variant).map(|checks| &mut checks.repetitions[mode.index()]) else {
            return;
        };
        counts.violations += 1;
        let told = &mut self.violated[variant][mode.index()];
        let is_first = counts.sample.is_none() || at < *told;
        if !is_first && self.list.is_none() {
            return;
        }
        let what = what();
        if let Some(list) = &mut self.list {
            list.push(line(of, at, mode.name(), &what.text));
        }
        if is_first {
            *told = at;
            counts.sample = Some(what);
        }
    }

    pub(super) fn into_list(self) -> Vec<Line> {
        self.list.unwrap_or_default()
    }

    pub(super) fn into_variants(self) -> Vec<VariantChecks> {
        self.variants
    }
}

impl Finding<'_> {
    /// Counts one case that was checked, and that something was found.
    pub(super) fn count(&self, tally: &mut Tally, text: impl FnOnce() -> String) {
        tally.check(self.variant, self.check, 1);
        tally.find(self, 1, text);
    }
}

/// What was found of something at an instant, in nanoseconds: as what, and in words.
fn line(of: Of<'_>, at: u64, found: &str, text: &str) -> Line {
    let Of { row, key, value } = of;
    let (key, found, text) = (key.to_owned(), found.to_owned(), text.to_owned());
    Line::Finding { row: u64::from(row) + 1, key, value, at_us: at / 1_000, found, text }
}

/// An operation by its number. What tells one that is repeated, and the requests of it that differ, is not said as a number.
pub(super) fn operation(value: u64) -> String {
    if value < REPEATED { format!("operation {value}") } else { format!("repeated operation {}", value % REPEATED) }
}

/// An instant of the run in seconds, to the millisecond.
pub(super) fn instant(nanos: u64) -> String {
    let millis = nanos / 1_000_000;
    format!("{}.{:03}s", millis / 1000, millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Of<'_> = Of { row: 0, key: "ref", value: Some(1) };

    #[test]
    fn a_list_has_all_that_is_found_but_writes_that_were_seen() {
        let mut tally = Tally::listing(1);
        for (check, at) in [(Check::Lost, 5), (Check::Visible, 4), (Check::Lost, 7)] {
            tally.find(&Finding { variant: 0, check, at, of: OF }, 1, || instant(at * 1_000_000_000));
        }
        tally.violate((0, Mode::Replay), 1, OF, || Violation { text: "differs".into(), requests: vec![] });
        let lost = |at: u64| line(OF, at, "lost", &instant(at * 1_000_000_000));
        let expected = [lost(5), lost(7), line(OF, 1, "replay", "differs")];
        assert_eq!(tally.into_list(), expected);
    }

    #[test]
    fn the_first_in_time_is_told_whatever_the_order_of_finding() {
        let mut tally = Tally::new(1);
        for at in [5, 3, 4] {
            tally.find(&Finding { variant: 0, check: Check::Lost, at, of: OF }, 1, || instant(at * 1_500_000_000));
        }
        tally.check(0, Check::Lost, 7);
        let variants = tally.into_variants();
        let lost = &variants[0].findings[Check::Lost.index()];
        assert_eq!((lost.checked, lost.found, lost.sample.as_deref()), (7, 3, Some("4.500s")));
    }

    #[test]
    fn findings_of_a_variant_that_the_run_does_not_have_are_dropped() {
        let mut tally = Tally::new(0);
        tally.find(&Finding { variant: 0, check: Check::Lost, at: 0, of: OF }, 1, String::new);
        assert!(tally.into_variants().is_empty());
    }

    #[test]
    fn operations_that_were_repeated_are_named_after_those_of_the_load() {
        assert_eq!(operation(REPEATED + 7), "repeated operation 7");
        assert_eq!(operation(3 * REPEATED + 7), "repeated operation 7", "with another body");
        assert_eq!(operation(7), "operation 7");
    }
}
