//! `run.json`: everything of a run but its histograms.

use std::borrow::Cow;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::checks::CheckSums;
use super::{Efficiency, Error};
use crate::judge::{Judged, Judgement, Reason, Verdict};
use crate::measure::{
    Blocks, Counts, Failure, FailureKey, Failures, Header, Logins, OTHER, Restoration, Retries, Run, SCHEMA, State,
    Totals, VariantTotals, Warning,
};

/// The whole of `run.json`.
#[derive(Serialize, Deserialize)]
struct Document<'a> {
    #[serde(flatten)]
    header: Cow<'a, Header>,
    state: State,
    warnings: Cow<'a, [Warning]>,
    /// Only of a run that has been judged: not while it goes on, nor when it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<ReasonRow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    thresholds: Vec<Judged>,
    /// Logins for the tokens; only where there were any.
    #[serde(default, skip_serializing_if = "is_nothing")]
    tokens: Logins,
    /// Only of a run whose attributes were put back, or were to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<Cow<'a, Restoration>>,
    /// Only of a run that checked anything, and not while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checks: Option<CheckSums>,
    totals: Sums,
}

fn is_nothing(logins: &Logins) -> bool {
    *logins == Logins::default()
}

/// A reason with the sentence that says it.
#[derive(Serialize, Deserialize)]
struct ReasonRow {
    #[serde(flatten)]
    reason: Reason,
    text: String,
}

/// What `run.json` says of a run beside its totals.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) header: &'a Header,
    pub(super) state: State,
    pub(super) warnings: &'a [Warning],
    pub(super) judgement: Option<&'a Judgement>,
    pub(super) restoration: Option<&'a Restoration>,
}

/// [`Totals`] without the histograms.
#[derive(Serialize, Deserialize)]
struct Sums {
    seconds: u64,
    elapsed_s: f64,
    /// Missing in folders of before there was a warm-up: all of the schedule was main.
    main_s: Option<f64>,
    blocks: Blocks,
    variants: Vec<VariantSums>,
    failures: Vec<FailureRow>,
    /// Only of a run with `[retry]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retries: Option<RetryRow>,
}

/// [`VariantTotals`] without the histograms, and with the name.
#[derive(Serialize, Deserialize)]
struct VariantSums {
    name: String,
    counts: Counts,
    blocks: Blocks,
}

/// What was tried again, with the figures that are computed from it.
#[derive(Serialize, Deserialize)]
struct RetryRow {
    #[serde(flatten)]
    counts: Retries,
    parked_peak: u64,
    attempts_per_operation: Option<f64>,
    goodput_per_s: Option<f64>,
    obeyed_share: Option<f64>,
}

impl RetryRow {
    fn of(totals: &Totals) -> Self {
        let Efficiency { attempts_per_operation, goodput_per_s, obeyed } = Efficiency::of(totals);
        let (counts, parked_peak) = (totals.retries, totals.parked_peak);
        Self { counts, parked_peak, attempts_per_operation, goodput_per_s, obeyed_share: obeyed }
    }
}

#[derive(Serialize, Deserialize)]
struct FailureRow {
    #[serde(flatten)]
    key: FailureKey,
    #[serde(flatten)]
    failure: Failure,
}

/// What tells whether the rest can be read.
#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// The bytes of `run.json`.
pub(super) fn write(said: Said<'_>, totals: &Totals) -> Vec<u8> {
    let Said { header, state, warnings, judgement, restoration } = said;
    let variants = header.variants.iter().zip(&totals.variants);
    let failures = totals.failures.iter();
    let document = Document {
        header: Cow::Borrowed(header),
        state,
        warnings: Cow::Borrowed(warnings),
        verdict: judgement.map(|judgement| judgement.verdict),
        reasons: judgement.map(|judgement| rows(&judgement.reasons)).unwrap_or_default(),
        thresholds: judgement.map(|judgement| judgement.thresholds.clone()).unwrap_or_default(),
        tokens: totals.logins,
        snapshot: restoration.map(Cow::Borrowed),
        checks: totals.checks.as_ref().map(|checks| CheckSums::of(header, checks)),
        totals: Sums {
            seconds: totals.seconds,
            elapsed_s: totals.elapsed_s,
            main_s: Some(totals.main_s),
            blocks: totals.blocks,
            variants: variants
                .map(|(name, variant)| VariantSums {
                    name: name.clone(),
                    counts: variant.counts,
                    blocks: variant.blocks,
                })
                .collect(),
            failures: failures
                .map(|(key, failure)| FailureRow { key: key.clone(), failure: failure.clone() })
                .collect(),
            retries: super::retries(header).then(|| RetryRow::of(totals)),
        },
    };
    let mut bytes = serde_json::to_vec_pretty(&document).expect("all keys are strings, and memory takes any bytes");
    bytes.push(b'\n');
    bytes
}

fn rows(reasons: &[Reason]) -> Vec<ReasonRow> {
    reasons.iter().map(|reason| ReasonRow { reason: reason.clone(), text: reason.to_string() }).collect()
}

/// What `bytes`, read from `path`, hold, when they are of a schema that this version reads.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    let damaged = |error: serde_json::Error| {
        let line = u64::try_from(error.line()).ok().filter(|line| *line > 0);
        Error::damaged(path, line, error.to_string())
    };
    let Schema { schema } = serde_json::from_slice(bytes).map_err(damaged)?;
    if schema > SCHEMA {
        return Err(Error::NewerSchema { path: path.to_owned(), found: schema, newest: SCHEMA });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// The run that `bytes`, read from `path`, tell of, and what was judged of it; the run's histograms are empty.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<(Run, Option<Judgement>), Error> {
    let document: Document<'_> = parse(path, bytes)?;
    let (header, sums) = (document.header.into_owned(), document.totals);
    let names = sums.variants.iter().map(|variant| &variant.name);
    if !names.eq(&header.variants) {
        return Err(Error::damaged(path, None, "`totals.variants` has other names than `variants`"));
    }
    if let Some(row) = sums.failures.iter().find(|row| row.key.variant >= header.variants.len()) {
        let problem = format!("a failure is of variant {}, and there are {}", row.key.variant, header.variants.len());
        return Err(Error::damaged(path, None, problem));
    }
    let damaged = |problem: String| Error::damaged(path, None, problem);
    let checks = document.checks.map(|sums| sums.into_checks(&header)).transpose().map_err(damaged)?;
    let retries = sums.retries.as_ref();
    let totals = Totals {
        retries: retries.map(|row| row.counts).unwrap_or_default(),
        parked_peak: retries.map_or(0, |row| row.parked_peak),
        variants: sums
            .variants
            .into_iter()
            .map(|part| VariantTotals { counts: part.counts, blocks: part.blocks, ..VariantTotals::default() })
            .collect(),
        blocks: sums.blocks,
        failures: failures(sums.failures),
        seconds: sums.seconds,
        elapsed_s: sums.elapsed_s,
        main_s: sums.main_s.unwrap_or(sums.elapsed_s),
        logins: document.tokens,
        checks,
    };
    let reasons = document.reasons.into_iter().map(|row| row.reason).collect();
    let thresholds = document.thresholds;
    let judgement = document.verdict.map(|verdict| Judgement { verdict, reasons, thresholds });
    Ok((Run { header, state: document.state, warnings: document.warnings.into_owned(), totals }, judgement))
}

/// What became of the attributes after the run that `bytes`, read from `path`, tell of.
pub(super) fn restoration(path: &Path, bytes: &[u8]) -> Result<Option<Restoration>, Error> {
    let document: Document<'_> = parse(path, bytes)?;
    Ok(document.snapshot.map(Cow::into_owned))
}

/// The failures of the rows. Those that had no place of their own come last, or they would take the place of one.
fn failures(rows: Vec<FailureRow>) -> Failures {
    let (others, own): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.key.code == OTHER && row.key.status.is_none());
    let mut failures = Failures::default();
    for row in own.into_iter().chain(others) {
        failures.count(row.key, row.failure);
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{MAX_FAILURES, Outcome};

    #[test]
    fn more_failures_than_places_read_back_equal() {
        let mut failures = Failures::default();
        for i in 0..MAX_FAILURES as u64 + 20 {
            let outcome = [Outcome::Throttled, Outcome::Rejected, Outcome::Broken][usize::try_from(i % 3).unwrap()];
            let key = FailureKey { variant: 0, outcome, status: Some(400), code: format!("code-{i}") };
            let failure = Failure { count: i + 1, first_s: i, last_s: i, ..Failure::default() };
            failures.count(key, failure);
        }
        let rows = failures.iter().map(|(key, row)| FailureRow { key: key.clone(), failure: row.clone() }).collect();
        assert_eq!(super::failures(rows), failures);
    }
}
