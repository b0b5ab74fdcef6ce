//! What is known of writes and reads: each with the instants between which it took effect.

use std::sync::Arc;
use std::time::Duration;

use crate::measure::Mode;

/// Numbers from this one on are those of operations that were repeated, which are none of the load: what is below this bit
/// is the number of the operation of the load whose user, row and variant it has.
pub const REPEATED: u64 = 1 << 40;

/// A register: one attribute of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The first data row that names the resource.
    pub row: u32,
    /// The attribute's name.
    pub key: Arc<str>,
}

/// What the answer to a write says about its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ack {
    /// It took effect: the answer was accepted.
    Accepted,
    /// It did not: a 4xx, 429 included, but for 408.
    Refused,
    /// The server failed (5xx but 504), and says nothing about the effect; a client takes it for none.
    Failed,
    /// Nobody knows: a timeout (408 and 504 among them), a reset, a status that the variant does not expect. It may take effect
    /// at any later time.
    Unknown,
    /// It was never written to a connection, so it has no effect.
    NotSent,
}

/// One write of a value, which is the operation whose `unique` it bears. A retry or a repetition writes the same value
/// once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// What it writes.
    pub place: Place,
    /// The number of the operation.
    pub value: u64,
    /// Index of its variant.
    pub variant: usize,
    /// It was handed to the transport.
    pub sent: Duration,
    /// Its answer was there, or it was given up.
    pub done: Duration,
    /// What the answer says.
    pub ack: Ack,
}

/// One write of a request that gives the tracked attribute no value of its own: of a variant that is not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untracked {
    /// The first data row that names the resource.
    pub row: u32,
    /// The number of the operation.
    pub number: u64,
    /// Index of its variant.
    pub variant: usize,
    /// Whether it may have written the tracked attribute all the same.
    pub names_key: bool,
    /// It was handed to the transport.
    pub sent: Duration,
    /// Its answer was there, or it was given up.
    pub done: Duration,
    /// What the answer says.
    pub ack: Ack,
}

/// What a read shows of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Seen {
    /// The resource has no such attribute.
    Nothing,
    /// The value of the operation with this number.
    Value(u64),
    /// A value that no operation of the run bears, as a hash of it.
    Foreign(u64),
}

/// Why a register was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// Before the run.
    Before,
    /// To find out when a write can be seen: that of the operation with this number.
    Poll(u64),
    /// To find out whether it is still there.
    Recheck(u64),
    /// After the run.
    Audit,
}

/// One read of a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What was read.
    pub place: Place,
    /// Why.
    pub occasion: Occasion,
    /// It was handed to the transport.
    pub sent: Duration,
    /// Its answer was there.
    pub done: Duration,
    /// What it showed.
    pub seen: Seen,
}

/// An operation that was repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repetition {
    /// How.
    pub mode: Mode,
    /// What was written.
    pub place: Place,
    /// The number of the operation, which is none of the load.
    pub value: u64,
    /// Index of its variant.
    pub variant: usize,
    /// Its first read was sent.
    pub from: Duration,
    /// Its last read was done.
    pub to: Duration,
    /// What came of it, as long as nobody else wrote the resource in that time.
    pub comparison: Comparison,
}

/// What once and twice have in common; `None` where nobody can tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Whether the statuses are of one class.
    pub status: Option<bool>,
    /// Whether the bodies are the same, but for what is volatile.
    pub response: Option<bool>,
    /// Whether the resource is what one request would have made of it.
    pub state: Option<bool>,
    /// What differs, or why nobody can tell; empty where all is the same.
    pub text: String,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A write.
    Write(Write),
    /// A write to a resource that leaves no value to look for.
    Untracked(Untracked),
    /// A read.
    Look(Look),
    /// An operation that was repeated; its writes and reads are events of their own.
    Repetition(Repetition),
    /// A check of the operation with this number, of this variant, ended before it could tell: why, in a few words.
    GivenUp {
        /// The first data row that names its resource.
        row: u32,
        /// The number of the operation.
        value: u64,
        /// Index of its variant.
        variant: usize,
        /// Why.
        why: &'static str,
    },
}
