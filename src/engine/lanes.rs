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
    checks: Credit,
}

/// What checks may take of the permits while others wait: their share, and at most one second of it at a time. Without that
/// bound a share that was not used for minutes would hold the load up when it is used at last.
struct Credit {
    share: f64,
    /// Permits of a second that are checks', at least one.
    of_a_second: f64,
    /// Permits that checks have not used.
    left: f64,
}

impl Credit {
    fn new(limit: &Limit, share: Share) -> Self {
        let share = share.get();
        Self { share, of_a_second: (share * limit.rate.per_second()).max(1.0), left: 0.0 }
    }

    /// Whether the next permit may be a check's.
    fn has_room(&self) -> bool {
        // The sum of shares is rounded: ten times a tenth is a little less than one.
        self.left + self.share >= 1.0 - 1e-9
    }

    /// A permit was given. What checks take because nobody else waits is not held against them later.
    fn note(&mut self, lane: Lane) {
        let used = if lane == Lane::Check { 1.0 } else { 0.0 };
        self.left = (self.left + self.share - used).clamp(0.0, self.of_a_second);
    }
}

impl<W> Lanes<W> {
    /// The lanes of a key of `limit`, whose first slot lies at `phase` or later; checks get at most `checks_share` of
    /// the permits while others wait.
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
            checks: Credit::new(limit, checks_share),
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

    /// Whether more checks wait than get a permit in a second, at least one, while others wait too.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "those who wait are far fewer than 2^53")]
    pub fn is_crowded_with_checks(&self) -> bool {
        self.queues[Lane::Check as usize].len() as f64 > self.checks.of_a_second
    }

    /// What to do at `now`.
    #[expect(clippy::missing_panics_doc, reason = "who was seen at the head of a lane is still there")]
    pub fn next(&mut self, now: Duration) -> Turn<W> {
        let Some(lane) = self.next_lane() else { return Turn::Idle };
        let Some(due) = self.queues[lane as usize].first_due() else { return Turn::Idle };
        let earliest = due.max(now.saturating_sub(self.catch_up)).max(self.phase);
        match self.take_slot(earliest, now) {
            Err(until) => Turn::Wait { until },
            Ok(admitted) => {
                self.checks.note(lane);
                let (round, waiter) = self.queues[lane as usize].pop().expect("the lane's first is there");
                Turn::Admit { waiter, permit: Permit { admitted, round } }
            }
        }
    }

    /// Takes the first slot from `earliest` on, or says when it comes if that is after `now`.
    fn take_slot(&self, earliest: Duration, now: Duration) -> Result<Duration, Duration> {
        let mut slot = earliest;
        loop {
            if slot > now {
                return Err(slot);
            }
            self.clock.0.set(slot);
            match self.limiter.check() {
                Ok(()) => return Ok(slot),
                Err(refused) => slot = refused.earliest_possible(),
            }
        }
    }

    /// The lane whose turn it is, if anybody waits.
    fn next_lane(&self) -> Option<Lane> {
        let mut waiting = Lane::ALL.into_iter().filter(|lane| !self.queues[*lane as usize].rounds.is_empty());
        let first = waiting.next()?;
        if first == Lane::Check && !self.checks.has_room() {
            return Some(waiting.next().unwrap_or(first));
        }
        Some(first)
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
        assert_eq!(order[..6], ["retry", "load", "load", "load", "check", "load"]);
        assert_eq!(order.iter().filter(|name| **name == "check").count(), 4);
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
    fn checks_take_what_nobody_else_wants_and_owe_nothing_for_it() {
        let mut lanes = Lanes::new(&limit("10/s", 1), Duration::ZERO, "20%".parse().unwrap());
        (0..100).for_each(|_| lanes.enqueue(Lane::Check, 0, ms(0), "check"));
        let order: Vec<_> = (0..60)
            .map(|slot| {
                if slot >= 50 {
                    lanes.enqueue(Lane::Load, 0, ms(5_000), "load");
                }
                lanes.next(ms(slot * 100))
            })
            .collect();
        let is_check = |turn: &Turn<&str>| matches!(turn, Turn::Admit { waiter: "check", .. });
        assert!(order[..50].iter().all(is_check));
        assert_eq!(order[50..].iter().filter(|turn| is_check(turn)).count(), 2);
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
        fn checks_get_their_share_and_no_more_while_others_wait(
            percent in 0..=100_u32, rate in 1..2_000_u32, gaps in proptest::collection::vec(0..3_u32, 1..400),
        ) {
            let share = Share::new(f64::from(percent) / 100.0).unwrap();
            let limit = limit(&format!("{rate}/s"), 1);
            let mut lanes = Lanes::new(&limit, Duration::ZERO, share);
            let (mut now, mut permits, mut checks) = (Duration::ZERO, 0_u32, 0_u32);
            for arrivals in gaps {
                (0..arrivals).for_each(|_| lanes.enqueue(Lane::Check, 0, now, Lane::Check));
                lanes.enqueue(Lane::Load, 0, now, Lane::Load);
                now += limit.rate.period();
                while let Turn::Admit { waiter, .. } = lanes.next(now) {
                    permits += 1;
                    checks += u32::from(waiter == Lane::Check);
                    if waiter == Lane::Load {
                        lanes.enqueue(Lane::Load, 0, now, Lane::Load);
                    }
                }
                prop_assert!(f64::from(checks) <= share.get() * f64::from(permits) + 1e-6, "{checks} of {permits}");
            }
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
