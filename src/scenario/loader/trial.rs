//! Templates tried on the data rows before anything is sent.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

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

/// What is wrong with what a template gives, if anything.
pub(super) type Check<'c> = dyn Fn(&str) -> Result<(), Wrong> + 'c;

/// What is wrong with what a template gives, in which line of it.
pub(super) struct Wrong {
    line: usize,
    text: String,
}

impl From<String> for Wrong {
    fn from(text: String) -> Self {
        Self { line: 1, text }
    }
}

/// What is tried of a template.
#[derive(Clone, Copy)]
struct Try {
    /// The data row.
    row: usize,
    /// Which of its texts each `pick` takes.
    choice: usize,
    /// The number that is the operation's, its user's and its step; `None` for the first operation of the row.
    number: Option<u64>,
}

impl Try {
    fn of_row(row: usize, choice: usize) -> Self {
        Self { row, choice, number: None }
    }
}

/// So many different contents of the columns that a template looks at are told apart; what comes after them is tried row by
/// row.
const MOST_KEPT: usize = 1 << 16;

impl<'a> Trial<'a> {
    /// `is_broken` says that the syntax of the file is wrong, so that columns may be missing.
    pub(super) fn new(columns: Columns<'a>, seed: u64, is_broken: bool) -> Self {
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

    fn render(&self, template: &Template, rows: Option<&Rows>, tried: Try) -> Result<String, String> {
        let Try { row, choice, number } = tried;
        let step = number.unwrap_or(0);
        let user = u32::try_from(step).unwrap_or(u32::MAX);
        let operation = Operation { user, step, number: number.unwrap_or(row as u64), variant: 0, row };
        let values = Values { choice: Some(choice), ..Values::new(rows, self.seed, &operation) };
        template.render(&values).map(Cow::into_owned).map_err(|error| format!("cannot be rendered: {error}"))
    }

    /// The first row with each content of the columns that the template looks at: a later row with the same content gives
    /// the same text.
    fn different_rows(&self, template: &Template) -> Vec<usize> {
        let columns = template.looks_at();
        let Some(rows) = self.rows.filter(|_| !columns.is_empty()) else { return vec![0] };
        let mut seen: HashSet<Vec<&str>> = HashSet::new();
        let mut is_new = |row: &usize| {
            seen.len() == MOST_KEPT || seen.insert(columns.iter().map(|column| rows.cell(*row, *column)).collect())
        };
        (0..rows.len()).filter(|row| is_new(row)).collect()
    }

    /// The longest row.
    fn longest_row(&self) -> usize {
        let longest = |rows: &Rows| (0..rows.len()).max_by_key(|row| (rows.length_of(*row), usize::MAX - row));
        self.rows.and_then(longest).unwrap_or(0)
    }

    /// The first row, the longest, and those for which `is_odd` says so of a cell.
    fn telling_rows(&self, is_odd: impl Fn(&str) -> bool) -> Vec<usize> {
        let Some(rows) = self.rows else { return vec![0] };
        let odd = (0..rows.len()).filter(|row| rows.row(*row).any(&is_odd));
        [0, self.longest_row()].into_iter().chain(odd).collect()
    }

    /// Checks what a template gives with these rows, with each text that a `pick` may give, and for operations about the
    /// numbers that stand in it; notes the first that is wrong.
    fn check(
        &self,
        (field, text): (&Field<'_>, &Text),
        template: &Template,
        rows: &[usize],
        check: &Check<'_>,
    ) -> Option<()> {
        let choices = template.choices();
        let first = rows.first().copied().unwrap_or(0);
        let of_choices = (0..choices).map(|choice| Try::of_row(first, choice));
        let of_rows = rows.iter().map(|row| Try::of_row(*row, row % choices));
        for tried in of_choices.chain(of_rows).chain(self.tries_of_numbers(template)) {
            let rendered = self.render(template, self.rows, tried).map_err(Wrong::from);
            if let Err(Wrong { line, text: error }) = rendered.and_then(|rendered| check(&rendered)) {
                let row = tried.row;
                let place = match (self.rows.is_some() && !template.is_constant(), text.substituted) {
                    (true, true) => format!("with data row {} and the environment ", row + 1),
                    (true, false) => format!("with data row {} ", row + 1),
                    (false, true) => "with the environment ".to_owned(),
                    (false, false) => String::new(),
                };
                let operation =
                    tried.number.map(|number| format!("at user, step or operation {number} ")).unwrap_or_default();
                field.mistake_in_line(line, format_args!("{operation}{place}{error}"));
                return None;
            }
        }
        Some(())
    }

    /// Operations on both sides of each number in a template, where its conditions may send them elsewhere.
    fn tries_of_numbers(&self, template: &Template) -> impl Iterator<Item = Try> {
        let numbers: BTreeSet<u64> =
            template.numbers().iter().flat_map(|number| number.saturating_sub(1)..=number.saturating_add(1)).collect();
        let rows = if numbers.is_empty() { [0, 0] } else { [0, self.longest_row()] };
        numbers.into_iter().flat_map(move |number| rows.map(|row| Try { row, choice: 0, number: Some(number) }))
    }

    /// Checks a path: what it gives must be one, and no row may change its segments.
    pub(super) fn path(&self, field: &Field<'_>, template: &Template, text: &Text) -> Option<()> {
        let is_odd = |cell: &str| matches!(cell, "" | "." | "..");
        let rows = if template.is_plain() { self.telling_rows(is_odd) } else { self.different_rows(template) };
        let empty =
            |path: &str| path.split('?').next().unwrap_or_default().split('/').filter(|part| part.is_empty()).count();
        let usual = self.render(template, self.probe.as_ref(), Try::of_row(0, 0)).map(|path| empty(&path));
        self.check((field, text), template, &rows, &|path| {
            let (path_only, _) = path.split_once('?').unwrap_or((path, ""));
            if path.bytes().any(|byte| !byte.is_ascii_graphic() || FORBIDDEN.contains(&byte)) {
                return Err("gives a path with a character that no path may hold; percent-encode it".to_owned().into());
            }
            if path_only.split('/').any(|segment| matches!(segment, "." | "..")) {
                let text = "gives a path with a segment `.` or `..`, which would name another path; change the row";
                return Err(text.to_owned().into());
            }
            if template.is_plain() && usual.as_ref().is_ok_and(|usual| *usual != empty(path)) {
                return Err("gives a path with an empty segment; fill the cell".to_owned().into());
            }
            Ok(())
        })
    }

    /// Checks a header.
    pub(super) fn header(&self, field: &Field<'_>, template: &Template, text: &Text) -> Option<()> {
        let rows = if template.is_constant() { vec![0] } else { self.different_rows(template) };
        self.check((field, text), template, &rows, &|_| Ok(()))
    }

    /// What a template gives with the first row; `None` where it fails.
    pub(super) fn first(&self, template: &Template) -> Option<String> {
        self.render(template, self.rows, Try::of_row(0, 0)).ok()
    }

    /// Checks anything else with `check`, which says what is wrong with a rendered text.
    pub(super) fn query(&self, field: &Field<'_>, template: &Template, text: &Text, check: &Check<'_>) -> Option<()> {
        let rows = if template.is_plain() { self.telling_rows(str::is_empty) } else { self.different_rows(template) };
        self.check((field, text), template, &rows, check)
    }

    /// Checks a body of any other kind.
    pub(super) fn text(&self, field: &Field<'_>, template: &Template, text: &Text) -> Option<()> {
        let rows = if template.is_plain() { vec![0] } else { self.different_rows(template) };
        self.check((field, text), template, &rows, &|_| Ok(()))
    }

    /// Checks a JSON body.
    pub(super) fn json_body(&self, field: &Field<'_>, template: &Template, text: &Text) -> Option<()> {
        let is_json = |body: &str| {
            serde_json::from_str::<IgnoredAny>(body).map(|_| ()).map_err(|error| {
                let text = format!(
                    "gives no JSON ({error}); put quotes around texts, or use {{{{ name | json }}}} for whole values"
                );
                Wrong { line: error.line(), text }
            })
        };
        // Where the probe stands inside a text, any other text may: escaping keeps it there.
        let with_probe =
            self.render(template, self.probe.as_ref(), Try::of_row(0, 0)).is_ok_and(|body| is_json(&body).is_ok());
        let rows = if template.is_plain() && with_probe {
            self.telling_rows(|_| false)
        } else {
            self.different_rows(template)
        };
        self.check((field, text), template, &rows, &is_json)
    }
}
