//! A JSON object in each line.

use std::borrow::Cow;
use std::fmt;
use std::io::BufRead;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::file::DataFile;
use crate::scenario::Rows;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The rows that are right; the keys of the first object are the columns. Blank lines are no rows, all else is told.
pub(super) fn read(mut input: impl BufRead, file: &mut DataFile<'_>) -> Rows {
    let (mut bytes, mut rows): (_, Option<Rows>) = (Vec::new(), None);
    for line in 1.. {
        bytes.clear();
        match input.read_until(b'\n', &mut bytes) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                file.broke_off(&error);
                break;
            }
        }
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).filter(|_| line == 1).unwrap_or(&bytes);
        let Ok(text) = str::from_utf8(bytes) else {
            file.mistake((line, 1), "the line is not UTF-8; save the file in UTF-8".to_owned());
            continue;
        };
        if text.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<Object<'_>>(text) {
            Ok(object) => {
                // What is wrong with the first object is wrong with the columns.
                let is_first = rows.is_none();
                let rows = rows.get_or_insert_with(|| Rows::new(columns(&object, line, file)));
                let wrong = push(object, rows);
                wrong.into_iter().filter(|_| !is_first).for_each(|text| file.mistake((line, 1), text));
            }
            Err(error) => {
                let column =
                    text.get(..error.column().saturating_sub(1)).map_or(1, |before| before.chars().count() + 1);
                let full = error.to_string();
                let reason = full.split(" at line ").next().unwrap_or_default();
                let text = format!("the line is no JSON object ({reason}); write one such as {{\"id\": \"1\"}}");
                file.mistake((line, column), text);
            }
        }
    }
    rows.unwrap_or_default()
}

fn columns(first: &Object<'_>, line: usize, file: &mut DataFile<'_>) -> Vec<String> {
    let columns: Vec<_> = first.0.iter().map(|(key, _)| key.to_string()).collect();
    if columns.is_empty() {
        file.mistake((line, 1), "the object has no keys, which name the columns; add at least one".to_owned());
    }
    file.check_names(line, "key", &columns);
    columns
}

/// Appends the row of an object, whose keys may stand in any order, unless something is wrong with it, which is returned.
fn push(object: Object<'_>, rows: &mut Rows) -> Vec<String> {
    let columns = rows.columns();
    let mut cells: Vec<Option<Cow<'_, str>>> = vec![None; columns.len()];
    let mut wrong = Vec::new();
    for (i, (key, value)) in object.0.into_iter().enumerate() {
        let usual = columns.get(i).filter(|column| **column == key).map(|_| i);
        match usual.or_else(|| columns.iter().position(|column| *column == key)) {
            None => wrong.push(format!("the object has `{key}`, which the first one has not; remove it")),
            Some(column) if cells[column].is_some() => {
                wrong.push(format!("key `{key}` is there twice; rename one of them"));
            }
            Some(column) => cells[column] = Some(value),
        }
    }
    for (column, cell) in columns.iter().zip(&cells) {
        if cell.is_none() {
            wrong.push(format!("the object has no `{column}`, which the first one has; add it, or write null"));
        }
    }
    if wrong.is_empty() {
        rows.push(cells.iter().map(|cell| cell.as_deref().unwrap_or_default()));
    }
    wrong
}

/// The keys of an object in their order, with the cells that their values are: texts without quotes, nothing for null, the
/// JSON text of all else, digit by digit as it was written.
struct Object<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut cells = Vec::with_capacity(8);
                while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    cells.push((key, cell(value).map_err(serde::de::Error::custom)?));
                }
                Ok(Object(cells))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// A text, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn cell(value: &RawValue) -> serde_json::Result<Cow<'_, str>> {
    let text = value.get();
    match text.as_bytes() {
        b"null" => Ok(Cow::Borrowed("")),
        [b'"', ..] => serde_json::from_str::<Text<'_>>(text).map(|Text(text)| text),
        _ => Ok(Cow::Borrowed(text)),
    }
}
