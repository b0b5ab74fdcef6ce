//! One attempt, as it was measured.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Retry;

/// What became of an attempt, or of an operation by its last attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A status that the variant expects.
    Accepted,
    /// A success or a redirect (1xx to 3xx) that the variant does not expect.
    Unexpected,
    /// Refused by a quota: 429.
    Throttled,
    /// Refused for another reason: any other 4xx.
    Rejected,
    /// The server failed: 5xx.
    Failed,
    /// No whole response: DNS, connect, TLS, timeout, reset or a breach of the protocol.
    Broken,
}

impl Outcome {
    /// All outcomes, in the order of the report columns.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Unexpected, Self::Throttled, Self::Rejected, Self::Failed, Self::Broken];

    /// The outcome's position in [`Outcome::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name in reports and tags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unexpected => "unexpected",
            Self::Throttled => "throttled",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Broken => "broken",
        }
    }

    /// The outcome of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an attempt brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The class of the answer.
    pub outcome: Outcome,
    /// The HTTP status; `None` where no response head arrived.
    pub status: Option<u16>,
    /// The error code of the body, or the kind of breakage; empty where there is none.
    pub code: String,
    /// What to quote to the API's support.
    pub correlation_id: Option<String>,
    /// The message of the body or of the transport, shortened.
    pub message: Option<String>,
    /// The field of the request that the body complains about.
    pub field: Option<String>,
    /// The limit that the body says was reached.
    pub limit: Option<String>,
    /// The server's wish for a pause.
    pub retry_after: Option<Duration>,
    /// The attempt broke before it was written to a connection: the server cannot have seen it.
    pub not_sent: bool,
}

impl Answer {
    /// An answer of which nothing but its class is known.
    #[must_use]
    pub fn bare(outcome: Outcome) -> Self {
        Self {
            outcome,
            status: None,
            code: String::new(),
            correlation_id: None,
            message: None,
            field: None,
            limit: None,
            retry_after: None,
            not_sent: false,
        }
    }

    /// An accepted answer: nothing to tell but its status.
    #[must_use]
    pub fn accepted(status: u16) -> Self {
        Self { status: Some(status), ..Self::bare(Outcome::Accepted) }
    }
}

/// One attempt with its instants, each a time since the start of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Index of the variant in the scenario.
    pub variant: usize,
    /// The schedule wanted the operation, whichever attempt of it this is.
    pub due: Duration,
    /// The limit let it go.
    pub admitted: Duration,
    /// It was handed to the transport.
    pub sent: Duration,
    /// The response head arrived; `None` when none did.
    pub first_byte: Option<Duration>,
    /// The whole response was read, or the attempt was given up.
    pub done: Duration,
    /// How long opening a connection took, where this attempt opened one.
    pub connect: Option<Duration>,
    /// What came back.
    pub answer: Answer,
    /// Whether the operation ends with this attempt.
    pub last: bool,
    /// What this attempt is as a retry; `None` for the first of its operation.
    pub retry: Option<Retry>,
}

impl Sample {
    /// When this attempt wanted to go: when its operation was due, or when the pause before a retry was over.
    #[must_use]
    pub fn wanted(&self) -> Duration {
        self.retry.map_or(self.due, |retry| retry.wanted)
    }
}
