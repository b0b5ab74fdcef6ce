use proptest::prelude::*;
use serde_json::json;

use super::*;

fn told(status: u16, body: &Value) -> Told {
    let outcome = match status {
        429 => Outcome::Throttled,
        400..500 => Outcome::Rejected,
        500.. => Outcome::Failed,
        0 => Outcome::Broken,
        _ => Outcome::Accepted,
    };
    Told { status, body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() }, outcome }
}

/// What happened, with everything as it should be.
#[derive(Debug, Clone)]
struct Story {
    mode: Mode,
    told: Vec<Told>,
    before: Vec<Value>,
    once: Option<Value>,
    after: Vec<Value>,
    volatile: Vec<String>,
}

impl Story {
    fn new(mode: Mode) -> Self {
        let body = json!({"attributes": {"ref": "op-7"}, "contextId": "1"});
        let again = json!({"attributes": {"ref": "op-7"}, "contextId": "2"});
        let first = if mode == Mode::Retry { told(0, &Value::Null) } else { told(202, &body) };
        let mut answers = vec![first, told(202, &again)];
        if mode == Mode::Keyed {
            answers.push(told(422, &Value::Null));
        }
        let state = json!({"ref": "op-7", "name": "x", "counter": "1"});
        Self {
            mode,
            told: answers,
            before: vec![json!({"ref": "op-3", "name": "x", "counter": "1"}); 2],
            once: Some(state.clone()),
            after: vec![state; 2],
            volatile: vec!["/contextId".to_owned()],
        }
    }

    fn compare(&self) -> Comparison {
        let named = BTreeSet::from(["attributes".to_owned(), "ref".to_owned()]);
        let repeat = Repeat {
            mode: self.mode,
            told: &self.told,
            before: &self.before,
            once: self.once.as_ref(),
            after: &self.after,
            key: "ref",
            value: 7,
            named: &named,
            volatile: &self.volatile,
        };
        compare(&repeat, |text| text.strip_prefix("op-")?.parse().ok())
    }

    fn parts(&self) -> [Option<bool>; 3] {
        let Comparison { status, response, state, .. } = self.compare();
        [status, response, state]
    }
}

#[test]
fn what_is_the_same_twice_differs_in_nothing() {
    for mode in Mode::ALL {
        let response = (mode != Mode::Retry).then_some(true);
        let comparison = Comparison { status: Some(true), response, state: Some(true), text: String::new() };
        assert_eq!(Story::new(mode).compare(), comparison, "{mode}");
    }
}

#[test]
fn a_state_that_grows_with_each_request_differs_in_every_mode() {
    for mode in Mode::ALL {
        let mut story = Story::new(mode);
        story.after = vec![json!({"ref": "op-7", "name": "x", "counter": "2"}); 2];
        let comparison = story.compare();
        assert_eq!((comparison.state, comparison.text.as_str()), (Some(false), "`counter` differs"), "{mode}");
    }
}

#[test]
fn what_is_volatile_may_differ_between_reads_of_the_attributes() {
    for mode in Mode::ALL {
        let mut story = Story::new(mode);
        let reads = story.before.iter_mut().chain(&mut story.once).chain(&mut story.after);
        (1..).zip(reads).for_each(|(at, state)| state["updatedAt"] = json!(at));
        assert_ne!(story.parts()[2], Some(true), "{mode}");
        story.volatile.push("/updatedAt".to_owned());
        assert_eq!(story.parts()[2], Some(true), "{mode}");
        for state in &mut story.after {
            state["counter"] = json!("2");
        }
        assert_eq!(story.parts()[2], Some(false), "{mode}: all else is compared");
        story.volatile = vec![String::new()];
        assert_ne!(story.parts()[2], Some(true), "{mode}: a pointer to whole answers is to no state");
    }
}

#[test]
fn what_is_volatile_may_be_the_value_that_is_looked_for() {
    let mut story = Story::new(Mode::Replay);
    story.volatile.push("/ref".to_owned());
    assert_eq!(story.parts(), [Some(true); 3]);
    story.after[1]["ref"] = json!("op-8");
    assert_eq!(story.compare().text, "its value is not there after it");
}

#[test]
fn a_value_that_somebody_overwrote_is_inconclusive() {
    for mode in Mode::ALL {
        let mut story = Story::new(mode);
        story.after = vec![json!({"ref": "op-8"}); 2];
        let text = "its value is not there after it".to_owned();
        assert_eq!(story.compare(), Comparison { text, ..Comparison::default() }, "{mode}");
    }
}

#[test]
fn reads_that_do_not_agree_are_inconclusive() {
    let mut story = Story::new(Mode::Replay);
    story.after[1]["counter"] = json!("2");
    assert_eq!(story.parts(), [None; 3]);
    let mut story = Story::new(Mode::Concurrent);
    story.before[1]["counter"] = json!("2");
    assert_eq!(story.parts(), [None; 3]);
    story.before.clear();
    assert_eq!(story.parts(), [None; 3]);
}

#[test]
fn a_state_that_was_not_seen_after_the_first_request_is_inconclusive_where_it_is_needed() {
    for (mode, expected) in [(Mode::Replay, None), (Mode::Keyed, None), (Mode::Concurrent, Some(true))] {
        let story = Story { once: None, ..Story::new(mode) };
        assert_eq!(story.parts()[2], expected, "{mode}");
    }
}

#[test]
fn an_answer_that_says_nothing_is_inconclusive() {
    for status in [429, 500, 503, 0] {
        for mode in Mode::ALL {
            let mut story = Story::new(mode);
            story.told[1] = told(status, &Value::Null);
            assert_eq!(story.parts(), [None; 3], "{mode}, {status}");
        }
    }
    let mut story = Story::new(Mode::Replay);
    story.told[0] = told(400, &Value::Null);
    assert_eq!(story.compare().text, "the request was not accepted");
    story.told.truncate(1);
    assert_eq!(story.parts(), [None; 3]);
}

#[test]
fn a_repetition_that_is_refused_differs_in_its_status_alone() {
    for mode in [Mode::Replay, Mode::Concurrent, Mode::Keyed] {
        let mut story = Story::new(mode);
        story.told[1] = told(409, &Value::Null);
        assert_eq!(story.parts(), [Some(false), None, Some(true)], "{mode}");
        assert_eq!(story.compare().text, "status 202 and then 409");
    }
    let mut story = Story::new(Mode::Retry);
    story.told[1] = told(409, &Value::Null);
    assert_eq!(story.compare().text, "asked again, it is refused with status 409");
}

#[test]
fn of_concurrent_requests_any_may_be_the_one_that_is_accepted() {
    let mut story = Story::new(Mode::Concurrent);
    story.told[0] = told(409, &Value::Null);
    assert_eq!(story.parts(), [Some(false), None, Some(true)]);
}

#[test]
fn statuses_of_one_class_are_the_same() {
    let mut story = Story::new(Mode::Replay);
    story.told[1].status = 200;
    assert_eq!(story.parts(), [Some(true); 3]);
}

#[test]
fn bodies_differ_but_for_what_is_volatile() {
    let mut story = Story::new(Mode::Replay);
    story.volatile.clear();
    let comparison = story.compare();
    assert_eq!(
        (comparison.response, comparison.text.as_str()),
        (Some(false), "the bodies differ: `contextId` differs")
    );
    story.told[0].body = b"a".to_vec();
    assert_eq!(story.compare().text, "the bodies differ: not as JSON");
    story.told[1].body = b"a".to_vec();
    assert_eq!(story.parts(), [Some(true); 3]);
}

#[test]
fn volatile_parts_are_named_by_pointers() {
    let steady = |body: Value, pointer: &str| match super::steady(body.to_string().as_bytes(), &[pointer.to_owned()]) {
        Body::Json(value) => value,
        Body::Bytes(_) => panic!("it is JSON"),
    };
    assert_eq!(steady(json!({"a": {"b/c": 1, "d": 2}}), "/a/b~1c"), json!({"a": {"d": 2}}));
    assert_eq!(steady(json!({"~": 1}), "/~0"), json!({}));
    assert_eq!(steady(json!({"a": [1, 2]}), "/a/0"), json!({"a": [null, 2]}));
    assert_eq!(steady(json!({"a": 1}), ""), Value::Null, "the whole body");
    assert_eq!(steady(json!({"a": 1}), "/b/c"), json!({"a": 1}), "nothing is there");
}

#[test]
fn a_key_that_is_accepted_with_another_body_is_a_violation_whatever_became_of_the_state() {
    let mut story = Story::new(Mode::Keyed);
    story.told[2] = told(202, &Value::Null);
    story.after = vec![json!({"ref": "something else"}); 2];
    assert_eq!(story.parts(), [Some(false), Some(true), None]);
    assert_eq!(story.compare().text, "the key was accepted with another body, with status 202");
}

#[test]
fn a_client_that_was_answered_before_it_hung_up_compares_the_answers() {
    let mut story = Story::new(Mode::Retry);
    story.told[0] = story.told[1].clone();
    assert_eq!(story.parts(), [Some(true); 3]);
}

#[test]
fn many_keys_that_differ_are_named_up_to_five() {
    let (a, b) = (json!({}), json!({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1}));
    assert_eq!(difference(&a, &b, |_| true).unwrap(), "`a`, `b`, `c`, `d`, `e` and 2 more differ");
    assert_eq!(difference(&a, &json!([]), |_| true).unwrap(), "the whole differs");
    assert_eq!(difference(&a, &a, |_| true), None);
}

/// Attributes of a store that merges per key.
fn attributes() -> impl Strategy<Value = Map<String, Value>> {
    proptest::collection::btree_map("[a-d]", "[xyz]", 0..4)
        .prop_map(|map| map.into_iter().map(|(key, value)| (key, value.into())).collect())
}

proptest! {
    #[test]
    fn a_store_that_merges_per_key_does_the_same_twice_and_one_that_counts_does_not(
        before in attributes(),
        written in attributes(),
        mode in 0..4_usize,
        counts in any::<bool>(),
    ) {
        let mut once = before.clone();
        once.extend(written.clone());
        once.insert("ref".to_owned(), "op-7".into());
        let mut after = once.clone();
        if counts {
            after.insert("counter".to_owned(), "1".into());
        }
        let mut story = Story::new(Mode::ALL[mode]);
        story.before = vec![Value::Object(before); 2];
        story.once = Some(Value::Object(once));
        story.after = vec![Value::Object(after); 2];
        let mut named = keys_of_body(&written);
        named.insert("ref".to_owned());
        let repeat = Repeat {
            mode: story.mode,
            told: &story.told,
            before: &story.before,
            once: story.once.as_ref(),
            after: &story.after,
            key: "ref",
            value: 7,
            named: &named,
            volatile: &story.volatile,
        };
        let comparison = compare(&repeat, |text| text.strip_prefix("op-")?.parse().ok());
        prop_assert_eq!(comparison.status, Some(true));
        prop_assert_eq!(comparison.state, Some(!counts));
        prop_assert_eq!(comparison.text.is_empty(), !counts);
    }
}

fn keys_of_body(written: &Map<String, Value>) -> BTreeSet<String> {
    crate::consistency::keys_of(&json!({ "attributes": written }))
}
