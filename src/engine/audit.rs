//! Reads all resources before a run and after it, so that its ledger can be compared with what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use tokio::time::sleep;
use url::Url;

use super::Ended;
use super::checks::Records;
use super::together::all;
use super::tokens::TokenKeeper;
use super::viewer::{Viewer, Whereabouts};
use crate::consistency::{Audit, Event, Reading, keys_of};
use crate::http::ClientError;
use crate::judge;
use crate::scenario::{Checks, Operation, Scenario};
use crate::units::Duration;

/// No resource is read more often after the run.
const MOST_READINGS: usize = 6;

/// So many read at once at most, where the scenario has a limit, which they keep together; each has so many resources at
/// least.
const MOST_AT_ONCE: u64 = 8;
const LEAST_RESOURCES: u64 = 100;

/// Reads all resources before a run and after it.
pub struct Auditor {
    scenario: Arc<Scenario>,
    /// At least one.
    viewers: Vec<Viewer>,
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
        let resources = scenario.audited();
        let most = if scenario.limit.is_some() { MOST_AT_ONCE } else { 1 };
        let count = (resources / LEAST_RESOURCES).clamp(1, most);
        let mut left = scenario.care.budget.map(|_| resources.saturating_mul(2));
        let mut viewers = Vec::new();
        for i in 0..count {
            let share = left.map(|left| left / (count - i));
            left = left.zip(share).map(|(left, share)| left - share);
            let Some(mut viewer) = Viewer::new(scenario.clone(), base, tokens, share)? else { return Ok(None) };
            viewer.errand.share_pace(u32::try_from(count).unwrap_or(1));
            viewers.push(viewer);
        }
        Ok(Some(Self { scenario: scenario.clone(), viewers, before: BTreeMap::new() }))
    }

    /// Reads all resources as they are before the run.
    pub async fn before(&mut self) {
        // Whenever that was, it was before every write.
        self.before = self.read(None, &|| Duration::ZERO).await.collect();
    }

    /// Reads all resources that the run has written, some of them more than once, and judges the checks anew. Waits before
    /// until whatever was acknowledged is to be seen.
    pub async fn after(&mut self, ended: &mut Ended) {
        let Some(mut records) = ended.records.take() else { return };
        let scenario = self.scenario.clone();
        sleep(records.bounds.within).await;
        records.expect_stale_reads(ended.totals.checks.as_ref());
        let named = named(&scenario, &records);
        let mut wanted: BTreeSet<u32> = records.ledger.rows().collect();
        let mut after: BTreeMap<u32, Vec<Reading>> = BTreeMap::new();
        for _ in 0..MOST_READINGS {
            if wanted.is_empty() {
                break;
            }
            for (row, reading) in self.read(Some(&wanted), &|| records.now()).await {
                after.entry(row).or_default().push(reading);
            }
            let parse = |value: &str| scenario.checks.as_ref()?.number_in(&scenario, value);
            for row in &wanted {
                let Some(after) = after.get(row) else { continue };
                let audit = Audit { row: *row, before: self.before.get(row), after, named: &named[row] };
                records.ledger.audit(&audit, parse);
            }
            wanted.retain(|row| after.contains_key(row) && records.ledger.is_in_doubt(*row, &records.bounds));
        }
        records.effort.reads += self.viewers.iter().map(|viewer| viewer.errand.made()).sum::<u64>();
        ended.totals.checks = Some(records.judge(&scenario));
        ended.evidence.thresholds = judge::evaluate(&scenario.thresholds, &ended.totals);
        ended.records = Some(records);
    }

    /// Reads the resources, or those of them that are wanted, by a clock: each with its row, counted from 0.
    async fn read(
        &mut self,
        wanted: Option<&BTreeSet<u32>>,
        now: &impl Fn() -> Duration,
    ) -> impl Iterator<Item = (u32, Reading)> {
        let mut places = self.viewers[0].places().unwrap_or_default();
        places.retain(|(row, _)| wanted.is_none_or(|wanted| wanted.contains(&index_of(*row))));
        let mut parts = vec![Vec::new(); self.viewers.len()];
        let shown_together = places.chunk_by(|(_, one), (_, other)| one.path == other.path);
        for (i, places) in shown_together.enumerate() {
            parts[i % self.viewers.len()].push(places);
        }
        let reading = self.viewers.iter_mut().zip(parts).map(|(viewer, part)| read_part(viewer, part, now));
        all(reading).await.into_iter().flatten()
    }
}

/// The index of a data row that is counted from 1.
fn index_of(row: u64) -> u32 {
    u32::try_from(row - 1).unwrap_or(u32::MAX)
}

/// Reads resources one after the other: each with the data rows that it shows.
async fn read_part(
    viewer: &mut Viewer,
    part: Vec<&[(u64, Whereabouts)]>,
    now: &impl Fn() -> Duration,
) -> Vec<(u32, Reading)> {
    let mut readings = Vec::new();
    for places in part {
        let sent = now();
        let Ok(answer) = viewer.look(places[0].0).await else { continue };
        let done = now();
        for (row, place) in places {
            if let Ok(attributes) = place.attributes_in(&answer) {
                readings.push((index_of(*row), Reading { sent, done, attributes }));
            }
        }
    }
    readings
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
