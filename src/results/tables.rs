//! The CSV files as functions of the data: a header row, units in the names, an empty cell for what is not known.

use std::borrow::Cow;

use csv::{Writer, WriterBuilder};
use hdrhistogram::Histogram;

use super::{ALL, CONSISTENCY, Estimate, FAILURES, IDEMPOTENCY, LATENCY, Rates, SUMMARY, checks};
use crate::measure::{
    Checks, Clock, Distributions, Header, Outcome, PERCENTILES, Second, Totals, VariantTotals, new_histogram, quantile,
};

/// Columns of `timeline.csv`.
pub(super) const TIMELINE_COLUMNS: [&str; 19] = [
    "target",
    "second",
    "phase",
    "due",
    "started",
    "accepted",
    "unexpected",
    "throttled",
    "rejected",
    "failed",
    "broken",
    "in_flight",
    "response_p50_us",
    "response_p99_us",
    "response_max_us",
    "service_p50_us",
    "service_p99_us",
    "lag_p99_us",
    "cpu_share",
];

/// Columns of `summary.csv`, but for the percentiles at its end.
const SUMMARY_COLUMNS: [&str; 17] = [
    "target",
    "variant",
    "operations",
    "attempts",
    "accepted",
    "unexpected",
    "throttled",
    "rejected",
    "failed",
    "broken",
    "unsent",
    "failure_rate",
    "failure_rate_low",
    "failure_rate_high",
    "throttled_rate",
    "deff",
    "achieved_per_s",
];

/// The percentiles of `summary.csv`, in percent, and how its columns name them.
const SUMMARY_PERCENTILES: [(f64, &str); 5] =
    [(50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p999"), (100.0, "max")];

/// The clocks of `summary.csv`.
const SUMMARY_CLOCKS: [Clock; 2] = [Clock::Service, Clock::Response];

/// Columns of `failures.csv`.
const FAILURE_COLUMNS: [&str; 13] = [
    "target",
    "variant",
    "outcome",
    "status",
    "code",
    "count",
    "share",
    "share_low",
    "share_high",
    "first_s",
    "last_s",
    "correlation_id",
    "message",
];

/// The clock, in `latency.csv`, of the time until a write is seen.
const VISIBLE: &str = "visible";

/// Columns of `latency.csv`.
const LATENCY_COLUMNS: [&str; 7] = ["target", "variant", "outcome", "clock", "percentile", "value_us", "count"];

/// Every file that is made from the totals alone, by name; those of the checks only where these have found what they find.
pub(super) fn all(header: &Header, totals: &Totals) -> Vec<(&'static str, Vec<u8>)> {
    let all = totals.all();
    let variants = header.variants.iter().zip(&totals.variants);
    let mut rows: Vec<Row<'_>> = variants.map(|(name, totals)| Row::new(name, totals)).collect();
    rows.push(Row::new(ALL, &all));
    let mut files = vec![
        (SUMMARY, summary(header, &rows, totals.main_s)),
        (FAILURES, failures(header, totals)),
        (LATENCY, latency(header, &rows, totals.checks.as_ref())),
    ];
    if let Some(found) = &totals.checks {
        files.push((IDEMPOTENCY, checks::idempotency(header, found)));
        files.push((CONSISTENCY, checks::consistency(header, found)));
    }
    files
}

/// One variant, or all together.
struct Row<'a> {
    name: &'a str,
    totals: &'a VariantTotals,
    series: Vec<Series<'a>>,
}

/// The durations of one clock, of one outcome or of all of them.
struct Series<'a> {
    clock: Clock,
    outcome: &'static str,
    histogram: Cow<'a, Histogram<u64>>,
}

impl<'a> Row<'a> {
    fn new(name: &'a str, totals: &'a VariantTotals) -> Self {
        Self { name, totals, series: series(&totals.distributions) }
    }
}

/// Every series that holds a sample, by clock; where the clock knows outcomes, the one over all of them comes last.
fn series(distributions: &Distributions<u64>) -> Vec<Series<'_>> {
    let mut found = Vec::new();
    for of in Clock::ALL {
        for (clock, outcome, histogram) in distributions.iter().filter(|(clock, _, _)| *clock == of) {
            let outcome = outcome.map_or(ALL, Outcome::name);
            found.push(Series { clock, outcome, histogram: Cow::Borrowed(histogram) });
        }
        let all = of.has_outcome().then(|| distributions.all(of)).filter(|all| !all.is_empty());
        found.extend(all.map(|all| Series { clock: of, outcome: ALL, histogram: Cow::Owned(all) }));
    }
    found
}

fn summary(header: &Header, rows: &[Row<'_>], main_s: f64) -> Vec<u8> {
    let mut columns = SUMMARY_COLUMNS.map(str::to_owned).to_vec();
    for clock in SUMMARY_CLOCKS {
        columns.extend(SUMMARY_PERCENTILES.map(|(_, name)| format!("{clock}_{name}_us")));
    }
    table(&columns, |writer| {
        for row in rows {
            let (counts, rates) = (&row.totals.counts, Rates::of(row.totals, main_s));
            let mut cells = vec![header.target.clone(), row.name.to_owned()];
            cells.extend([counts.operations(), counts.attempts()].map(|count| count.to_string()));
            cells.extend(Outcome::ALL.map(|outcome| counts.outcome(outcome).to_string()));
            cells.push(counts.unsent.to_string());
            cells.extend(estimate(rates.failure));
            cells.extend([rates.throttled, rates.design_effect, rates.achieved_per_s].map(number));
            for clock in SUMMARY_CLOCKS {
                let all = row.series.iter().find(|series| (series.clock, series.outcome) == (clock, ALL));
                cells.extend(
                    SUMMARY_PERCENTILES
                        .map(|(percent, _)| all.map(|series| value(&series.histogram, percent)).unwrap_or_default()),
                );
            }
            write(writer, &cells);
        }
    })
}

fn failures(header: &Header, totals: &Totals) -> Vec<u8> {
    let rates = Rates::of_variants(totals);
    table(&FAILURE_COLUMNS, |writer| {
        for (key, failure) in totals.failures.iter() {
            let attempts = totals.variants[key.variant].counts.attempts();
            let mut cells = vec![
                header.target.clone(),
                header.variants[key.variant].clone(),
                key.outcome.to_string(),
                key.status.map(|status| status.to_string()).unwrap_or_default(),
                key.code.clone(),
                failure.count.to_string(),
            ];
            cells.extend(estimate(rates[key.variant].share(failure.count, attempts)));
            cells.extend([failure.first_s, failure.last_s].map(|second| second.to_string()));
            cells.extend([failure.correlation_ids.first().cloned().unwrap_or_default(), failure.example()]);
            write(writer, &cells);
        }
    })
}

fn latency(header: &Header, rows: &[Row<'_>], found: Option<&Checks>) -> Vec<u8> {
    table(&LATENCY_COLUMNS, |writer| {
        for (i, row) in rows.iter().enumerate() {
            let mut percentiles = |outcome: &str, clock: &str, histogram: &Histogram<u64>| {
                for percent in PERCENTILES {
                    let names = [&header.target, row.name, outcome, clock].map(str::to_owned);
                    let figures = [percent.to_string(), value(histogram, percent), histogram.len().to_string()];
                    write(writer, &[&names[..], &figures].concat());
                }
            };
            for Series { clock, outcome, histogram } in &row.series {
                percentiles(outcome, clock.name(), histogram);
            }
            let visible = found.map(|checks| visible(checks, i)).filter(|visible| !visible.is_empty());
            if let Some(visible) = visible {
                percentiles(Outcome::Accepted.name(), VISIBLE, &visible);
            }
        }
    })
}

/// The times until writes were seen, of the variant with this index; of all behind the last one.
fn visible(checks: &Checks, variant: usize) -> Cow<'_, Histogram<u64>> {
    if let Some(variant) = checks.variants.get(variant) {
        return Cow::Borrowed(&variant.visible);
    }
    let mut all = new_histogram();
    for variant in &checks.variants {
        all.add(&variant.visible).expect("all histograms are of one configuration");
    }
    Cow::Owned(all)
}

/// The header row of `timeline.csv`.
pub(super) fn timeline_head() -> Vec<u8> {
    table(&TIMELINE_COLUMNS, |_| ())
}

/// One row of `timeline.csv`.
pub(super) fn timeline_row(header: &Header, second: &Second) -> Vec<u8> {
    let counts = second.interval.all_counts();
    let [response, service, lag] =
        [Clock::Response, Clock::Service, Clock::Lag].map(|clock| second.interval.all_of(clock));
    let mut cells = vec![header.target.clone(), second.second.to_string(), second.phase.name().to_owned()];
    cells.extend([counts.due, counts.started].map(|count| count.to_string()));
    cells.extend(Outcome::ALL.map(|outcome| counts.outcome(outcome).to_string()));
    cells.push(second.in_flight.to_string());
    cells.extend([50.0, 99.0, 100.0].map(|percent| value(&response, percent)));
    cells.extend([50.0, 99.0].map(|percent| value(&service, percent)));
    cells.push(value(&lag, 99.0));
    cells.push(number(Some(second.cpu_share)));
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    write(&mut writer, &cells);
    finish(writer)
}

pub(super) fn table<C: AsRef<str>>(columns: &[C], rows: impl FnOnce(&mut Writer<Vec<u8>>)) -> Vec<u8> {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    write(&mut writer, columns);
    rows(&mut writer);
    finish(writer)
}

pub(super) fn write<C: AsRef<str>>(writer: &mut Writer<Vec<u8>>, cells: &[C]) {
    writer.write_record(cells.iter().map(AsRef::as_ref)).expect("memory takes any bytes, and every row is as long");
}

fn finish(writer: Writer<Vec<u8>>) -> Vec<u8> {
    writer.into_inner().expect("memory takes any bytes")
}

/// A percentile in microseconds; empty with too few samples.
fn value(histogram: &Histogram<u64>, percent: f64) -> String {
    quantile(histogram, percent).map(|value| value.to_string()).unwrap_or_default()
}

/// A share and the ends of its interval; empty where unknown.
pub(super) fn estimate(estimate: Option<Estimate>) -> [String; 3] {
    let cell = |of: fn(&Estimate) -> f64| number(estimate.as_ref().map(of));
    [cell(|e| e.share), cell(|e| e.interval.low), cell(|e| e.interval.high)]
}

/// A number with six significant digits, never in powers of ten; empty where unknown.
fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return String::new() };
    // Through the text of six digits and back: the shortest text of that number has no more.
    format!("{value:.5e}").parse::<f64>().map(|rounded| rounded.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_six_digits_and_no_exponent() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.333333"),
            (0.000_000_012_345_678, "0.0000000123457"),
            (1_234_567.8, "1234570"),
        ] {
            assert_eq!(number(Some(value)), text);
        }
        assert_eq!(number(None), "");
    }
}
