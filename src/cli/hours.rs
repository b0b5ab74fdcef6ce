//! Allowed hours: waiting for them, and noticing their end.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::exit::Failure;
use super::say;
use super::session::Paused;
use super::signals::Signals;
use crate::engine::Stop;
use crate::measure::Warning;
use crate::scenario::{AllowedHours, Outside, Scenario};
use crate::units::{Hours, format};

/// The clock on the wall is looked at so often: it may be set, and a machine may sleep.
const LOOK: Duration = Duration::from_secs(1);

/// The time since 1970-01-01T00:00:00Z.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Waits for the allowed hours, where the scenario wants that; a signal ends the wait.
pub(super) async fn wait(window: AllowedHours, signals: &mut Signals) -> Result<Paused, Failure> {
    let AllowedHours { hours, outside } = window;
    let left = hours.until_open(now());
    if left.is_zero() {
        return Ok(Paused::Over);
    }
    let opens = format::utc((now() + left).as_secs_f64());
    if outside == Outside::Stop {
        return Err(Failure::OutsideHours { hours, opens });
    }
    say(&format!("waiting until {opens}, in {}, for the allowed hours {hours}", format::duration(left)));
    tokio::select! {
        () = signals.next() => Ok(Paused::Stopped),
        () = opened(window) => Ok(Paused::Over),
    }
}

async fn opened(AllowedHours { hours, .. }: AllowedHours) {
    while !hours.contains(now()) {
        tokio::time::sleep(hours.until_open(now()).min(LOOK)).await;
    }
}

/// What to know before a run: that the allowed hours end before its schedule does.
pub(super) fn caution(scenario: &Scenario) -> Option<String> {
    let hours = scenario.care.window?.hours;
    // A run that waits has all of them.
    let begins = now() + hours.until_open(now());
    let (left, length) = (hours.until_close(begins), scenario.load.length());
    (left < length).then(|| {
        format!(
            "the allowed hours {hours} leave {} of the {} of the schedule; the run stops when they end",
            format::duration(left),
            format::duration(length)
        )
    })
}

/// The end of the allowed hours of a run.
pub(super) struct Closing {
    window: Option<AllowedHours>,
    /// Set when the hours ended before the run did.
    has_come: Cell<bool>,
}

impl Closing {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { window: scenario.care.window, has_come: Cell::new(false) }
    }

    /// Stops the run when the hours end, and never returns.
    pub(super) async fn stop(&self, stop: &Stop) -> std::convert::Infallible {
        let Some(AllowedHours { hours, .. }) = self.window else { return std::future::pending().await };
        while hours.contains(now()) {
            tokio::time::sleep(hours.until_close(now()).min(LOOK)).await;
        }
        if !stop.is_requested() {
            self.has_come.set(true);
            stop.request();
        }
        std::future::pending().await
    }

    /// The hours, where their end has stopped anything.
    pub(super) fn has_come(&self) -> Option<Hours> {
        self.window.filter(|_| self.has_come.get()).map(|window| window.hours)
    }

    /// Says of a run that was stopped here why it was.
    pub(super) fn explain(&self, warnings: &mut [Warning]) {
        let Some(hours) = self.has_come() else { return };
        for warning in warnings {
            if let Warning::Interrupted { elapsed_s, planned_s } = *warning {
                *warning = Warning::WindowClosed { window: hours.to_string(), elapsed_s, planned_s };
            }
        }
    }
}
