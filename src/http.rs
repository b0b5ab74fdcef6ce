//! One attempt: a request out, an [`Answer`] back, and the instants between.
//!
//! This module owns connections, TLS, logins and the classification of answers. It never retries, never waits for a
//! limit, and what the server does is data, never an error.

mod aside;
mod broken;
mod classify;
mod client;
mod connect;
mod login;
mod probe;
mod quota;
mod remedy;
mod tls;
mod veil;

use std::future::Future;
use std::time::Duration;

pub use aside::{Aside, Reply};
pub use client::{ClientError, Clients, HttpUser, WorkerClients};
pub use login::{Login, LoginError, Token};
pub use probe::{ProbeError, probe};
pub use quota::Tried;
pub use reqwest::header::HeaderValue;

use crate::measure::Answer;
use crate::scenario::Rendered;

/// A request as the engine hands it over.
#[derive(Debug)]
pub struct Request<'a> {
    /// Index of the variant in the scenario.
    pub variant: usize,
    /// What the variant's templates gave.
    pub rendered: Rendered<'a>,
    /// The value of the `Authorization` header.
    pub authorization: Option<HeaderValue>,
}

/// One attempt as it was measured; instants are times since the start of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
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
}

/// A request of a check, which is no attempt of the load.
#[derive(Debug)]
pub struct Ask<'a> {
    /// What it is.
    pub purpose: Purpose,
    /// Path, headers and body.
    pub rendered: Rendered<'a>,
    /// The value of the `Authorization` header.
    pub authorization: Option<HeaderValue>,
}

/// What a request of a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A GET, whose answer is accepted with any 2xx.
    Read,
    /// The request of this variant once more.
    Write(usize),
    /// The same, of a client that hangs up when it has sent it and does not wait for the answer: the attempt is broken,
    /// with the code [`HUNG_UP`], unless the answer was there before.
    Unanswered(usize),
}

impl Purpose {
    /// The variant whose method and expectations hold; `None` for a read.
    #[must_use]
    pub fn variant(self) -> Option<usize> {
        match self {
            Self::Read => None,
            Self::Write(variant) | Self::Unanswered(variant) => Some(variant),
        }
    }
}

/// The code of an attempt whose client did not wait for the answer.
pub const HUNG_UP: &str = "hung_up";

/// What came back to a request of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The attempt, as one of the load would be told.
    pub attempt: Attempt,
    /// The body of the answer, at most the first 16 MiB.
    pub body: Vec<u8>,
}

/// The connections of one user: what an attempt is sent by.
///
/// One implementation speaks HTTP through reqwest; tests of the engine have one that follows a script.
pub trait Transport {
    /// Sends one request and reads the whole response.
    fn attempt(&self, request: Request<'_>) -> impl Future<Output = Attempt>;

    /// Sends one request of a check, and keeps what comes back.
    fn ask(&self, ask: Ask<'_>) -> impl Future<Output = Asked>;
}
