//! The folder of a set: the runs' own folders, and `set.json`.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Entry, Figures, Set, SetPlan};
use crate::judge::{Judgement, Verdict};
use crate::measure::{Header, Run, SCHEMA};
use crate::results::{Error, Folder, document, folder, rebuild};

const SET: &str = "set.json";

/// A set that goes on. Dropping it leaves everything as it was last written.
#[derive(Debug)]
pub struct SetFolder {
    path: PathBuf,
    set: Set,
}

impl SetFolder {
    /// Makes the folder `root/NAME-UTCTIME`, with a suffix where that exists, by the header of the first run, and
    /// `set.json` without any run.
    ///
    /// # Errors
    /// When the folder cannot be made or `set.json` cannot be written.
    pub fn create(root: &Path, header: &Header, plan: SetPlan) -> Result<Self, Error> {
        let path = folder::create_folder(root, &folder::folder_name(header))?;
        let Header { version, name, target, .. } = header.clone();
        let this = Self { path, set: Set { schema: SCHEMA, version, name, target, plan, runs: Vec::new() } };
        this.write()?;
        Ok(this)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The set as far as it got.
    #[must_use]
    pub fn set(&self) -> &Set {
        &self.set
    }

    /// Opens the folder of the next run.
    ///
    /// # Errors
    /// As for [`Folder::create`].
    pub fn next_run(&self, header: &Header) -> Result<Folder, Error> {
        Folder::create_at(self.path.join(self.next_name()), header)
    }

    /// Takes on a run that has ended, whose folder [`next_run`](Self::next_run) has opened.
    ///
    /// # Errors
    /// When `set.json` cannot be written.
    pub fn add(&mut self, run: &Run, judgement: &Judgement) -> Result<(), Error> {
        self.set.runs.push(entry(self.next_name(), run, Some(judgement.verdict)));
        self.write()
    }

    fn next_name(&self) -> String {
        name(self.set.runs.len() + 1, self.set.plan.runs)
    }

    fn write(&self) -> Result<(), Error> {
        folder::replace(&self.path, SET, &self.set.write())
    }
}

/// Whether a folder is that of a set.
#[must_use]
pub fn is_set(dir: &Path) -> bool {
    dir.join(SET).is_file()
}

/// Rebuilds each run of a set as [`rebuild`] does, and `set.json` from them: also the entry of a run that was killed.
///
/// # Errors
/// As for [`rebuild`], and when `set.json` is damaged, of a newer schema, or cannot be written.
pub fn rebuild_set(dir: &Path) -> Result<Set, Error> {
    let mut set = read(dir)?;
    set.runs.clear();
    for number in 1..=set.plan.runs {
        let folder = name(number as usize, set.plan.runs);
        match rebuild(&dir.join(&folder)) {
            Ok((run, judgement)) => {
                set.runs.push(entry(folder, &run, judgement.map(|judgement| judgement.verdict)));
            }
            // The set did not get so far, or was killed while it made the folder.
            Err(Error::NotARunFolder { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    folder::replace(dir, SET, &set.write())?;
    Ok(set)
}

fn read(dir: &Path) -> Result<Set, Error> {
    let path = dir.join(SET);
    let bytes = fs::read(&path).map_err(Error::read(&path))?;
    document::parse(&path, &bytes)
}

fn entry(folder: String, run: &Run, verdict: Option<Verdict>) -> Entry {
    let (started_unix_s, state) = (run.header.started_unix_s, run.state);
    Entry { folder, started_unix_s, state, verdict, figures: Figures::of(run) }
}

/// The name of a run's folder: its number with as many digits as the last one has, two at least.
fn name(number: usize, planned: u32) -> String {
    let digits = planned.to_string().len().max(2);
    format!("{number:0digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_as_many_digits_as_the_last_one_needs() {
        assert_eq!([name(1, 1), name(9, 99)], ["01", "09"]);
        assert_eq!([name(1, 100), name(1_000, 1_000)], ["001", "1000"]);
    }
}
