//! What a write asks for, whatever its path and payload.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use hyper::StatusCode;

use crate::scenario::Role;

/// A map of attributes. Owned, because an accepted one is kept.
pub(super) type Attributes = BTreeMap<Box<str>, Box<str>>;

/// What a write asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// The new values.
    pub(super) attributes: Attributes,
    /// What becomes of keys that it does not name.
    pub(super) extent: Extent,
    /// What it says of the participant beside the attributes.
    pub(super) claims: Claims,
    /// What becomes of it although it is accepted.
    pub(super) effect: Effect,
    /// The status of success.
    pub(super) status: StatusCode,
    /// The body of success.
    pub(super) body: Vec<u8>,
    /// The same for the same bytes on the wire.
    pub(super) fingerprint: u64,
}

/// What becomes of keys that a write does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// They stay.
    Merge,
    /// They go.
    Replace,
}

/// What a write says of the participant beside the attributes; `None` for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Claims {
    /// The role of the participant.
    pub(super) role: Option<Role>,
    /// The state of the conversation.
    pub(super) state: Option<State>,
    /// The version of the participant.
    pub(super) version: Option<u64>,
    /// Whether the participant must be known to every part of the API, as it is some time after the call was connected.
    pub(super) known: bool,
}

/// What becomes of an accepted write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is applied, and stays.
    Applied,
    /// It is never applied.
    Ignored,
    /// It shows up briefly and disappears, or never appears: half of them each.
    Fleeting,
}

/// The state of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is being made.
    Draft,
    /// It rings.
    Alerting,
    /// It is on.
    Connected,
    /// It is over.
    Terminated,
}

impl State {
    const ALL: [Self; 4] = [Self::Draft, Self::Alerting, Self::Connected, Self::Terminated];

    /// The name in payloads.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Alerting => "alerting",
            Self::Connected => "connected",
            Self::Terminated => "terminated",
        }
    }

    /// The state of this name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// The fingerprint of a request's body.
pub(super) fn fingerprint(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}
