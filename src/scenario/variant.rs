//! One shape of the request.

use std::borrow::Cow;
use std::num::NonZeroU32;

use bytes::Bytes;

use super::template::{Template, Values};
use super::{Operation, Scenario};

/// One shape of the request.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The name in reports: one or more of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// The HTTP method, in capitals.
    pub method: String,
    /// The statuses that mean success.
    pub expect: Vec<u16>,
    /// Statuses beside 429 that mean that a quota refused the request.
    pub throttled_status: Vec<u16>,
    /// How often it is taken, compared with the other variants.
    pub weight: NonZeroU32,
    /// Index of the table that its templates take columns from; of no meaning where the scenario has no data.
    pub data: usize,
    /// What is sent.
    pub(super) sent: Request,
    /// What is shown: the same with `${NAME}` where the environment was put in; `None` where it was not.
    pub(super) shown: Option<Request>,
}

/// The parts of a request, so that each draws values of its own; headers have the numbers from theirs on.
const PART_OF_PATH: u64 = 0;
const PART_OF_BODY: u64 = 1;
const PART_OF_HEADERS: u64 = 2;

/// The templates of a request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) path: Template,
    /// Names and values, `Content-Type` included.
    pub(super) headers: Vec<(String, Template)>,
    pub(super) body: Option<Template>,
}

/// A request, but for the target and its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered<'a> {
    /// The path and query, percent-encoded, with a leading slash.
    pub path: Cow<'a, str>,
    /// Header names and values.
    pub headers: Vec<(&'a str, Cow<'a, str>)>,
    /// The body; `None` for none at all.
    pub body: Option<Bytes>,
}

/// Why a request could not be rendered for an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(pub(super) String);

impl Variant {
    /// The request of an operation.
    ///
    /// # Errors
    /// When a template fails on the operation's data row. The loader tries every filter that can fail on every row.
    pub fn render(&self, scenario: &Scenario, operation: &Operation) -> Result<Rendered<'_>, RenderError> {
        self.sent.render(scenario, operation)
    }

    /// The body of an operation's request alone; `None` for none at all.
    ///
    /// # Errors
    /// As [`Variant::render`].
    pub fn render_body(&self, scenario: &Scenario, operation: &Operation) -> Result<Option<Bytes>, RenderError> {
        self.sent.render_body(&values(scenario, operation))
    }

    /// The request of an operation with nothing in it that came from the environment.
    ///
    /// # Errors
    /// As [`Variant::render`].
    pub fn render_shown(&self, scenario: &Scenario, operation: &Operation) -> Result<Rendered<'_>, RenderError> {
        self.shown.as_ref().unwrap_or(&self.sent).render(scenario, operation)
    }
}

/// What the templates of an operation's request are rendered with.
fn values<'a>(scenario: &'a Scenario, operation: &'a Operation) -> Values<'a> {
    Values::new(scenario.table_of(operation.variant).map(|data| &data.rows), scenario.seed, operation)
}

impl Request {
    pub(super) fn render(&self, scenario: &Scenario, operation: &Operation) -> Result<Rendered<'_>, RenderError> {
        let values = values(scenario, operation);
        let headers = self.headers.iter().zip(PART_OF_HEADERS..);
        let headers =
            headers.map(|((name, value), part)| Ok((name.as_str(), value.render(&Values { part, ..values })?)));
        Ok(Rendered {
            path: self.path.render(&Values { part: PART_OF_PATH, ..values })?,
            headers: headers.collect::<Result<_, _>>()?,
            body: self.render_body(&values)?,
        })
    }

    fn render_body(&self, values: &Values<'_>) -> Result<Option<Bytes>, RenderError> {
        let values = Values { part: PART_OF_BODY, ..*values };
        self.body.as_ref().map(|body| body.render_bytes(&values)).transpose()
    }
}
