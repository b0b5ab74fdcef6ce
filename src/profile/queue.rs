//! Whether requests that are admitted wait for those before them: what tells a leaky queue from a bucket is its latency.

use super::events::Events;
use super::fit::{Effort, Fit, fit_events};
use super::log::Log;
use super::replay::{Replay, Request};
use super::search::{Free, Search};
use super::theory::Hypothesis;

/// A queue explains the latencies but for so much of their variance; what is no queue adds to it.
const UNEXPLAINED: f64 = 0.5;

/// Delays shorter than so many standard deviations of an arrival are no queue that anybody could see.
const VISIBLE: f64 = 6.0;

/// A log-likelihood that is better by so much is no chance.
const BETTER: f64 = 2.0;

/// The events of a log: those of a queue, if a queue explains how long answers took, else those of any other limiter.
///
/// That latencies grow in equal steps within a burst is no sign of it: sorted, any latencies do. What a queue alone
/// explains is how long each request waits for those that came before it.
///
/// What is known of the limiter so far, if anything, tells where the time of slow answers went.
pub(super) fn events_of(log: &Log, known: Option<&Hypothesis>) -> Events {
    let queued = Events::queued(log);
    let longest = queued.list.iter().map(|event| event.delay).max().unwrap_or_default();
    if longest.as_secs_f64() < VISIBLE * queued.sigma {
        return likeliest(log, known);
    }
    match fit_events(&queued, &[], Effort::Full).first() {
        Some(fit) if explains(fit, &queued) => queued,
        _ => likeliest(log, known),
    }
}

/// The arrivals that a hypothesis explains best: each in the middle of what its answer took, or each at once. Without a
/// hypothesis, those whose order has fewer changes of outcome.
fn likeliest(log: &Log, known: Option<&Hypothesis>) -> Events {
    let [theory] = known.map_or(&[][..], |known| &known.tiers) else {
        return Events::of(log);
    };
    let [either, after] = Events::readings(log);
    let explained = |events: &Events| {
        let search = Search { events, floor: f64::NEG_INFINITY };
        search.refine(*theory, Free::ButLimit).map_or(f64::NEG_INFINITY, |fit| fit.log_likelihood)
    };
    if explained(&after) > explained(&either) + BETTER { after } else { either }
}

/// Whether the latencies are those that a queue brings about.
fn explains(fit: &Fit, events: &Events) -> bool {
    let mut replay = Replay::new(&fit.hypothesis);
    let (mut count, mut sum, mut squares, mut residuals) = (0.0, 0.0, 0.0, 0.0);
    for event in &events.list {
        let request = Request { at: event.at, done: event.done, count: 1, slack: event.sigma };
        let Some(admitted) = event.admitted else {
            continue;
        };
        if admitted {
            let (seen, expected) = (event.delay.as_secs_f64(), replay.delay(event.at).as_secs_f64());
            count += 1.0;
            sum += seen;
            squares += seen * seen;
            residuals += (seen - expected).powi(2);
        }
        replay.note(request, admitted);
    }
    residuals < UNEXPLAINED * (squares - sum * sum / f64::max(count, 1.0))
}
