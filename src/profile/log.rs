//! What was sent and what became of it: the only evidence there is.

use std::time::Duration;

/// What an answer says about the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The request passed the limiter, whatever the API then made of it.
    Admitted,
    /// The limiter refused it.
    Refused {
        /// What the answer says about when to come back.
        retry_after: Option<Duration>,
    },
    /// The server failed, with a 5xx that does not mean a quota: whether the limiter was asked is unknown.
    Failed,
    /// No answer came: whether the request arrived is unknown.
    Lost,
}

/// A request and what became of it. Instants are times since a start that all of them share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// Whose quota it was sent to try: 0 for the key under test, else one of the others.
    pub key: usize,
    /// When it was wanted.
    pub due: Duration,
    /// When it was handed to the transport.
    pub sent: Duration,
    /// When the answer began to arrive, never before `sent`; when it was given up where none came.
    pub received: Duration,
    /// What became of it.
    pub answer: Answer,
}

impl Observation {
    /// The time from sending to the answer.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.received.saturating_sub(self.sent)
    }

    /// Whether the server answered and did not fail, so that it is known what the limiter decided.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        matches!(self.answer, Answer::Admitted | Answer::Refused { .. })
    }
}

/// All requests that have been answered or given up, in the order of sending: those of the key under test, and beside
/// them what other keys sent to see whether they share its quota.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    observations: Vec<Observation>,
    others: Vec<Observation>,
}

impl Log {
    /// Adds what became of a request; answers may come in any order.
    pub fn note(&mut self, observation: Observation) {
        let list = if observation.key == 0 { &mut self.observations } else { &mut self.others };
        let at = list.partition_point(|other| other.sent <= observation.sent);
        list.insert(at, observation);
    }

    /// The requests of the key under test, in the order of sending.
    #[must_use]
    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// The requests of other keys, in the order of sending.
    #[must_use]
    pub fn others(&self) -> &[Observation] {
        &self.others
    }
}

impl FromIterator<Observation> for Log {
    fn from_iter<I: IntoIterator<Item = Observation>>(observations: I) -> Self {
        let (mut observations, mut others): (Vec<_>, Vec<_>) = observations.into_iter().partition(|one| one.key == 0);
        for list in [&mut observations, &mut others] {
            list.sort_by_key(|observation| observation.sent);
        }
        Self { observations, others }
    }
}
