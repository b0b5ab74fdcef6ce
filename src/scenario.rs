//! A scenario: what is sent where, by whom, how often and under which limit.
//!
//! This module turns a TOML file into a checked [`Scenario`]: whoever holds one need not check again. It also decides, as
//! pure functions of seed and operation number, what each operation is ([`Operation`]).

mod care;
mod caution;
mod check_requests;
mod checks;
mod curl;
mod data;
mod hidden;
mod loader;
mod mistake;
mod operation;
mod outline;
mod overrides;
mod plan;
mod population;
mod quota_use;
mod read;
mod retry;
mod rotation;
mod rules;
mod shown;
mod shuffle;
mod simulator;
mod snapshot;
mod template;
mod transport;
mod uuid;
mod variant;
mod words;

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use url::Url;

pub use care::{AllowedHours, Care, Outside, StopRules, Unauthorized};
pub use caution::Caution;
pub use check_requests::CheckPlan;
pub use checks::{Checks, Idempotency, Sampled, Visibility};
pub use curl::{curl, curl_of, curl_read, curl_restore};
pub use data::{Data, Pick, Rows};
pub use hidden::Hidden;
pub use loader::File;
pub use mistake::{LoadError, Mistake};
pub use operation::{Operation, TokenPool};
pub use overrides::Overrides;
pub use plan::{BudgetPlan, Ends, MidRunLogins, Plan, RetryPlan};
pub use population::{Course, Life, Participant, Role, population};
pub use quota_use::QuotaUse;
pub use read::{Read, ReadError, attributes_in};
pub use retry::{Backoff, Jitter, Retry, RetryOn, Wish};
pub use rules::{Class, Holds, Rule};
pub use simulator::{
    CLIENT_ID, CLIENT_SECRET, Dialect, Draw, Factor, Faults, LogNormal, QuotaHeaders, READ_ONLY_TOKEN, RetryAfter,
    STATIC_TOKEN, Signals, SilentDrop, Simulator, Stall, Timed,
};
pub use snapshot::{Earlier, Snapshot, SnapshotRequests};
pub use transport::{
    Authority, ClientCertificate, Compression, ConnectionOptions, HttpVersion, Peer, Proxy, TlsOptions, Verification,
};
pub use variant::{RenderError, Rendered, Variant};

use crate::judge::Threshold;
use crate::pace::{Arrivals, Stages, Window};
use crate::units::Rate;

/// A checked scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The name, which names the run folder: one or more of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// The seed of everything that is random.
    pub seed: u64,
    /// The API.
    pub target: Target,
    /// The tables that templates take their columns from, in the order of the file, with different names.
    pub data: Vec<Data>,
    /// The shapes of the request; at least one, with different names.
    pub variants: Vec<Variant>,
    /// What the users do.
    pub load: Load,
    /// What we impose on ourselves; `None` for no limit.
    pub limit: Option<Limit>,
    /// What a run must not do to its target.
    pub care: Care,
    /// How attributes are seen; `None` where the scenario does not say.
    pub read: Option<Read>,
    /// Whether and how attributes are put back after a run.
    pub snapshot: Option<Snapshot>,
    /// What is tried again; `None` for nothing.
    pub retry: Option<Retry>,
    /// What is checked; `None` for nothing.
    pub checks: Option<Checks>,
    /// What answers are called, in the order of the file; none where the scenario says nothing.
    pub outcomes: Vec<Rule>,
    /// What the run is to keep, in the order of the file; none where the scenario says nothing.
    pub thresholds: Vec<Threshold>,
    /// The scenario as it stands in the file, before `${ENV}` was put in, literal secrets replaced by `***`, with the
    /// overrides of the command line under `overrides`: fit to be written into `run.json`.
    pub source: serde_json::Value,
    /// What a server may quote and no output may show: values of the environment, and literal secrets.
    pub hidden: Hidden,
}

/// The API under load.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How requests are authorised.
    pub auth: Auth,
    /// Which user has which token.
    pub tokens: TokenPool,
    /// The time after which an attempt is given up, from sent to the end of the response.
    pub timeout: Duration,
    /// For so long nothing but broken attempts ends the run.
    pub give_up: Duration,
    /// How connections are made, also those of logins.
    pub connection: ConnectionOptions,
}

/// Where the API is.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// The embedded simulator.
    Simulator(Box<Simulator>),
    /// A server; paths of variants are appended. `http` or `https`, without query and fragment.
    Url(Url),
}

/// How requests are authorised.
#[derive(Debug, Clone)]
pub enum Auth {
    /// They are not.
    None,
    /// By tokens that the scenario brings along.
    Bearer {
        /// One or more.
        tokens: Vec<Secret>,
    },
    /// By tokens that the OAuth client credentials grant gives out.
    ClientCredentials {
        /// Where tokens are asked for; `None` for the embedded simulator's own endpoint.
        login_url: Option<Url>,
        /// One or more, with different names; the tokens are theirs in turn.
        clients: Vec<OauthClient>,
    },
}

impl Auth {
    /// The number of the client whose token this is, both counted from 0; 0 where no client logs in.
    #[must_use]
    pub fn client_of(&self, token: usize) -> usize {
        match self {
            Self::None | Self::Bearer { .. } => 0,
            Self::ClientCredentials { clients, .. } => token % clients.len().max(1),
        }
    }
}

/// A client that logs in for tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthClient {
    /// Its name at the token endpoint.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
    /// The fields of the scenario that hold both, for messages.
    pub place: String,
}

/// A text that appears in no file and no message.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one header that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What the users do.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// When operations are due.
    pub schedule: Schedule,
    /// The part of the schedule of which the figures are: all of it but the warm-up and the cool-down.
    pub main: Window,
    /// How users share connections.
    pub connections: Connections,
    /// The bound on the time after the schedule in which what is in flight may finish.
    pub drain: Duration,
}

/// When operations are due.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// The closed model: each user's next operation is due when the one before is done.
    Users(Closed),
    /// The open model: operations are due whatever the target does.
    Arrivals(Open),
}

/// The closed model.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// How many users are on stage, and when.
    pub stages: Stages,
    /// The pause of a user between the end of one operation and the next one's due time.
    pub think_time: Span,
    /// Operations of each user, at most; `None` for as many as the stages leave time for.
    pub iterations: Option<u64>,
}

/// The open model.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// When each operation is due.
    pub arrivals: Arrivals,
    /// So many operations may be under way at once, above zero; what is due meanwhile waits for one of them to end.
    pub max_users: u32,
}

impl Schedule {
    /// Its length, without the drain.
    #[must_use]
    pub fn length(&self) -> Duration {
        match self {
            Self::Users(closed) => closed.stages.length(),
            Self::Arrivals(open) => open.arrivals.length(),
        }
    }
}

impl Load {
    /// The length of the schedule, without the drain.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.schedule.length()
    }

    /// The most users that are there at one time.
    #[must_use]
    pub fn max_users(&self) -> u32 {
        match &self.schedule {
            Schedule::Users(closed) => closed.stages.max_users(),
            Schedule::Arrivals(open) => open.max_users,
        }
    }
}

/// A time that is evenly distributed from `min` to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The shortest.
    pub min: Duration,
    /// The longest, at least `min`.
    pub max: Duration,
}

/// How users share connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    /// Each user has its own, as a real client has.
    PerUser,
    /// All users of a worker share a pool.
    Shared,
    /// Each attempt opens a new one.
    PerRequest,
}

/// What we impose on ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many attempts may start per time, of each key.
    pub rate: Rate,
    /// How many may start at once after a pause.
    pub burst: NonZeroU32,
    /// What has a limit of its own.
    pub per: LimitKey,
    /// How far a late wake-up is made up for.
    pub catch_up: Duration,
}

/// What has a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKey {
    /// The run: one limit for all users.
    Run,
    /// Each token: users with the same token share a limit.
    Token,
}
