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

/// All requests of one key that have been answered or given up, in the order of sending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    observations: Vec<Observation>,
}

impl Log {
    /// Adds what became of a request; answers may come in any order.
    pub fn note(&mut self, observation: Observation) {
        let at = self.observations.partition_point(|other| other.sent <= observation.sent);
        self.observations.insert(at, observation);
    }

    /// The requests, in the order of sending.
    #[must_use]
    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }
}

impl FromIterator<Observation> for Log {
    fn from_iter<I: IntoIterator<Item = Observation>>(observations: I) -> Self {
        let mut observations: Vec<_> = observations.into_iter().collect();
        observations.sort_by_key(|observation| observation.sent);
        Self { observations }
    }
}
