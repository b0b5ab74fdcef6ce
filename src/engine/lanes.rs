//! Who gets the next permit of a limit, and when: a pure state machine of instants.
//!
//! governor decides *when* (GCRA on a clock that stands at the slot's instant), the lanes decide *who*.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::scenario::Limit;
use crate::units::Share;

/// What a permit is for; earlier lanes go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Reads and repetitions that check what a write did.
    Check,
    /// Further attempts of an operation.
    Retry,
    /// First attempts.
    Load,
}

impl Lane {
    /// All of them, the first to go first.
    pub const ALL: [Self; 3] = [Self::Check, Self::Retry, Self::Load];
}

/// The right to make one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// The slot's instant.
    pub admitted: Duration,
    /// The round in which it was given; its holder asks for the next one in a later round.
    pub round: u64,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<W> {
    /// This one may go; its slot is not after now.
    Admit {
        /// Who waited.
        waiter: W,
        /// What it is given.
        permit: Permit,
    },
    /// Somebody waits for a slot that is still to come.
    Wait {
        /// The slot's instant.
        until: Duration,
    },
    /// Nobody waits.
    Idle,
}

/// The instant at which governor is asked: the slot's, never the system's.
#[derive(Debug, Clone, Default)]
struct SlotClock(Rc<Cell<Duration>>);

impl GovernorClock for SlotClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.get()
    }
}

/// Those who wait in one lane, by rounds: nobody gets a permit of a round while somebody waits in an earlier one, and within a
/// round who comes first goes first.
///
/// A plain queue is nearly that, but a user whose answer comes sooner would overtake its neighbour, and be two permits
/// ahead of it. Who comes late joins the round that is on, so that it catches up with nobody. This is start-time fair
/// queueing with equal shares (Goyal, Vin, Cheng, SIGCOMM 1996).
struct Queue<W> {
    round: u64,
    rounds: BTreeMap<u64, VecDeque<(Duration, W)>>,
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self { round: 0, rounds: BTreeMap::new() }
    }
}

impl<W> Queue<W> {
    fn push(&mut self, round: u64, due: Duration, waiter: W) {
        self.rounds.entry(round.max(self.round)).or_default().push_back((due, waiter));
    }

    fn len(&self) -> usize {
        self.rounds.values().map(VecDeque::len).sum()
    }

    fn first_due(&self) -> Option<Duration> {
        let (_, waiting) = self.rounds.first_key_value()?;
        waiting.front().map(|(due, _)| *due)
    }

    fn pop(&mut self) -> Option<(u64, W)> {
        let mut first = self.rounds.first_entry()?;
        self.round = *first.key();
        let (_, waiter) = first.get_mut().pop_front()?;
        if first.get().is_empty() {
            first.remove();
        }
        Some((self.round, waiter))
    }
}

/// The permits of one key of a limit and those who wait for them.
///
/// While somebody waits, slots follow an absolute schedule: a wake-up that comes late by no more than `catch_up` takes
/// the slot that it was meant for, and the next slot does not move. In any window, permits <= rate x (window +
/// `catch_up`) + burst.
pub struct Lanes<W> {
    limiter: RateLimiter<NotKeyed, InMemoryState, SlotClock, NoOpMiddleware<Duration>>,
    clock: SlotClock,
    catch_up: Duration,
    /// No slot lies before this instant: what keeps the parts of a split limit out of step with each other.
    phase: Duration,
    queues: [Queue<W>; 3],
    /// `None` where checks get nothing.
    checks: Option<Part>,
}

/// What checks may take of the permits: their share of those that the schedule offers, whether or not anybody takes the
/// rest, and what they have left over of at most one second. Without that bound a share that was not used for minutes
/// would hold the load up when it is used at last.
///
/// This is virtual scheduling (GCRA, ITU-T I.371): in any window, checks <= (window + spare) / period + 1. As it begins with
/// nothing left over, until any instant there are no more than instant / period.
struct Part {
    /// The time in which one permit falls to checks.
    period: Duration,
    /// The time in which they may have left their permits: with the period itself a second. At least that from one slot to
    /// the next, so that a check which has to wait for its slot does not make all later ones late.
    spare: Duration,
    /// They get no slot before this instant.
    next: Duration,
}

/// What may be left over is that of so long a time.
const LEFT_OVER: Duration = Duration::from_secs(1);

impl Part {
    /// `None` where nothing is for checks.
    fn new(limit: &Limit, phase: Duration, share: Share) -> Option<Self> {
        let period = Duration::try_from_secs_f64(limit.rate.period().as_secs_f64() / share.get()).ok()?;
        let slot = limit.rate.period();
        Some(Self { period, spare: LEFT_OVER.saturating_sub(period).max(slot), next: phase.saturating_add(period) })
    }

    /// A check has got this slot.
    fn take(&mut self, slot: Duration) {
        self.next = self.next.max(slot.saturating_sub(self.spare)).saturating_add(self.period);
    }
}

impl<W> Lanes<W> {
    /// The lanes of a key of `limit`, whose first slot lies at `phase` or later; checks get at most `checks_share` of
    /// the permits that its schedule offers.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "a rate's period is never zero")]
    pub fn new(limit: &Limit, phase: Duration, checks_share: Share) -> Self {
        let clock = SlotClock::default();
        let quota =
            Quota::with_period(limit.rate.period()).expect("a rate's period is above zero").allow_burst(limit.burst);
        Self {
            limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
            catch_up: limit.catch_up,
            phase,
            queues: [Queue::default(), Queue::default(), Queue::default()],
            checks: Part::new(limit, phase, checks_share),
        }
    }

    /// Puts somebody who wants a permit since `due` at the end of a round of a lane: of `round`, or of the lane's own
    /// where that has come further.
    pub fn enqueue(&mut self, lane: Lane, round: u64, due: Duration, waiter: W) {
        self.queues[lane as usize].push(round, due, waiter);
    }

    /// Takes everybody out of a lane.
    pub fn clear(&mut self, lane: Lane) {
        self.queues[lane as usize].rounds.clear();
    }

    /// Whether more checks wait than get a permit in a second, at least one.
    #[must_use]
    pub fn is_crowded_with_checks(&self) -> bool {
        let waiting = u32::try_from(self.queues[Lane::Check as usize].len()).unwrap_or(u32::MAX);
        let period = self.checks.as_ref().map_or(Duration::MAX, |checks| checks.period);
        waiting > 1 && period.saturating_mul(waiting) > LEFT_OVER
    }

    /// What to do at `now`.
    #[expect(clippy::missing_panics_doc, reason = "who was seen at the head of a lane is still there")]
    pub fn next(&mut self, now: Duration) -> Turn<W> {
        let waiting = Lane::ALL.map(|lane| self.earliest(lane, now));
        let Some(mut slot) = waiting.into_iter().flatten().min() else { return Turn::Idle };
        loop {
            if slot > now {
                return Turn::Wait { until: slot };
            }
            self.clock.0.set(slot);
            match self.limiter.check() {
                Ok(()) => break,
                Err(refused) => slot = refused.earliest_possible(),
            }
        }
        let may_go = |lane: &Lane| waiting[*lane as usize].is_some_and(|earliest| earliest <= slot);
        let lane = Lane::ALL.into_iter().find(may_go).expect("no slot is tried before that of the first");
        if let Some(checks) = self.checks.as_mut().filter(|_| lane == Lane::Check) {
            checks.take(slot);
        }
        let (round, waiter) = self.queues[lane as usize].pop().expect("the lane's first is there");
        Turn::Admit { waiter, permit: Permit { admitted: slot, round } }
    }

    /// The first slot that who waits at the head of a lane may take at `now`, if anybody does and ever may.
    fn earliest(&self, lane: Lane, now: Duration) -> Option<Duration> {
        let due = self.queues[lane as usize].first_due()?;
        let earliest = due.max(now.saturating_sub(self.catch_up)).max(self.phase);
        if lane == Lane::Check { self.checks.as_ref().map(|checks| earliest.max(checks.next)) } else { Some(earliest) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scenario::LimitKey;

    fn limit(rate: &str, burst: u32) -> Limit {
        Limit {
            rate: rate.parse().unwrap(),
            burst: burst.try_into().unwrap(),
            per: LimitKey::Run,
            catch_up: Duration::from_millis(20),
        }
    }

    fn lanes(rate: &str, burst: u32) -> Lanes<u32> {
        Lanes::new(&limit(rate, burst), Duration::ZERO, Share::NONE)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn admitted(waiter: u32, admitted: Duration) -> Turn<u32> {
        Turn::Admit { waiter, permit: Permit { admitted, round: 0 } }
    }

    #[test]
    fn admits_in_order_at_absolute_slots_although_each_wake_up_is_late() {
        let mut lanes = lanes("100/s", 1);
        for waiter in 0..4 {
            lanes.enqueue(Lane::Load, 0, ms(0), waiter);
        }
        assert_eq!(lanes.next(ms(3)), admitted(0, ms(0)));
        assert_eq!(lanes.next(ms(3)), Turn::Wait { until: ms(10) });
        assert_eq!(lanes.next(ms(17)), admitted(1, ms(10)));
        assert_eq!(lanes.next(ms(23)), admitted(2, ms(20)));
        assert_eq!(lanes.next(ms(23)), Turn::Wait { until: ms(30) });
    }

    #[test]
    fn a_wake_up_later_than_the_allowance_loses_the_rest() {
        let mut lanes = lanes("100/s", 1);
        for waiter in 0..4 {
            lanes.enqueue(Lane::Load, 0, ms(0), waiter);
        }
        assert_eq!(lanes.next(ms(0)), admitted(0, ms(0)));
        // 50 ms late: slots before 480 ms are gone.
        assert_eq!(lanes.next(ms(500)), admitted(1, ms(480)));
        assert_eq!(lanes.next(ms(500)), admitted(2, ms(490)));
        assert_eq!(lanes.next(ms(500)), admitted(3, ms(500)));
    }

    #[test]
    fn the_burst_goes_at_once_and_then_the_rate_holds() {
        let mut lanes = lanes("10/s", 3);
        for waiter in 0..4 {
            lanes.enqueue(Lane::Load, 0, ms(1_000), waiter);
        }
        for waiter in 0..3 {
            assert_eq!(lanes.next(ms(1_000)), admitted(waiter, ms(1_000)));
        }
        assert_eq!(lanes.next(ms(1_000)), Turn::Wait { until: ms(1_100) });
    }

    #[test]
    fn checks_go_before_retries_before_load_within_their_share() {
        let mut lanes = Lanes::new(&limit("1000/s", 1), Duration::ZERO, "20%".parse().unwrap());
        for waiter in 0..20 {
            lanes.enqueue(Lane::Load, 0, ms(0), ("load", waiter));
            lanes.enqueue(Lane::Check, 0, ms(0), ("check", waiter));
        }
        lanes.enqueue(Lane::Retry, 0, ms(0), ("retry", 0));
        let mut order = Vec::new();
        for now in 0..20 {
            if let Turn::Admit { waiter, .. } = lanes.next(ms(now)) {
                order.push(waiter.0);
            }
        }
        assert_eq!(order[..6], ["retry", "load", "load", "load", "load", "check"]);
        assert_eq!(order.iter().filter(|name| **name == "check").count(), 3, "at 5, 10 and 15 ms");
    }

    #[test]
    fn a_share_that_was_not_used_for_long_does_not_hold_the_load_up_at_last() {
        let mut lanes = Lanes::new(&limit("10/s", 1), Duration::ZERO, "20%".parse().unwrap());
        let admit = |lanes: &mut Lanes<&'static str>, slot: u64| match lanes.next(ms(slot * 100)) {
            Turn::Admit { waiter, .. } => waiter,
            turn => panic!("{turn:?}"),
        };
        for slot in 0..1_000 {
            lanes.enqueue(Lane::Load, 0, ms(slot * 100), "load");
            assert_eq!(admit(&mut lanes, slot), "load");
        }
        (0..10).for_each(|_| lanes.enqueue(Lane::Load, 0, ms(100_000), "load"));
        (0..10).for_each(|_| lanes.enqueue(Lane::Check, 0, ms(100_000), "check"));
        assert!(lanes.is_crowded_with_checks(), "10 wait, and 2 go in a second");
        let order: Vec<_> = (1_000..1_012).map(|slot| admit(&mut lanes, slot)).collect();
        assert_eq!(order.iter().filter(|name| **name == "check").count(), 2 + 2, "{order:?}");
    }

    #[test]
    fn checks_leave_what_is_not_theirs_although_nobody_else_wants_it() {
        let mut lanes = Lanes::new(&limit("10/s", 1), Duration::ZERO, "20%".parse().unwrap());
        (0..100).for_each(|_| lanes.enqueue(Lane::Check, 0, ms(0), "check"));
        assert_eq!(lanes.next(ms(0)), Turn::Wait { until: ms(500) });
        let checks = |lanes: &mut Lanes<_>, slots: std::ops::Range<u64>| {
            slots.filter(|slot| matches!(lanes.next(ms(slot * 100)), Turn::Admit { waiter: "check", .. })).count()
        };
        assert_eq!(checks(&mut lanes, 0..50), 9);
        (0..100).for_each(|_| lanes.enqueue(Lane::Load, 0, ms(5_000), "load"));
        assert_eq!(checks(&mut lanes, 50..100), 10, "and they are not late for the load");
    }

    #[test]
    fn a_limit_without_a_share_for_checks_never_lets_one_go() {
        let mut lanes = lanes("10/s", 1);
        lanes.enqueue(Lane::Check, 0, ms(0), 0);
        assert_eq!(lanes.next(ms(60_000)), Turn::Idle);
        assert!(!lanes.is_crowded_with_checks());
        lanes.enqueue(Lane::Load, 0, ms(60_000), 1);
        assert_eq!(lanes.next(ms(60_000)), admitted(1, ms(60_000)));
    }

    #[test]
    fn nobody_is_two_permits_ahead_although_some_come_back_sooner() {
        let mut lanes = lanes("1000/s", 1);
        (0..3).for_each(|user| lanes.enqueue(Lane::Load, 0, ms(0), user));
        let mut next = |now| match lanes.next(ms(now)) {
            Turn::Admit { waiter, permit } => {
                // User 2 comes back at once, users 0 and 1 one permit later.
                if waiter == 2 {
                    lanes.enqueue(Lane::Load, permit.round + 1, ms(now), 2);
                    lanes.enqueue(Lane::Load, permit.round + 1, ms(now), 0);
                    lanes.enqueue(Lane::Load, permit.round + 1, ms(now), 1);
                }
                waiter
            }
            turn => panic!("{turn:?}"),
        };
        let order: Vec<_> = (0..9).map(&mut next).collect();
        assert_eq!(order, [0, 1, 2, 2, 0, 1, 2, 0, 1]);
    }

    #[test]
    fn who_comes_late_joins_the_round_that_is_on() {
        let mut lanes = lanes("1000/s", 1);
        lanes.enqueue(Lane::Load, 7, ms(0), 1);
        lanes.enqueue(Lane::Load, 8, ms(0), 2);
        assert!(matches!(lanes.next(ms(0)), Turn::Admit { waiter: 1, permit: Permit { round: 7, .. } }));
        lanes.enqueue(Lane::Load, 0, ms(1), 3);
        lanes.enqueue(Lane::Load, 8, ms(1), 1);
        let order: Vec<_> = (1..4).map(|now| lanes.next(ms(now))).collect();
        let round = |turn: &Turn<u32>| match turn {
            Turn::Admit { waiter, permit } => (*waiter, permit.round),
            turn => panic!("{turn:?}"),
        };
        assert_eq!(order.iter().map(round).collect::<Vec<_>>(), [(3, 7), (2, 8), (1, 8)]);
    }

    #[test]
    fn the_parts_of_a_split_limit_keep_out_of_step() {
        let mut second = Lanes::new(&limit("100/s", 1), ms(5), Share::NONE);
        second.enqueue(Lane::Load, 0, ms(0), 0);
        assert_eq!(second.next(ms(0)), Turn::Wait { until: ms(5) });
        assert_eq!(second.next(ms(6)), admitted(0, ms(5)));
    }

    proptest! {
        #[test]
        fn no_window_holds_more_checks_than_their_share_of_its_slots_and_of_a_second(
            percent in 0..=100_u32, rate in 1..2_000_u32, burst in 1..20_u32,
            wakes in proptest::collection::vec((0..3_000_u32, 0..4_u32, 0..3_u32), 1..400),
        ) {
            let share = Share::new(f64::from(percent) / 100.0).unwrap();
            let limit = limit(&format!("{rate}/s"), burst);
            let mut lanes = Lanes::new(&limit, Duration::ZERO, share);
            let (mut now, mut permits) = (Duration::ZERO, Vec::new());
            // The load comes and goes: in some runs there is none, in others it wants more than all.
            for (permille, checks, load) in wakes {
                now += limit.rate.period() * permille / 1_000;
                (0..checks).for_each(|_| lanes.enqueue(Lane::Check, 0, now, Lane::Check));
                (0..load).for_each(|_| lanes.enqueue(Lane::Load, 0, now, Lane::Load));
                while let Turn::Admit { waiter, permit } = lanes.next(now) {
                    permits.extend((waiter == Lane::Check).then_some(permit.admitted));
                }
            }
            let per_second = share.get() * limit.rate.per_second();
            for (i, start) in permits.iter().enumerate() {
                for (n, end) in permits[i..].iter().enumerate() {
                    let allowed = per_second * end.saturating_sub(*start).as_secs_f64() + per_second.max(1.0 + share.get());
                    let count = f64::from(u32::try_from(n + 1).unwrap());
                    prop_assert!(count <= allowed + 1e-3, "{count} checks, {allowed} allowed");
                }
                let count = f64::from(u32::try_from(i + 1).unwrap());
                prop_assert!(count <= per_second * start.as_secs_f64() + 1e-3, "{count} checks until {start:?}");
            }
        }

        #[test]
        fn checks_that_wait_get_all_of_their_share(
            percent in 1..=100_u32, rate in 1..2_000_u32, is_loaded in any::<bool>(),
        ) {
            let share = Share::new(f64::from(percent) / 100.0).unwrap();
            let limit = limit(&format!("{rate}/s"), 1);
            let mut lanes = Lanes::new(&limit, Duration::ZERO, share);
            (0..2_000).for_each(|_| lanes.enqueue(Lane::Check, 0, ms(0), Lane::Check));
            (0..2_000 * u32::from(is_loaded)).for_each(|_| lanes.enqueue(Lane::Load, 0, ms(0), Lane::Load));
            let slots = 0..1_000_u32;
            let checks = slots.filter(|slot| {
                matches!(lanes.next(limit.rate.period() * *slot), Turn::Admit { waiter: Lane::Check, .. })
            });
            let (checks, allowed) = (f64::from(u32::try_from(checks.count()).unwrap()), share.get() * 1_000.0);
            prop_assert!((allowed - 2.0..=allowed).contains(&checks), "{checks} of 1,000 slots");
        }

        #[test]
        fn no_window_holds_more_than_the_rate_and_the_catch_up_allow(
            count in 1..5_000_u32, burst in 1..20_u32, wakes in proptest::collection::vec((0..60_000_u64, 0..4_u32), 1..300),
        ) {
            let limit = limit(&format!("{count}/s"), burst);
            let mut lanes = Lanes::new(&limit, Duration::ZERO, Share::NONE);
            let (mut now, mut permits) = (Duration::ZERO, Vec::new());
            for (gap_us, arrivals) in wakes {
                now += Duration::from_micros(gap_us);
                for _ in 0..arrivals {
                    lanes.enqueue(Lane::Load, 0, now, ());
                }
                while let Turn::Admit { permit: Permit { admitted, .. }, .. } = lanes.next(now) {
                    prop_assert!(admitted <= now && now <= admitted + limit.catch_up);
                    permits.push(now);
                }
            }
            for (i, start) in permits.iter().enumerate() {
                for (n, end) in permits[i..].iter().enumerate() {
                    let window = (end.saturating_sub(*start) + limit.catch_up).as_secs_f64();
                    let allowed = limit.rate.per_second() * window + f64::from(burst);
                    let permits = u32::try_from(n + 1).unwrap();
                    prop_assert!(f64::from(permits) <= allowed + 1e-6, "{permits} permits, {allowed} allowed");
                }
            }
        }
    }
}
