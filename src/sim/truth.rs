//! The simulator's own account of what it received and answered.

/// What kind of request it is, for the account and for faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Method PATCH, whatever the path.
    Patch,
    /// Method PUT, whatever the path.
    Put,
    /// Method GET, whatever the path.
    Get,
    /// `POST /oauth/token`.
    Login,
    /// Anything else.
    Other,
}

/// What the simulator received and answered since its start.
///
/// A request counts as received when its whole head has arrived, its body perhaps not; an answer when it is decided, before
/// its latency. So `received` minus all answers of its kind are the requests whose body has not arrived, or never did because
/// the client hung up. Whatever connection a client opened is either among `connections` or was never accepted, and no
/// request came over it: attempts of a load generator that used this server alone = `patches.received` + its attempts that
/// broke before the head was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Truth {
    /// Connections accepted.
    pub connections: u64,
    /// Requests with the method PATCH, whatever their path.
    pub patches: Counts,
    /// Requests with the method PUT, whatever their path.
    pub puts: Counts,
    /// Requests with the method GET, whatever their path.
    pub gets: Counts,
    /// Logins: `POST /oauth/token`.
    pub logins: Counts,
    /// Any other request, but those that look into the simulator itself (`/_sim/`): they are no part of the account.
    pub others: Counts,
}

/// What became of the requests of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests received.
    pub received: u64,
    /// Answered with success.
    pub accepted: u64,
    /// Answered with 429.
    pub throttled: u64,
    /// Answered with any other status from 400 to 499.
    pub rejected: u64,
    /// Answered with a status of 500 or above: an injected fault.
    pub failed: u64,
    /// Connections reset instead of an answer; the request was read and not applied, but counted by the quota.
    pub reset: u64,
    /// Answers and resets that a stall held back; each is also counted as what it is.
    pub stalled: u64,
}

impl Kind {
    /// Whether latency and drawn faults apply.
    pub(super) fn is_faulty(self) -> bool {
        matches!(self, Self::Patch | Self::Put | Self::Get)
    }
}

impl Truth {
    /// The counts of a kind.
    pub(super) fn of(&mut self, kind: Kind) -> &mut Counts {
        match kind {
            Kind::Patch => &mut self.patches,
            Kind::Put => &mut self.puts,
            Kind::Get => &mut self.gets,
            Kind::Login => &mut self.logins,
            Kind::Other => &mut self.others,
        }
    }
}
