//! What is proven of stores that merge, replace, drop and undo. Instants are milliseconds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::consistency::store::{bounds, ms, parse};
use crate::consistency::{Ack, Audit, Event, Ledger, Look, Occasion, Place, Reading, Seen, Write};
use crate::measure::Merge;

/// Rows to which operation 1 writes `a`, operation 2 `b` and operation 3 `c`.
struct Rows(Ledger);

impl Rows {
    fn new() -> Self {
        Self(Ledger::new(1_000, 1))
    }

    fn write(&mut self, row: u32, key: &str, (value, at): (u64, [u64; 2]), ack: Ack) {
        let place = Place { row, key: key.into() };
        self.0.add(Event::Write(Write { place, value, variant: 0, sent: ms(at[0]), done: ms(at[1]), ack }));
    }

    /// One after the other, and then the row is read as often as it takes.
    fn row(self, row: u32, before: &Value, after: &Value) -> Self {
        self.written(row, [[10, 15], [20, 25], [30, 35]]).read(row, before, [after; 3])
    }

    fn written(mut self, row: u32, at: [[u64; 2]; 3]) -> Self {
        for ((value, key), at) in (1..).zip(["a", "b", "c"]).zip(at) {
            self.write(row, key, (value, at), Ack::Accepted);
        }
        self
    }

    fn read<const N: usize>(mut self, row: u32, before: &Value, after: [&Value; N]) -> Self {
        let named: BTreeSet<_> = ["a", "b", "c"].map(str::to_owned).into();
        let reading = |at, attributes: &Value| Reading { sent: ms(at), done: ms(at), attributes: attributes.clone() };
        let after: Vec<_> = (0..).zip(after).map(|(i, attributes)| reading(5_000 + i * 50, attributes)).collect();
        let before = reading(0, before);
        self.0.audit(&Audit { row, before: Some(&before), after: &after, named: &named }, parse);
        self
    }

    fn seen(mut self, key: &str, at: u64, value: u64) -> Self {
        let (place, seen) = (Place { row: 0, key: key.into() }, Seen::Value(value));
        self.0.add(Event::Look(Look { place, occasion: Occasion::Poll(value), sent: ms(at), done: ms(at + 2), seen }));
        self
    }

    fn merge(&self) -> Option<Merge> {
        self.0.judge(&bounds(0), &|_| Vec::new()).merge
    }
}

fn all() -> Value {
    json!({"a": "op-1", "b": "op-2", "c": "op-3"})
}

/// What was there before the run under the keys that are written.
fn old() -> Value {
    json!({"a": "old", "b": "old", "c": "old"})
}

fn last() -> Value {
    json!({"c": "op-3"})
}

#[test]
fn writes_that_are_there_together_were_merged_whatever_their_order() {
    assert_eq!(Rows::new().row(0, &json!({}), &all()).merge(), Some(Merge::PerKey));
    let overlapping = Rows::new().written(0, [[10, 50]; 3]).read(0, &json!({}), [&all(); 3]);
    assert_eq!(overlapping.merge(), Some(Merge::PerKey));
}

#[test]
fn one_reading_must_show_them_together() {
    let [a, b, c] = [json!({"a": "op-1"}), json!({"b": "op-2"}), json!({"c": "op-3"})];
    let one_by_one = Rows::new().written(0, [[10, 15], [20, 25], [30, 35]]).read(0, &json!({}), [&a, &b, &c]);
    assert_eq!(one_by_one.merge(), None);
}

#[test]
fn a_write_that_is_missing_may_have_been_taken_or_dropped_so_nothing_is_proven() {
    let incomplete = json!({"a": "op-1", "c": "op-3"});
    assert_eq!(Rows::new().row(0, &json!({}), &incomplete).merge(), None);
    assert_eq!(Rows::new().row(0, &json!({}), &all()).row(1, &json!({}), &incomplete).merge(), None);
    let older = json!({"a": "op-1", "b": "old", "c": "op-3"});
    assert_eq!(Rows::new().row(0, &old(), &older).merge(), None, "what was there before is there again");
}

#[test]
fn a_write_that_was_missing_for_a_time_only_may_have_been_taken_too() {
    // Operation 4 was never seen, and operation 1 wrote the key after it.
    let mut rows = Rows::new();
    rows.write(0, "a", (4, [1, 2]), Ack::Accepted);
    for at in [1_005, 1_210, 1_420, 1_630] {
        let place = Place { row: 0, key: "a".into() };
        let (sent, done) = (ms(at), ms(at + 2));
        rows.0.add(Event::Look(Look { place, occasion: Occasion::Poll(4), sent, done, seen: Seen::Nothing }));
    }
    let rows = rows.written(0, [[2_000, 2_005], [20, 25], [30, 35]]).read(0, &json!({}), [&all(); 3]);
    assert_eq!(rows.merge(), None);
}

#[test]
fn what_was_there_before_the_run_and_is_absent_beside_another_write_was_taken_away() {
    assert_eq!(Rows::new().row(0, &old(), &last()).merge(), Some(Merge::WholeMap));
    assert_eq!(Rows::new().row(0, &json!({"b": "old"}), &last()).merge(), Some(Merge::WholeMap));
    let mut single = Rows::new();
    single.write(0, "c", (3, [30, 35]), Ack::Accepted);
    let read = |rows: Rows, after: &Value| rows.read(0, &json!({"x": 1, "y": 2}), [after; 3]).merge();
    assert_eq!(read(single, &last()), Some(Merge::WholeMap), "attributes that nobody names count, too");
}

#[test]
fn an_attribute_that_went_away_alone_may_have_gone_by_itself() {
    let mut single = Rows::new();
    single.write(0, "c", (3, [30, 35]), Ack::Accepted);
    let after = json!({"x": 1, "c": "op-3"});
    assert_eq!(single.read(0, &json!({"x": 1, "y": 2}), [&after; 3]).merge(), None);
}

#[test]
fn nothing_is_proven_by_keys_that_are_absent_where_none_was_there() {
    assert_eq!(Rows::new().row(0, &json!({}), &last()).merge(), None, "both may have been dropped");
    let seen = Rows::new().row(0, &json!({}), &last()).seen("a", 16, 1).seen("b", 26, 2);
    assert_eq!(seen.merge(), None, "or undone");
}

#[test]
fn nothing_is_proven_by_keys_that_are_absent_where_no_write_is_there() {
    assert_eq!(Rows::new().row(0, &old(), &json!({})).merge(), None, "somebody cleared the map");
    let once = json!({"b": "old", "c": "op-3"});
    let flickering =
        Rows::new().written(0, [[10, 15], [20, 25], [30, 35]]).read(0, &json!({"b": "old"}), [&last(), &once, &last()]);
    assert_eq!(flickering.merge(), None, "a reading shows what was there");
}

#[test]
fn two_readings_are_not_enough_to_call_anything_absent() {
    let twice = Rows::new().written(0, [[10, 15], [20, 25], [30, 35]]).read(0, &old(), [&last(), &last()]);
    assert_eq!(twice.merge(), None);
}

#[test]
fn seven_rows_with_one_key_each_are_no_accident_and_six_may_be() {
    let rows = |count| (0..count).fold(Rows::new(), |rows, row| rows.row(row, &json!({}), &last()));
    assert_eq!((rows(6).merge(), rows(7).merge()), (None, Some(Merge::WholeMap)));
    let with = |after: &Value| rows(7).row(9, &json!({}), after).merge();
    assert_eq!(with(&json!({})), None, "a row without any key speaks for writes that are dropped");
    assert_eq!(with(&json!({"a": "op-1"})), None, "so does a row with a key that was surely not written last");
    assert_eq!(with(&all()), None, "one row with all keys shows that keys are left");
}

#[test]
fn of_overlapping_writes_the_one_that_is_left_alone_may_be_the_last() {
    let rows = (0..7).fold(Rows::new(), |rows, row| {
        rows.written(row, [[10, 40], [20, 50], [30, 60]]).read(row, &json!({}), [&json!({"a": "op-1"}); 3])
    });
    assert_eq!(rows.merge(), Some(Merge::WholeMap));
}

#[test]
fn keys_left_and_keys_taken_are_mixed() {
    let rows = || Rows::new().row(0, &old(), &all());
    assert_eq!(rows().row(1, &old(), &last()).merge(), Some(Merge::Mixed));
    let two = json!({"b": "op-2", "c": "op-3"});
    assert_eq!(Rows::new().row(0, &old(), &two).merge(), Some(Merge::Mixed), "in one row");
}

#[test]
fn a_key_that_somebody_else_writes_or_that_an_earlier_run_wrote_proves_nothing() {
    let foreign = json!({"a": "somebody", "c": "op-3"});
    assert_eq!(Rows::new().row(0, &old(), &foreign).merge(), None);
    let leftover = json!({"a": "op-1", "c": "op-3"});
    assert_eq!(Rows::new().row(0, &leftover, &last()).merge(), None, "what is there may be older");
    assert_eq!(Rows::new().row(0, &leftover, &leftover).merge(), None);
}

#[test]
fn one_key_proves_nothing() {
    let mut single = Rows::new();
    single.write(0, "a", (1, [10, 15]), Ack::Accepted);
    assert_eq!(single.read(0, &json!({"x": 1}), [&json!({"x": 1, "a": "op-1"}); 3]).merge(), None);
}

#[test]
fn writes_that_were_refused_are_no_evidence() {
    let mut rows = Rows::new();
    rows.write(0, "a", (1, [10, 15]), Ack::Accepted);
    rows.write(0, "b", (2, [20, 25]), Ack::Refused);
    assert_eq!(rows.read(0, &json!({}), [&json!({"a": "op-1"}); 3]).merge(), None);
}
