//! Rules of a scenario that name what an answer means where its status and its code do not say it.

use serde_json::Value;

/// A rule: an answer that meets all of its conditions has its name as the code. The first rule that an answer meets counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The code in reports: one or more of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// The status that the answer has.
    pub status: Option<u16>,
    /// A value that its body holds, where it is JSON.
    pub holds: Option<Holds>,
    /// A text that its body contains, whatever it is.
    pub text: Option<String>,
    /// What the answer is instead of what its status says; `None` to leave it at that.
    pub class: Option<Class>,
}

/// A value in a JSON body.
#[derive(Debug, Clone, PartialEq)]
pub struct Holds {
    /// Where it stands: a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What it is: a text, a number or a truth value; `None` for anything but null.
    pub equals: Option<Value>,
}

/// What a rule makes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A success.
    Accepted,
    /// A success of another kind than was wanted.
    Unexpected,
    /// Refused by a quota.
    Throttled,
    /// Refused for another reason.
    Rejected,
    /// The server failed.
    Failed,
}

impl Rule {
    /// Whether an answer meets the rule. `parsed` is the body as JSON; where it is none, no rule about a value in it is met.
    #[must_use]
    pub fn is_met(&self, status: u16, body: &[u8], parsed: Option<&Value>) -> bool {
        self.status.is_none_or(|wanted| wanted == status)
            && self.holds.as_ref().is_none_or(|holds| parsed.is_some_and(|body| holds.is_in(body)))
            && self.text.as_ref().is_none_or(|text| contains(body, text.as_bytes()))
    }

    /// Whether the rule can make something else of a success with this status, so that its body is worth keeping.
    #[must_use]
    pub fn may_turn(&self, status: u16) -> bool {
        self.class.is_some_and(|class| class != Class::Accepted) && self.status.is_none_or(|wanted| wanted == status)
    }
}

impl Holds {
    fn is_in(&self, body: &Value) -> bool {
        let Some(found) = body.pointer(&self.pointer) else { return false };
        match &self.equals {
            None => !found.is_null(),
            // 1 and 1.0 are one number, whichever of them the file and the body have.
            Some(Value::Number(wanted)) => found.as_f64().is_some_and(|found| Some(found) == wanted.as_f64()),
            Some(wanted) => found == wanted,
        }
    }
}

/// Whether `text` holds `part`.
fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule() -> Rule {
        Rule { name: "rule".to_owned(), status: None, holds: None, text: None, class: None }
    }

    fn holds(pointer: &str, equals: Option<Value>) -> Rule {
        Rule { holds: Some(Holds { pointer: pointer.to_owned(), equals }), ..rule() }
    }

    fn is_met(rule: &Rule, body: &Value) -> bool {
        rule.is_met(400, body.to_string().as_bytes(), Some(body))
    }

    #[test]
    fn all_conditions_must_be_met() {
        let both = Rule { status: Some(400), text: Some("null".to_owned()), ..rule() };
        assert!(both.is_met(400, b"must not be null", None));
        assert!(!both.is_met(409, b"must not be null", None));
        assert!(!both.is_met(400, b"must be text", None));
    }

    #[test]
    fn a_pointer_finds_texts_numbers_and_truth_values_and_without_equals_anything_but_null() {
        let body = json!({ "errors": [{ "fieldName": "type", "line": 1.0, "fatal": true, "cause": null }] });
        for (pointer, equals, expected) in [
            ("/errors/0/fieldName", Some(json!("type")), true),
            ("/errors/0/fieldName", Some(json!("role")), false),
            ("/errors/0/line", Some(json!(1)), true),
            ("/errors/0/fatal", Some(json!(true)), true),
            ("/errors/0/fatal", Some(json!("true")), false),
            ("/errors/0", None, true),
            ("/errors/0/cause", None, false),
            ("/errors/1", None, false),
        ] {
            assert_eq!(is_met(&holds(pointer, equals.clone()), &body), expected, "{pointer} {equals:?}");
        }
        assert!(!holds("/errors", None).is_met(400, b"<html>", None));
    }

    #[test]
    fn only_a_rule_that_makes_something_else_of_a_success_needs_its_body() {
        let turning = Rule { class: Some(Class::Rejected), ..rule() };
        assert!(turning.may_turn(200));
        assert!(!Rule { status: Some(400), ..turning.clone() }.may_turn(200));
        assert!(!rule().may_turn(200));
        assert!(!Rule { class: Some(Class::Accepted), ..turning }.may_turn(200));
    }
}
