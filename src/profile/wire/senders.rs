//! Whose quota is tried: the requests of the key under test, and what the scenario offers beside them.

use std::borrow::Cow;

use bytes::Bytes;

use crate::profile::Dimension;
use crate::scenario::{Auth, Operation, Pick, RenderError, Rendered, Scenario};

/// So many rows at most are looked at for one that names another resource.
const ROWS_LOOKED_AT: usize = 1_000;

/// Who sends what, for one key. All requests of a key are the same to the last byte, so that a write changes nothing after the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// In what it differs from the key under test; in nothing for that one.
    pub differs: Vec<Dimension>,
    /// Its token, counted from 0.
    pub token: usize,
    /// What it sends.
    pub sends: Sends,
    /// The operation whose values its request has.
    pub operation: Operation,
}

/// What is sent for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// The request of the operation's variant.
    Write,
    /// The request that reads the attributes of the operation's row.
    Read,
}

/// The request of a key, rendered once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
}

impl Sender {
    /// What it is called, such as `another token`; never a secret.
    #[must_use]
    pub fn label(&self) -> String {
        if self.differs.is_empty() {
            return "the key under test".to_owned();
        }
        let differs: Vec<_> = self.differs.iter().map(|dimension| of_dimension(*dimension)).collect();
        differs.join(", ")
    }

    /// The path of its request with nothing in it that came from the environment; empty where it cannot be rendered.
    #[must_use]
    pub fn path_shown(&self, scenario: &Scenario) -> String {
        let rendered = match (self.sends, &scenario.read) {
            (Sends::Read, Some(read)) => read.request_shown(scenario, self.operation.row),
            _ => scenario.variants[self.operation.variant].render_shown(scenario, &self.operation),
        };
        rendered.map(|rendered| rendered.path.into_owned()).unwrap_or_default()
    }

    /// Its request.
    ///
    /// # Errors
    /// When a template fails on its data row.
    pub fn request(&self, scenario: &Scenario) -> Result<Fixed, RenderError> {
        let rendered = match (self.sends, &scenario.read) {
            (Sends::Read, Some(read)) => read.request(scenario, self.operation.row)?,
            _ => scenario.variants[self.operation.variant].render(scenario, &self.operation)?,
        };
        let headers = rendered.headers.into_iter();
        Ok(Fixed {
            path: rendered.path.into_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.into_owned())).collect(),
            body: rendered.body,
        })
    }
}

impl Fixed {
    /// As the transport wants it.
    #[must_use]
    pub fn rendered(&self) -> Rendered<'_> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str())));
        Rendered { path: Cow::Borrowed(&self.path), headers: headers.collect(), body: self.body.clone() }
    }
}

fn of_dimension(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Token => "another token",
        Dimension::Client => "another client's token",
        Dimension::Resource => "another resource",
        Dimension::Method => "another method or path",
    }
}

/// The key under test, which sends a variant's first request with the first token, and after it all others that the
/// scenario offers: one for each single difference, and one with all of them where there are several.
///
/// # Errors
/// When the variant's request cannot be rendered.
///
/// # Panics
/// When there is no such variant.
pub fn offered(scenario: &Scenario, variant: usize) -> Result<Vec<Sender>, RenderError> {
    let operation = scenario.first_operation(variant);
    let tested = Sender { differs: Vec::new(), token: 0, sends: Sends::Write, operation };
    let tokens = other_tokens(scenario);
    let row = other_row(scenario, &tested)?;
    let kind = other_kind(scenario, &tested)?;
    let single = |dimension: Dimension| Sender { differs: vec![dimension], ..tested.clone() };
    let mut others: Vec<Sender> =
        tokens.iter().map(|(dimension, token)| Sender { token: *token, ..single(*dimension) }).collect();
    let elsewhere = row.map(|row| Operation { row, ..operation });
    others.extend(elsewhere.map(|operation| Sender { operation, ..single(Dimension::Resource) }));
    others.extend(kind.map(|(sends, variant)| {
        let operation = Operation { variant, ..operation };
        Sender { sends, operation, ..single(Dimension::Method) }
    }));
    // Another client's token differs in more than another one of the same client.
    let most = tokens.last().copied();
    let differs: Vec<_> = most
        .map(|(dimension, _)| dimension)
        .into_iter()
        .chain(row.map(|_| Dimension::Resource))
        .chain(kind.map(|_| Dimension::Method))
        .collect();
    if differs.len() > 1 {
        let (sends, variant) = kind.unwrap_or((Sends::Write, variant));
        let operation = Operation { row: row.unwrap_or(operation.row), variant, ..operation };
        others.push(Sender { differs, token: most.map_or(0, |(_, token)| token), sends, operation });
    }
    Ok(std::iter::once(tested).chain(others).collect())
}

/// The tokens that a profile with these keys needs.
#[must_use]
pub fn tokens_of(senders: &[Sender]) -> usize {
    senders.iter().map(|sender| sender.token + 1).max().unwrap_or(1)
}

/// Another token of the first one's client, and one of another client, where there are any.
fn other_tokens(scenario: &Scenario) -> Vec<(Dimension, usize)> {
    let auth = &scenario.target.auth;
    if matches!(auth, Auth::None) {
        return Vec::new();
    }
    let others = 1..scenario.target.tokens.count();
    let of = |dimension, is_first: bool| {
        let token = others.clone().find(|token| (auth.client_of(*token) == auth.client_of(0)) == is_first);
        token.map(|token| (dimension, token))
    };
    [of(Dimension::Token, true), of(Dimension::Client, false)].into_iter().flatten().collect()
}

/// Another row whose request has another path. Rows that are given once may each be so, too: the first run that takes them
/// finds them as a profile left them.
fn other_row(scenario: &Scenario, tested: &Sender) -> Result<Option<usize>, RenderError> {
    let Some(data) = scenario.table_of(tested.operation.variant) else { return Ok(None) };
    if data.pick == Pick::Unique {
        return Ok(None);
    }
    let path = tested.request(scenario)?.path;
    for row in (0..data.rows.len().min(ROWS_LOOKED_AT)).filter(|row| *row != tested.operation.row) {
        let other = Sender { operation: Operation { row, ..tested.operation }, ..tested.clone() };
        if other.request(scenario)?.path != path {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Another method or path for the same row: the request that reads it, because that changes nothing, or else the first
/// variant that has one.
fn other_kind(scenario: &Scenario, tested: &Sender) -> Result<Option<(Sends, usize)>, RenderError> {
    let own = &scenario.variants[tested.operation.variant];
    if scenario.read.is_some() && own.data == 0 {
        return Ok(Some((Sends::Read, tested.operation.variant)));
    }
    let path = tested.request(scenario)?.path;
    for (variant, shape) in scenario.variants.iter().enumerate() {
        let operation = Operation { variant, ..tested.operation };
        let same_table = shape.data == own.data;
        if same_table && variant != tested.operation.variant {
            let other = Sender { operation, ..tested.clone() }.request(scenario)?;
            if shape.method != own.method || other.path != path {
                return Ok(Some((Sends::Write, variant)));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
