//! The text of a variant's body: in the scenario, or in a file beside it.

use std::path::Path;

use super::environment::Text;
use super::tree::{Field, Table};
use super::{content, open_named};

/// The body of a variant.
pub(super) enum Body<'a> {
    /// It has none.
    Absent,
    /// It is wrong, which has been noted.
    Wrong,
    /// Its text, and the field that mistakes in it are told of.
    Text(Field<'a>, Text),
}

/// Reads `body` or `body_file`.
pub(super) fn read<'a>(table: &Table<'a>) -> Body<'a> {
    let body = match (table.field("body"), table.field("body_file")) {
        (Some(_), Some(file)) => {
            file.mistake("stands beside `body`; keep the one that you mean");
            None
        }
        (Some(body), None) => body.text().map(|text| (body, text)),
        (None, Some(file)) => of_file(&file),
        (None, None) => return Body::Absent,
    };
    body.map_or(Body::Wrong, |(field, text)| Body::Text(field, text))
}

/// The text of a file, treated as if it stood in `body`: a template, with `${NAME}` substituted.
fn of_file<'a>(field: &Field<'a>) -> Option<(Field<'a>, Text)> {
    let path = field.text()?;
    let directory = field.document.path.parent().unwrap_or(Path::new(""));
    let opened = open_named(&directory.join(&path.value));
    let bytes = match opened.and_then(|(file, _)| content(&file).map_err(|error| error.kind().to_string())) {
        Ok(bytes) => bytes,
        Err(reason) => {
            let shown = &path.shown;
            field.mistake(format_args!(
                "is `{shown}`, which cannot be read ({reason}); write a path relative to the scenario"
            ));
            return None;
        }
    };
    // The path may have come from the environment, so messages must not show it.
    let inside = field.in_file(directory.join(&path.shown));
    let Ok(text) = str::from_utf8(&bytes) else {
        inside.mistake("is not UTF-8; save the file in UTF-8");
        return None;
    };
    let text = inside.substituted(text)?;
    Some((inside, text))
}
