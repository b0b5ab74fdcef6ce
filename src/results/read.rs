//! Reading a run folder back, also one whose run was killed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use csv::ReaderBuilder;

use super::document::Said;
use super::log::Tail;
use super::{ALL, Error, LOG, RUN, TIMELINE, document, folder, log, tables};
use crate::judge::Judgement;
use crate::measure::{Clock, Outcome, Restoration, Run, State, Warning};

/// The run of a folder.
///
/// When the run was killed, or goes on, this is the run up to the last second that is written whole: its state is
/// interrupted, and a [`Warning::Killed`] says how far it goes.
///
/// # Errors
/// When the folder is no run folder, is of a newer schema, or a file is missing or damaged.
pub fn read(dir: &Path) -> Result<Run, Error> {
    Ok(open(dir)?.run)
}

/// Reads the run of a folder and writes everything anew that can be made from it: cuts what a killed run left torn,
/// and rewrites `run.json` and the CSV files. Done twice, it changes nothing the second time. With the run comes what was
/// judged of it; `None` when it was killed, or is of a version that judged nothing.
///
/// # Errors
/// As for [`read`]; also when the run that writes the folder has not ended, and when a file cannot be written.
pub fn rebuild(dir: &Path) -> Result<(Run, Option<Judgement>), Error> {
    // Held until the end, so that two of these do not meet.
    let _lock = lock(dir)?;
    let opened = open(dir)?;
    for (name, length) in [(TIMELINE, opened.timeline_length), (LOG, opened.log_length)] {
        cut(&dir.join(name), length)?;
    }
    let Run { header, state, warnings, totals } = &opened.run;
    for (name, bytes) in tables::all(header, totals) {
        folder::replace(dir, name, &bytes)?;
    }
    // Last, as it says that the folder is complete.
    let (judgement, restoration) = (opened.judgement.as_ref(), opened.restoration.as_ref());
    let said = Said { header, state: *state, warnings, judgement, restoration };
    folder::replace(dir, RUN, &document::write(said, totals))?;
    Ok((opened.run, opened.judgement))
}

/// A run, and how much of the files that only grow belongs to it, in bytes.
struct Opened {
    run: Run,
    judgement: Option<Judgement>,
    restoration: Option<Restoration>,
    timeline_length: usize,
    log_length: usize,
}

fn open(dir: &Path) -> Result<Opened, Error> {
    let path = dir.join(RUN);
    // First `run.json`: a run that goes on writes it last, so the other files hold at least the seconds it counts.
    let json = fs::read(&path).map_err(|reason| match reason.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NotARunFolder { path: dir.to_owned() },
        _ => Error::Read { path: path.clone(), reason },
    })?;
    let (mut run, judgement) = document::read(&path, &json)?;
    let restoration = document::restoration(&path, &json)?;
    let tail = if run.state == State::Running { Tail::Torn } else { Tail::Whole };

    let path = dir.join(TIMELINE);
    let bytes = fs::read(&path).map_err(Error::read(&path))?;
    let timeline_length = committed(&path, &bytes, run.totals.seconds, tail)?;

    let path = dir.join(LOG);
    let bytes = fs::read(&path).map_err(Error::read(&path))?;
    let log_length = log::read(&path, &bytes, (&run.header, &mut run.totals), tail)?;
    agree(&path, &run)?;

    if tail == Tail::Torn {
        run.state = State::Interrupted;
        // What had not started by then never was.
        for variant in &mut run.totals.variants {
            variant.counts.unsent = variant.counts.due.saturating_sub(variant.counts.started);
        }
        run.warnings.push(Warning::Killed { seconds: run.totals.seconds });
    }
    Ok(Opened { run, judgement, restoration, timeline_length, log_length })
}

/// The length in bytes of the header row and the rows of the first `seconds` seconds, the last of which must be there.
fn committed(path: &Path, bytes: &[u8], seconds: u64, tail: Tail) -> Result<usize, Error> {
    // A row without its line end may be half a row.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    if tail == Tail::Whole && whole < bytes.len() {
        return Err(Error::damaged(path, None, "the last row has no end"));
    }
    let mut rows = ReaderBuilder::new().from_reader(&bytes[..whole]);
    if !rows.headers().is_ok_and(|columns| *columns == tables::TIMELINE_COLUMNS[..]) {
        return Err(Error::damaged(path, 1, "the columns are not those of a timeline"));
    }
    let (mut next, mut end) = (0, rows.position().byte());
    let mut row = csv::StringRecord::new();
    while next < seconds || tail == Tail::Whole {
        let line = rows.position().line();
        match rows.read_record(&mut row) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(Error::damaged(path, line, error.to_string())),
        }
        let second = row[1].parse::<u64>().ok().filter(|second| (next..seconds).contains(second));
        let Some(second) = second else {
            let problem = format!("second `{}` is not one of {next} to {seconds}, the last excluded", &row[1]);
            return Err(Error::damaged(path, line, problem));
        };
        (next, end) = (second + 1, rows.position().byte());
    }
    if next < seconds {
        let problem = format!("the rows end before second {next}, and run.json counts {seconds} seconds");
        return Err(Error::damaged(path, None, problem));
    }
    Ok(usize::try_from(end).unwrap_or(whole))
}

/// The histograms must hold every attempt that is counted: each has a wait, a lag and a service. Each operation that finished
/// has a response.
fn agree(path: &Path, run: &Run) -> Result<(), Error> {
    for (name, variant) in run.header.variants.iter().zip(&run.totals.variants) {
        let recorded = |clock, outcome| {
            let mut series = variant.distributions.iter();
            series.find(|(c, o, _)| (*c, *o) == (clock, outcome)).map_or(0, |(_, _, histogram)| histogram.len())
        };
        let responses = variant.distributions.all(Clock::Response).len();
        if responses != variant.counts.finished {
            let (finished, series) = (variant.counts.finished, format!("{name}/*/{}", Clock::Response));
            let problem = format!("holds {responses} operations of `{series}`, and run.json counts {finished}");
            return Err(Error::damaged(path, None, problem));
        }
        for clock in [Clock::Wait, Clock::Lag, Clock::Service] {
            let counted: Vec<(Option<Outcome>, u64)> = if clock.has_outcome() {
                Outcome::ALL.iter().map(|outcome| (Some(*outcome), variant.counts.outcome(*outcome))).collect()
            } else {
                vec![(None, variant.counts.attempts())]
            };
            for (outcome, counted) in counted {
                let recorded = recorded(clock, outcome);
                if recorded != counted {
                    let series = format!("{name}/{}/{clock}", outcome.map_or(ALL, Outcome::name));
                    let problem = format!("holds {recorded} attempts of `{series}`, and run.json counts {counted}");
                    return Err(Error::damaged(path, None, problem));
                }
            }
        }
    }
    Ok(())
}

/// Takes the lock that a run holds on its timeline; where the file system knows no locks, goes without.
pub(super) fn lock(dir: &Path) -> Result<Option<File>, Error> {
    let Ok(file) = File::open(dir.join(TIMELINE)) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::StillRunning { path: dir.to_owned() }),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Cuts a file to `length` bytes, and does not touch one that is no longer.
fn cut(path: &Path, length: usize) -> Result<(), Error> {
    let length = length as u64;
    let file = OpenOptions::new().write(true).open(path).map_err(Error::write(path))?;
    let longer = file.metadata().map_err(Error::write(path))?.len() > length;
    if longer { file.set_len(length).map_err(Error::write(path)) } else { Ok(()) }
}
