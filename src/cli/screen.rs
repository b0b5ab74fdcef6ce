//! What a run shows while it goes on: a progress bar on a terminal, a plain line every few seconds elsewhere.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::say;
use crate::measure::{Clock, Second, Totals, quantile};
use crate::scenario::Scenario;
use crate::units::format;

/// Seconds between two plain lines.
const PLAIN_EVERY: u64 = 5;

/// What is said when the load is over and checks are not.
const CHECKING: &str = "the load is over; waiting for checks to finish";

/// The progress of a run on stderr. Dropping all of its clones removes the bar.
#[derive(Clone)]
pub(super) struct Screen {
    view: View,
    planned: Duration,
    has_checks: bool,
}

#[derive(Clone)]
enum View {
    Bar(ProgressBar),
    Plain,
    Quiet,
}

impl Screen {
    /// A bar where stderr is a terminal, plain lines elsewhere, nothing when `quiet`.
    pub(super) fn new(scenario: &Scenario, quiet: bool) -> Self {
        let planned = scenario.load.length();
        let view = match (quiet, io::stderr().is_terminal()) {
            (true, _) => View::Quiet,
            (false, true) => View::Bar(bar(planned)),
            (false, false) => View::Plain,
        };
        Self { view, planned, has_checks: scenario.checks.is_some() }
    }

    /// Shows a closed second.
    pub(super) fn second(&self, second: &Second, totals: &Totals) {
        let passed = Duration::from_secs(second.second + 1);
        let told = if self.is_checking(second) { CHECKING.to_owned() } else { line(second, totals) };
        match &self.view {
            View::Bar(bar) => {
                bar.set_position(passed.min(self.planned).as_secs());
                let left = self.planned.saturating_sub(passed);
                bar.set_message(format!("{:>2}s left {told}", left.as_secs()));
            }
            View::Plain if passed.as_secs().is_multiple_of(PLAIN_EVERY) => {
                let (passed, planned) = (format::duration(passed), format::duration(self.planned));
                say(&format!("{passed:>6} of {planned}  {told}"));
            }
            View::Plain | View::Quiet => {}
        }
    }

    /// Whether nothing but checks can have gone on in a second: its load was over.
    fn is_checking(&self, second: &Second) -> bool {
        let is_over = Duration::from_secs(second.second) >= self.planned;
        self.has_checks && is_over && second.in_flight == 0 && second.interval.all_counts().attempts() == 0
    }

    /// Says something without tearing the bar.
    pub(super) fn say(&self, text: &str) {
        match &self.view {
            View::Bar(bar) => bar.suspend(|| say(text)),
            View::Plain | View::Quiet => say(text),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
    }
}

fn bar(planned: Duration) -> ProgressBar {
    // The message is cut at the end of a narrow terminal's line.
    let template = "{elapsed:>4} [{bar:8}] {wide_msg}";
    let style = ProgressStyle::with_template(template).expect("the template is a constant").progress_chars("=> ");
    let bar = ProgressBar::new(planned.as_secs()).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// One second in a line.
fn line(second: &Second, totals: &Totals) -> String {
    let counts = second.interval.all_counts();
    let (response, mut failed, mut finished) = (second.interval.all_of(Clock::Response), 0, 0);
    for total in &totals.variants {
        failed += total.counts.failed;
        finished += total.counts.finished;
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let (rate, share) = (counts.attempts() as f64, failed as f64 / (finished as f64).max(1.0));
    // Too few responses in a second have no p99, but a longest one.
    let slowest = match (quantile(&response, 99.0), quantile(&response, 100.0)) {
        (Some(p99), _) => format!("p99 {}", format::micros(p99)),
        (None, Some(longest)) => format!("max {}", format::micros(longest)),
        (None, None) => "p99 -".to_owned(),
    };
    format!(
        "{:>7}  in flight {:>3}  failures {} ({})  {}",
        format::per_second(rate),
        format::count(second.in_flight),
        format::count(failed),
        format::percent(share),
        slowest,
    )
}
