//! Faults that the simulator injects, and which of them befall a request.

use crate::scenario::{Draw, Faults};
use crate::units::Share;

/// A fault that the simulator injects into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ailment {
    /// The connection is reset instead of an answer.
    Reset,
    /// The connection is reset in the middle of the answer.
    Cut,
    /// A write is answered as a success and never applied.
    Drop,
    /// A write is undone after a time.
    Revert,
    /// A write puts the whole map back as it could be read, with its own changes.
    LostUpdate,
    /// A write is applied although it is answered with 500.
    Applied500,
    /// A write is applied, and answered late with 504.
    AppliedTimeout,
    /// A read shows what was before the last change.
    StaleRead,
    /// A repeated write grows a counter.
    Duplicate,
    /// The answer's body takes its time.
    SlowBody,
    /// A page of HTML with the status 503.
    Html503,
    /// A 503 without a body.
    Empty503,
    /// A 503 of the API.
    Json503,
    /// A write is refused with 409.
    Conflict409,
    /// A body that is shorter than its header says.
    WrongLength,
    /// A stall held the answer back.
    Stall,
    /// The token that a login gave out expires early.
    EarlyExpiry,
}

/// Some of all ailments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ailments(u32);

/// Every ailment that is drawn by request number, with how often it happens.
#[derive(Debug, Clone)]
pub(super) struct Odds {
    /// Those that happen at all, so that a faultless simulator draws nothing.
    drawn: Vec<(Ailment, Draw)>,
}

impl Ailment {
    const ALL: [Self; 17] = [
        Self::Reset,
        Self::Cut,
        Self::Drop,
        Self::Revert,
        Self::LostUpdate,
        Self::Applied500,
        Self::AppliedTimeout,
        Self::StaleRead,
        Self::Duplicate,
        Self::SlowBody,
        Self::Html503,
        Self::Empty503,
        Self::Json503,
        Self::Conflict409,
        Self::WrongLength,
        Self::Stall,
        Self::EarlyExpiry,
    ];

    /// The name: that of its field in the configuration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Cut => "cut",
            Self::Drop => "drop",
            Self::Revert => "revert",
            Self::LostUpdate => "lost_update",
            Self::Applied500 => "applied_500",
            Self::AppliedTimeout => "applied_timeout",
            Self::StaleRead => "stale_read",
            Self::Duplicate => "duplicate",
            Self::SlowBody => "slow_body",
            Self::Html503 => "html_503",
            Self::Empty503 => "empty_503",
            Self::Json503 => "json_503",
            Self::Conflict409 => "conflict_409",
            Self::WrongLength => "wrong_length",
            Self::Stall => "stall",
            Self::EarlyExpiry => "early_expiry",
        }
    }

    fn bit(self) -> u32 {
        1 << self as u16
    }
}

impl Ailments {
    /// Adds one.
    pub(super) fn add(&mut self, ailment: Ailment) {
        self.0 |= ailment.bit();
    }

    /// Whether it is among them.
    pub(super) fn has(self, ailment: Ailment) -> bool {
        self.0 & ailment.bit() != 0
    }

    /// All of them, in the order of their declaration.
    pub(super) fn iter(self) -> impl Iterator<Item = Ailment> {
        Ailment::ALL.into_iter().filter(move |ailment| self.has(*ailment))
    }
}

impl Odds {
    /// The odds of these faults. A stall is no draw, and the expiry of tokens is
    /// drawn by login.
    pub(super) fn new(faults: &Faults) -> Self {
        let all = [
            (Ailment::Reset, faults.reset),
            (Ailment::Cut, faults.cut),
            (Ailment::Drop, faults.drop.draw),
            (Ailment::Revert, faults.revert.draw),
            (Ailment::LostUpdate, faults.lost_update),
            (Ailment::Applied500, faults.applied_500),
            (Ailment::AppliedTimeout, faults.applied_timeout.draw),
            (Ailment::StaleRead, faults.stale_read),
            (Ailment::Duplicate, faults.duplicate),
            (Ailment::SlowBody, faults.slow_body.draw),
            (Ailment::Html503, faults.html_503),
            (Ailment::Empty503, faults.empty_503),
            (Ailment::Json503, faults.json_503),
            (Ailment::Conflict409, faults.conflict_409),
            (Ailment::WrongLength, faults.wrong_length),
        ];
        Self { drawn: all.into_iter().filter(|(_, draw)| draw.share > Share::NONE).collect() }
    }

    /// Whether this one can happen.
    pub(super) fn include(&self, ailment: Ailment) -> bool {
        self.drawn.iter().any(|(drawn, _)| *drawn == ailment)
    }

    /// What befalls a request, where `happens` decides each draw.
    pub(super) fn draw(&self, happens: impl Fn(Ailment, Draw) -> bool) -> Ailments {
        let mut ailments = Ailments::default();
        for (ailment, draw) in &self.drawn {
            if happens(*ailment, *draw) {
                ailments.add(*ailment);
            }
        }
        ailments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Simulator;

    #[test]
    fn every_ailment_bears_the_name_of_its_field_and_every_field_is_an_ailment() {
        let shown = Simulator::default().shown();
        let mut fields: Vec<_> = shown["faults"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut names = Ailment::ALL.map(Ailment::name);
        fields.sort_unstable();
        names.sort_unstable();
        assert_eq!(names.as_slice(), fields);
    }
}
