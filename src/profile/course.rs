//! A course of requests: what is sent when, how it goes on from answer to answer, and when it is over.

use std::collections::VecDeque;
use std::time::Duration;

/// A part of a course.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Leg {
    /// Nothing is sent for so long.
    Pause(Duration),
    /// Nothing is sent until so long after the leg before began, however long that took.
    Since(Duration),
    /// As many as quickly as answers come, in rounds that grow by half of what was sent.
    Burst {
        /// At most so many.
        most: u32,
        /// The first round.
        first: u32,
        /// Over after so many refusals among the last eight answers.
        refusals: u32,
    },
    /// One after the other, whether or not the one before has been answered.
    Polls {
        /// The time to the second one.
        gap: Duration,
        /// Each gap is so many times the one before.
        growth: f64,
        /// At most so many.
        count: u32,
        /// What ends them earlier.
        stop: Stop,
    },
    /// At these instants, or as soon as possible after.
    At(VecDeque<Duration>),
    /// One of each of these keys, each as soon as the one before has been answered.
    Keys(VecDeque<usize>),
}

/// What ends a series of polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Their number.
    Never,
    /// The first admission.
    Admitted,
}

/// What a course wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// So many requests of a key at once, at an instant that is not past.
    Send(Duration, u32, usize),
    /// An answer, or an instant if none comes before.
    Await(Duration),
    /// Nothing any more.
    Over,
}

/// Legs one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Course {
    legs: VecDeque<Leg>,
    /// Requests of one round at most.
    widest: u32,
    /// How long a round waits for an answer that does not come.
    patience: Duration,
    /// When the leg before began, and this one once it has.
    before: Option<Duration>,
    began: Option<Duration>,
    /// When each leg began.
    beginnings: Vec<Duration>,
    /// Requests of this leg.
    sent: u32,
    /// Its last request, and when the next one is due.
    last: Duration,
    due: Duration,
    gap: Duration,
    /// Requests without an answer.
    pending: u32,
    /// The latest answers of this leg: whether each was a refusal.
    recent: VecDeque<bool>,
    is_stopped: bool,
}

/// So many of the latest answers tell whether a burst is refused.
const RECENT: usize = 8;

impl Course {
    pub(super) fn new(legs: impl IntoIterator<Item = Leg>, widest: u32, patience: Duration) -> Self {
        Self {
            legs: legs.into_iter().collect(),
            widest: widest.max(1),
            patience,
            before: None,
            began: None,
            beginnings: Vec::new(),
            sent: 0,
            last: Duration::ZERO,
            due: Duration::ZERO,
            gap: Duration::ZERO,
            pending: 0,
            recent: VecDeque::with_capacity(RECENT),
            is_stopped: false,
        }
    }

    /// What to do at an instant; whoever is told to send must then say that it was [`sent`](Self::sent).
    pub(super) fn next(&mut self, now: Duration) -> Step {
        while let Some(leg) = self.legs.front() {
            if self.began.is_none() {
                self.beginnings.push(now);
            }
            let began = *self.began.get_or_insert(now);
            if let Some(step) = self.step(leg, began, now) {
                return step;
            }
            self.legs.pop_front();
            self.begin_leg();
        }
        Step::Over
    }

    /// Whether nothing is left to send or to wait for at an instant.
    pub(super) fn is_ending(&self, now: Duration) -> bool {
        let is_over = |leg: &Leg| self.step(leg, self.began.unwrap_or(now), now).is_none();
        self.legs.len() < 2 && self.legs.front().is_none_or(is_over)
    }

    /// How long a round waits from now on for an answer that does not come.
    pub(super) fn be_patient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// When each leg began, of those that have.
    pub(super) fn beginnings(&self) -> &[Duration] {
        &self.beginnings
    }

    fn begin_leg(&mut self) {
        self.before = self.began.take();
        self.sent = 0;
        self.pending = 0;
        self.recent.clear();
        self.is_stopped = false;
    }

    /// The step of a leg; `None` when it is over.
    fn step(&self, leg: &Leg, began: Duration, now: Duration) -> Option<Step> {
        let await_until = |until: Duration| (now < until).then_some(Step::Await(until));
        match leg {
            Leg::Pause(length) => await_until(began + *length),
            Leg::Since(length) => await_until(self.before.unwrap_or(began) + *length),
            Leg::Burst { most, first, .. } => {
                if self.pending > 0 && now < self.last + self.patience {
                    return Some(Step::Await(self.last + self.patience));
                }
                let width = (self.sent / 2).max(*first).min(most - self.sent.min(*most)).min(self.widest);
                (!self.is_stopped && width > 0).then_some(Step::Send(now, width, 0))
            }
            Leg::Polls { count, .. } => {
                if self.is_stopped {
                    return None;
                }
                if self.sent >= *count {
                    // The last answer still belongs to this leg.
                    let has_waited = self.pending == 0 || now >= self.last + self.patience;
                    return (!has_waited).then_some(Step::Await(self.last + self.patience));
                }
                let due = if self.sent == 0 { began } else { self.due };
                Some(Step::Send(due.max(now), 1, 0))
            }
            Leg::At(instants) => Some(Step::Send((*instants.front()?).max(now), 1, 0)),
            Leg::Keys(keys) => {
                if self.pending > 0 && now < self.last + self.patience {
                    return Some(Step::Await(self.last + self.patience));
                }
                Some(Step::Send(now, 1, *keys.front()?))
            }
        }
    }

    /// Takes note that requests were sent.
    pub(super) fn sent(&mut self, at: Duration, count: u32) {
        self.sent += count;
        // Whoever sends again has given up what the round before did not answer.
        let in_rounds = matches!(self.legs.front(), Some(Leg::Burst { .. } | Leg::Keys(_)));
        self.pending = if in_rounds { count } else { self.pending + count };
        self.last = at;
        match self.legs.front_mut() {
            Some(Leg::Polls { gap, growth, .. }) => {
                self.gap = if self.sent == 1 { *gap } else { self.gap.mul_f64(*growth) };
                self.due = at + self.gap;
            }
            Some(Leg::At(instants)) => {
                instants.pop_front();
            }
            Some(Leg::Keys(keys)) => {
                keys.pop_front();
            }
            _ => {}
        }
    }

    /// Takes note of the answer to a request that was due at an instant; `None` where it does not tell what the limiter
    /// decided. Answers to what an earlier leg sent do not count for this one.
    pub(super) fn answered(&mut self, due: Duration, admitted: Option<bool>) {
        if self.began.is_none_or(|began| due < began) {
            return;
        }
        self.pending = self.pending.saturating_sub(1);
        let Some(admitted) = admitted else {
            return;
        };
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(!admitted);
        let refused = u32::try_from(self.recent.iter().filter(|refused| **refused).count()).unwrap_or(u32::MAX);
        self.is_stopped |= match self.legs.front() {
            Some(Leg::Burst { refusals, .. }) => refused >= *refusals,
            Some(Leg::Polls { stop: Stop::Admitted, .. }) => admitted,
            _ => false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_since_the_beginning_of_a_leg_waits_the_less_the_longer_that_leg_took() {
        let ms = Duration::from_millis;
        for took in [0, 40] {
            let one = Leg::Burst { most: 1, first: 1, refusals: 1 };
            let mut course = Course::new([one.clone(), Leg::Since(ms(100)), one], 1, ms(250));
            assert_eq!(course.next(ms(10)), Step::Send(ms(10), 1, 0));
            course.sent(ms(10), 1);
            course.answered(ms(10), Some(true));
            assert_eq!(course.next(ms(10 + took)), Step::Await(ms(110)));
            assert_eq!(course.next(ms(110)), Step::Send(ms(110), 1, 0));
        }
    }
}
