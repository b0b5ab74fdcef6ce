//! What a clock can do: tell the time since the start of the run, and wait.

use std::future::Future;
use std::time::Duration;

/// The time source of a run.
///
/// Instants are durations since the start of the run, so that they can be computed with, recorded and compared
/// without a system clock. The engine has a precise implementation and one that tests can pause.
pub trait Timer: Clone + 'static {
    /// The time since the start of the run.
    fn now(&self) -> Duration;

    /// Waits until `at`, and not at all when `at` has passed.
    fn sleep_until(&self, at: Duration) -> impl Future<Output = ()>;
}
