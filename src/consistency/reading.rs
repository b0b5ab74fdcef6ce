//! What a read of a resource shows of one of its attributes.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::history::Seen;

/// A resource as it was read once.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The read was handed to the transport.
    pub sent: Duration,
    /// Its answer was there.
    pub done: Duration,
    /// All attributes of the resource.
    pub attributes: Value,
}

/// What attributes show under a key, where `parse` finds the number of the operation in a value of the run.
///
/// A key that is missing or null, and attributes that are no map, show nothing.
pub fn seen(attributes: &Value, key: &str, parse: impl Fn(&str) -> Option<u64>) -> Seen {
    let shown = |text: &str| parse(text).map_or_else(|| Seen::Foreign(hash(text.as_bytes())), Seen::Value);
    match attributes.get(key) {
        None | Some(Value::Null) => Seen::Nothing,
        Some(Value::String(text)) => shown(text),
        Some(other) => shown(&other.to_string()),
    }
}

/// All keys of maps in a value, at any depth.
#[must_use]
pub fn keys_of(value: &Value) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(items) => rest.extend(items),
            Value::Object(map) => {
                keys.extend(map.keys().cloned());
                rest.extend(map.values());
            }
            _ => {}
        }
    }
    keys
}

/// The 64-bit FNV-1a hash: the same in every run and version, and enough to tell a few values apart.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Option<u64> {
        text.strip_prefix("op-")?.parse().ok()
    }

    #[test]
    fn a_value_of_the_run_shows_its_operation_and_any_other_is_foreign() {
        let attributes = json!({"ref": "op-17", "name": "x", "other": "y", "empty": null, "number": 3, "again": "x"});
        let seen = |key| seen(&attributes, key, parse);
        assert_eq!(seen("ref"), Seen::Value(17));
        assert_eq!((seen("missing"), seen("empty")), (Seen::Nothing, Seen::Nothing));
        assert_eq!(seen("name"), seen("again"));
        assert!(seen("name") != seen("other") && matches!(seen("number"), Seen::Foreign(_)));
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        assert_eq!(seen(&json!({"ref": 17}), "ref", |text| text.parse().ok()), Seen::Value(17));
    }

    #[test]
    fn attributes_that_are_no_map_show_nothing() {
        for attributes in [json!(null), json!([1]), json!("ref")] {
            assert_eq!(seen(&attributes, "ref", parse), Seen::Nothing);
        }
    }

    #[test]
    fn keys_are_found_at_any_depth() {
        let body = json!({"a": {"b": [{"c": 1}, 2]}, "d": null});
        assert_eq!(keys_of(&body).into_iter().collect::<String>(), "abcd");
        assert!(keys_of(&json!("a")).is_empty());
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // From the published test vectors.
        assert_eq!((hash(b""), hash(b"foobar")), (0xcbf2_9ce4_8422_2325, 0x8594_4171_f739_67e8));
    }
}
