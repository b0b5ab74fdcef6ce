//! Reads attributes before a run and puts them back after it, at a gentle pace and aside of all figures.

mod difference;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::tokens::TokenKeeper;
use super::viewer::{Viewer, Whereabouts, index_of};
use crate::http::ClientError;
use crate::measure::{Kept, Restoration, RestoreEnd};
use crate::scenario::{Earlier, Scenario, Snapshot, SnapshotRequests};
use difference::Difference;

/// After the settling, attributes are looked at so often: at least twice, because a target that applies writes later may
/// show what is over already; the pauses between the looks grow.
const LOOKS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

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
    snapshot: Snapshot,
    viewer: Viewer,
}

/// A place that is to be as before, while it is put back.
struct Place<'a> {
    kept: &'a Kept,
    at: Whereabouts,
    is_written: bool,
    /// Why it is not as before, as far as is known; `None` where the last look found it so.
    reason: Option<String>,
    /// Whether it was written after the last look.
    is_unseen: bool,
    /// No further request would change it.
    is_settled: bool,
}

impl<'a> Place<'a> {
    fn new(kept: &'a Kept, at: Whereabouts) -> Self {
        let reason = Some("not looked at since the run".to_owned());
        Self { kept, at, is_written: false, reason, is_unseen: false, is_settled: false }
    }
}

impl SnapshotKeeper {
    /// Prepares for the target at `base`, with the first of the tokens.
    ///
    /// # Errors
    /// When the scenario puts nothing back, or there is no HTTP client.
    pub fn new(scenario: Arc<Scenario>, base: &Url, tokens: &TokenKeeper) -> Result<Self, SnapshotError> {
        let Some(snapshot) = scenario.snapshot.clone() else { return Err(SnapshotError::NotWanted) };
        let left = scenario.snapshot_requests().as_ref().map(SnapshotRequests::all);
        let left = left.filter(|_| scenario.care.budget.is_some());
        let viewer = Viewer::new(scenario, base, tokens, left)?.ok_or(SnapshotError::NotWanted)?;
        Ok(Self { snapshot, viewer })
    }

    /// Reads the attributes of all data rows that the run can use; rows that name the same attributes count once.
    ///
    /// # Errors
    /// At the first row that cannot be read: what was never seen cannot be put back.
    pub async fn take(&mut self) -> Result<Vec<Kept>, SnapshotError> {
        let unknown = |(row, reason)| SnapshotError::Unreadable { row, path: "read.path".to_owned(), reason };
        let places = self.viewer.places().map_err(unknown)?;
        let mut kept = Vec::new();
        // One answer is held at a time: it may be long, and there may be many.
        for shown_together in places.chunk_by(|(_, one), (_, other)| one.path == other.path) {
            let answer = self.viewer.look(shown_together[0].0).await;
            for (row, place) in shown_together {
                let attributes = answer.as_ref().map_err(Clone::clone).and_then(|answer| place.attributes_in(answer));
                let (row, path, query) = (*row, place.path_shown.clone(), place.query_shown.clone());
                let attributes =
                    attributes.map_err(|reason| SnapshotError::Unreadable { row, path: path.clone(), reason })?;
                kept.push(Kept { row, path, query, attributes });
            }
        }
        kept.sort_by_key(|kept| kept.row);
        Ok(kept)
    }

    /// Puts back what was kept, looks whether it is so, and tells what became of each row; also when it is left in the middle,
    /// because `leave` has come.
    pub async fn put_back(&mut self, kept: &[Kept], leave: impl Future<Output = ()>) -> Restoration {
        let made_before = self.viewer.errand.made();
        let mut restoration = Restoration { rows: kept.len() as u64, ..Restoration::default() };
        let mut places = Vec::new();
        for kept in kept {
            match self.viewer.place(kept.row) {
                Ok(at) => places.push(Place::new(kept, at)),
                Err(reason) => restoration.fail(kept, reason),
            }
        }
        places.sort_by(|one, other| one.at.path.cmp(&other.at.path));
        restoration.end = tokio::select! {
            () = self.look_until_settled(&mut places) => RestoreEnd::Complete,
            () = leave => RestoreEnd::Left,
        };
        places.sort_by_key(|place| place.kept.row);
        for Place { kept, is_written, is_unseen, reason, .. } in places {
            match reason {
                Some(_) if is_unseen && restoration.end == RestoreEnd::Left => {
                    restoration.fail(kept, "written back, but not looked at since".to_owned());
                }
                Some(reason) => restoration.fail(kept, reason),
                None if is_written => restoration.restored += 1,
                None => restoration.as_before += 1,
            }
        }
        restoration.requests = self.viewer.errand.made() - made_before;
        restoration
    }

    async fn look_until_settled(&mut self, places: &mut [Place<'_>]) {
        tokio::time::sleep(self.snapshot.settle).await;
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(PAUSE * look).await;
            }
            self.look_and_write(places, look).await;
            if places.iter().all(|place| place.is_settled) || self.viewer.errand.is_turned_away() {
                break;
            }
        }
    }

    /// Looks at each place once, and writes what is not as before.
    async fn look_and_write(&mut self, places: &mut [Place<'_>], look: u32) {
        for shown_together in places.chunk_by_mut(|one, other| one.at.path == other.at.path) {
            let Some(first) = shown_together.iter().find(|place| !place.is_settled) else { continue };
            let answer = self.viewer.look(first.kept.row).await;
            for place in shown_together.iter_mut().filter(|place| !place.is_settled) {
                match answer.as_ref().map_err(Clone::clone).and_then(|answer| place.at.attributes_in(answer)) {
                    Ok(now) => self.write_back(place, &now, look).await,
                    Err(reason) => place.reason = Some(format!("cannot be read: {reason}")),
                }
            }
        }
    }

    /// Writes what is not as before.
    async fn write_back(&mut self, place: &mut Place<'_>, now: &Value, look: u32) {
        let difference = Difference::between(&place.kept.attributes, now);
        (place.reason, place.is_unseen) = (difference.describe(), false);
        // A request that names what is different cannot take away what is new, and one that names all tries once.
        let is_in_vain = !difference.has_changed() && (place.is_written || !self.snapshot.holds_all);
        if difference.is_none() || is_in_vain {
            place.is_settled = look > 0;
            return;
        }
        if look + 1 < LOOKS {
            match self.write(place.kept, &difference.changed).await {
                Ok(()) => place.is_unseen = true,
                Err(reason) => {
                    place.reason = Some(format!("{}; the request that puts it back: {reason}", difference.text()));
                }
            }
        }
        place.is_written = true;
    }

    /// Whether a row of the scenario still names what was kept of it.
    #[must_use]
    pub fn knows(&self, kept: &Kept) -> bool {
        let is_there = (1..=self.viewer.scenario.rows() as u64).contains(&kept.row);
        let place = is_there.then(|| self.viewer.place(kept.row).ok()).flatten();
        place.is_some_and(|place| place.path_shown == kept.path && place.query_shown == kept.query)
    }

    async fn write(&mut self, kept: &Kept, changed: &Value) -> Result<(), String> {
        let earlier = Earlier { attributes: &kept.attributes, changed };
        let request = self.snapshot.request(&self.viewer.scenario, index_of(kept.row), &earlier);
        let request = request.map_err(|error| error.to_string())?;
        self.viewer.errand.send(&self.snapshot.method, &request).await.map(drop)
    }
}
