//! The summary of a set of runs, and the line of each of its runs.

use std::fmt::Write as _;
use std::path::Path;

use super::table::Side::{Left, Right};
use super::table::Table;
use super::text::{UNKNOWN, plural, wrapped};
use crate::measure::State;
use crate::results::{Entry, Figure, FigureSpread, LeftOut, Set};
use crate::units::format::{per_second, percent, seconds, utc};

/// One run of a set in a line, when it has ended.
#[must_use]
pub fn set_line(run: &Entry, planned: u32) -> String {
    let value = |figure| shown(figure, run.figures.get(figure));
    format!(
        "run {} of {planned}  {}  failures {}  response p50 {} p99 {}  {}",
        run.folder,
        value(Figure::AchievedPerS),
        value(Figure::FailureRate),
        value(Figure::ResponseP50Us),
        value(Figure::ResponseP99Us),
        standing(run),
    )
}

/// The summary of a set, whose folder is `folder`.
#[must_use]
pub fn set(set: &Set, folder: &Path) -> String {
    let mut text = head(set);
    for section in [runs(set), spread(set), files(set, folder)] {
        text.push('\n');
        text.push_str(&section);
    }
    text
}

fn head(set: &Set) -> String {
    let mut text = String::new();
    let mut item = |name: &str, value: &str| wrapped(&mut text, name, value);
    let planned = plural(set.plan.runs as usize, "run");
    let pause = if set.plan.pause_s > 0.0 { seconds(set.plan.pause_s) } else { "no time".to_owned() };
    item("set", &format!("{}, {planned}, {pause} between two, patchload {}", set.name, set.version));
    item("target", &set.target);
    if let Some(first) = set.runs.first() {
        item("started", &utc(first.started_unix_s));
    }
    if set.runs.len() < set.plan.runs as usize {
        item("state", &format!("The set was stopped: it holds {} of {planned}.", set.runs.len()));
    }
    text
}

fn runs(set: &Set) -> String {
    let mut table = Table::new([
        ("run", Left),
        ("verdict", Left),
        ("achieved", Right),
        ("failure rate", Right),
        ("service p50", Right),
        ("p99", Right),
        ("response p50", Right),
        ("p99", Right),
        ("lag p99", Right),
    ]);
    for run in &set.runs {
        let value = |figure| shown(figure, run.figures.get(figure));
        table.row([
            run.folder.clone(),
            standing(run).to_owned(),
            value(Figure::AchievedPerS),
            value(Figure::FailureRate),
            value(Figure::ServiceP50Us),
            value(Figure::ServiceP99Us),
            value(Figure::ResponseP50Us),
            value(Figure::ResponseP99Us),
            value(Figure::LagP99Us),
        ]);
    }
    table.lines()
}

/// The verdict on a run that has one, and how far one got that was stopped.
fn standing(run: &Entry) -> &'static str {
    match (run.state, run.verdict) {
        (State::Running, _) => "running",
        (State::Interrupted, _) => "interrupted",
        (State::Finished, verdict) => verdict.map_or(UNKNOWN, |verdict| verdict.name()),
    }
}

fn spread(set: &Set) -> String {
    let mut text = table_of(&set.spread());
    for (reason, words) in [
        (LeftOut::Unfinished, "did not reach the end"),
        (LeftOut::Invalid, "measured nothing valid; --accept-invalid lets such runs in"),
    ] {
        let folders: Vec<_> =
            set.runs.iter().filter(|run| set.left_out(run) == Some(reason)).map(|run| run.folder.as_str()).collect();
        if !folders.is_empty() {
            let _ =
                writeln!(text, "Left out: {} ({}), which {words}.", plural(folders.len(), "run"), folders.join(", "));
        }
    }
    text.push_str(match set.runs.iter().filter(|run| set.left_out(run).is_none()).count() {
        0 => "No run is left that could show a spread.\n",
        1 => "One run shows no spread: how far two runs of the same release lie apart is not known.\n",
        _ => {
            "A difference between two releases that is smaller than the spread from min to max is not seen\n\
             by runs like these: one release differs as much from itself.\n"
        }
    });
    text
}

/// A row for each figure; nothing without any.
fn table_of(spread: &[FigureSpread]) -> String {
    if spread.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("spread", Left),
        ("runs", Right),
        ("median", Right),
        ("min", Right),
        ("max", Right),
        ("variation", Right),
    ]);
    for FigureSpread { figure, spread } in spread {
        let value = |value| shown(*figure, Some(value));
        table.row([
            name(*figure).to_owned(),
            spread.n.to_string(),
            value(spread.median),
            value(spread.min),
            value(spread.max),
            spread.variation.map_or_else(|| UNKNOWN.to_owned(), percent),
        ]);
    }
    table.lines()
        + "Each run's own figures. The median of a percentile is the middle one of the runs' percentiles,\n\
           not the percentile of all requests. Variation is the standard deviation as a part of the mean.\n"
}

fn files(set: &Set, folder: &Path) -> String {
    let mut names = vec!["set.json"];
    match &set.runs[..] {
        [] => {}
        [one] => names.push(&one.folder),
        [first, .., last] => names.extend([first.folder.as_str(), "to", last.folder.as_str()]),
    }
    format!("reports  {}\n         {}\n", folder.display(), names.join(" "))
}

fn name(figure: Figure) -> &'static str {
    match figure {
        Figure::AchievedPerS => "achieved",
        Figure::FailureRate => "failure rate",
        Figure::ThrottledRate => "throttled rate",
        Figure::ServiceP50Us => "service p50",
        Figure::ServiceP90Us => "service p90",
        Figure::ServiceP99Us => "service p99",
        Figure::ResponseP50Us => "response p50",
        Figure::ResponseP90Us => "response p90",
        Figure::ResponseP99Us => "response p99",
        Figure::LagP99Us => "lag p99",
    }
}

/// A figure with its unit.
fn shown(figure: Figure, value: Option<f64>) -> String {
    let Some(value) = value else { return UNKNOWN.to_owned() };
    match figure {
        Figure::AchievedPerS => per_second(value),
        Figure::FailureRate | Figure::ThrottledRate => percent(value),
        _ => seconds(value / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Verdict;
    use crate::results::{Figures, SetPlan};

    fn entry(folder: &str, achieved_per_s: f64, verdict: Verdict) -> Entry {
        let figures = [
            (Figure::AchievedPerS, achieved_per_s),
            (Figure::FailureRate, 0.0125),
            (Figure::ServiceP50Us, 20_300.0),
            (Figure::ResponseP50Us, 8_320_000.0),
        ];
        Entry {
            folder: folder.to_owned(),
            started_unix_s: 1_795_268_701.0,
            state: State::Finished,
            verdict: Some(verdict),
            figures: Figures::from_values(&figures),
        }
    }

    fn of(runs: Vec<Entry>) -> Set {
        Set {
            schema: 1,
            version: "0.1.0".to_owned(),
            name: "test".to_owned(),
            target: "main".to_owned(),
            plan: SetPlan { runs: 4, pause_s: 5.0, accept_invalid: false },
            runs,
        }
    }

    #[test]
    fn a_set_is_a_table_of_its_runs_and_one_of_its_spread() {
        let runs = vec![
            entry("01", 54.0, Verdict::Valid),
            entry("02", 66.0, Verdict::Suspect),
            entry("03", 1.0, Verdict::Invalid),
            Entry { state: State::Interrupted, verdict: None, ..entry("04", 2.0, Verdict::Valid) },
        ];
        let expected = "\
set      test, 4 runs, 5.00s between two, patchload 0.1.0
target   main
started  2026-11-21T13:45:01Z

run  verdict      achieved  failure rate  service p50  p99  response p50  p99  lag p99
01   valid          54.0/s         1.25%       20.3ms    -         8.32s    -        -
02   suspect        66.0/s         1.25%       20.3ms    -         8.32s    -        -
03   invalid        1.00/s         1.25%       20.3ms    -         8.32s    -        -
04   interrupted    2.00/s         1.25%       20.3ms    -         8.32s    -        -

spread        runs  median     min     max  variation
achieved         2  60.0/s  54.0/s  66.0/s      14.1%
failure rate     2   1.25%   1.25%   1.25%         0%
service p50      2  20.3ms  20.3ms  20.3ms         0%
response p50     2   8.32s   8.32s   8.32s         0%
Each run's own figures. The median of a percentile is the middle one of the runs' percentiles,
not the percentile of all requests. Variation is the standard deviation as a part of the mean.
Left out: 1 run (04), which did not reach the end.
Left out: 1 run (03), which measured nothing valid; --accept-invalid lets such runs in.
A difference between two releases that is smaller than the spread from min to max is not seen
by runs like these: one release differs as much from itself.

reports  results/test
         set.json 01 to 04
";
        assert_eq!(set(&of(runs), Path::new("results/test")), expected);
    }

    #[test]
    fn a_set_of_one_run_or_none_claims_no_spread() {
        let one = set(&of(vec![entry("01", 54.0, Verdict::Valid)]), Path::new("x"));
        assert!(one.contains("One run shows no spread") && one.contains("it holds 1 of 4 runs"), "{one}");
        assert!(one.contains("achieved         1  54.0/s  54.0/s  54.0/s          -\n"), "{one}");
        let none = set(&of(vec![]), Path::new("x"));
        assert!(none.contains("No run is left") && !none.contains("variation"), "{none}");
    }

    #[test]
    fn the_line_of_a_run_says_how_it_went() {
        let line = set_line(&entry("02", 54.0, Verdict::Valid), 3);
        assert_eq!(line, "run 02 of 3  54.0/s  failures 1.25%  response p50 8.32s p99 -  valid");
    }
}
