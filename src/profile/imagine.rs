//! What a course would bring if a hypothesis were true, and how much that would tell.

use std::collections::VecDeque;
use std::time::Duration;

use super::course::{Course, Step};
use super::replay::{Replay, Request};
use super::score::{admission, evidence};

/// A request that was only imagined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Imagined {
    pub(super) at: Duration,
    done: Duration,
    pub(super) admitted: bool,
}

impl Imagined {
    /// Notes it in a replay, as if it had been seen.
    pub(super) fn note_in(&self, replay: &mut Replay) {
        replay.note(Request { at: self.at, done: self.done, count: 1, slack: 0.0 }, self.admitted);
    }
}

/// A world in which a hypothesis holds.
#[derive(Debug, Clone)]
pub(super) struct World {
    /// What has been noted of it.
    pub(super) replay: Replay,
    /// The time from sending to arrival, and from there to the answer.
    pub(super) one_way: Duration,
    /// The time that the work on an admitted request takes.
    pub(super) service: Duration,
    /// The instant at which it begins.
    pub(super) now: Duration,
}

/// No course that is worth while takes so many requests.
const MOST: usize = 20_000;

impl World {
    /// The requests of a course, in the order of arrival, and when it is over; the world goes on from there.
    pub(super) fn run(&mut self, mut course: Course) -> Vec<Imagined> {
        let mut done: VecDeque<(Duration, Duration, bool)> = VecDeque::new();
        let mut requests = Vec::new();
        loop {
            while done.front().is_some_and(|(at, ..)| *at <= self.now) {
                if let Some((_, sent, admitted)) = done.pop_front() {
                    course.answered(sent, Some(admitted));
                }
            }
            let answered = done.front().map(|(at, ..)| *at);
            match course.next(self.now) {
                Step::Send(at, ..) if answered.is_some_and(|answered| answered <= at) => {
                    self.now = answered.unwrap_or(at);
                }
                Step::Send(at, count, _) => {
                    self.now = at;
                    course.sent(at, count);
                    for _ in 0..count {
                        let request = self.send();
                        let answered = request.done + self.one_way;
                        let at = done.partition_point(|(at, ..)| *at <= answered);
                        done.insert(at, (answered, self.now, request.admitted));
                        requests.push(request);
                    }
                }
                Step::Await(until) => self.now = answered.map_or(until, |answered| answered.min(until)),
                Step::Over => return requests,
            }
            if requests.len() > MOST {
                return requests;
            }
        }
    }

    fn send(&mut self) -> Imagined {
        let at = self.now + self.one_way;
        let admitted = self.replay.margin(at) >= 0.0;
        let done = if admitted { at + self.service } else { at };
        let request = Request { at, done, count: 1, slack: 0.0 };
        self.replay.note(request, admitted);
        Imagined { at, done: request.done, admitted }
    }
}

/// By how much the log-likelihood of one hypothesis would exceed that of another if these requests were seen; arrivals
/// are as unsure as `sigma` says, in seconds.
pub(super) fn lead(seen: &[Imagined], one: &Replay, other: &Replay, sigma: f64) -> f64 {
    let (mut one, mut other) = (one.clone(), other.clone());
    let mut lead = 0.0;
    for imagined in seen {
        let request = Request { at: imagined.at, done: imagined.done, count: 1, slack: sigma };
        let judge = |replay: &mut Replay| {
            let admitted = admission(replay.margin(request.at), sigma);
            replay.note(request, imagined.admitted);
            evidence(if imagined.admitted { admitted } else { 1.0 - admitted })
        };
        lead += judge(&mut one) - judge(&mut other);
    }
    lead
}
