//! Whether requests that are admitted wait for those before them: what tells a leaky queue from a bucket is its latency.

use super::events::Events;
use super::fit::{Effort, Fit, fit_events};
use super::log::Log;
use super::replay::{Replay, Request};
use super::search::{Free, Search};
use super::theory::{Hypothesis, Theory};

/// A queue explains the latencies but for so much of their variance; what is no queue adds to it.
const UNEXPLAINED: f64 = 0.5;

/// Of so many delays, the one that is farthest from the others is left out.
const FARTHEST: usize = 20;

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

/// Whether it would be seen if requests that a bucket admits had to wait in a queue.
pub(super) fn would_show(bucket: &Theory, sigma: f64) -> bool {
    f64::from(bucket.limit.saturating_sub(1)) * bucket.time >= VISIBLE * sigma
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

/// Whether the latencies are those that a queue brings about. A few that took far longer for a reason of their own say
/// nothing of it.
fn explains(fit: &Fit, events: &Events) -> bool {
    let mut replay = Replay::new(&fit.hypothesis);
    let (mut seen, mut left): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    for event in &events.list {
        let request = Request { at: event.at, done: event.done, count: 1, slack: event.sigma };
        let Some(admitted) = event.admitted else {
            continue;
        };
        if admitted {
            let delay = event.delay.as_secs_f64();
            seen.push(delay);
            left.push(delay - replay.delay(event.at).as_secs_f64());
        }
        replay.note(request, admitted);
    }
    spread(left) < UNEXPLAINED * spread(seen)
}

/// The sum of squared distances from the median, without the farthest.
fn spread(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let median = values.get(values.len() / 2).copied().unwrap_or(0.0);
    let mut squares: Vec<_> = values.iter().map(|value| (value - median).powi(2)).collect();
    squares.sort_unstable_by(f64::total_cmp);
    squares.truncate(squares.len() - squares.len() / FARTHEST);
    squares.iter().sum()
}
