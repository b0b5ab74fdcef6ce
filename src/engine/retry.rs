//! Whether an operation is tried again, and when. Pure: it is told what the attempt brought.

use std::time::Duration;

use crate::measure::{Answer, GivenUp, Outcome, Retry};
use crate::scenario::{Operation, RetryOn, Scenario, Wish};

/// The code of an attempt that was sent and whose answer did not come in time.
const TIMEOUT: &str = "timeout";

/// Codes of attempts that broke before they were sent for a reason of our own, which is the same the next time.
const OURS: [&str; 2] = ["not_sent.template", "not_sent.request"];

/// An operation that has been attempted and is to be attempted once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Again {
    /// The attempt that is to come.
    pub(super) retry: Retry,
    /// What the last attempt brought.
    pub(super) outcome: Outcome,
    /// When it was done.
    pub(super) done: Duration,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: its outcome is the operation's.
    Nothing,
    /// Nothing, although it was one to try again.
    GivenUp(GivenUp),
    /// Another attempt.
    Again(Again),
}

/// What follows the attempt of `operation` that was done at `done` with `answer`, after `retries` others.
pub(super) fn after(
    scenario: &Scenario,
    operation: &Operation,
    retries: u32,
    (done, answer): (Duration, &Answer),
) -> Next {
    let Some(retry) = scenario.retry.as_ref().filter(|retry| retry.on.iter().any(|on| is_met(*on, answer))) else {
        return Next::Nothing;
    };
    if retries >= retry.max {
        return Next::GivenUp(GivenUp::Max);
    }
    let number = retries + 1;
    let wish = answer.retry_after.filter(|_| retry.retry_after == Wish::Honored);
    if wish.is_some_and(|pause| pause > retry.longest_wait) {
        return Next::GivenUp(GivenUp::LongestWait);
    }
    // A server that asks for no pause at all gets none; one that does not ask gets the back-off.
    let pause = wish.unwrap_or_else(|| retry.backoff.pause(scenario.seed, operation.number, number));
    let asked = answer.retry_after.map(|pause| done.saturating_add(pause));
    let retry = Retry { number, wanted: done.saturating_add(pause), asked };
    Next::Again(Again { retry, outcome: answer.outcome, done })
}

fn is_met(on: RetryOn, answer: &Answer) -> bool {
    match on {
        RetryOn::Status(status) => {
            !matches!(answer.outcome, Outcome::Accepted | Outcome::Broken) && answer.status == Some(status)
        }
        RetryOn::NotSent => answer.not_sent && !OURS.contains(&answer.code.as_str()),
        RetryOn::Timeout => answer.outcome == Outcome::Broken && !answer.not_sent && answer.code == TIMEOUT,
    }
}

#[cfg(test)]
mod tests;
