//! When each token of a run is renewed, and why: a pure state machine of instants.
//!
//! Instants are times since the first login. A token is renewed when most of its life is over, or when the server refuses
//! it before. It never makes a storm of logins, whatever the server does: a token that is refused again and again soon after
//! its login, and a client whose logins fail, wait twice as long each time.

use std::time::Duration;

/// A token is renewed when this part of its life has passed.
const RENEW_AT: f64 = 0.8;

/// The shortest time from a login to the renewal by age, for a server that gives tokens without life: that part of one
/// second, the shortest life that a login can name.
const SHORTEST: Duration = Duration::from_millis(800);

/// The first pause after a login that failed, and after a login whose token was refused.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Why a token is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Most of its life is over.
    Age,
    /// The server refused it.
    Refused,
}

/// A renewal that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// Which token, counted from 0.
    pub(super) token: usize,
    /// When.
    pub(super) at: Duration,
    /// Why.
    pub(super) cause: Cause,
}

/// When the tokens of a run are renewed.
#[derive(Debug)]
pub(super) struct Renewals {
    tokens: Vec<Held>,
    /// The tokens are theirs in turn.
    clients: Vec<Gate>,
}

/// What is known of a token.
#[derive(Debug)]
struct Held {
    /// How often it was renewed.
    generation: u64,
    obtained: Duration,
    /// When it is renewed, and why; `None` for never.
    due: Option<(Duration, Cause)>,
    /// How often in a row it was refused sooner than the pause that it would have had to wait.
    refused_soon: u32,
}

/// What keeps a client from logging in.
#[derive(Debug, Clone, Copy, Default)]
struct Gate {
    /// Logins that failed in a row.
    failures: u32,
    /// No login before.
    opens: Duration,
}

impl Renewals {
    /// Of no token yet, and of so many clients, at least one.
    pub(super) fn new(clients: usize) -> Self {
        Self { tokens: Vec::new(), clients: vec![Gate::default(); clients] }
    }

    /// A further token that a login gave out.
    pub(super) fn obtained(&mut self, life: Duration, now: Duration) {
        let due = by_age(life, now);
        self.tokens.push(Held { generation: 0, obtained: now, due, refused_soon: 0 });
    }

    /// The server refused this generation of a token. Only the first word of that counts.
    pub(super) fn refused(&mut self, token: usize, generation: u64, now: Duration) {
        let Some(held) = self.tokens.get_mut(token).filter(|held| held.generation == generation) else { return };
        let earlier = match held.due {
            Some((_, Cause::Refused)) => return,
            Some((at, Cause::Age)) => at,
            None => Duration::MAX,
        };
        let free = held.obtained.saturating_add(pause(held.refused_soon));
        held.refused_soon = if now < free { held.refused_soon.saturating_add(1) } else { 0 };
        held.due = Some((now.max(free).min(earlier.max(now)), Cause::Refused));
    }

    /// The renewal that is to be made next; `None` when none ever is.
    pub(super) fn next(&self) -> Option<Due> {
        let due = |(token, held): (usize, &Held)| {
            let (at, cause) = held.due?;
            Some(Due { token, at: at.max(self.clients[self.client_of(token)].opens), cause })
        };
        self.tokens.iter().enumerate().filter_map(due).min_by_key(|due| due.at)
    }

    /// The renewals by age that a run of this length takes.
    pub(super) fn within(&self, length: Duration) -> u64 {
        let of = |held: &Held| {
            let each = held.due?.0.saturating_sub(held.obtained).as_nanos().max(1);
            Some(u64::try_from(length.as_nanos() / each).unwrap_or(u64::MAX))
        };
        self.tokens.iter().filter_map(of).fold(0, u64::saturating_add)
    }

    /// A login gave a token anew; its new generation.
    pub(super) fn renewed(&mut self, due: Due, life: Duration, now: Duration) -> u64 {
        let client = self.client_of(due.token);
        self.clients[client] = Gate::default();
        let held = &mut self.tokens[due.token];
        held.generation += 1;
        held.obtained = now;
        held.due = by_age(life, now);
        if due.cause == Cause::Age {
            held.refused_soon = 0;
        }
        held.generation
    }

    /// A login for a token failed, and the server may have asked for a pause; all tokens of its client wait.
    pub(super) fn failed(&mut self, due: Due, asked: Option<Duration>, now: Duration) {
        let client = self.client_of(due.token);
        let gate = &mut self.clients[client];
        gate.opens = now.saturating_add(pause(gate.failures).max(asked.unwrap_or_default()));
        gate.failures = gate.failures.saturating_add(1);
    }

    fn client_of(&self, token: usize) -> usize {
        token % self.clients.len()
    }
}

/// `None` for a life that does not end.
fn by_age(life: Duration, now: Duration) -> Option<(Duration, Cause)> {
    Some((now.checked_add(life.mul_f64(RENEW_AT).max(SHORTEST))?, Cause::Age))
}

/// The pause after so many failures in a row before.
fn pause(before: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(before)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn one(life: Duration) -> Renewals {
        let mut renewals = Renewals::new(1);
        renewals.obtained(life, Duration::ZERO);
        renewals
    }

    fn due(token: usize, at: Duration, cause: Cause) -> Due {
        Due { token, at, cause }
    }

    #[test]
    fn a_token_is_renewed_when_most_of_its_life_is_over() {
        for (life, at) in [(s(5), s(4)), (s(300), s(240)), (s(1), ms(800)), (Duration::ZERO, ms(800))] {
            assert_eq!(one(life).next(), Some(due(0, at, Cause::Age)), "{life:?}");
        }
        assert_eq!(one(Duration::MAX).next().map(|due| due.cause), Some(Cause::Age), "in a very long time");
        let mut renewals = Renewals::new(1);
        renewals.obtained(Duration::MAX, Duration::MAX);
        assert_eq!(renewals.next(), None, "there is no such time");
    }

    #[test]
    fn a_thousand_refusals_of_one_generation_make_one_renewal() {
        let mut renewals = one(DAY);
        for i in 0..1_000 {
            renewals.refused(0, 0, s(10) + ms(i));
        }
        let first = renewals.next().unwrap();
        assert_eq!(first, due(0, s(10), Cause::Refused));
        assert_eq!(renewals.renewed(first, DAY, s(11)), 1);
        // Answers to requests with the old token still come in.
        renewals.refused(0, 0, s(11));
        assert_eq!(renewals.next().unwrap().cause, Cause::Age);
        renewals.refused(0, 1, s(20));
        assert_eq!(renewals.next(), Some(due(0, s(20), Cause::Refused)));
    }

    #[test]
    fn a_token_that_is_refused_at_once_waits_twice_as_long_each_time() {
        let (mut renewals, mut now, mut pauses) = (one(DAY), Duration::ZERO, Vec::new());
        for generation in 0..8 {
            renewals.refused(0, generation, now);
            let due = renewals.next().unwrap();
            pauses.push(due.at.saturating_sub(now).as_secs());
            now = due.at;
            renewals.renewed(due, DAY, now);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        // One that serves for longer than that starts anew.
        renewals.refused(0, 8, now + s(61));
        assert_eq!(renewals.next(), Some(due(0, now + s(61), Cause::Refused)));
    }

    #[test]
    fn tokens_that_die_early_after_some_seconds_are_renewed_without_a_pause() {
        let (mut renewals, mut now) = (one(DAY), Duration::ZERO);
        for generation in 0..10 {
            now += s(3);
            renewals.refused(0, generation, now);
            assert_eq!(renewals.next(), Some(due(0, now, Cause::Refused)));
            renewals.renewed(renewals.next().unwrap(), DAY, now);
        }
    }

    #[test]
    fn a_client_whose_logins_fail_waits_twice_as_long_each_time_and_the_other_client_does_not() {
        let mut renewals = Renewals::new(2);
        (0..2).for_each(|_| renewals.obtained(s(10), Duration::ZERO));
        let first = renewals.next().unwrap();
        assert_eq!(first, due(0, s(8), Cause::Age));
        renewals.failed(first, None, s(8));
        let other = renewals.next().unwrap();
        assert_eq!(other, due(1, s(8), Cause::Age));
        renewals.renewed(other, DAY, s(8));
        let mut now = s(8);
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            now += s(wait);
            assert_eq!(renewals.next(), Some(due(0, now, Cause::Age)));
            renewals.failed(first, None, now);
        }
        now += s(60);
        renewals.renewed(first, s(10), now);
        assert_eq!(renewals.next(), Some(due(0, now + s(8), Cause::Age)));
    }

    #[test]
    fn a_pause_that_the_server_asks_for_is_kept() {
        let mut renewals = one(s(10));
        let first = renewals.next().unwrap();
        renewals.failed(first, Some(s(42)), s(8));
        assert_eq!(renewals.next(), Some(due(0, s(50), Cause::Age)));
        renewals.failed(first, Some(ms(1)), s(50));
        assert_eq!(renewals.next(), Some(due(0, s(52), Cause::Age)), "it is the least, not the most");
    }

    proptest! {
        #[test]
        fn whatever_happens_logins_of_a_token_are_far_apart(
            events in proptest::collection::vec((0..3_u8, 0..3_000_u64, 0..3_u64), 1..200),
        ) {
            let mut renewals = one(s(3));
            let (mut now, mut last) = (Duration::ZERO, Duration::ZERO);
            let mut generation = 0;
            for (what, later, life) in events {
                now += ms(later);
                if what == 0 {
                    renewals.refused(0, generation, now);
                }
                let due = renewals.next().unwrap();
                if due.at > now {
                    continue;
                }
                prop_assert!(now >= last + SHORTEST);
                last = now;
                if what == 1 {
                    renewals.failed(due, None, now);
                } else {
                    generation = renewals.renewed(due, s(life), now);
                }
            }
        }
    }
}
