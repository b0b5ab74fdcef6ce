//! Looking into the simulator itself: `/_sim/truth` and `/_sim/config`.

/// What can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inspection {
    /// What the server did with each of the latest requests.
    Truth,
    /// The parameters.
    Config,
}

impl Inspection {
    /// What the path after `/_sim/` names.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "truth" => Some(Self::Truth),
            "config" => Some(Self::Config),
            _ => None,
        }
    }
}
