//! What the best explanation says of each request of a log: the replay behind the figures of single requests.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::events::{Event, Events};
use super::log::{Answer, Log, Observation};
use super::queue;
use super::replay::{Replay, Request};
use super::theory::Hypothesis;
use crate::quota::Usage;

/// As much too early as so many standard deviations is still the arrival's mistake, not the limiter's.
const SLACK: f64 = 5.0;

/// What an explanation says of one request, given what was seen before it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    /// The seconds for which it had been admissible when it arrived; below zero, after which it would be. Infinite where
    /// nothing bounds them.
    pub(super) margin: f64,
    /// Its likeliest arrival.
    pub(super) arrival: Duration,
    /// The standard deviation of the arrival, in seconds.
    pub(super) sigma: f64,
    /// From when on another one is admitted, if nothing else comes; `None` where time does not tell.
    pub(super) opens: Option<Duration>,
    /// What is in use of each limiter after it.
    pub(super) usages: Vec<Usage>,
}

impl Said {
    /// Whether it should have been admitted.
    pub(super) fn is_admitted(&self) -> bool {
        self.margin >= 0.0
    }
}

/// All requests of a log in the order of sending, each with what an explanation says of it; `None` for those that used
/// another quota.
///
/// The replay goes in the order of arrival, and each request is judged by what was *seen* before it, as the fit does it.
pub(super) fn account(log: &Log, hypothesis: &Hypothesis) -> Vec<(Observation, Option<Said>)> {
    let mut said = replayed(&queue::events_of(log, Some(hypothesis)), hypothesis);
    let mut all: Vec<_> = log.observations().iter().chain(log.others()).copied().collect();
    all.sort_by_key(|observation| observation.sent);
    let of = |observation: &Observation| {
        let admitted = observation.is_decided().then_some(observation.answer == Answer::Admitted);
        said.get_mut(&(observation.sent, admitted))?.pop_front()
    };
    let said: Vec<_> = all.iter().map(of).collect();
    all.into_iter().zip(said).collect()
}

/// Requests that were sent at one instant and had one outcome are alike: which of them arrived first, nobody knows.
type Alike = (Duration, Option<bool>);

fn replayed(events: &Events, hypothesis: &Hypothesis) -> HashMap<Alike, VecDeque<Said>> {
    let mut replay = Replay::new(hypothesis);
    let mut said: HashMap<Alike, VecDeque<Said>> = HashMap::new();
    for event in &events.list {
        let alike = (event.sent, event.admitted);
        said.entry(alike).or_default().push_back(step(&mut replay, event, hypothesis.lost_arrive));
    }
    said
}

fn step(replay: &mut Replay, event: &Event, lost_arrive: bool) -> Said {
    let margin = replay.margin(event.at);
    let request = Request { at: event.at, done: event.done, slack: event.sigma * SLACK, count: 1 };
    if let Some(admitted) = event.admitted.or(lost_arrive.then_some(margin >= 0.0)) {
        replay.note(request, admitted);
    }
    Said { margin, arrival: event.at, sigma: event.sigma, opens: replay.opens(), usages: replay.usages(event.at) }
}
