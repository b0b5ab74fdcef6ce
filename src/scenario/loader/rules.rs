//! `[[outcome]]`: what answers are called.

use super::tree::{Field, Table};
use crate::scenario::{Class, Holds, Rule};

const KEYS: [&str; 6] = ["name", "status", "pointer", "equals", "text", "as"];

/// What `as` may say.
const CLASSES: [(&str, Class); 5] = [
    ("accepted", Class::Accepted),
    ("unexpected", Class::Unexpected),
    ("throttled", Class::Throttled),
    ("rejected", Class::Rejected),
    ("failed", Class::Failed),
];

/// Reads all rules; none where there are none, or after noting a mistake.
pub(super) fn read(root: &Table<'_>) -> Vec<Rule> {
    let Some(field) = root.field("outcome") else { return Vec::new() };
    if field.is_table() {
        field.mistake("is one table; write [[outcome]] with two brackets, also for a single one");
        return Vec::new();
    }
    field.items().unwrap_or_default().iter().filter_map(rule).collect()
}

fn rule(field: &Field<'_>) -> Option<Rule> {
    let table = field.table(&KEYS)?;
    let name = table.required("name", "name what the answer means, for example \"missing-type\"");
    let name = name.and_then(|field| field.name());
    let status = table.field("status").and_then(|field| field.whole(100..=599));
    let pointer = table.field("pointer").and_then(|field| pointer(&field));
    let equals = table.field("equals").and_then(|field| field.scalar());
    let text = table.field("text").and_then(|field| {
        let text = field.text()?.value;
        if text.is_empty() {
            field.mistake("is empty, which every body contains; write a part of the body");
        }
        (!text.is_empty()).then_some(text)
    });
    let class = table.field("as").and_then(|field| field.choice(&CLASSES));
    if let Some(field) = table.field("equals").filter(|_| table.field("pointer").is_none()) {
        field.mistake("says what a value is, and no `pointer` says which; add one such as \"/errors/0/fieldName\"");
    }
    if ["status", "pointer", "equals", "text"].iter().all(|key| table.field(key).is_none()) {
        table.mistake("is met by every answer; add `status`, `pointer` with `equals`, or `text`");
    }
    let holds = pointer.map(|pointer| Holds { pointer, equals });
    Some(Rule { name: name?, status, holds, text, class })
}

/// A JSON pointer (RFC 6901): empty for the whole body, or with a slash before each step.
pub(super) fn pointer(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    let is_escaped = text.value.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if (text.value.is_empty() || text.value.starts_with('/')) && is_escaped {
        return Some(text.value);
    }
    field.mistake(format_args!(
        "is `{}`, which is no JSON pointer; write one such as \"/errors/0/fieldName\", with ~0 for `~` and ~1 for `/`",
        text.shown
    ));
    None
}
