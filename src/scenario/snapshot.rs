//! Whether and how attributes are put back after a run.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::operation::rows_within_reach;
use super::read::of_row;
use super::template::{Template, Values};
use super::variant::{RenderError, Rendered, Request};
use super::{Rows, Scenario};

/// What the names [`ATTRIBUTES`] and [`CHANGED`] are rendered as before their values take the place: they are JSON, and a
/// template knows texts only.
const MARKS: [&str; 2] = ["patchload-earlier-attributes-3f1c9a", "patchload-changed-attributes-3f1c9a"];

/// The name, in `restore.body`, of the whole attributes as they were.
pub(super) const ATTRIBUTES: &str = "attributes";

/// The name, in `restore.body`, of those that were something else, as they were.
pub(super) const CHANGED: &str = "changed";

/// Whether and how attributes are put back after a run.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// No run with more data rows is started.
    pub most_rows: usize,
    /// The pause after the run, in which the target may still apply what it has accepted.
    pub settle: Duration,
    /// The method of the request that puts attributes back.
    pub method: String,
    /// Whether the request holds all earlier attributes, so that it may take away what is new; otherwise it holds only those
    /// that are different.
    pub holds_all: bool,
    /// The request; its body has the two columns [`ATTRIBUTES`] and [`CHANGED`] after those of the data.
    pub(super) restore: Request,
    /// The same with nothing in it that came from the environment.
    pub(super) shown: Request,
}

/// The attributes of a row as they were, for a request that puts them back.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// All of them.
    pub attributes: &'a Value,
    /// Those that are something else now or gone; all of them where they are no map.
    pub changed: &'a Value,
}

/// The most requests that snapshot and restore need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotRequests {
    /// Different paths that are read.
    pub reads: u64,
    /// Different attributes that may have to be written.
    pub writes: u64,
}

impl SnapshotRequests {
    /// Before the run each path is read. After it each is read and what differs is written, up to three times, and each is
    /// read once more. A request that a quota refuses is made again, and is not counted twice here.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.reads.saturating_mul(5).saturating_add(self.writes.saturating_mul(3))
    }
}

impl Scenario {
    /// What snapshot and restore may need; `None` where attributes are not put back.
    #[must_use]
    pub fn snapshot_requests(&self) -> Option<SnapshotRequests> {
        self.snapshot.as_ref()?;
        let read = self.read.as_ref()?;
        let (mut paths, mut places) = (BTreeSet::new(), BTreeSet::new());
        for row in 0..self.rows_within_reach() {
            // A row on which a template fails is found when it is read.
            let path = read.request(self, row).map(|request| request.path.into_owned()).unwrap_or_default();
            places.insert((path.clone(), read.query(self, row).unwrap_or_default()));
            paths.insert(path);
        }
        Some(SnapshotRequests { reads: paths.len() as u64, writes: places.len() as u64 })
    }

    /// Data rows; one where there is no data, because the requests without any name one thing, too.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.data.first().map_or(1, |data| data.rows.len())
    }

    /// Those of them, from the first on, that the operations of the schedule can take: only their attributes can change.
    #[must_use]
    pub fn rows_within_reach(&self) -> usize {
        self.data.first().map_or(1, |first| rows_within_reach(first, &self.variants, &self.load))
    }
}

impl Snapshot {
    /// The request that puts the attributes of a data row back.
    ///
    /// # Errors
    /// When a template fails on the row.
    pub fn request(&self, scenario: &Scenario, row: usize, earlier: &Earlier<'_>) -> Result<Rendered<'_>, RenderError> {
        render(&self.restore, scenario, row, earlier)
    }

    /// The same request with nothing in it that came from the environment.
    pub(super) fn request_shown(
        &self,
        scenario: &Scenario,
        row: usize,
        earlier: &Earlier<'_>,
    ) -> Result<Rendered<'_>, RenderError> {
        render(&self.shown, scenario, row, earlier)
    }
}

/// A request that puts the attributes of a data row back.
fn render<'a>(
    restore: &'a Request,
    scenario: &Scenario,
    row: usize,
    earlier: &Earlier<'_>,
) -> Result<Rendered<'a>, RenderError> {
    let data = scenario.data.first().map(|data| &data.rows);
    let rows = with_marks(data, row);
    let operation = of_row(row);
    let usual = Values::new(data, scenario.seed, &operation);
    let first = of_row(0);
    let marked = Values::new(Some(&rows), scenario.seed, &first);
    let headers = restore.headers.iter().map(|(name, value)| Ok((name.as_str(), value.render(&usual)?)));
    let body = |template: &Template| Ok(Bytes::from(put_in(&template.render(&marked)?, earlier)));
    Ok(Rendered {
        path: restore.path.render(&usual)?,
        headers: headers.collect::<Result<_, RenderError>>()?,
        body: restore.body.as_ref().map(body).transpose()?,
    })
}

/// One row of the data with two more columns.
fn with_marks(rows: Option<&Rows>, row: usize) -> Rows {
    some_with_marks(rows, row..=row)
}

/// All rows of the data with two more columns; one row where there is no data.
pub(super) fn all_with_marks(rows: Option<&Rows>) -> Rows {
    some_with_marks(rows, 0..=rows.map_or(0, |rows| rows.len().saturating_sub(1)))
}

fn some_with_marks(rows: Option<&Rows>, which: RangeInclusive<usize>) -> Rows {
    let columns = rows.map(Rows::columns).unwrap_or_default().iter().cloned();
    let mut marked = Rows::new(columns.chain([ATTRIBUTES, CHANGED].map(str::to_owned)).collect());
    for row in which {
        let cells = rows.map(|rows| rows.row(row)).into_iter().flatten();
        marked.push(cells.chain(MARKS));
    }
    marked
}

/// Whether a rendered body has a place for earlier attributes, and only where a whole JSON value stands.
pub(super) fn is_marked(body: &str) -> bool {
    let whole = |mark: &str| body.matches(&format!("\"{mark}\"")).count();
    let all: usize = MARKS.iter().map(|mark| body.matches(mark).count()).sum();
    all > 0 && MARKS.iter().map(|mark| whole(mark)).sum::<usize>() == all
}

/// Whether a rendered body holds all earlier attributes.
pub(super) fn holds_all(body: &str) -> bool {
    body.contains(MARKS[0])
}

/// The body with the values in the places of their marks.
fn put_in(body: &str, earlier: &Earlier<'_>) -> String {
    let [attributes, changed] = MARKS.map(|mark| format!("\"{mark}\""));
    // The second search must not look into the first value, so the body is cut before anything is put in.
    let parts = body.split(&attributes).map(|part| part.replace(&changed, &earlier.changed.to_string()));
    parts.collect::<Vec<_>>().join(&earlier.attributes.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_take_the_places_of_their_marks() {
        let [attributes, changed] = MARKS;
        let body = format!(r#"{{"all": "{attributes}", "some": "{changed}"}}"#);
        assert!(is_marked(&body) && !is_marked("{}") && !is_marked(&format!("{{\"all\": \"x {attributes}\"}}")));
        let earlier = Earlier { attributes: &json!({"a": changed, "b": "\"2"}), changed: &json!({"b": "\"2"}) };
        let sent: Value = serde_json::from_str(&put_in(&body, &earlier)).unwrap();
        assert_eq!(sent, json!({"all": {"a": changed, "b": "\"2"}, "some": {"b": "\"2"}}));
    }

    #[test]
    fn a_row_keeps_its_cells_before_the_marks() {
        let mut rows = Rows::new(vec!["id".to_owned()]);
        rows.push(["a"]);
        rows.push(["b"]);
        assert_eq!(with_marks(Some(&rows), 1).row(0).next(), Some("b"));
        assert_eq!(with_marks(None, 0).columns(), ["attributes", "changed"]);
    }
}
