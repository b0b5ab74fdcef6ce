//! How attributes are seen: the request that reads them, and where in its answer they are.

use serde_json::Value;
use serde_json_path::JsonPath;

use super::template::{Template, Values};
use super::variant::{RenderError, Rendered, Request};
use super::{Operation, Scenario};

/// How attributes are seen.
#[derive(Debug, Clone)]
pub struct Read {
    /// What is sent.
    pub(super) sent: Request,
    /// What is shown; `None` where that is the same.
    pub(super) shown: Option<Request>,
    /// Where in the answer the attributes are: a JSONPath (RFC 9535).
    pub(super) attributes: Template,
    /// The same with `${NAME}` where the environment was put in.
    pub(super) attributes_shown: Template,
}

/// Why an answer holds no attributes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON.
    #[error("the answer is no JSON ({0})")]
    NoJson(String),
    /// The query is none. The loader tries queries with the data rows.
    #[error("`{query}` is no JSONPath ({problem})")]
    Query {
        /// The query of the row.
        query: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The query does not find exactly one place.
    #[error("`{query}` finds {found} places in the answer, and must find one; check `read.attributes`")]
    Places {
        /// The query of the row.
        query: String,
        /// How many it finds.
        found: usize,
    },
}

impl Read {
    /// The request that reads the attributes of a data row.
    ///
    /// # Errors
    /// When a template fails on the row.
    pub fn request(&self, scenario: &Scenario, row: usize) -> Result<Rendered<'_>, RenderError> {
        self.sent.render(scenario, &of_row(row))
    }

    /// The same request with nothing in it that came from the environment.
    ///
    /// # Errors
    /// When a template fails on the row.
    pub fn request_shown(&self, scenario: &Scenario, row: usize) -> Result<Rendered<'_>, RenderError> {
        self.shown.as_ref().unwrap_or(&self.sent).render(scenario, &of_row(row))
    }

    /// The JSONPath of a data row.
    ///
    /// # Errors
    /// When the template fails on the row.
    pub fn query(&self, scenario: &Scenario, row: usize) -> Result<String, RenderError> {
        render(&self.attributes, scenario, row)
    }

    /// The same with nothing in it that came from the environment.
    ///
    /// # Errors
    /// When the template fails on the row.
    pub fn query_shown(&self, scenario: &Scenario, row: usize) -> Result<String, RenderError> {
        render(&self.attributes_shown, scenario, row)
    }
}

fn render(template: &Template, scenario: &Scenario, row: usize) -> Result<String, RenderError> {
    let rows = scenario.data.first().map(|data| &data.rows);
    let operation = of_row(row);
    let values = Values::new(rows, scenario.seed, &operation);
    template.render(&values).map(std::borrow::Cow::into_owned)
}

impl ReadError {
    /// The same error of a query that is shown in another way.
    #[must_use]
    pub fn with_query(self, shown: &str) -> Self {
        let query = shown.to_owned();
        match self {
            Self::NoJson(error) => Self::NoJson(error),
            Self::Query { problem, .. } => Self::Query { query, problem },
            Self::Places { found, .. } => Self::Places { query, found },
        }
    }
}

/// The attributes that `query` finds in an answer.
///
/// # Errors
/// When the query is none, or does not find exactly one place.
pub fn attributes_in(answer: &Value, query: &str) -> Result<Value, ReadError> {
    let path = check_query(query).map_err(|problem| ReadError::Query { query: query.to_owned(), problem })?;
    match path.query(answer).all()[..] {
        [attributes] => Ok(attributes.clone()),
        ref found => Err(ReadError::Places { query: query.to_owned(), found: found.len() }),
    }
}

/// Whether a text is a JSONPath; the reason where it is not.
pub(super) fn check_query(query: &str) -> Result<JsonPath, String> {
    JsonPath::parse(query).map_err(|error| error.to_string())
}

/// An operation that names a data row, for the templates of requests that are no operations.
pub(super) fn of_row(row: usize) -> Operation {
    Operation { user: 0, step: 0, number: row as u64, variant: 0, row }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_query_must_find_one_place() {
        let answer = json!({"participants": [{"id": "a", "attributes": {"tier": "gold"}}, {"id": "b"}]});
        let find = |query| attributes_in(&answer, query);
        assert_eq!(find("$.participants[?@.id=='a'].attributes"), Ok(json!({"tier": "gold"})));
        assert!(matches!(find("$.participants[?@.id=='b'].attributes"), Err(ReadError::Places { found: 0, .. })));
        assert!(matches!(find("$.participants[*].id"), Err(ReadError::Places { found: 2, .. })));
        assert!(matches!(find("participants"), Err(ReadError::Query { .. })));
    }
}
