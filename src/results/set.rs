//! A set: runs of one scenario, one after the other, and how far their figures lie apart.
//!
//! The figures are those of each run by itself. What the spread says of a percentile is a statistic of the runs: the
//! median of the runs' own percentiles, never an average of them that would stand for the percentile of all requests.

mod figures;
mod folder;

use serde::{Deserialize, Serialize};

pub use figures::{Figure, Figures};
pub use folder::{SetFolder, is_set, rebuild_set};

use crate::judge::Verdict;
use crate::measure::State;
use crate::stats::{Spread, spread};

/// Runs of one scenario, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Set {
    /// Version of the formats; see [`SCHEMA`](crate::measure::SCHEMA).
    pub schema: u32,
    /// The version of patchload that ran it.
    pub version: String,
    /// The scenario's name.
    pub name: String,
    /// The target's name.
    pub target: String,
    /// What was asked for.
    #[serde(flatten)]
    pub plan: SetPlan,
    /// The runs that there are, in the order of time.
    pub runs: Vec<Entry>,
}

/// What is asked of a set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SetPlan {
    /// So many runs, at least one.
    #[serde(rename = "planned")]
    pub runs: u32,
    /// The pause between two of them, in seconds.
    pub pause_s: f64,
    /// Whether a run counts in the spread although its measurement is invalid.
    pub accept_invalid: bool,
}

/// One run of a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The name of its folder within the set's.
    pub folder: String,
    /// When its schedule started, in seconds since 1970-01-01T00:00:00Z.
    pub started_unix_s: f64,
    /// How far it got.
    pub state: State,
    /// Whether its figures can be believed; `None` where nobody judged it, as when it was killed.
    pub verdict: Option<Verdict>,
    /// Its figures.
    pub figures: Figures,
}

/// Why a run is not in the spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// It did not reach its end, so its figures are of something else.
    Unfinished,
    /// Its measurement is invalid.
    Invalid,
}

/// How far the runs lie apart in one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FigureSpread {
    /// The figure.
    pub figure: Figure,
    /// Its spread over the runs in which it is known.
    pub spread: Spread,
}

impl Set {
    /// Why a run of this set is not in its spread; `None` for one that is.
    #[must_use]
    pub fn left_out(&self, run: &Entry) -> Option<LeftOut> {
        match (run.state, run.verdict) {
            (State::Running | State::Interrupted, _) => Some(LeftOut::Unfinished),
            (State::Finished, Some(Verdict::Invalid)) if !self.plan.accept_invalid => Some(LeftOut::Invalid),
            (State::Finished, _) => None,
        }
    }

    /// The spread of each figure that is known of a run at least.
    #[must_use]
    pub fn spread(&self) -> Vec<FigureSpread> {
        let of = |figure| {
            let runs = self.runs.iter().filter(|run| self.left_out(run).is_none());
            let values: Vec<f64> = runs.filter_map(|run| run.figures.get(figure)).collect();
            Some(FigureSpread { figure, spread: spread(&values)? })
        };
        Figure::ALL.into_iter().filter_map(of).collect()
    }

    /// The bytes of `set.json`.
    fn write(&self) -> Vec<u8> {
        let row = |FigureSpread { figure, spread }| SpreadRow {
            figure,
            runs: spread.n,
            median: spread.median,
            min: spread.min,
            max: spread.max,
            variation: spread.variation,
        };
        let document = Document { set: self, spread: self.spread().into_iter().map(row).collect() };
        let mut bytes = serde_json::to_vec_pretty(&document).expect("all keys are strings, and memory takes any bytes");
        bytes.push(b'\n');
        bytes
    }
}

/// The whole of `set.json`. The spread follows from the runs, so nobody reads it back.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    set: &'a Set,
    spread: Vec<SpreadRow>,
}

#[derive(Serialize)]
struct SpreadRow {
    figure: Figure,
    runs: usize,
    median: f64,
    min: f64,
    max: f64,
    variation: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u32, state: State, verdict: Option<Verdict>) -> Entry {
        let figures = [(Figure::AchievedPerS, 10.0 * f64::from(number)), (Figure::LagP99Us, 100.0)];
        Entry {
            folder: format!("{number:02}"),
            started_unix_s: 1e9 + f64::from(number),
            state,
            verdict,
            figures: Figures::from_values(&figures),
        }
    }

    fn set(runs: Vec<Entry>) -> Set {
        Set {
            schema: 1,
            version: "0".to_owned(),
            name: "test".to_owned(),
            target: "main".to_owned(),
            plan: SetPlan { runs: 5, pause_s: 0.5, accept_invalid: false },
            runs,
        }
    }

    /// The runs and the median of the attempts per second.
    fn achieved(set: &Set) -> Option<(usize, f64)> {
        let found = set.spread().into_iter().find(|row| row.figure == Figure::AchievedPerS)?;
        Some((found.spread.n, found.spread.median))
    }

    #[test]
    fn only_finished_runs_that_can_be_believed_are_in_the_spread() {
        let mut set = set(vec![
            entry(1, State::Finished, Some(Verdict::Valid)),
            entry(2, State::Finished, Some(Verdict::Suspect)),
            entry(3, State::Finished, Some(Verdict::Invalid)),
            entry(4, State::Interrupted, Some(Verdict::Valid)),
            entry(5, State::Interrupted, None),
        ]);
        let left_out: Vec<_> = set.runs.iter().map(|run| set.left_out(run)).collect();
        let unfinished = Some(LeftOut::Unfinished);
        assert_eq!(left_out, [None, None, Some(LeftOut::Invalid), unfinished, unfinished]);
        assert_eq!(achieved(&set), Some((2, 15.0)));
        set.plan.accept_invalid = true;
        assert_eq!(achieved(&set), Some((3, 20.0)));
    }

    #[test]
    fn a_figure_that_no_run_knows_has_no_spread() {
        assert_eq!(set(vec![]).spread(), []);
        let spread = set(vec![entry(1, State::Finished, None)]).spread();
        assert_eq!(spread.iter().map(|row| row.figure).collect::<Vec<_>>(), [Figure::AchievedPerS, Figure::LagP99Us]);
        assert!(spread.iter().all(|row| row.spread.variation.is_none()));
    }

    #[test]
    fn a_set_reads_back_equal() {
        let written = set(vec![entry(1, State::Finished, Some(Verdict::Valid)), entry(2, State::Interrupted, None)]);
        assert_eq!(serde_json::from_slice::<Set>(&written.write()).unwrap(), written);
    }
}
