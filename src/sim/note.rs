//! What is noted of a request while it is decided.

use std::time::Duration;

use super::ailment::Ailments;
use super::log::Decision;
use super::quotas::Caller;
use super::tokens::{Issued, Token};

/// What is noted while a request is decided.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// When it is.
    pub(super) judged: Duration,
    /// The faults that were drawn for it.
    pub(super) drawn: Ailments,
    /// Those of them that befell it.
    pub(super) faults: Ailments,
    pub(super) caller: Option<Caller>,
    pub(super) token: Option<Token>,
    pub(super) issued: Option<Issued>,
    pub(super) quota: Decision,
    /// The quotas delay it so long.
    pub(super) delay: Duration,
    /// The quotas that refuse it admit it after so long.
    pub(super) rest: Duration,
    /// Its answer is due, if no fault withholds it.
    pub(super) due: Duration,
    /// When a read shows it, and when it is undone.
    pub(super) applied: Option<Duration>,
    pub(super) reverted: Option<Duration>,
    /// A fault holds the answer back for so long.
    pub(super) withheld: Duration,
}
