//! What becomes of a write that is in order.

use std::time::Duration;

use hyper::StatusCode;

use super::ailment::{Ailment, Ailments};
use super::answer::Answer;
use super::change::{Change, Effect, Extent};
use super::conversations::{Application, Conversations, Repetition};
use super::note::Note;
use super::refusal::Refusal;
use super::route::Whom;
use crate::scenario::Faults;

/// How long a fleeting write of the forum is seen.
const BRIEFLY: Duration = Duration::from_secs(1);

/// What becomes of a write beside being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fate {
    /// The faults that decide it.
    faults: Ailments,
    /// Whether it is ever applied.
    is_applied: bool,
    /// It is undone so long after it became visible.
    undone_after: Option<Duration>,
    /// The status of its answer where it is not that of its success.
    status: Option<StatusCode>,
    /// Its answer is withheld for so long.
    withheld: Duration,
}

/// A write with its fate.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) change: Change,
    pub(super) fate: Fate,
    /// When a read shows it, if it is applied.
    pub(super) visible_at: Duration,
    /// Whether repetitions matter at all.
    pub(super) remembers: bool,
}

impl Fate {
    /// The fate of a write that these faults were drawn for. `coin` decides how a fleeting write ends.
    pub(super) fn of(change: &Change, drawn: Ailments, config: &Faults, coin: bool) -> Self {
        let effect = change.effect;
        let mut fate = Self {
            faults: Ailments::default(),
            is_applied: effect == Effect::Applied || effect == Effect::Fleeting && coin,
            undone_after: (effect == Effect::Fleeting).then_some(BRIEFLY),
            status: None,
            withheld: Duration::ZERO,
        };
        if !fate.is_applied {
            // The faults of writes have nothing left to do.
            return fate;
        }
        if drawn.has(Ailment::Drop) {
            fate.faults.add(Ailment::Drop);
            fate.is_applied = false;
            fate.status = config.drop.status.and_then(|status| StatusCode::from_u16(status).ok());
            return fate;
        }
        if drawn.has(Ailment::Revert) {
            fate.faults.add(Ailment::Revert);
            fate.undone_after = Some(config.revert.time);
        }
        // A write that replaces the map anyway loses what others wrote with or without a fault.
        if drawn.has(Ailment::LostUpdate) && change.extent == Extent::Merge {
            fate.faults.add(Ailment::LostUpdate);
        }
        if drawn.has(Ailment::Applied500) {
            fate.faults.add(Ailment::Applied500);
        } else if drawn.has(Ailment::AppliedTimeout) {
            fate.faults.add(Ailment::AppliedTimeout);
            fate.withheld = config.applied_timeout.time;
        }
        if drawn.has(Ailment::Duplicate) {
            fate.faults.add(Ailment::Duplicate);
        }
        fate
    }
}

impl Write {
    /// Changes the state and notes what was done; the answer.
    pub(super) fn carry_out(
        self,
        conversations: &mut Conversations,
        whom: Whom<'_>,
        now: Duration,
        note: &mut Note,
    ) -> Result<Answer, Refusal> {
        let Self { mut change, fate, visible_at, remembers } = self;
        let counts = fate.faults.has(Ailment::Duplicate);
        let how = Application {
            visible_at: fate.is_applied.then_some(visible_at),
            undone_after: fate.undone_after,
            replaces: fate.faults.has(Ailment::LostUpdate),
            repetition: match remembers {
                true if counts => Repetition::Counted,
                true => Repetition::Remembered,
                false => Repetition::Ignored,
            },
        };
        let (status, body) = (change.status, std::mem::take(&mut change.body));
        let was_counted = conversations.apply(whom, change, &how, now)?;
        note.applied = how.visible_at;
        note.reverted = how.visible_at.zip(fate.undone_after).map(|(at, after)| at.saturating_add(after));
        note.withheld = fate.withheld;
        for fault in fate.faults.iter() {
            // A first write repeats nothing: the fault had nothing to do.
            if fault != Ailment::Duplicate || was_counted {
                note.faults.add(fault);
            }
        }
        if fate.faults.has(Ailment::Applied500) {
            return Err(Refusal::Internal);
        }
        if fate.faults.has(Ailment::AppliedTimeout) {
            return Err(Refusal::GatewayTimeout);
        }
        let status = fate.status.unwrap_or(status);
        let body = if status == StatusCode::NO_CONTENT { Vec::new() } else { body };
        Ok(Answer::Success { status, body })
    }
}
