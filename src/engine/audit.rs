//! Reads all resources before a run and after it, so that its ledger can be compared with what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::Url;

use super::Ended;
use super::checks::Records;
use super::tokens::TokenKeeper;
use super::viewer::{Viewer, Whereabouts};
use crate::consistency::{Audit, Event, Reading, keys_of};
use crate::http::ClientError;
use crate::judge;
use crate::scenario::{Checks, Operation, Scenario};
use crate::units::Duration;

/// Reads all resources before a run and after it.
pub struct Auditor {
    viewer: Viewer,
    /// By data row, counted from 0; what could not be read is not there, and nothing is said of what was to stay.
    before: BTreeMap<u32, Reading>,
}

impl Auditor {
    /// Prepares for the target at `base`; `None` where the scenario does not look for lost updates.
    ///
    /// # Errors
    /// When there is no HTTP client.
    pub fn new(scenario: &Arc<Scenario>, base: &Url, tokens: &TokenKeeper) -> Result<Option<Self>, ClientError> {
        if !scenario.checks.as_ref().is_some_and(|checks| checks.lost_updates) {
            return Ok(None);
        }
        let left = scenario.care.budget.map(|_| scenario.audited().saturating_mul(2));
        let viewer = Viewer::new(scenario.clone(), base, tokens, left)?;
        Ok(viewer.map(|viewer| Self { viewer, before: BTreeMap::new() }))
    }

    /// Reads all resources as they are before the run.
    pub async fn before(&mut self) {
        let mut before = BTreeMap::new();
        self.read(None, &mut |row, attributes| {
            // Whenever that was, it was before every write.
            let (sent, done) = (Duration::ZERO, Duration::ZERO);
            before.insert(row, Reading { sent, done, attributes });
        })
        .await;
        self.before = before;
    }

    /// Reads all resources that the run has written, those in which something is missing more than once, and judges the checks
    /// anew. Waits before until whatever was acknowledged is to be seen.
    pub async fn after(&mut self, ended: &mut Ended) {
        let Some(mut records) = ended.records.take() else { return };
        let scenario = self.viewer.scenario.clone();
        let since = Instant::now();
        let run = Duration::from_secs_f64(ended.totals.elapsed_s).max(records.longest());
        sleep(records.bounds.within).await;
        let named = named(&scenario, &records);
        let mut wanted: BTreeSet<u32> = records.ledger.rows().collect();
        let mut after: BTreeMap<u32, Vec<Reading>> = BTreeMap::new();
        for _ in 0..records.bounds.audits {
            if wanted.is_empty() {
                break;
            }
            self.read(Some(&wanted), &mut |row, attributes| {
                let now = run + since.elapsed();
                after.entry(row).or_default().push(Reading { sent: now, done: now, attributes });
            })
            .await;
            let parse = |value: &str| scenario.checks.as_ref()?.number_in(&scenario, value);
            for row in &wanted {
                let Some(after) = after.get(row) else { continue };
                let audit = Audit { row: *row, before: self.before.get(row), after, named: &named[row] };
                records.ledger.audit(&audit, parse);
            }
            wanted.retain(|row| after.contains_key(row) && records.ledger.is_in_doubt(*row, &records.bounds));
        }
        records.effort.reads += self.viewer.errand.made();
        ended.totals.checks = Some(records.judge(&scenario));
        ended.evidence.thresholds = judge::evaluate(&scenario.thresholds, &ended.totals);
        ended.records = Some(records);
    }

    /// Reads the resources, or those of them that are wanted, and hands each to `keep`, with its row counted from 0.
    async fn read(&mut self, wanted: Option<&BTreeSet<u32>>, keep: &mut dyn FnMut(u32, Value)) {
        let row_of = |row: u64| u32::try_from(row - 1).unwrap_or(u32::MAX);
        let Ok(mut places) = self.viewer.places() else { return };
        places.retain(|(row, _)| wanted.is_none_or(|wanted| wanted.contains(&row_of(*row))));
        let path = |place: &(u64, Whereabouts)| place.1.path.clone();
        for shown_together in places.chunk_by(|one, other| path(one) == path(other)) {
            let Ok(answer) = self.viewer.look(shown_together[0].0).await else { continue };
            for (row, place) in shown_together {
                if let Ok(attributes) = place.attributes_in(&answer) {
                    keep(row_of(*row), attributes);
                }
            }
        }
    }
}

/// By row, the keys that any body of the run names, whichever request wrote it.
fn named(scenario: &Scenario, records: &Records) -> BTreeMap<u32, BTreeSet<String>> {
    let keys = |operation: &Operation| {
        let body = scenario.variants[operation.variant].render_body(scenario, operation);
        let body = body.ok().flatten().and_then(|body| serde_json::from_slice::<Value>(&body).ok());
        body.map(|body| keys_of(&body)).unwrap_or_default()
    };
    // Variants that nobody tracks leave no writes in the ledger: what they name counts for all rows.
    let untracked = (0..scenario.variants.len())
        .filter(|variant| scenario.checks.as_ref().is_none_or(|checks| !checks.is_tracked(*variant)))
        .flat_map(|variant| keys(&scenario.first_operation(variant)));
    let everywhere: BTreeSet<String> = untracked.collect();
    let mut named: BTreeMap<u32, BTreeSet<String>> =
        records.ledger.rows().map(|row| (row, everywhere.clone())).collect();
    for event in records.ledger.history() {
        let Event::Write(write) = event else { continue };
        let operation = scenario.operation_numbered(Checks::origin(write.value));
        let operation = if Checks::is_extra(write.value) { Checks::extra(&operation) } else { operation };
        named.entry(write.place.row).or_default().extend(keys(&operation));
    }
    named
}
