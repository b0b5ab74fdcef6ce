//! Whether a write can be seen, since when, and whether it stays; whether one that was refused or failed can be seen.

use super::Case;
use super::asking::{Desk, Halt, Sight};
use crate::consistency::{Ack, Look, Occasion, Seen};
use crate::http::Transport;
use crate::scenario::Visibility;
use crate::units::{Duration, Timer};

/// What a look says of the write that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is there.
    There,
    /// Another write of ours is there that may have come after it.
    Superseded,
    /// Neither.
    Missing,
}

impl Verdict {
    pub(super) fn of(look: &Look, case: &Case) -> Self {
        match look.seen {
            Seen::Value(value) if value == case.operation.number => Self::There,
            Seen::Value(value) if case.lease.is_later(value) => Self::Superseded,
            Seen::Value(_) | Seen::Foreign(_) | Seen::Nothing => Self::Missing,
        }
    }
}

/// When the next look is due: the pauses grow from one look to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub(super) at: Duration,
    pause: Duration,
    visibility: Visibility,
}

impl Schedule {
    /// The first look at a write that was done at an instant.
    pub(super) fn after(done: Duration, visibility: Visibility) -> Self {
        Self { at: done.saturating_add(visibility.first), pause: visibility.first, visibility }
    }

    /// The look after one that was done at an instant, or that told to wait until then.
    pub(super) fn next(&mut self, done: Duration) {
        let Visibility { factor, most, .. } = self.visibility;
        self.at = done.saturating_add(self.pause.min(most));
        self.pause = Duration::try_from_secs_f64(self.pause.as_secs_f64() * factor).unwrap_or(most).min(most);
    }
}

/// Follows a write until it is known what became of it.
pub(super) async fn follow<T: Timer, X: Transport, U: Fn() -> X>(
    desk: &Desk<T, X, U>,
    case: &Case,
    visibility: Visibility,
) -> Result<(), Halt> {
    let number = case.operation.number;
    let decisive = case.done.saturating_add(visibility.within);
    if case.ack != Ack::Accepted {
        return desk.look_surely(case, Occasion::Poll(number), (decisive, visibility.most)).await.map(drop);
    }
    let polled = poll(desk, case, visibility, decisive).await?;
    let seen = match polled {
        Polled::Seen(seen) => Some(seen),
        Polled::Superseded => None,
        Polled::NotYet => confirm(desk, case, Occasion::Poll(number), (decisive, visibility.most)).await?,
    };
    if let Some(seen) = seen {
        let again = seen.saturating_add(visibility.recheck);
        let recheck = Occasion::Recheck(number);
        // As long as it need not be seen yet, one read that does not show it says little.
        if again < decisive {
            let (look, _) = desk.look_surely(case, recheck, (again, visibility.most)).await?;
            if Verdict::of(&look, case) != Verdict::Missing {
                return Ok(());
            }
        }
        confirm(desk, case, recheck, (again.max(decisive), visibility.most)).await?;
    }
    Ok(())
}

/// What polling brought.
enum Polled {
    /// The write was seen by a look that was done at this instant.
    Seen(Duration),
    Superseded,
    /// The time for the look that decides has come.
    NotYet,
}

/// Looks for a write until the time of the look that decides. A look that fails is one that was not made.
async fn poll<T: Timer, X: Transport, U: Fn() -> X>(
    desk: &Desk<T, X, U>,
    case: &Case,
    visibility: Visibility,
    decisive: Duration,
) -> Result<Polled, Halt> {
    let mut schedule = Schedule::after(case.done, visibility);
    while schedule.at < decisive {
        desk.sleep_until(schedule.at).await;
        match desk.look(case, Occasion::Poll(case.operation.number)).await? {
            Sight::Nothing(again) => schedule.next(again),
            Sight::Shown(look, _) => match Verdict::of(&look, case) {
                Verdict::There => return Ok(Polled::Seen(look.done)),
                Verdict::Superseded => return Ok(Polled::Superseded),
                Verdict::Missing => schedule.next(look.done),
            },
        }
    }
    Ok(Polled::NotYet)
}

/// Looks for a write at an instant, and with such pauses a few times more where it is missing; when it was seen, or `None`
/// where it was not.
async fn confirm<T: Timer, X: Transport, U: Fn() -> X>(
    desk: &Desk<T, X, U>,
    case: &Case,
    occasion: Occasion,
    (mut at, pause): (Duration, Duration),
) -> Result<Option<Duration>, Halt> {
    for _ in 0..=Visibility::CONFIRMING {
        let (look, _) = desk.look_surely(case, occasion, (at, pause)).await?;
        match Verdict::of(&look, case) {
            Verdict::There => return Ok(Some(look.done)),
            Verdict::Superseded => return Ok(None),
            Verdict::Missing => at = look.done.saturating_add(pause),
        }
    }
    Ok(None)
}
