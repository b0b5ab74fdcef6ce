//! What is different between attributes as they were and as they are. Pure.

use serde_json::{Map, Value};

/// So many keys are named in a sentence.
const MOST_NAMED: usize = 5;

/// What is different.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    /// The keys that were something else or are gone, with their earlier values; the whole earlier value where either is
    /// no map.
    pub(super) changed: Value,
    /// Keys that were not there.
    added: Vec<String>,
}

impl Difference {
    pub(super) fn between(before: &Value, now: &Value) -> Self {
        let (Value::Object(earlier), Value::Object(later)) = (before, now) else {
            let nothing = Value::Object(Map::new());
            return Self { changed: if before == now { nothing } else { before.clone() }, added: Vec::new() };
        };
        let changed = earlier.iter().filter(|(key, value)| later.get(*key) != Some(value));
        let changed = changed.map(|(key, value)| (key.clone(), value.clone())).collect();
        let added = later.keys().filter(|key| !earlier.contains_key(*key)).cloned().collect();
        Self { changed: Value::Object(changed), added }
    }

    /// Whether a request that names earlier values has any to name.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.as_object().is_none_or(|keys| !keys.is_empty())
    }

    pub(super) fn is_none(&self) -> bool {
        !self.has_changed() && self.added.is_empty()
    }

    /// What is different, in words; `None` where nothing is.
    pub(super) fn describe(&self) -> Option<String> {
        (!self.is_none()).then(|| self.text())
    }

    /// What is different, in words. Values are not in them: they may be a customer's.
    pub(super) fn text(&self) -> String {
        let mut parts = Vec::new();
        match self.changed.as_object() {
            Some(keys) if keys.is_empty() => {}
            Some(keys) => parts.push(named("not as before", keys.keys())),
            None => parts.push("the attributes are not as before".to_owned()),
        }
        if !self.added.is_empty() {
            parts.push(named("added since, and not removed by the request that puts back", self.added.iter()));
        }
        parts.join("; ")
    }
}

fn named<'a>(what: &str, keys: impl ExactSizeIterator<Item = &'a String>) -> String {
    let rest = keys.len().saturating_sub(MOST_NAMED);
    let plural = if keys.len() == 1 { "key" } else { "keys" };
    let names: Vec<_> = keys.take(MOST_NAMED).map(|key| format!("`{key}`")).collect();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{plural} {}{more} {what}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_changed_went_or_came_are_told_apart() {
        let difference =
            Difference::between(&json!({"a": "1", "b": "2", "c": "3"}), &json!({"a": "1", "b": "x", "d": ""}));
        assert_eq!(difference.changed, json!({"b": "2", "c": "3"}));
        assert_eq!(
            difference.describe().unwrap(),
            "keys `b`, `c` not as before; key `d` added since, and not removed by the request that puts back"
        );
    }

    #[test]
    fn values_that_are_no_maps_differ_as_a_whole() {
        let difference = Difference::between(&json!(["a"]), &json!({"a": 1}));
        assert_eq!((difference.has_changed(), &difference.changed), (true, &json!(["a"])));
        assert!(Difference::between(&json!(["a"]), &json!(["a"])).is_none());
        assert!(Difference::between(&Value::Null, &json!({})).has_changed());
    }

    proptest! {
        #[test]
        fn putting_back_what_changed_leaves_only_what_was_added(
            before in proptest::collection::btree_map("[a-e]", "[xyz]", 0..5),
            now in proptest::collection::btree_map("[a-e]", "[xyz]", 0..5),
        ) {
            let (before, mut now) = (json!(before), json!(now));
            let first = Difference::between(&before, &now);
            for (key, value) in first.changed.as_object().unwrap() {
                now[key] = value.clone();
            }
            let second = Difference::between(&before, &now);
            prop_assert!(!second.has_changed());
            prop_assert_eq!(&second.added, &first.added);
            prop_assert_eq!(second.is_none(), before == now);
        }
    }
}
