use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::consistency::Reading;
use crate::consistency::store::{bounds, ms, parse};
use crate::consistency::{Ack, Comparison, Seen};
use crate::measure::{Check, Mode, VariantChecks};

fn write(row: u32, key: &str, value: u64, at: [u64; 2]) -> Event {
    let place = Place { row, key: key.into() };
    Event::Write(Write { place, value, variant: 0, sent: ms(at[0]), done: ms(at[1]), ack: Ack::Accepted })
}

fn look(row: u32, at: u64) -> Event {
    let place = Place { row, key: "a".into() };
    Event::Look(Look { place, occasion: Occasion::Poll(0), sent: ms(at), done: ms(at), seen: Seen::Nothing })
}

fn reading(at: u64, attributes: Value) -> Reading {
    Reading { sent: ms(at), done: ms(at + 5), attributes }
}

fn judge(ledger: &Ledger) -> Checks {
    ledger.judge(&bounds(0), &|_| vec!["curl".to_owned()])
}

/// Audits a row thrice; the keys `a`, `b` and `c` are named.
fn audit(ledger: &mut Ledger, row: u32, before: &Value, after: &Value) {
    let named: BTreeSet<_> = ["a", "b", "c"].map(str::to_owned).into();
    let after = [5000, 5100, 5200].map(|at| reading(at, after.clone()));
    let before = reading(0, before.clone());
    ledger.audit(&Audit { row, before: Some(&before), after: &after, named: &named }, parse);
}

#[test]
fn a_write_takes_the_bytes_that_are_stated() {
    assert_eq!((size_of::<Entry>(), size_of::<Glance>(), BYTES_PER_WRITE), (32, 48, 224));
}

proptest! {
    #[test]
    fn of_a_row_everything_is_kept_or_nothing_and_all_that_is_not_is_counted(
        writes in proptest::collection::vec(0..40_u32, 0..300),
        most in 1..60_usize,
    ) {
        let mut ledger = Ledger::new(most, 1);
        for (value, row) in (1..).zip(&writes) {
            ledger.add(write(*row, "a", value, [value, value + 1]));
            ledger.add(look(*row, value));
            prop_assert!(ledger.writes <= most);
        }
        let effort = judge(&ledger).effort;
        prop_assert_eq!(effort.ledger + effort.beyond_ledger, writes.len() as u64);
        for row in 0..40 {
            let of_row = writes.iter().filter(|other| **other == row).count();
            let log = ledger.rows.get(&row).and_then(|row| row.keys.get("a"));
            let (kept, looks) = log.map_or((0, 0), |log| (log.writes.len(), log.looks.len()));
            prop_assert!((kept, looks) == (0, 0) || (kept, looks) == (of_row, of_row), "{} of {}", kept, of_row);
        }
        prop_assert!(writes.len() > most || effort.beyond_ledger == 0);
    }

    #[test]
    fn a_ledger_filled_from_a_history_says_the_same(rows in proptest::collection::vec(0..5_u32, 0..40)) {
        let mut ledger = Ledger::new(1000, 1);
        for (value, row) in (1..).zip(&rows) {
            ledger.add(write(*row, "a", value, [value, value + 1]));
            ledger.add(look(*row, value));
            ledger.add(Event::GivenUp { row: 0, value, variant: 0, why: "no room" });
        }
        let mut again = Ledger::new(1000, 1);
        for event in ledger.history() {
            again.add(event);
        }
        prop_assert_eq!(judge(&ledger), judge(&again));
        prop_assert_eq!(ledger.history().collect::<Vec<_>>(), again.history().collect::<Vec<_>>());
    }
}

#[test]
fn looks_are_bounded_as_well_as_writes() {
    let mut ledger = Ledger::new(10, 1);
    for at in 0..1000 {
        ledger.add(look(u32::try_from(at % 50).unwrap(), at));
        assert!(ledger.looks <= 10 * LOOKS_PER_WRITE);
    }
}

#[test]
fn half_of_the_rows_goes_with_each_halving() {
    let mut ledger = Ledger::new(1, 1);
    for (halvings, expected) in [(0, 100_000), (1, 50_000), (3, 12_500)] {
        ledger.halvings = halvings;
        let kept = (0..100_000).filter(|row| ledger.keeps(*row)).count();
        assert!(kept.abs_diff(expected) <= 4 * expected.isqrt(), "{kept} after {halvings}");
    }
}

#[test]
fn an_attribute_that_no_request_names_and_that_differs_is_found() {
    let mut ledger = Ledger::new(100, 1);
    ledger.add(write(3, "a", 1, [10, 20]));
    let before = json!({"x": "1", "y": {"z": 1}, "w": null, "a": "old", "b": "old"});
    audit(&mut ledger, 3, &before, &json!({"x": "2", "a": "op-1", "new": "1"}));
    let checks = judge(&ledger);
    let findings = &checks.variants[0].findings[Check::UntouchedChanged.index()];
    assert_eq!((findings.checked, findings.found), (1, 1), "a resource is one case");
    let text = "data row 4: `x` and 1 more not as before the run, and no request names it";
    assert_eq!(findings.sample.as_deref(), Some(text));
}

#[test]
fn attributes_are_not_compared_without_a_reading_before_the_run_or_a_write() {
    let untouched = |ledger: &Ledger| judge(ledger).variants[0].findings[Check::UntouchedChanged.index()].checked;
    let mut ledger = Ledger::new(100, 1);
    audit(&mut ledger, 0, &json!({"x": 1}), &json!({}));
    assert_eq!(untouched(&ledger), 0, "nothing of ours was written");
    ledger.add(write(0, "a", 1, [10, 20]));
    let after = [reading(5000, json!({})), reading(5100, json!({})), reading(5200, json!({}))];
    let named = BTreeSet::new();
    ledger.audit(&Audit { row: 0, before: None, after: &after, named: &named }, parse);
    assert_eq!(untouched(&ledger), 0);
    audit(&mut ledger, 0, &json!({"x": 1}), &json!(["no map"]));
    assert_eq!(untouched(&ledger), 0);
}

#[test]
fn a_row_is_in_doubt_until_a_reading_shows_everything() {
    let mut ledger = Ledger::new(100, 1);
    ledger.add(write(0, "a", 1, [10, 20]));
    let (before, named) = (reading(0, json!({"x": "1"})), BTreeSet::new());
    let mut after = Vec::new();
    let mut doubt = |attributes: Value| {
        after.push(reading(5000 + after.len() as u64, attributes));
        ledger.audit(&Audit { row: 0, before: Some(&before), after: &after, named: &named }, parse);
        ledger.is_in_doubt(0, &bounds(0))
    };
    assert!(doubt(json!({})), "a write is missing");
    assert!(doubt(json!({"a": "op-1"})), "an attribute is missing in both");
    assert!(!doubt(json!({"a": "op-1", "x": "1"})));
    assert_eq!(judge(&ledger).variants[0].findings[Check::Lost.index()].checked, 1);
    assert!(!ledger.is_in_doubt(1, &bounds(0)), "a row without writes");
}

#[test]
fn a_map_that_is_replaced_whole_loses_each_key_but_the_last_ones() {
    let mut ledger = Ledger::new(100, 1);
    for (value, key) in (1..).zip(["a", "b", "c"]) {
        ledger.add(write(0, key, value, [value * 10, value * 10 + 5]));
    }
    audit(&mut ledger, 0, &json!({}), &json!({"c": "op-3"}));
    let checks = judge(&ledger);
    let lost = &checks.variants[0].findings[Check::Lost.index()];
    assert_eq!((lost.checked, lost.found), (3, 2));
}

fn repetition(value: u64, span: [u64; 2], parts: [Option<bool>; 3]) -> Event {
    let [status, response, state] = parts;
    let comparison = Comparison { status, response, state, text: "`counter` differs".to_owned() };
    let place = Place { row: 0, key: "a".into() };
    let (from, to) = (ms(span[0]), ms(span[1]));
    Event::Repetition(Repetition { mode: Mode::Replay, place, value, variant: 0, from, to, comparison })
}

fn counts(events: Vec<Event>) -> [u64; 6] {
    let mut ledger = Ledger::new(100, 1);
    for event in events {
        ledger.add(event);
    }
    let VariantChecks { repetitions, .. } = &judge(&ledger).variants[0];
    let counts = &repetitions[Mode::Replay.index()];
    assert_eq!(counts.sample.is_some(), counts.violations > 0);
    let same = [counts.same_status, counts.same_response, counts.same_state];
    [counts.pairs, same[0], same[1], same[2], counts.violations, counts.inconclusive]
}

#[test]
fn repetitions_are_counted_by_what_differs() {
    let span = [1000, 2000];
    let events = vec![
        repetition(1, span, [Some(true); 3]),
        repetition(2, span, [Some(true), Some(true), Some(false)]),
        repetition(3, span, [Some(false), None, None]),
        repetition(4, span, [None; 3]),
    ];
    assert_eq!(counts(events), [3, 2, 3, 2, 2, 1]);
}

#[test]
fn the_first_violation_in_time_is_told_with_its_requests() {
    let mut ledger = Ledger::new(100, 1);
    ledger.add(repetition(crate::consistency::REPEATED + 2, [3000, 4000], [None, None, Some(false)]));
    ledger.add(repetition(crate::consistency::REPEATED + 1, [1000, 2000], [None, None, Some(false)]));
    let checks = judge(&ledger);
    let sample = checks.variants[0].repetitions[Mode::Replay.index()].sample.clone().unwrap();
    assert_eq!(sample.text, "repeated operation 1, data row 1, `a`: `counter` differs");
    assert_eq!(sample.requests, ["curl"]);
}

#[test]
fn a_repetition_is_inconclusive_where_another_write_of_the_row_may_have_taken_effect_meanwhile() {
    let with = |key, value, at| {
        let repetition = repetition(7, [5000, 6000], [None, None, Some(false)]);
        counts(vec![write(0, key, value, at), repetition])[5]
    };
    assert_eq!(with("a", 1, [5500, 5505]), 1);
    assert_eq!(with("b", 1, [5500, 5505]), 1, "another key counts, too");
    assert_eq!(with("b", 1, [4100, 4105]), 1, "it may have become visible after the first read");
    assert_eq!(with("b", 1, [3000, 3005]), 0);
    assert_eq!(with("b", 1, [6001, 6005]), 0);
    assert_eq!(with("a", 7, [5500, 5505]), 0, "its own write");
    let timed_out = |at| {
        let Event::Write(write) = write(0, "b", 1, at) else { unreachable!() };
        let write = Event::Write(Write { ack: Ack::Unknown, ..write });
        counts(vec![write, repetition(7, [5000, 6000], [None, None, Some(false)])])[5]
    };
    assert_eq!(timed_out([10, 15]), 1, "it may take effect at any time");
}

#[test]
fn what_is_beyond_the_ledger_takes_its_looks_and_repetitions_along() {
    let mut ledger = Ledger::new(2, 1);
    let gone = (0..1_000).find(|row| spread(*row).leading_zeros() == 0).unwrap();
    ledger.add(repetition(9, [0, 1], [Some(true); 3]));
    for value in 0..3 {
        ledger.add(write(gone, "a", value, [value, value + 1]));
        ledger.add(look(gone, value));
    }
    assert_eq!((ledger.writes, ledger.looks, ledger.rows().count()), (0, 0, 0));
    ledger.add(look(gone, 9));
    ledger.add(write(gone, "a", 9, [9, 10]));
    assert_eq!((judge(&ledger).effort.beyond_ledger, ledger.looks), (4, 0));
}
