//! Reads attributes before a run and puts them back after it, at a gentle pace and aside of all figures.

mod difference;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use url::Url;

use super::tokens::TokenKeeper;
use crate::http::{Aside, ClientError, HeaderValue, Reply};
use crate::measure::{Kept, Restoration, RestoreEnd};
use crate::scenario::{Earlier, Read, Rendered, Scenario, Snapshot, SnapshotRequests, attributes_in};
use difference::Difference;

/// The pause between two requests where the scenario has no limit.
const PERIOD: Duration = Duration::from_millis(100);

/// After the settling, attributes are looked at so often: at least twice, because a target that applies writes later may
/// show what is over already; the pauses between the looks grow.
const LOOKS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// So often a request is made that a quota refuses, and so long is waited for one.
const TRIES: u32 = 3;
const LONGEST_WAIT: Duration = Duration::from_mins(1);
const USUAL_WAIT: Duration = Duration::from_secs(3);

/// Why there is no snapshot, or nobody to put it back.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Attributes of a row could not be read.
    #[error("the attributes of data row {row} cannot be read at {path}: {reason}; nothing was sent but reads")]
    Unreadable {
        /// The data row, counted from 1.
        row: u64,
        /// The path that was read.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The scenario puts nothing back.
    #[error("the scenario has no [read], or no [snapshot] with enabled = true")]
    NotWanted,
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Reads attributes and puts them back.
pub struct SnapshotKeeper {
    scenario: Arc<Scenario>,
    base: Url,
    read: Read,
    snapshot: Snapshot,
    aside: Aside,
    authorization: Option<HeaderValue>,
    /// A 401 makes it log in anew, once.
    may_log_in: bool,
    period: Duration,
    next: Instant,
    /// The requests that it may still make; `None` where the scenario has no budget.
    left: Option<u64>,
    made: u64,
}

/// A place that is to be as before, while it is put back.
struct Place<'a> {
    kept: &'a Kept,
    is_written: bool,
    /// Why it is not as before, as far as is known; `None` where the last look found it so.
    reason: Option<String>,
    /// Whether it was written after the last look.
    is_unseen: bool,
    /// No further request would change it.
    is_settled: bool,
}

impl<'a> Place<'a> {
    fn new(kept: &'a Kept) -> Self {
        let reason = Some("not looked at since the run".to_owned());
        Self { kept, is_written: false, reason, is_unseen: false, is_settled: false }
    }
}

impl SnapshotKeeper {
    /// Prepares for the target at `base`, with the first of the tokens.
    ///
    /// # Errors
    /// When the scenario puts nothing back, or there is no HTTP client.
    pub fn new(scenario: Arc<Scenario>, base: &Url, tokens: &TokenKeeper) -> Result<Self, SnapshotError> {
        let (Some(read), Some(snapshot)) = (scenario.read.clone(), scenario.snapshot.clone()) else {
            return Err(SnapshotError::NotWanted);
        };
        let left = scenario.snapshot_requests().as_ref().map(SnapshotRequests::all);
        Ok(Self {
            read,
            snapshot,
            aside: Aside::new(scenario.clone(), base)?,
            authorization: tokens.first(),
            may_log_in: true,
            period: scenario.limit.map_or(PERIOD, |limit| limit.rate.period()),
            next: Instant::now(),
            left: left.filter(|_| scenario.care.budget.is_some()),
            made: 0,
            base: base.clone(),
            scenario,
        })
    }

    /// Reads the attributes of all data rows; rows that name the same attributes count once.
    ///
    /// # Errors
    /// At the first row that cannot be read: what was never seen cannot be put back.
    pub async fn take(&mut self) -> Result<Vec<Kept>, SnapshotError> {
        let mut kept: Vec<Kept> = Vec::new();
        let mut paths: BTreeMap<String, Value> = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for row in 0..self.scenario.rows() {
            let number = row as u64 + 1;
            let (path, shown, query) = self.place(row).map_err(|reason| SnapshotError::Unreadable {
                row: number,
                path: "read.path".to_owned(),
                reason,
            })?;
            if !seen.insert((path.clone(), query.clone())) {
                continue;
            }
            let unreadable = |reason| SnapshotError::Unreadable { row: number, path: shown.clone(), reason };
            if !paths.contains_key(&path) {
                let answer = self.look(row).await.map_err(unreadable)?;
                paths.insert(path.clone(), answer);
            }
            let attributes = attributes_in(&paths[&path], &query).map_err(|error| unreadable(error.to_string()))?;
            kept.push(Kept { row: number, path: shown, query, attributes });
        }
        Ok(kept)
    }

    /// Puts back what was kept, looks whether it is so, and tells what became of each row; also when it is left in the middle,
    /// because `leave` has come.
    pub async fn put_back(&mut self, kept: &[Kept], leave: impl Future<Output = ()>) -> Restoration {
        let made_before = self.made;
        let mut places: Vec<_> = kept.iter().map(Place::new).collect();
        let end = tokio::select! {
            () = self.look_until_settled(&mut places) => RestoreEnd::Complete,
            () = leave => RestoreEnd::Left,
        };
        let mut restoration = Restoration { rows: kept.len() as u64, end, ..Restoration::default() };
        for Place { kept, is_written, is_unseen, reason, .. } in places {
            match reason {
                Some(_) if is_unseen && end == RestoreEnd::Left => {
                    restoration.fail(kept, "written back, but not looked at since".to_owned());
                }
                Some(reason) => restoration.fail(kept, reason),
                None if is_written => restoration.restored += 1,
                None => restoration.as_before += 1,
            }
        }
        restoration.requests = self.made - made_before;
        restoration
    }

    async fn look_until_settled(&mut self, places: &mut [Place<'_>]) {
        tokio::time::sleep(self.snapshot.settle).await;
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(PAUSE * look).await;
            }
            self.look_and_write(places, look).await;
            if places.iter().all(|place| place.is_settled) {
                break;
            }
        }
    }

    /// Looks at each place once, and writes what is not as before.
    async fn look_and_write(&mut self, places: &mut [Place<'_>], look: u32) {
        // Of rows that the same path shows, the first look does for all that are not written in between.
        let mut answers: BTreeMap<String, Result<Value, String>> = BTreeMap::new();
        for place in places.iter_mut().filter(|place| !place.is_settled) {
            let row = usize::try_from(place.kept.row).unwrap_or(1).saturating_sub(1);
            let answer = match answers.get(&place.kept.path) {
                Some(answer) => answer.clone(),
                None => self.look(row).await,
            };
            answers.insert(place.kept.path.clone(), answer.clone());
            let now =
                answer.and_then(|answer| attributes_in(&answer, &place.kept.query).map_err(|error| error.to_string()));
            let difference = match now {
                Ok(now) => Difference::between(&place.kept.attributes, &now),
                Err(reason) => {
                    place.reason = Some(format!("cannot be read: {reason}"));
                    continue;
                }
            };
            (place.reason, place.is_unseen) = (difference.describe(), false);
            if difference.is_none() {
                place.is_settled = look > 0;
                continue;
            }
            // A request that names what is different cannot take away what is new, and one that names all tries once.
            if !difference.has_changed() && (place.is_written || !self.snapshot.holds_all) {
                place.is_settled = look > 0;
                continue;
            }
            if look + 1 < LOOKS {
                match self.write(row, &place.kept.attributes, &difference.changed).await {
                    Ok(()) => place.is_unseen = true,
                    Err(reason) => {
                        place.reason = Some(format!("{}; the request that puts it back: {reason}", difference.text()));
                    }
                }
            }
            place.is_written = true;
        }
    }

    /// Path, path as it is shown, and query of a row.
    fn place(&self, row: usize) -> Result<(String, String, String), String> {
        let path = self.read.request(&self.scenario, row).map_err(|error| error.to_string())?.path.into_owned();
        let shown = self.read.request_shown(&self.scenario, row).map_err(|error| error.to_string())?.path.into_owned();
        let query = self.read.query(&self.scenario, row).map_err(|error| error.to_string())?;
        Ok((path, shown, query))
    }

    /// Whether a row of the scenario still names what was kept of it.
    #[must_use]
    pub fn knows(&self, kept: &Kept) -> bool {
        let row = usize::try_from(kept.row).ok().and_then(|row| row.checked_sub(1));
        let place = row.filter(|row| *row < self.scenario.rows()).and_then(|row| self.place(row).ok());
        place.is_some_and(|(_, shown, query)| shown == kept.path && query == kept.query)
    }

    /// The answer to the read of a row.
    async fn look(&mut self, row: usize) -> Result<Value, String> {
        let read = self.read.clone();
        let scenario = self.scenario.clone();
        let request = read.request(&scenario, row).map_err(|error| error.to_string())?;
        let reply = self.send("GET", &request).await?;
        serde_json::from_slice(&reply.body).map_err(|error| format!("the answer is no JSON ({error})"))
    }

    async fn write(&mut self, row: usize, attributes: &Value, changed: &Value) -> Result<(), String> {
        let snapshot = self.snapshot.clone();
        let scenario = self.scenario.clone();
        let earlier = Earlier { attributes, changed };
        let request = snapshot.request(&scenario, row, &earlier).map_err(|error| error.to_string())?;
        self.send(&snapshot.method, &request).await.map(drop)
    }

    /// Sends a request until it succeeds, is refused for good, or was tried often enough.
    async fn send(&mut self, method: &str, request: &Rendered<'_>) -> Result<Reply, String> {
        let mut tries = 0;
        loop {
            tries += 1;
            self.wait_for_turn().await?;
            let reply = self.aside.send(method, request, self.authorization.as_ref()).await?;
            let Reply { status, retry_after, .. } = reply;
            match status {
                200..=299 => return Ok(reply),
                401 if self.may_log_in && self.authorization.is_some() => {
                    self.may_log_in = false;
                    let tokens = TokenKeeper::obtain(&self.scenario.target, &self.base, |_| ()).await;
                    self.authorization = tokens.map_err(|error| error.to_string())?.first();
                }
                429 | 503 if tries < TRIES => {
                    let wait = retry_after.unwrap_or(USUAL_WAIT);
                    if wait > LONGEST_WAIT {
                        return Err(format!("status {status}, with a wish for a pause of {} s", wait.as_secs()));
                    }
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(format!("status {status}")),
            }
        }
    }

    /// Waits until the next request may go, and counts it.
    async fn wait_for_turn(&mut self) -> Result<(), String> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or("the requests that `limit.budget` keeps for it are used up")?;
        }
        self.made += 1;
        let turn = self.next.max(Instant::now());
        self.next = turn + self.period;
        tokio::time::sleep_until(turn.into()).await;
        Ok(())
    }
}
