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
use crate::measure::Warning;
use crate::scenario::{Checks, Operation, Scenario};
use crate::units::Duration;

/// No resource is read more often after the run.
const MOST_READINGS: usize = 8;

/// So many read at once at most, where the scenario has a limit, which they keep together; each has so many resources at
/// least.
const MOST_AT_ONCE: u64 = 8;
const LEAST_RESOURCES: u64 = 100;

/// Why there is nothing to compare with.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// No resource could be read before the run.
    #[error("none of {resources} resources can be read: {first}; mend [read]; nothing was sent but reads")]
    Unreadable {
        /// So many were tried.
        resources: u64,
        /// Why the first of them cannot.
        first: String,
    },
}

/// Rows that could not be read.
#[derive(Debug, Default)]
struct Unread {
    rows: u64,
    /// Why the first of them could not.
    first: Option<String>,
}

/// What was read.
#[derive(Debug, Default)]
struct Readings {
    /// By data row, counted from 0.
    of_rows: Vec<(u32, Reading)>,
    unread: Unread,
}

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
        let mut left = scenario.care.budget.map(|_| resources.saturating_mul(1 + u64::from(Checks::AUDITS)));
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
    ///
    /// # Errors
    /// When none of them can be read.
    pub async fn before(&mut self) -> Result<(), AuditError> {
        // Whenever that was, it was before every write.
        let Readings { of_rows, unread } = self.read(None, &|| Duration::ZERO).await;
        self.before = of_rows.into_iter().collect();
        match unread {
            Unread { rows: resources, first: Some(first) } if self.before.is_empty() => {
                Err(AuditError::Unreadable { resources, first })
            }
            _ => Ok(()),
        }
    }

    /// The requests so far.
    fn made(&self) -> u64 {
        self.viewers.iter().map(|viewer| viewer.errand.made()).sum()
    }

    /// Reads all resources that the run has written, some of them more than once, and judges the checks anew. Waits before
    /// until whatever was acknowledged is to be seen.
    pub async fn after(&mut self, ended: &mut Ended) {
        let Ended { records, totals, evidence, warnings, .. } = ended;
        let Some(records) = records else { return };
        let made_before = self.made();
        records.effort.reads += made_before;
        let scenario = self.scenario.clone();
        sleep(records.bounds.within).await;
        records.expect_stale_reads(totals.checks.as_ref());
        let named = named(&scenario, records);
        let mut wanted: BTreeSet<u32> = records.ledger.rows().collect();
        let mut after: BTreeMap<u32, Vec<Reading>> = BTreeMap::new();
        let all = wanted.len() as u64;
        let mut last_unread = None;
        for round in 0..MOST_READINGS {
            if wanted.is_empty() {
                break;
            }
            let Readings { of_rows, unread } = self.read(Some(&wanted), &|| records.now()).await;
            for (row, reading) in of_rows {
                after.entry(row).or_default().push(reading);
            }
            last_unread = unread.first.or(last_unread);
            let parse = |value: &str| scenario.checks.as_ref()?.number_in(&scenario, value);
            for row in &wanted {
                let Some(after) = after.get(row) else { continue };
                let audit = Audit { row: *row, before: self.before.get(row), after, named: &named[row] };
                records.ledger.audit(&audit, parse);
            }
            // What broke is tried once more.
            wanted.retain(|row| match after.get(row) {
                None => round == 0,
                Some(_) => records.ledger.is_in_doubt(*row, &records.bounds),
            });
        }
        let unread = all - after.len() as u64;
        if let Some(first) = last_unread.filter(|_| unread > 0) {
            warnings.push(Warning::AuditIncomplete { rows: unread, of: all, first });
        }
        records.effort.reads += self.made() - made_before;
        totals.checks = Some(records.judge(&scenario));
        evidence.thresholds = judge::evaluate(&scenario.thresholds, totals);
    }

    /// Reads the resources, or those of them that are wanted, by a clock.
    async fn read(&mut self, wanted: Option<&BTreeSet<u32>>, now: &impl Fn() -> Duration) -> Readings {
        let mut places = self.viewers[0].places().unwrap_or_default();
        places.retain(|(row, _)| wanted.is_none_or(|wanted| wanted.contains(&index_of(*row))));
        let mut parts = vec![Vec::new(); self.viewers.len()];
        let shown_together = places.chunk_by(|(_, one), (_, other)| one.path == other.path);
        for (i, places) in shown_together.enumerate() {
            parts[i % self.viewers.len()].push(places);
        }
        let reading = self.viewers.iter_mut().zip(parts).map(|(viewer, part)| read_part(viewer, part, now));
        let mut together = Readings::default();
        for Readings { of_rows, unread } in all(reading).await {
            together.of_rows.extend(of_rows);
            together.unread.rows += unread.rows;
            together.unread.first = together.unread.first.or(unread.first);
        }
        together
    }
}

/// The index of a data row that is counted from 1.
fn index_of(row: u64) -> u32 {
    u32::try_from(row - 1).unwrap_or(u32::MAX)
}

/// Reads resources one after the other: each with the data rows that it shows.
async fn read_part(viewer: &mut Viewer, part: Vec<&[(u64, Whereabouts)]>, now: &impl Fn() -> Duration) -> Readings {
    let mut readings = Readings::default();
    for places in part {
        let sent = now();
        let answer = viewer.look(places[0].0).await;
        let done = now();
        for (row, place) in places {
            let attributes = answer.as_ref().map_err(Clone::clone).and_then(|answer| place.attributes_in(answer));
            match attributes {
                Ok(attributes) => readings.of_rows.push((index_of(*row), Reading { sent, done, attributes })),
                Err(reason) => {
                    let first = || format!("data row {row} at {}: {reason}", place.path_shown);
                    readings.unread.first.get_or_insert_with(first);
                    readings.unread.rows += 1;
                }
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
    let mut named: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for event in records.ledger.history() {
        let (row, number) = match event {
            Event::Write(write) => (write.place.row, write.value),
            Event::Untracked(write) => (write.row, write.number),
            Event::Look(_) | Event::Repetition(_) | Event::GivenUp { .. } => continue,
        };
        let operation = scenario.operation_numbered(Checks::origin(number));
        let operation = if Checks::is_extra(number) { Checks::extra(&operation) } else { operation };
        named.entry(row).or_default().extend(keys(&operation));
    }
    named
}
