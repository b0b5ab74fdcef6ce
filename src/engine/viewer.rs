//! Looks at the attributes of data rows, beside the load.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::errand::Errand;
use super::tokens::TokenKeeper;
use crate::http::ClientError;
use crate::scenario::{Read, RenderError, Scenario, attributes_in};

/// Looks at attributes by `[read]`, on errands of its own.
pub(super) struct Viewer {
    pub(super) scenario: Arc<Scenario>,
    read: Read,
    pub(super) errand: Errand,
}

/// Where the attributes of a row are.
pub(super) struct Whereabouts {
    /// The path that is read.
    pub(super) path: String,
    /// The same with nothing in it that came from the environment.
    pub(super) path_shown: String,
    /// What finds them in the answer.
    query: String,
    /// The same with nothing in it that came from the environment.
    pub(super) query_shown: String,
}

impl Viewer {
    /// Prepares for the target at `base`, with the first of the tokens and at most `left` requests, where that is bounded;
    /// `None` where the scenario does not say how attributes are seen.
    ///
    /// # Errors
    /// When there is no HTTP client.
    pub(super) fn new(
        scenario: Arc<Scenario>,
        base: &Url,
        tokens: &TokenKeeper,
        left: Option<u64>,
    ) -> Result<Option<Self>, ClientError> {
        let Some(read) = scenario.read.clone() else { return Ok(None) };
        let errand = Errand::new(scenario.clone(), base, tokens, left)?;
        Ok(Some(Self { scenario, read, errand }))
    }

    /// Where the attributes of all rows that the run can use are, with the rows, which are counted from 1; of rows that name the
    /// same attributes the first. Those that one path shows stand together.
    ///
    /// # Errors
    /// The first row for which a template fails, and why.
    pub(super) fn places(&self) -> Result<Vec<(u64, Whereabouts)>, (u64, String)> {
        let mut places: Vec<(u64, Whereabouts)> = Vec::new();
        let mut seen = BTreeSet::new();
        for row in 1..=self.scenario.rows_within_reach() as u64 {
            let place = self.place(row).map_err(|reason| (row, reason))?;
            if seen.insert((place.path.clone(), place.query.clone())) {
                places.push((row, place));
            }
        }
        places.sort_by(|(_, one), (_, other)| one.path.cmp(&other.path));
        Ok(places)
    }

    /// Where the attributes of a data row are, counted from 1.
    pub(super) fn place(&self, row: u64) -> Result<Whereabouts, String> {
        let (row, read, scenario) = (index_of(row), &self.read, &*self.scenario);
        let text = |error: RenderError| error.to_string();
        Ok(Whereabouts {
            path: read.request(scenario, row).map_err(text)?.path.into_owned(),
            path_shown: read.request_shown(scenario, row).map_err(text)?.path.into_owned(),
            query: read.query(scenario, row).map_err(text)?,
            query_shown: read.query_shown(scenario, row).map_err(text)?,
        })
    }

    /// The answer to the read of a row.
    pub(super) async fn look(&mut self, row: u64) -> Result<Value, String> {
        let request = self.read.request(&self.scenario, index_of(row)).map_err(|error| error.to_string())?;
        let reply = self.errand.send("GET", &request).await?;
        serde_json::from_slice(&reply.body).map_err(|error| format!("the answer is no JSON ({error})"))
    }
}

impl Whereabouts {
    /// What is there, by an answer; why not, where there is nothing.
    pub(super) fn attributes_in(&self, answer: &Value) -> Result<Value, String> {
        attributes_in(answer, &self.query).map_err(|error| error.with_query(&self.query_shown).to_string())
    }
}

/// The index of a data row that is counted from 1.
pub(super) fn index_of(row: u64) -> usize {
    usize::try_from(row).unwrap_or(usize::MAX).saturating_sub(1)
}
