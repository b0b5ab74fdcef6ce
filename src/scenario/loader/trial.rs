//! Templates tried on the data rows before anything is sent.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::environment::Text;
use super::rows::Columns;
use super::tree::Field;
use crate::scenario::template::{Template, Values};
use crate::scenario::{Operation, Rows};

/// What a cell stands for that is never part of JSON outside a text, and never empty or a dot.
const PROBE: &str = "x";

/// Characters that no path may hold as they are: they would end it, or no URL may have them.
const FORBIDDEN: &[u8] = b"\"#<>\\^`{|}";

/// The rows on which templates are tried.
pub(super) struct Trial<'a> {
    rows: Option<&'a Rows>,
    probe: Option<Rows>,
    is_blind: bool,
    seed: u64,
}

/// What a template gives for an operation, told apart from all other reasons.
type Check<'c> = dyn Fn(&str) -> Result<(), String> + 'c;

impl<'a> Trial<'a> {
    /// `is_broken` says that the syntax of the file is wrong, so that columns may be missing.
    pub(super) fn new(columns: &'a Columns, seed: u64, is_broken: bool) -> Self {
        let rows = match columns {
            Columns::Data(data) => Some(&data.rows),
            Columns::None | Columns::Unknown => None,
        };
        let probe = rows.map(|rows| {
            let mut probe = Rows::new(rows.columns().to_vec());
            probe.push(rows.columns().iter().map(|_| PROBE));
            probe
        });
        Self { rows, probe, is_blind: is_broken || matches!(columns, Columns::Unknown), seed }
    }

    /// The names of the columns.
    pub(super) fn columns(&self) -> &[String] {
        self.rows.map_or(&[], Rows::columns)
    }

    /// Whether the columns are not known, because they are wrong.
    pub(super) fn is_blind(&self) -> bool {
        self.is_blind
    }

    fn render(&self, template: &Template, rows: Option<&Rows>, row: usize) -> Result<String, String> {
        let operation = Operation { user: 0, step: 0, number: row as u64, variant: 0, row };
        let values = Values { rows, seed: self.seed, operation: &operation };
        template.render(&values).map(Cow::into_owned).map_err(|error| format!("cannot be rendered: {error}"))
    }

    fn all_rows(&self) -> Vec<usize> {
        self.rows.map_or_else(|| vec![0], |rows| (0..rows.len()).collect())
    }

    /// The first row, the longest, and those for which `is_odd` says so of a cell.
    fn telling_rows(&self, is_odd: impl Fn(&str) -> bool) -> Vec<usize> {
        let Some(rows) = self.rows else { return vec![0] };
        let length = |row: usize| rows.row(row).iter().map(|cell| cell.len()).sum::<usize>();
        let longest = (0..rows.len()).max_by_key(|row| (length(*row), usize::MAX - row)).unwrap_or(0);
        let odd = (0..rows.len()).filter(|row| rows.row(*row).iter().any(|cell| is_odd(cell)));
        [0, longest].into_iter().chain(odd).collect()
    }

    /// Checks what a template gives with these rows; notes the first that is wrong.
    fn check(
        &self,
        (field, text): (&Field<'_>, &Text),
        template: &Template,
        rows: &[usize],
        check: &Check<'_>,
    ) -> Option<()> {
        for row in rows {
            let result = self.render(template, self.rows, *row).and_then(|rendered| check(&rendered));
            if let Err(error) = result {
                let place = match (self.rows.is_some() && !template.is_constant(), text.substituted) {
                    (true, true) => format!("with data row {} and the environment ", row + 1),
                    (true, false) => format!("with data row {} ", row + 1),
                    (false, true) => "with the environment ".to_owned(),
                    (false, false) => String::new(),
                };
                field.mistake(format_args!("{place}{error}"));
                return None;
            }
        }
        Some(())
    }

    /// Checks a path: what it gives must be one, and no row may change its segments.
    pub(super) fn path(&self, field: &Field<'_>, template: &Template, text: &Text) -> Option<()> {
        let is_odd = |cell: &str| matches!(cell, "" | "." | "..");
        let rows = if template.is_plain() { self.telling_rows(is_odd) } else { self.all_rows() };
        let empty =
            |path: &str| path.split('?').next().unwrap_or_default().split('/').filter(|part| part.is_empty()).count();
        let usual = self.render(template, self.probe.as_ref(), 0).map(|path| empty(&path));
        self.check((field, text), template, &rows, &|path| {
            let (path_only, _) = path.split_once('?').unwrap_or((path, ""));
            if path.bytes().any(|byte| !byte.is_ascii_graphic() || FORBIDDEN.contains(&byte)) {
                return Err("gives a path with a character that no path may hold; percent-encode it".to_owned());
            }
            if path_only.split('/').any(|segment| matches!(segment, "." | "..")) {
                return Err(
                    "gives a path with a segment `.` or `..`, which would name another path; change the row".to_owned()
                );
            }
            if template.is_plain() && usual.as_ref().is_ok_and(|usual| *usual != empty(path)) {
                return Err("gives a path with an empty segment; fill the cell".to_owned());
            }
            Ok(())
        })
    }

    /// Checks a header.
    pub(super) fn header(&self, field: &Field<'_>, template: &Template, text: &Text) -> Option<()> {
        let rows = if template.is_constant() { vec![0] } else { self.all_rows() };
        self.check((field, text), template, &rows, &|_| Ok(()))
    }

    /// What a template gives with the first row; `None` where it fails.
    pub(super) fn first(&self, template: &Template) -> Option<String> {
        self.render(template, self.rows, 0).ok()
    }

    /// Checks anything else with `check`, which says what is wrong with a rendered text.
    pub(super) fn query(&self, field: &Field<'_>, template: &Template, text: &Text, check: &Check<'_>) -> Option<()> {
        let rows = if template.is_plain() { self.telling_rows(str::is_empty) } else { self.all_rows() };
        self.check((field, text), template, &rows, check)
    }

    /// Checks a body of any other kind.
    pub(super) fn text(&self, field: &Field<'_>, template: &Template, text: &Text) -> Option<()> {
        let rows = if template.is_plain() { vec![0] } else { self.all_rows() };
        self.check((field, text), template, &rows, &|_| Ok(()))
    }

    /// Checks a JSON body.
    pub(super) fn json_body(&self, field: &Field<'_>, template: &Template, text: &Text) -> Option<()> {
        let is_json = |body: &str| {
            serde_json::from_str::<IgnoredAny>(body).map(|_| ()).map_err(|error| {
                format!(
                    "gives no JSON ({error}); put quotes around texts, or use {{{{ name | json }}}} for whole values"
                )
            })
        };
        // Where the probe stands inside a text, any other text may: escaping keeps it there.
        let with_probe = self.render(template, self.probe.as_ref(), 0).and_then(|body| is_json(&body));
        let rows =
            if template.is_plain() && with_probe.is_ok() { self.telling_rows(|_| false) } else { self.all_rows() };
        self.check((field, text), template, &rows, &is_json)
    }
}
