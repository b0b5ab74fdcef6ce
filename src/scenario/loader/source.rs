//! The scenario as it stands in the file, fit for the run folder: without the environment, without secrets.

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::environment::is_reference;
use crate::scenario::Overrides;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// The tree as JSON; literal secrets are hidden, `${NAME}` stays, overrides are added.
pub(super) fn redacted(tree: &DeTable<'_>, overrides: &Overrides) -> Value {
    let mut source = table(tree);
    if let Some(target) = source.get_mut("target") {
        hide_secrets(target);
        if let Some(tokens) = target.get_mut("auth").and_then(|auth| auth.get_mut("tokens")) {
            hide(tokens);
        }
    }
    let proxy = source.get_mut("target").and_then(|target| target.get_mut("connection")?.get_mut("proxy"));
    if let Some(password) = proxy.and_then(|proxy| proxy.get_mut("password")) {
        hide(password);
    }
    source.values_mut().for_each(hide_headers);
    if let Some(record) = overrides.record() {
        source.insert("overrides".to_owned(), record);
    }
    Value::Object(source)
}

/// Whether a header of this name is likely to hold a secret.
pub(in crate::scenario) fn is_secret(header: &str) -> bool {
    let name = header.to_ascii_lowercase();
    let words = ["auth", "cookie", "key", "token", "secret", "session", "password", "credential", "signature"];
    words.iter().any(|word| name.contains(word))
}

/// Hides what is likely to be secret in the tables `headers` of a part of the tree, wherever they stand.
fn hide_headers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide_headers),
        Value::Object(entries) => {
            if let Some(Value::Object(headers)) = entries.get_mut("headers") {
                headers.iter_mut().filter(|(name, _)| is_secret(name)).for_each(|(_, value)| hide(value));
            }
            entries.values_mut().for_each(hide_headers);
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Hides secrets and passwords in a part of the target's table, and what stands before the `@` of addresses.
fn hide_secrets(value: &mut Value) {
    match value {
        Value::String(text) => hide_user(text),
        Value::Array(items) => items.iter_mut().for_each(hide_secrets),
        Value::Object(entries) => {
            for (key, value) in entries {
                let is_secret = ["secret", "password"].iter().any(|word| key.to_ascii_lowercase().contains(word));
                if is_secret { hide(value) } else { hide_secrets(value) }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Hides the user and the password of an address, but not where they are only `${NAME}`.
fn hide_user(address: &mut String) {
    let Some((scheme, rest)) = address.split_once("://") else { return };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, host)) = authority.rsplit_once('@') else { return };
    if !user.split(':').all(is_reference) {
        let behind = &rest[authority.len()..];
        *address = format!("{scheme}://{HIDDEN}@{host}{behind}");
    }
}

/// Hides texts, also those of an array; what is only a `${NAME}` says nothing and stays. Numbers are no secrets: they
/// count tokens.
fn hide(value: &mut Value) {
    match value {
        Value::String(text) if !is_reference(text) => HIDDEN.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

fn table(tree: &DeTable<'_>) -> Map<String, Value> {
    tree.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            let (digits, radix) = (number.as_str(), number.radix());
            let unsigned = u64::from_str_radix(digits, radix).map(Number::from);
            let number = unsigned.or_else(|_| i64::from_str_radix(digits, radix).map(Number::from));
            number.map_or(Value::Null, Value::Number)
        }
        DeValue::Float(number) => {
            number.as_str().parse().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number)
        }
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(entries) => Value::Object(table(entries)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_headers_are_hidden_wherever_they_stand() {
        let mut source = serde_json::json!({
            "variant": [{"headers": {"X-Api-Key": "a", "X-Note": "b"}}],
            "read": {"headers": {"X-Session": "c", "X-Auth": "${KEY}"}},
            "snapshot": {"restore": {"headers": {"Cookie": "d"}}},
        });
        hide_headers(&mut source);
        let expected = serde_json::json!({
            "variant": [{"headers": {"X-Api-Key": "***", "X-Note": "b"}}],
            "read": {"headers": {"X-Session": "***", "X-Auth": "${KEY}"}},
            "snapshot": {"restore": {"headers": {"Cookie": "***"}}},
        });
        assert_eq!(source, expected);
    }

    #[test]
    fn addresses_are_shown_without_user_and_password() {
        for (address, shown) in [
            ("http://proxy.example:3128/a@b", "http://proxy.example:3128/a@b"),
            ("http://ann:hush@proxy.example:3128/x?y", "http://***@proxy.example:3128/x?y"),
            ("http://ann:hu@sh@proxy.example", "http://***@proxy.example"),
            ("https://${USER}:${PASSWORD}@proxy.example", "https://${USER}:${PASSWORD}@proxy.example"),
            ("https://${USER}:hush@proxy.example", "https://***@proxy.example"),
            ("no address", "no address"),
        ] {
            let mut text = address.to_owned();
            hide_user(&mut text);
            assert_eq!(text, shown);
        }
    }
}
