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
    /// What is sent.
    pub(super) sent: Request,
    /// What is shown: the same with `${NAME}` where the environment was put in; `None` where it was not.
    pub(super) shown: Option<Request>,
}

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

    /// The request of an operation with nothing in it that came from the environment.
    pub(super) fn render_shown(&self, scenario: &Scenario, operation: &Operation) -> Result<Rendered<'_>, RenderError> {
        self.shown.as_ref().unwrap_or(&self.sent).render(scenario, operation)
    }
}

impl Request {
    pub(super) fn render(&self, scenario: &Scenario, operation: &Operation) -> Result<Rendered<'_>, RenderError> {
        let rows = scenario.data.as_ref().map(|data| &data.rows);
        let values = Values { rows, seed: scenario.seed, operation };
        let headers = self.headers.iter().map(|(name, value)| Ok((name.as_str(), value.render(&values)?)));
        Ok(Rendered {
            path: self.path.render(&values)?,
            headers: headers.collect::<Result<_, _>>()?,
            body: self.body.as_ref().map(|body| body.render_bytes(&values)).transpose()?,
        })
    }
}
