//! The final summary of a run, as plain text of about 100 columns.

use std::fmt::Write as _;
use std::path::Path;

use hdrhistogram::Histogram;
use serde_json::Value;

use super::answers::answers;
use super::checks;
use super::failures::failures;
use super::retries::retries;
use super::table::Side::{Left, Right};
use super::table::Table;
use crate::judge::{Judgement, Standing, Verdict};
use crate::measure::{Clock, Counts, Outcome, Run, State, VariantTotals, quantile};
use crate::results::{ALL, CHECK_FILES, Estimate, FILES, HISTORY, Rates, has_history};
use crate::units::format::{count, micros, per_second, percent, seconds, utc};

/// Where lines of prose are wrapped.
const WIDTH: usize = 96;

/// No line of a table is longer, as far as names and numbers are of a usual length.
pub(super) const MOST_COLUMNS: usize = 100;

/// How many characters of a text from the scenario or the target are shown where there is no closer bound.
const USUAL_TEXT: usize = 40;

/// What stands where a figure is not known.
pub(super) const UNKNOWN: &str = "-";

/// The percentiles that are shown, in percent, and their names.
const SHOWN: [(f64, &str); 5] = [(50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p99.9"), (100.0, "max")];

/// The final summary of `run`, whose files are in `folder`, with what was judged of it where it was.
#[must_use]
pub fn text(run: &Run, judgement: Option<&Judgement>, folder: &Path) -> String {
    let all = run.totals.all();
    let parts: Vec<Part<'_>> = parts(run, &all);
    let mut text = head(run);
    if let Some(judgement) = judgement {
        text.push_str(&judged(judgement));
    }
    let rates = format!("{}{}", rates(run, &parts), retries(run));
    let checks = run.totals.checks.as_ref().map(|found| checks::section(&run.header, found)).unwrap_or_default();
    let sections = [rates, answers(run), latencies(&parts, &all), failures(run, &all), checks, files(run, folder)];
    for section in sections.iter().filter(|section| !section.is_empty()) {
        text.push('\n');
        text.push_str(section);
    }
    text
}

/// A row of a table: a variant, or all together.
struct Part<'a> {
    name: &'a str,
    totals: &'a VariantTotals,
}

/// The variants and, when there are several, all together.
fn parts<'a>(run: &'a Run, all: &'a VariantTotals) -> Vec<Part<'a>> {
    let mut parts: Vec<_> =
        run.header.variants.iter().zip(&run.totals.variants).map(|(name, totals)| Part { name, totals }).collect();
    if parts.len() != 1 {
        parts.push(Part { name: ALL, totals: all });
    }
    parts
}

fn head(run: &Run) -> String {
    let (header, host) = (&run.header, &run.header.host);
    let mut text = String::new();
    let mut item = |name: &str, value: &str| wrapped(&mut text, name, value);
    item("run", &format!("{}, seed {}, patchload {}", header.name, header.seed, header.version));
    item("target", &target(run));
    let (elapsed, planned) = (seconds(run.totals.elapsed_s), seconds(header.planned_s));
    let mut ran = format!("{}, ran {elapsed} of {planned}", utc(header.started_unix_s));
    if run.totals.main_s < run.totals.elapsed_s {
        let _ = write!(ran, "; figures are of the {} of the main phase", seconds(run.totals.main_s));
    }
    item("started", &ran);
    let mut machine = format!("{}, {}, {}", host.os, host.arch, plural(host.cores, "core"));
    machine = format!("{machine}, {}", plural(host.workers, "worker"));
    if host.simulator_threads > 0 {
        machine = format!("{machine}, {}", plural(host.simulator_threads, "simulator thread"));
    }
    item("host", &machine);
    item(
        "state",
        match run.state {
            State::Running => "The run goes on; the figures are of what is written so far.",
            State::Finished => "The run reached its end.",
            State::Interrupted => "The run was stopped before its end.",
        },
    );
    if run.totals.logins.is_eventful() {
        item("tokens", &run.totals.logins.to_string());
    }
    for warning in &run.warnings {
        item("warning", &sentence(&warning.to_string()));
    }
    text
}

/// The thresholds, a line each, and the verdict on the measurement with its reasons.
fn judged(judgement: &Judgement) -> String {
    let mut text = String::new();
    for threshold in &judgement.thresholds {
        let name = match threshold.standing {
            Standing::Passed => "passed",
            Standing::Crossed => "CROSSED",
            Standing::TooFewSamples => "UNKNOWN",
        };
        wrapped(&mut text, name, &threshold.to_string());
    }
    wrapped(
        &mut text,
        "verdict",
        match judgement.verdict {
            Verdict::Valid => "valid: nothing of this machine's own spoiled the figures",
            Verdict::Suspect => "suspect: read the figures with the following in mind",
            Verdict::Invalid => "INVALID: the figures do not say what they should",
        },
    );
    for reason in &judgement.reasons {
        wrapped(&mut text, reason.level().name(), &sentence(&reason.to_string()));
    }
    text
}

/// The target's name, and what stands behind it where the scenario says so.
fn target(run: &Run) -> String {
    let place = |key: &str| run.header.scenario.get("target")?.get(key);
    let name = &run.header.target;
    match (place("base_url").and_then(Value::as_str), place("simulator")) {
        (Some(url), _) => format!("{name} ({})", plain(url)),
        (None, _) if place("region").is_some() => {
            format!("{name} (region {})", plain(place("region").and_then(Value::as_str).unwrap_or(UNKNOWN)))
        }
        // The dialect stands alone, or in a table that may leave it out: then it is the documented one.
        (None, Some(simulator)) => {
            let dialect = simulator.as_str().or_else(|| simulator.get("dialect")?.as_str()).unwrap_or("documented");
            format!("{name} (embedded simulator, dialect {})", plain(dialect))
        }
        (None, None) => name.clone(),
    }
}

fn rates(run: &Run, parts: &[Part<'_>]) -> String {
    // Where nothing was unsent or throttled, a column of zeros would only push the others apart.
    let of_any = |figure: fn(&Counts) -> u64| parts.iter().any(|part| figure(&part.totals.counts) > 0);
    let [has_unsent, has_throttled] = [of_any(|counts| counts.unsent), of_any(throttled)];
    let if_any = |any: bool, text: &str| if any { text.to_owned() } else { String::new() };
    let mut table = Table::new([
        ("variant", Left),
        ("operations", Right),
        (&if_any(has_unsent, "unsent"), Right),
        ("attempts", Right),
        ("accepted", Right),
        (&if_any(has_throttled, "throttled"), Right),
        ("failure rate (95 %)", Right),
        ("achieved", Right),
    ]);
    for part in parts {
        let (counts, rates) = (&part.totals.counts, Rates::of(part.totals, run.totals.main_s));
        table.row([
            part.name.to_owned(),
            count(counts.operations()),
            if_any(has_unsent, &count(counts.unsent)),
            count(counts.attempts()),
            count(counts.outcome(Outcome::Accepted)),
            if_any(has_throttled, &count(throttled(counts))),
            estimate(rates.failure),
            rates.achieved_per_s.map_or_else(|| UNKNOWN.to_owned(), per_second),
        ]);
    }
    let mut text = table.lines();
    text.push_str(
        "Failure rate: finished operations whose last attempt was not accepted, with its 95 % interval.\n\
         Accepted and throttled count attempts; achieved is attempts per second.\n",
    );
    text
}

fn throttled(counts: &Counts) -> u64 {
    counts.outcome(Outcome::Throttled)
}

fn latencies(parts: &[Part<'_>], all: &VariantTotals) -> String {
    let [p50, p90, p99, p999, max] = SHOWN.map(|(_, name)| (name, Right));
    let mut table = Table::new([("latency", Left), ("", Left), ("[", Left), p50, p90, p99, p999, max, ("]", Left)]);
    let mut row = |clock: Clock, name: &str, histogram: &Histogram<u64>| {
        let [p50, p90, p99, p999, max] =
            SHOWN.map(|(percent, _)| quantile(histogram, percent).map_or_else(|| UNKNOWN.to_owned(), micros));
        table.row([clock.to_string(), name.to_owned(), "[".to_owned(), p50, p90, p99, p999, max, "]".to_owned()]);
    };
    for clock in [Clock::Response, Clock::Service] {
        for part in parts {
            row(clock, part.name, &part.totals.distributions.all(clock));
        }
    }
    for clock in [Clock::Wait, Clock::Lag, Clock::Connect] {
        row(clock, parts.last().map_or(ALL, |part| part.name), &all.distributions.all(clock));
    }
    let mut text = table.lines();
    text.push_str(
        "Response is what users of the schedule would feel: it counts from when a request was wanted.\n\
         Service is what the target did: it counts from when the request was sent.\n\
         Wait is for the limit and, in the open model, for a free user. Lag is our own lateness.\n\
         Connect is the opening of a connection: name, TCP and TLS; only where a request opened one.\n",
    );
    if text.contains(" - ") {
        let _ = writeln!(text, "A dash means that there are too few samples to tell.");
    }
    text
}

fn files(run: &Run, folder: &Path) -> String {
    let mut text = format!("reports  {}\n         {}\n", folder.display(), FILES.join(" "));
    if run.totals.checks.is_some() {
        let history = has_history(&run.header).then_some(HISTORY);
        let names: Vec<_> = CHECK_FILES.into_iter().chain(history).collect();
        let _ = writeln!(text, "         {}", names.join(" "));
    }
    text
}

/// `2.75% (1.98% to 3.81%)`.
pub(super) fn estimate(estimate: Option<Estimate>) -> String {
    estimate.map_or_else(
        || UNKNOWN.to_owned(),
        |e| format!("{} ({} to {})", percent(e.share), percent(e.interval.low), percent(e.interval.high)),
    )
}

/// Text from elsewhere, at most so many characters of it, and without anything that a terminal would obey.
pub(super) fn clipped(text: &str, most: usize) -> String {
    let safe = |c: char| if c.is_control() { '?' } else { c };
    if text.chars().count() <= most {
        return text.chars().map(safe).collect();
    }
    text.chars().take(most.saturating_sub(1)).map(safe).chain(['…']).collect()
}

/// Parts in as few lines of at most so many characters as they take in this order, each with what joins it to the one before;
/// what is longer than a line is cut short.
pub(super) fn packed(parts: impl IntoIterator<Item = (&'static str, String)>, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (joint, part) in parts {
        match lines.last_mut() {
            Some(line) if line.chars().count() + joint.len() + part.chars().count() <= most => {
                line.push_str(joint);
                line.push_str(&clipped(&part, most));
            }
            _ => lines.push(clipped(&part, most)),
        }
    }
    lines
}

fn plain(text: &str) -> String {
    clipped(text, USUAL_TEXT)
}

pub(super) fn plural(n: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(n as u64), if n == 1 { "" } else { "s" })
}

/// Words as a sentence: a capital in front and a full stop behind.
pub(super) fn sentence(words: &str) -> String {
    let mut rest = words.chars();
    let first = rest.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", rest.as_str())
}

/// Adds a name and its value, wrapped between words, later lines under the first.
pub(super) fn wrapped(text: &mut String, name: &str, value: &str) {
    wrapped_at(9, text, (name, value));
}

/// The same, the value beginning after so many columns.
pub(super) fn wrapped_at(indent: usize, text: &mut String, (name, value): (&str, &str)) {
    let mut line = format!("{name:<indent$}");
    let mut empty = true;
    for word in value.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = " ".repeat(indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Judged, Measured, Reason};

    #[test]
    fn thresholds_and_reasons_are_lines_of_their_own() {
        let threshold = |standing, measured| Judged {
            metric: "service.p99".to_owned(),
            condition: "< 300ms".to_owned(),
            measured,
            samples: 2_000,
            least_samples: 100,
            standing,
        };
        let judgement = Judgement {
            verdict: Verdict::Suspect,
            reasons: vec![Reason::SimulatorBusy { busy_share: 0.97 }],
            thresholds: vec![
                threshold(Standing::Passed, Some(Measured::Time(82_700))),
                threshold(Standing::Crossed, Some(Measured::Time(312_000))),
                threshold(Standing::TooFewSamples, None),
            ],
        };
        let expected = "\
passed   service.p99 is 82.7ms, as wanted: < 300ms
CROSSED  service.p99 is 312ms, not < 300ms
UNKNOWN  service.p99 is unknown: 2000 samples are too few for < 300ms
verdict  suspect: read the figures with the following in mind
suspect  The simulator's busiest thread was busy 97.0% of the time, so latencies and rates are
         the simulator's own; lower the load, or run `patchload sim` on another machine.
";
        assert_eq!(judged(&judgement), expected);
    }

    #[test]
    fn no_text_of_a_server_can_command_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mred\n"), "a?[31mred?");
        assert_eq!(plain(&"x".repeat(41)).chars().count(), USUAL_TEXT);
    }

    #[test]
    fn long_values_wrap_under_themselves() {
        let mut text = String::new();
        wrapped(&mut text, "warning", &"word ".repeat(30));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("         word")), "{text}");
    }
}
