//! What a profile shows while it goes on: a progress bar on a terminal, a plain line at each change elsewhere.

use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::say;
use crate::profile::{Phase, Plan, Profiler, Step};
use crate::units::format;

/// The progress of a profile on stderr. Dropping it removes the bar.
pub(super) struct Progress {
    view: View,
    requests: u32,
    /// The phase that was shown last.
    shown: Cell<Option<Phase>>,
    /// When the bar was changed last.
    changed: Cell<Option<Duration>>,
}

enum View {
    Bar(ProgressBar),
    Plain,
    Quiet,
}

/// The bar is not changed more often.
const EVERY: Duration = Duration::from_millis(100);

impl Progress {
    /// A bar where stderr is a terminal, plain lines elsewhere, nothing when `quiet`.
    pub(super) fn new(plan: &Plan, quiet: bool) -> Self {
        let view = match (quiet, io::stderr().is_terminal()) {
            (true, _) => View::Quiet,
            (false, true) => View::Bar(bar(plan.requests)),
            (false, false) => View::Plain,
        };
        Self { view, requests: plan.requests, shown: Cell::default(), changed: Cell::default() }
    }

    /// Shows how far it is.
    pub(super) fn step(&self, step: &Step<'_>) {
        let phase = step.profiler.phase();
        let is_new = self.shown.replace(Some(phase)) != Some(phase);
        match &self.view {
            View::Bar(bar) => {
                let is_due = self.changed.get().is_none_or(|changed| step.now >= changed + EVERY);
                if is_due || is_new {
                    self.changed.set(Some(step.now));
                    bar.set_position(answered(step.profiler));
                    bar.set_message(format!("{phase}{}", best(step.profiler)));
                }
            }
            View::Plain if is_new => {
                let (now, requests) = (format::duration(step.now), format::count(answered(step.profiler)));
                let most = format::count(self.requests.into());
                say(&format!("{now:>6}  {requests} of {most} requests  {phase}{}", best(step.profiler)));
            }
            View::Plain | View::Quiet => {}
        }
    }

    /// Says something without tearing the bar.
    pub(super) fn say(&self, text: &str) {
        match &self.view {
            View::Bar(bar) => bar.suspend(|| say(text)),
            View::Plain | View::Quiet => say(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
    }
}

fn bar(requests: u32) -> ProgressBar {
    // The message is cut at the end of a narrow terminal's line.
    let template = "{elapsed:>4} [{bar:8}] {pos} of at most {len} requests  {wide_msg}";
    let style = ProgressStyle::with_template(template).expect("the template is a constant").progress_chars("=> ");
    let bar = ProgressBar::new(requests.into()).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

fn answered(profiler: &Profiler) -> u64 {
    (profiler.log().observations().len() + profiler.log().others().len()) as u64
}

/// The best explanation so far.
fn best(profiler: &Profiler) -> String {
    let tiers = profiler.finding().best.as_ref().map(|best| &best.hypothesis.tiers);
    let tiers = tiers.into_iter().flatten().map(|tier| format!("{}, limit {}", tier.kind, tier.limit));
    tiers.map(|tier| format!("; best so far: {tier}")).next().unwrap_or_default()
}
