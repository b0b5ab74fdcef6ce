//! The history as JSON lines, for checkers that others wrote.
//!
//! One line is one event, a map with `type`: `write`, `untracked`, `look`, `repetition` or `given_up`; behind them is what was made of
//! them, each `finding` in a line. `row` counts data rows from 1,
//! `key` names the attribute, `value` is the number of the operation, `variant` its variant's index from 0. Instants are
//! whole microseconds since the start of the run, rounded down: of two events that are in order one may end where the other
//! starts, and none is put in order that was not.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::history::{Ack, Event, Look, Occasion, Repetition, Seen, Untracked, Write};
use crate::measure::Mode;

/// A line of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// An attempt to write a value.
    Write {
        /// The data row, counted from 1.
        row: u64,
        /// The attribute.
        key: String,
        /// The number of the operation.
        value: u64,
        /// Index of its variant.
        variant: usize,
        /// It was handed to the transport.
        sent_us: u64,
        /// Its answer was there, or it was given up.
        done_us: u64,
        /// `accepted`, `refused`, `failed`, `unknown` or `not_sent`.
        ack: String,
    },
    /// An attempt of a variant that is not checked: what it wrote is not told.
    Untracked {
        /// The data row, counted from 1.
        row: u64,
        /// The number of the operation.
        number: u64,
        /// Index of its variant.
        variant: usize,
        /// Whether it may have written the tracked attribute all the same.
        names_key: bool,
        /// It was handed to the transport.
        sent_us: u64,
        /// Its answer was there, or it was given up.
        done_us: u64,
        /// As of a write.
        ack: String,
    },
    /// A read of one attribute.
    Look {
        /// The data row, counted from 1.
        row: u64,
        /// The attribute.
        key: String,
        /// `before`, `poll`, `recheck` or `audit`.
        occasion: String,
        /// The operation that was looked for, in a `poll` and a `recheck`.
        of: Option<u64>,
        /// It was handed to the transport.
        sent_us: u64,
        /// Its answer was there.
        done_us: u64,
        /// The number of the operation whose value it showed.
        seen: Option<u64>,
        /// A hash of the value where it is that of no operation, in hexadecimal; neither where there was none.
        foreign: Option<String>,
    },
    /// An operation that was repeated.
    Repetition {
        /// The data row, counted from 1.
        row: u64,
        /// The attribute.
        key: String,
        /// The number of the operation.
        value: u64,
        /// Index of its variant.
        variant: usize,
        /// How it was repeated.
        mode: Mode,
        /// Its first read was sent.
        from_us: u64,
        /// Its last read was done.
        to_us: u64,
        /// Whether the statuses were of one class; null where nobody can tell.
        same_status: Option<bool>,
        /// Whether the bodies were the same.
        same_response: Option<bool>,
        /// Whether the resource was as after one request.
        same_state: Option<bool>,
        /// What differed, or why nobody can tell.
        text: String,
    },
    /// What was found.
    Finding {
        /// The data row, counted from 1.
        row: u64,
        /// The attribute.
        key: String,
        /// The number of the operation; null where it is that of no operation.
        value: Option<u64>,
        /// When its write was sent; of a stale read, when the read was sent.
        at_us: u64,
        /// As what: the name of a check or of a mode.
        found: String,
        /// What was seen, in words.
        text: String,
    },
    /// A check that ended before it could tell.
    GivenUp {
        /// The data row, counted from 1.
        row: u64,
        /// The number of the operation.
        value: u64,
        /// Index of its variant.
        variant: usize,
        /// Why.
        why: String,
    },
}

/// A line read back.
///
/// # Errors
/// When it is no line of a history; the error says where.
pub fn parse_line(text: &str) -> Result<Line, serde_json::Error> {
    serde_json::from_str(text)
}

impl Line {
    /// Its text, without its end.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "texts and numbers are JSON")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }
}

impl From<&Event> for Line {
    fn from(event: &Event) -> Self {
        match event {
            Event::Write(write) => of_write(write),
            Event::Look(look) => of_look(look),
            Event::Repetition(repetition) => of_repetition(repetition),
            Event::Untracked(write) => of_untracked(write),
            Event::GivenUp { row, value, variant, why } => {
                let row = u64::from(*row) + 1;
                Self::GivenUp { row, value: *value, variant: *variant, why: (*why).to_owned() }
            }
        }
    }
}

fn of_write(Write { place, value, variant, sent, done, ack }: &Write) -> Line {
    Line::Write {
        row: u64::from(place.row) + 1,
        key: place.key.to_string(),
        value: *value,
        variant: *variant,
        sent_us: micros(*sent),
        done_us: micros(*done),
        ack: name(*ack),
    }
}

fn of_untracked(Untracked { row, number, variant, names_key, sent, done, ack }: &Untracked) -> Line {
    Line::Untracked {
        row: u64::from(*row) + 1,
        number: *number,
        variant: *variant,
        names_key: *names_key,
        sent_us: micros(*sent),
        done_us: micros(*done),
        ack: name(*ack),
    }
}

fn name(ack: Ack) -> String {
    let name = match ack {
        Ack::Accepted => "accepted",
        Ack::Refused => "refused",
        Ack::Failed => "failed",
        Ack::Unknown => "unknown",
        Ack::NotSent => "not_sent",
    };
    name.to_owned()
}

fn of_look(Look { place, occasion, sent, done, seen }: &Look) -> Line {
    let (occasion, of) = match occasion {
        Occasion::Before => ("before", None),
        Occasion::Poll(value) => ("poll", Some(*value)),
        Occasion::Recheck(value) => ("recheck", Some(*value)),
        Occasion::Audit => ("audit", None),
    };
    let (seen, foreign) = match seen {
        Seen::Nothing => (None, None),
        Seen::Value(value) => (Some(*value), None),
        Seen::Foreign(hash) => (None, Some(format!("{hash:016x}"))),
    };
    Line::Look {
        row: u64::from(place.row) + 1,
        key: place.key.to_string(),
        occasion: occasion.to_owned(),
        of,
        sent_us: micros(*sent),
        done_us: micros(*done),
        seen,
        foreign,
    }
}

fn of_repetition(repetition: &Repetition) -> Line {
    let Repetition { mode, place, value, variant, from, to, comparison } = repetition;
    Line::Repetition {
        row: u64::from(place.row) + 1,
        key: place.key.to_string(),
        value: *value,
        variant: *variant,
        mode: *mode,
        from_us: micros(*from),
        to_us: micros(*to),
        same_status: comparison.status,
        same_response: comparison.response,
        same_state: comparison.state,
        text: comparison.text.clone(),
    }
}

/// Whole microseconds, rounded down; what is beyond 584,000 years, as that.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::consistency::{Comparison, Place};

    fn line(event: &Event) -> String {
        Line::from(event).to_json()
    }

    fn events() -> impl Strategy<Value = Event> {
        let places = (any::<u32>(), "\\PC{0,8}").prop_map(|(row, key)| Place { row, key: key.into() });
        let instants = (0..u64::MAX / 1000).prop_map(Duration::from_micros);
        let acks = proptest::sample::select(vec![Ack::Accepted, Ack::Refused, Ack::Failed, Ack::Unknown, Ack::NotSent]);
        let occasions = prop_oneof![
            Just(Occasion::Before),
            any::<u64>().prop_map(Occasion::Poll),
            any::<u64>().prop_map(Occasion::Recheck),
            Just(Occasion::Audit),
        ];
        let seen =
            prop_oneof![Just(Seen::Nothing), any::<u64>().prop_map(Seen::Value), any::<u64>().prop_map(Seen::Foreign)];
        let comparisons = (any::<Option<bool>>(), any::<Option<bool>>(), any::<Option<bool>>(), "\\PC{0,8}")
            .prop_map(|(status, response, state, text)| Comparison { status, response, state, text });
        let numbers = (any::<u64>(), any::<u16>().prop_map(usize::from));
        prop_oneof![
            (places.clone(), numbers.clone(), instants.clone(), instants.clone(), acks).prop_map(
                |(place, (value, variant), sent, done, ack)| {
                    Event::Write(Write { place, value, variant, sent, done, ack })
                }
            ),
            (places.clone(), occasions, instants.clone(), instants.clone(), seen).prop_map(
                |(place, occasion, sent, done, seen)| { Event::Look(Look { place, occasion, sent, done, seen }) }
            ),
            (places, numbers.clone(), instants.clone(), instants, comparisons, 0..4_usize).prop_map(
                |(place, (value, variant), from, to, comparison, mode)| {
                    let mode = Mode::ALL[mode];
                    Event::Repetition(Repetition { mode, place, value, variant, from, to, comparison })
                }
            ),
            (any::<u32>(), numbers).prop_map(|(row, (value, variant))| Event::GivenUp {
                row,
                value,
                variant,
                why: "no room"
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_line_is_read_back_as_it_was_written(event in events()) {
            let text = line(&event);
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(parse_line(&text).unwrap(), Line::from(&event));
        }

        #[test]
        fn different_events_of_whole_microseconds_are_different_lines(a in events(), b in events()) {
            prop_assert_eq!(line(&a) == line(&b), a == b);
        }
    }

    #[test]
    fn a_line_has_the_fields_that_are_documented() {
        let place = Place { row: 2, key: "ref".into() };
        let (sent, done) = (Duration::from_nanos(1_999), Duration::from_millis(3));
        let write = Write { place: place.clone(), value: 7, variant: 0, sent, done, ack: Ack::NotSent };
        assert_eq!(
            line(&Event::Write(write)),
            r#"{"type":"write","row":3,"key":"ref","value":7,"variant":0,"sent_us":1,"done_us":3000,"ack":"not_sent"}"#
        );
        let look = Look { place, occasion: Occasion::Poll(7), sent, done, seen: Seen::Foreign(10) };
        assert_eq!(
            line(&Event::Look(look)),
            r#"{"type":"look","row":3,"key":"ref","occasion":"poll","of":7,"sent_us":1,"done_us":3000,"seen":null,"foreign":"000000000000000a"}"#
        );
    }

    #[test]
    fn what_is_no_line_of_a_history_is_an_error() {
        for text in ["", "{}", r#"{"type":"read"}"#, r#"{"type":"given_up","value":1,"variant":0,"why":"","more":1}"#] {
            assert!(parse_line(text).is_err(), "{text}");
        }
    }
}
