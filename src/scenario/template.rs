//! Templates: texts with `{{ placeholders }}`, escaped by the place that they stand in.
//!
//! What people write most, text with plain names, is cut into segments once and rendered without an engine, a lock or a
//! map: it stands on the path of every request. Everything else (filters, conditions, loops) is minijinja's. A path and a
//! body with four placeholders took 1.2 us in segments and 5.2 us in the engine (test profile). Both give the same text,
//! which a property test holds them to.

mod calls;
mod engine;
mod function;
mod known;
mod place;
mod segments;

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::time::SystemTime;

use bytes::Bytes;

use super::{Operation, RenderError, Rows};
pub(super) use calls::WrongCall;
use engine::Engine;
pub(super) use engine::{TemplateError, known_names};
pub(super) use place::{Place, is_header_value};
use segments::Segments;

/// Names that stand for the operation itself.
const OPERATION_NAMES: [&str; 4] = ["unique", "user", "step", "operation"];

/// Whether templates use the name themselves, so that no data column may bear it.
pub(super) fn is_taken(name: &str) -> bool {
    OPERATION_NAMES.contains(&name) || function::MADE_UP.contains(&name) || function::FUNCTIONS.contains(&name)
}

/// What the names in a template stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    /// The data rows; `None` for none.
    pub(super) rows: Option<&'a Rows>,
    /// The seed of the run.
    pub(super) seed: u64,
    /// The operation, which names the row.
    pub(super) operation: &'a Operation,
    /// The time of day, read where a template asks for it: the one thing that depends on nothing of the above.
    pub(super) clock: fn() -> SystemTime,
    /// The number of the part of the request in which the template stands: equal templates draw other values in each.
    pub(super) part: u64,
    /// Which of its texts every `pick` takes; `None` for those that the seed chooses.
    pub(super) choice: Option<usize>,
}

/// A compiled template.
#[derive(Clone)]
pub(super) struct Template {
    place: Place,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// No placeholder: rendered when it was compiled.
    Constant(String, Bytes),
    /// Plain names alone.
    Segments(Segments),
    /// Anything that minijinja knows.
    Engine(Engine),
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// The cell of the operation's row in this column.
    Column(usize),
    /// A text that never repeats in a run: seed and number of the operation.
    Unique,
    /// The user's number.
    User,
    /// The user's operations before this one.
    Step,
    /// The operation's number in the run.
    Operation,
}

impl Name {
    fn of(name: &str, columns: &[String]) -> Option<Self> {
        match name {
            "unique" => Some(Self::Unique),
            "user" => Some(Self::User),
            "step" => Some(Self::Step),
            "operation" => Some(Self::Operation),
            _ => columns.iter().position(|column| column == name).map(Self::Column),
        }
    }

    /// The value, and whether it is a number.
    fn write(self, values: &Values<'_>, json: bool, out: &mut dyn Write) -> fmt::Result {
        let operation = values.operation;
        match self {
            Self::User => write!(out, "{}", operation.user),
            Self::Step => write!(out, "{}", operation.step),
            Self::Operation => write!(out, "{}", operation.number),
            Self::Column(_) | Self::Unique if json => {
                out.write_char('"')?;
                self.write(values, false, &mut place::Escaped { place: Place::Json, out })?;
                out.write_char('"')
            }
            Self::Unique => write!(out, "{}-{}", values.seed, operation.number),
            Self::Column(column) => out.write_str(values.cell(column).unwrap_or_default()),
        }
    }
}

impl<'a> Values<'a> {
    /// The values of an operation in the first part of its request.
    pub(super) fn new(rows: Option<&'a Rows>, seed: u64, operation: &'a Operation) -> Self {
        Self { rows, seed, operation, clock: SystemTime::now, part: 0, choice: None }
    }

    fn cell(&self, column: usize) -> Option<&'a str> {
        self.rows.map(|rows| rows.cell(self.operation.row, column))
    }
}

impl Template {
    /// Compiles a template for its place; names that are not taken are columns.
    ///
    /// # Errors
    /// Wrong syntax, and names that are not known.
    pub(super) fn compile(source: &str, place: Place, columns: &[String]) -> Result<Self, TemplateError> {
        let kind = if !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark)) {
            Kind::Constant(source.to_owned(), Bytes::copy_from_slice(source.as_bytes()))
        } else if let Some(segments) = Segments::cut(source, columns) {
            Kind::Segments(segments)
        } else {
            Kind::Engine(Engine::compile(source, place, columns)?)
        };
        Ok(Self { place, kind })
    }

    /// The same template, whose errors quote nothing of it: it holds what came from the environment.
    pub(super) fn quiet(mut self) -> Self {
        if let Kind::Engine(engine) = &mut self.kind {
            engine.quiet = true;
        }
        self
    }

    /// Whether it renders the same text always.
    pub(super) fn is_constant(&self) -> bool {
        matches!(self.kind, Kind::Constant(..))
    }

    /// Whether it is text with plain names alone, so that what it does with one text it does with any.
    pub(super) fn is_plain(&self) -> bool {
        !matches!(self.kind, Kind::Engine(_))
    }

    /// How many values of [`Values::choice`] show each text that a `pick` may give.
    pub(super) fn choices(&self) -> usize {
        match &self.kind {
            Kind::Constant(..) => 1,
            Kind::Segments(segments) => segments.choices(),
            Kind::Engine(engine) => engine.choices,
        }
    }

    /// The numbers of the columns that it may look at: rows that are alike in these give the same text.
    pub(super) fn looks_at(&self) -> Vec<usize> {
        match &self.kind {
            Kind::Constant(..) => Vec::new(),
            Kind::Segments(segments) => segments.looks_at(),
            Kind::Engine(engine) => engine.looks_at.to_vec(),
        }
    }

    /// The numbers that stand in it, as far as they may be those of operations: its conditions may compare the two.
    pub(super) fn numbers(&self) -> &[u64] {
        if let Kind::Engine(engine) = &self.kind { &engine.numbers } else { &[] }
    }

    /// The text for an operation.
    ///
    /// # Errors
    /// When a filter fails, or the place refuses what a placeholder stands for.
    pub(super) fn render(&self, values: &Values<'_>) -> Result<Cow<'_, str>, RenderError> {
        match &self.kind {
            Kind::Constant(text, _) => Ok(Cow::Borrowed(text)),
            Kind::Segments(segments) => segments.render(self.place, values).map(Cow::Owned),
            Kind::Engine(engine) => engine.render(values).map(Cow::Owned),
        }
    }

    /// The text for an operation, as the body of a request.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub(super) fn render_bytes(&self, values: &Values<'_>) -> Result<Bytes, RenderError> {
        match &self.kind {
            Kind::Constant(_, bytes) => Ok(bytes.clone()),
            _ => self.render(values).map(|text| Bytes::from(text.into_owned())),
        }
    }
}

impl fmt::Debug for Template {
    /// Not the text: it may hold what came from the environment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("place", &self.place).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
