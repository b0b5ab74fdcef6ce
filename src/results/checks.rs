//! What the checks found: two tables, and the part of `run.json` from which both are made anew.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::tables::{estimate, table, write};
use super::{Estimate, log};
use crate::measure::{
    Check, Checks, Effort, Findings, Header, Merge, Mode, Repetitions, VariantChecks, Violation, quantile,
};

/// Columns of `idempotency.csv`.
const IDEMPOTENCY_COLUMNS: [&str; 13] = [
    "target",
    "variant",
    "mode",
    "pairs",
    "same_status",
    "same_response",
    "same_state",
    "violations",
    "violation_rate",
    "violation_rate_low",
    "violation_rate_high",
    "inconclusive",
    "sample",
];

/// Columns of `consistency.csv`.
const CONSISTENCY_COLUMNS: [&str; 9] =
    ["target", "variant", "check", "checked", "found", "rate", "rate_low", "rate_high", "sample"];

/// `idempotency.csv`: a row per variant and mode in which anything was repeated.
pub(super) fn idempotency(header: &Header, checks: &Checks) -> Vec<u8> {
    table(&IDEMPOTENCY_COLUMNS, |writer| {
        for (name, variant) in header.variants.iter().zip(&checks.variants) {
            for (mode, repetitions) in repeated(variant) {
                let Repetitions { pairs, violations, inconclusive, .. } = *repetitions;
                let mut cells = vec![header.target.clone(), name.clone(), mode.to_string()];
                let same = [repetitions.same_status, repetitions.same_response, repetitions.same_state];
                cells.extend([pairs].into_iter().chain(same).chain([violations]).map(|count| count.to_string()));
                cells.extend(estimate(Estimate::of_cases(violations, pairs)));
                cells.push(inconclusive.to_string());
                cells.push(repetitions.sample.as_ref().map(|sample| sample.text.clone()).unwrap_or_default());
                write(writer, &cells);
            }
        }
    })
}

/// The modes in which operations of a variant were repeated, also where nobody can judge any of them.
fn repeated(variant: &VariantChecks) -> impl Iterator<Item = (Mode, &Repetitions)> {
    Mode::ALL.into_iter().zip(&variant.repetitions).filter(|(_, mode)| mode.pairs + mode.inconclusive > 0)
}

/// `consistency.csv`: a row per variant and check.
pub(super) fn consistency(header: &Header, checks: &Checks) -> Vec<u8> {
    table(&CONSISTENCY_COLUMNS, |writer| {
        for (name, variant) in header.variants.iter().zip(&checks.variants) {
            for (check, Findings { checked, found, sample }) in Check::ALL.into_iter().zip(&variant.findings) {
                let mut cells = vec![header.target.clone(), name.clone(), check.to_string()];
                cells.extend([checked, found].map(u64::to_string));
                cells.extend(estimate(Estimate::of_cases(*found, *checked)));
                cells.push(sample.clone().unwrap_or_default());
                write(writer, &cells);
            }
        }
    })
}

/// [`Checks`] with names instead of positions.
#[derive(Serialize, Deserialize)]
pub(super) struct CheckSums {
    /// Missing where nothing proves what a write does to the keys that it does not name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merge: Option<Merge>,
    effort: Effort,
    variants: Vec<VariantSums>,
}

#[derive(Serialize, Deserialize)]
struct VariantSums {
    name: String,
    idempotency: Vec<ModeRow>,
    consistency: Vec<CheckRow>,
    visible: Durations,
    resolution: Durations,
}

#[derive(Serialize, Deserialize)]
struct ModeRow {
    mode: Mode,
    pairs: u64,
    same_status: u64,
    same_response: u64,
    same_state: u64,
    violations: u64,
    inconclusive: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sample: Option<Violation>,
}

#[derive(Serialize, Deserialize)]
struct CheckRow {
    check: Check,
    checked: u64,
    found: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sample: Option<String>,
}

/// Durations for people, and the histogram for this program: these are in no other file.
#[derive(Serialize, Deserialize)]
struct Durations {
    count: u64,
    p50_us: Option<u64>,
    p90_us: Option<u64>,
    p99_us: Option<u64>,
    max_us: Option<u64>,
    histogram: String,
}

impl CheckSums {
    pub(super) fn of(header: &Header, checks: &Checks) -> Self {
        let variants = header.variants.iter().zip(&checks.variants);
        let variants = variants.map(|(name, variant)| VariantSums {
            name: name.clone(),
            idempotency: repeated(variant).map(ModeRow::of).collect(),
            consistency: Check::ALL.into_iter().zip(&variant.findings).map(CheckRow::of).collect(),
            visible: Durations::of(&variant.visible),
            resolution: Durations::of(&variant.resolution),
        });
        Self { merge: checks.merge, effort: checks.effort, variants: variants.collect() }
    }

    /// What it was made of; the error says what is wrong with it.
    pub(super) fn into_checks(self, header: &Header) -> Result<Checks, String> {
        if !self.variants.iter().map(|variant| &variant.name).eq(&header.variants) {
            return Err("`checks.variants` has other names than `variants`".to_owned());
        }
        let variants = self.variants.into_iter().map(VariantSums::into_checks).collect::<Result<_, _>>()?;
        Ok(Checks { variants, merge: self.merge, effort: self.effort })
    }
}

impl VariantSums {
    fn into_checks(self) -> Result<VariantChecks, String> {
        let mut checks = VariantChecks {
            visible: log::decode(&self.visible.histogram)?,
            resolution: log::decode(&self.resolution.histogram)?,
            ..VariantChecks::default()
        };
        for row in self.idempotency {
            checks.repetitions[row.mode.index()] = Repetitions {
                pairs: row.pairs,
                same_status: row.same_status,
                same_response: row.same_response,
                same_state: row.same_state,
                violations: row.violations,
                inconclusive: row.inconclusive,
                sample: row.sample,
            };
        }
        for CheckRow { check, checked, found, sample } in self.consistency {
            checks.findings[check.index()] = Findings { checked, found, sample };
        }
        Ok(checks)
    }
}

impl ModeRow {
    fn of((mode, of): (Mode, &Repetitions)) -> Self {
        Self {
            mode,
            pairs: of.pairs,
            same_status: of.same_status,
            same_response: of.same_response,
            same_state: of.same_state,
            violations: of.violations,
            inconclusive: of.inconclusive,
            sample: of.sample.clone(),
        }
    }
}

impl CheckRow {
    fn of((check, of): (Check, &Findings)) -> Self {
        Self { check, checked: of.checked, found: of.found, sample: of.sample.clone() }
    }
}

impl Durations {
    fn of(histogram: &Histogram<u64>) -> Self {
        let [p50_us, p90_us, p99_us, max_us] = [50.0, 90.0, 99.0, 100.0].map(|percent| quantile(histogram, percent));
        Self { count: histogram.len(), p50_us, p90_us, p99_us, max_us, histogram: log::encode(histogram) }
    }
}
