//! Repetitions beside other writes of the same resource. Instants are milliseconds, and writes are seen within a second.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::consistency::store::{bounds, ms};
use crate::consistency::{Ack, Comparison, Event, Ledger, Look, Occasion, Place, REPEATED, Repetition, Seen, Write};
use crate::measure::Mode;

const OWN: u64 = REPEATED + 7;

fn write((key, variant): (&str, usize), value: u64, at: [u64; 2], ack: Ack) -> Event {
    let place = Place { row: 0, key: key.into() };
    Event::Write(Write { place, value, variant, sent: ms(at[0]), done: ms(at[1]), ack })
}

fn look(key: &str, occasion: Occasion, at: [u64; 2], seen: Seen) -> Event {
    let place = Place { row: 0, key: key.into() };
    Event::Look(Look { place, occasion, sent: ms(at[0]), done: ms(at[1]), seen })
}

/// An operation that is repeated from 5,000 to 8,000 ms, and sends its first request at 5,010.
fn repeated() -> Vec<Event> {
    let place = Place { row: 0, key: "a".into() };
    let comparison = Comparison { state: Some(true), ..Comparison::default() };
    let (from, to) = (ms(5_000), ms(8_000));
    let repetition = Repetition { mode: Mode::Replay, place, value: OWN, variant: 0, from, to, comparison };
    vec![
        Event::Repetition(repetition),
        write(("a", 0), OWN, [5_010, 5_020], Ack::Accepted),
        write(("a", 0), OWN, [5_400, 5_410], Ack::Accepted),
    ]
}

fn is_inconclusive(events: impl IntoIterator<Item = Event>) -> bool {
    let mut ledger = Ledger::new(1_000, 2);
    events.into_iter().for_each(|event| ledger.add(event));
    let checks = ledger.judge(&bounds(1_000), &|_| Vec::new());
    checks.variants[0].repetitions[Mode::Replay.index()].inconclusive > 0
}

/// Whether a repetition is inconclusive beside this.
fn with(events: impl IntoIterator<Item = Event>) -> bool {
    is_inconclusive(repeated().into_iter().chain(events))
}

/// The read of the state before the first request, which shows this.
fn before(value: u64) -> Event {
    look("a", Occasion::Poll(OWN), [5_000, 5_005], Seen::Value(value))
}

#[test]
fn a_write_shortly_before_that_the_read_of_the_state_before_shows_disturbs_nothing() {
    let earlier = || write(("a", 0), 1, [4_900, 4_910], Ack::Accepted);
    assert!(with([earlier()]));
    assert!(with([earlier(), look("a", Occasion::Poll(OWN), [5_000, 5_005], Seen::Nothing)]));
    assert!(!with([earlier(), before(1)]));
    assert!(!with([earlier(), look("a", Occasion::Poll(1), [4_920, 4_930], Seen::Value(1))]), "seen by another look");
    assert!(with([earlier(), look("a", Occasion::Poll(1), [5_001, 5_004], Seen::Value(1))]), "perhaps after that read");
}

#[test]
fn each_write_must_have_been_seen() {
    let earlier =
        [write(("a", 0), 1, [4_500, 4_510], Ack::Accepted), write(("a", 0), 2, [4_900, 4_910], Ack::Accepted)];
    let seen = look("a", Occasion::Poll(1), [4_600, 4_610], Seen::Value(1));
    assert!(with(earlier.iter().cloned().chain([before(2)])), "the first may yet be applied");
    assert!(!with(earlier.into_iter().chain([before(2), seen])));
}

#[test]
fn a_write_whose_answer_did_not_come_disturbs_until_it_is_seen() {
    let lost = || write(("a", 0), 1, [100, 200], Ack::Unknown);
    assert!(with([lost()]));
    assert!(!with([lost(), before(1)]));
}

#[test]
fn what_was_sent_twice_may_happen_twice() {
    let twice = [write(("a", 0), 1, [4_800, 4_810], Ack::Unknown), write(("a", 0), 1, [4_900, 4_910], Ack::Accepted)];
    assert!(with(twice.into_iter().chain([before(1)])));
    let refused = [write(("a", 0), 1, [4_800, 4_810], Ack::Refused), write(("a", 0), 1, [4_900, 4_910], Ack::Accepted)];
    assert!(with(refused.into_iter().chain([before(1)])), "the one that was refused may be the one that was seen");
}

#[test]
fn a_write_of_another_variant_or_key_may_leave_what_is_not_written_anew() {
    let other_variant = write(("a", 1), 1, [4_900, 4_910], Ack::Accepted);
    assert!(with([other_variant, before(1)]));
    let other_key = write(("b", 0), 1, [4_900, 4_910], Ack::Accepted);
    assert!(with([other_key, look("b", Occasion::Poll(1), [4_920, 4_930], Seen::Value(1))]));
}

#[test]
fn a_value_that_was_there_before_it_was_sent_says_nothing() {
    let leftover = look("a", Occasion::Before, [0, 0], Seen::Value(1));
    assert!(with([leftover, write(("a", 0), 1, [4_900, 4_910], Ack::Accepted), before(1)]));
}

#[test]
fn a_write_that_is_sent_meanwhile_disturbs_whatever_is_seen() {
    let meanwhile = || write(("a", 0), 1, [5_002, 5_300], Ack::Accepted);
    assert!(with([meanwhile(), look("a", Occasion::Poll(1), [5_350, 5_360], Seen::Value(1))]));
    assert!(!with([meanwhile(), before(1)]), "but for what the read of the state before shows");
    let late = look("a", Occasion::Poll(OWN), [5_050, 5_060], Seen::Value(1));
    assert!(with([meanwhile(), late]), "a first look after the first request shows no state before");
}

#[derive(Debug, Clone, Copy)]
struct Other {
    key: usize,
    variant: usize,
    sent: u64,
    took: u64,
    /// So long after it was sent each attempt is seen.
    seen_after: [u64; 2],
    is_sent_twice: bool,
    ack: Ack,
}

fn others() -> impl Strategy<Value = Other> {
    let acks = prop_oneof![4 => Just(Ack::Accepted), 1 => Just(Ack::Failed), 1 => Just(Ack::Unknown)];
    let key = prop_oneof![3 => Just(0_usize), 1 => Just(1)];
    let variant = prop_oneof![3 => Just(0_usize), 1 => Just(1)];
    (key, variant, 3_500..5_600_u64, 1..50_u64, [0..1_000_u64, 0..1_000_u64], prop::bool::weighted(0.2), acks).prop_map(
        |(key, variant, sent, took, seen_after, is_sent_twice, ack)| Other {
            key,
            variant,
            sent,
            took,
            seen_after,
            is_sent_twice,
            ack,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn nothing_is_seen_for_the_first_time_during_a_repetition_that_is_conclusive(
        others in vec(others(), 0..4),
        looks in vec((0..2_usize, 3_500..5_600_u64, 1..30_u64), 0..12),
    ) {
        let keys = ["a", "b"];
        let mut events = repeated();
        // Instants at which each write is seen for the first time, by key.
        let mut shown: [BTreeMap<u64, u64>; 2] = Default::default();
        for (value, other) in (1..).zip(&others) {
            let attempts = 1 + usize::from(other.is_sent_twice);
            for (sent, after) in [other.sent, other.sent + 60].into_iter().zip(other.seen_after).take(attempts) {
                let kind = (keys[other.key], other.variant);
                events.push(write(kind, value, [sent, sent + other.took], other.ack));
                shown[other.key].insert(sent + after, value);
            }
        }
        let disturbing = shown.iter().flat_map(|shown| shown.range(5_003..=8_000)).count();
        shown[0].insert(5_015, OWN);
        let read = |key: usize, at: u64| {
            let last = shown[key].range(..=at).next_back();
            last.map_or(Seen::Nothing, |(_, value)| Seen::Value(*value))
        };
        events.push(look("a", Occasion::Poll(OWN), [5_000, 5_005], read(0, 5_002)));
        for (key, at, took) in looks {
            events.push(look(keys[key], Occasion::Poll(1), [at, at + took], read(key, at + took / 2)));
        }
        prop_assert!(disturbing == 0 || is_inconclusive(events));
    }
}
