//! Compares what was told and what was done once with what was told and done when the same was asked again.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::history::{Comparison, Seen};
use super::reading::seen;
use crate::measure::{Mode, Outcome};

/// So many keys are named in a sentence.
const MOST_NAMED: usize = 5;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The HTTP status; 0 where no head came.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// What it is.
    pub outcome: Outcome,
}

/// An operation that was repeated, with everything that was told and read.
#[derive(Debug, Clone, Copy)]
pub struct Repeat<'a> {
    /// How.
    pub mode: Mode,
    /// The answers in the order of the requests: in [`Mode::Concurrent`] those in flight together; in [`Mode::Retry`] that
    /// of the client which hung up, then that of the same request again; in [`Mode::Keyed`] the last is that to the other
    /// body.
    pub told: &'a [Told],
    /// The attributes before the first request, as often as they were read.
    pub before: &'a [Value],
    /// The attributes when the operation's own value was first seen; `None` where it never was.
    pub once: Option<&'a Value>,
    /// The attributes after the last request, as often as they were read.
    pub after: &'a [Value],
    /// The attribute that the operation writes its value to.
    pub key: &'a str,
    /// The number of the operation.
    pub value: u64,
    /// The keys that the request names in its body.
    pub named: &'a BTreeSet<String>,
    /// JSON pointers (RFC 6901) to what may differ between answers, and between reads of the attributes.
    pub volatile: &'a [String],
}

/// Why nobody can tell.
type Unclear = String;

/// What once and twice have in common. `parse` finds the number of the operation in a value.
///
/// All three parts are `None` where an answer was none to compare with, or where the state says nothing and nothing else
/// differs: what was dropped or overwritten is a finding of other checks.
pub fn compare(repeat: &Repeat<'_>, parse: impl Fn(&str) -> Option<u64>) -> Comparison {
    let answers = match repeat.answers() {
        Ok(answers) => answers,
        Err(why) => return Comparison { text: why, ..Comparison::default() },
    };
    let is_own = |attributes: &Value| seen(attributes, repeat.key, &parse) == Seen::Value(repeat.value);
    let state = repeat.state(is_own);
    let mut texts = answers.texts;
    let state = match state {
        Ok(None) => Some(true),
        Ok(Some(difference)) => {
            texts.push(difference);
            Some(false)
        }
        Err(why) if texts.is_empty() => return Comparison { text: why, ..Comparison::default() },
        Err(_) => None,
    };
    Comparison { status: answers.status, response: answers.response, state, text: texts.join("; ") }
}

/// What answers have in common.
#[derive(Debug, Default)]
struct Answers {
    status: Option<bool>,
    response: Option<bool>,
    texts: Vec<String>,
}

impl Repeat<'_> {
    fn answers(&self) -> Result<Answers, Unclear> {
        let told = self.told.iter().enumerate();
        let hung_up = |i| self.mode == Mode::Retry && i == 0;
        if let Some((i, answer)) = told.clone().find(|(i, answer)| is_no_answer(answer) && !hung_up(*i)) {
            return Err(format!("request {} was {}", i + 1, answer.outcome));
        }
        match (self.mode, self.told) {
            (Mode::Retry, [first, again]) if is_no_answer(first) => Ok(after_hanging_up(again)),
            (Mode::Keyed, [same @ .., other]) => {
                let mut answers = self.same(same)?;
                if other.outcome != Outcome::Rejected {
                    answers.status = Some(false);
                    answers.texts.push(format!("the key was accepted with another body, with status {}", other.status));
                }
                Ok(answers)
            }
            (_, told) => self.same(told),
        }
    }

    /// Compares answers to the same request with the first of them that accepts it.
    fn same(&self, told: &[Told]) -> Result<Answers, Unclear> {
        let first = if self.mode == Mode::Concurrent {
            told.iter().find(|answer| answer.outcome == Outcome::Accepted)
        } else {
            told.first().filter(|first| first.outcome == Outcome::Accepted)
        };
        let first = first.ok_or("the request was not accepted")?;
        if told.len() < 2 {
            return Err("the request was not repeated".to_owned());
        }
        let mut answers = Answers { status: Some(true), response: Some(true), texts: Vec::new() };
        if let Some(other) = told.iter().find(|other| other.status / 100 != first.status / 100) {
            answers.status = Some(false);
            answers.texts.push(format!("status {} and then {}", first.status, other.status));
        }
        let body = steady(&first.body, self.volatile);
        let differs = |other: &&Told| steady(&other.body, self.volatile) != body;
        // The bodies of different statuses differ anyway.
        let of_class = told.iter().filter(|other| other.status / 100 == first.status / 100);
        if let Some(other) = of_class.clone().find(differs) {
            answers.response = Some(false);
            answers
                .texts
                .push(format!("the bodies differ: {}", body_difference(&body, &steady(&other.body, self.volatile))));
        } else if of_class.count() < 2 {
            answers.response = None;
        }
        Ok(answers)
    }

    /// What differs of the state from that which one request would have made, in words.
    fn state(&self, is_own: impl Fn(&Value) -> bool) -> Result<Option<String>, Unclear> {
        let after = self.agreed(self.after).ok_or("the reads after it do not agree")?;
        if !self.after.iter().all(&is_own) {
            return Err("its value is not there after it".to_owned());
        }
        let (earlier, named) = match self.mode {
            Mode::Replay | Mode::Keyed => {
                let once =
                    self.once.filter(|once| is_own(once)).ok_or("its value was not seen after the first request")?;
                (self.lasting(once), None)
            }
            // Here nobody saw the state between: only what the request does not name is known to be as before.
            Mode::Concurrent | Mode::Retry => {
                (self.agreed(self.before).ok_or("the reads before it do not agree")?, Some(self.named))
            }
        };
        let is_compared = |key: &String| named.is_none_or(|named| !named.contains(key));
        Ok(difference(&earlier, &after, is_compared))
    }

    /// What all reads show but for what is volatile, if they show the same and there is one.
    fn agreed(&self, reads: &[Value]) -> Option<Value> {
        let first = self.lasting(reads.first()?);
        reads.iter().all(|read| self.lasting(read) == first).then_some(first)
    }

    /// Attributes without what is volatile, such as the time of their last change. A pointer to the whole is meant for answers
    /// alone: without any attributes there would be nothing to compare.
    fn lasting(&self, attributes: &Value) -> Value {
        let mut attributes = attributes.clone();
        self.volatile.iter().filter(|pointer| !pointer.is_empty()).for_each(|pointer| remove(&mut attributes, pointer));
        attributes
    }
}

/// Answers that say nothing about the request.
fn is_no_answer(told: &Told) -> bool {
    matches!(told.outcome, Outcome::Throttled | Outcome::Failed | Outcome::Broken)
}

/// A client that hung up asks again: it must be told what it would have been told.
fn after_hanging_up(again: &Told) -> Answers {
    let is_accepted = again.outcome != Outcome::Rejected;
    let texts =
        if is_accepted { vec![] } else { vec![format!("asked again, it is refused with status {}", again.status)] };
    Answers { status: Some(is_accepted), response: None, texts }
}

/// A body to compare with others.
#[derive(Debug, PartialEq)]
enum Body<'a> {
    /// JSON without what is volatile.
    Json(Value),
    /// Anything else.
    Bytes(&'a [u8]),
}

fn steady<'a>(body: &'a [u8], volatile: &[String]) -> Body<'a> {
    let Ok(mut value) = serde_json::from_slice(body) else { return Body::Bytes(body) };
    for pointer in volatile {
        remove(&mut value, pointer);
    }
    Body::Json(value)
}

/// Takes away what a JSON pointer points to. An item of a list becomes null, so that the others keep their places.
fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        *value = Value::Null;
        return;
    };
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.remove(&last.replace("~1", "/").replace("~0", "~"))),
        Some(Value::Array(items)) => {
            if let Some(item) = last.parse::<usize>().ok().and_then(|i| items.get_mut(i)) {
                *item = Value::Null;
            }
        }
        _ => {}
    }
}

/// What differs of two bodies, in words and without values.
fn body_difference(a: &Body<'_>, b: &Body<'_>) -> String {
    match (a, b) {
        (Body::Json(a), Body::Json(b)) => difference(a, b, |_| true).unwrap_or_else(|| "in some part".to_owned()),
        _ => "not as JSON".to_owned(),
    }
}

/// The keys that differ between two values, in words; `None` where nothing differs. Values are not in the words: they may
/// be a customer's.
fn difference(a: &Value, b: &Value, is_compared: impl Fn(&String) -> bool) -> Option<String> {
    let (Value::Object(a), Value::Object(b)) = (a, b) else {
        return (a != b).then(|| "the whole differs".to_owned());
    };
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differs = |key: &&&String| Map::get(a, **key) != Map::get(b, **key) && is_compared(key);
    let changed: Vec<_> = keys.iter().filter(differs).map(|key| format!("`{key}`")).collect();
    let more = changed.len().saturating_sub(MOST_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = changed[..changed.len().min(MOST_NAMED)].join(", ");
    (!changed.is_empty()).then(|| format!("{named}{more} differ{}", if changed.len() == 1 { "s" } else { "" }))
}

#[cfg(test)]
mod tests;
