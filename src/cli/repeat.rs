//! `patchload run --repeat`: a set of runs, and how far they lie apart.

use super::arguments::RunArguments;
use super::ending::{Ending, Invalid, Line};
use super::exit::{Exit, Failure};
use super::session::{Closed, Paused, Session};
use super::{put, say};
use crate::report;
use crate::results::{SetFolder, SetPlan};

/// A set while it grows.
struct Repeat<'a> {
    arguments: &'a RunArguments,
    plan: SetPlan,
    /// Made when the first run has reached its target.
    folder: Option<SetFolder>,
    /// What is to be said at the end.
    lines: Vec<Line>,
}

/// Runs the scenario so many times, with a pause between two runs, and prints the summary of the set. A run that failed,
/// lost its target or was interrupted is the last one: what follows it would not be a repetition.
pub(super) fn repeat(mut session: Session, arguments: &RunArguments, runs: u32) -> Exit {
    let accept_invalid = arguments.invalid() == Invalid::Accepted;
    let plan = SetPlan { runs, pause_s: arguments.pause().as_secs_f64(), accept_invalid };
    let mut repeat = Repeat { arguments, plan, folder: None, lines: Vec::new() };
    for number in 1..=runs {
        if number > 1 && session.pause(arguments.pause()) == Paused::Stopped {
            let text = format!("stopped after run {} of {runs}", number - 1);
            repeat.lines.push(Line::new(Exit::Interrupted, text));
            break;
        }
        if repeat.run(&mut session, number) >= Exit::Interrupted {
            break;
        }
    }
    repeat.end()
}

impl Repeat<'_> {
    /// Makes a run and takes it into the set; its exit code. Nothing of it is lost: an error becomes a line, too.
    fn run(&mut self, session: &mut Session, number: u32) -> Exit {
        let (folder, plan) = (&mut self.folder, self.plan);
        let closed = session.run(|header| {
            let set = match folder.take() {
                Some(set) => set,
                None => SetFolder::create(&self.arguments.out, header, plan)?,
            };
            folder.insert(set).next_run(header)
        });
        let ending = match closed {
            Ok(Some(mut closed)) => {
                self.take(&mut closed);
                closed.ending(self.arguments.invalid())
            }
            Ok(None) => Ending::of(vec![Line::new(Exit::Interrupted, "stopped before its first request".to_owned())]),
            Err(failure) => Ending::of(vec![Line::new(failure.exit(), format!("error: {failure}"))]),
        };
        let lines = ending.lines().iter().map(|line| Line::new(line.exit, format!("run {number}: {}", line.text)));
        self.lines.extend(lines);
        ending.exit()
    }

    /// Takes a closed run into the set and says how it went.
    fn take(&mut self, closed: &mut Closed) {
        let set = self.folder.as_mut().expect("the run's folder was made in it");
        closed.unwritten.extend(set.add(&closed.run, &closed.judgement).err().map(Failure::from));
        if let Some(entry) = set.set().runs.last().filter(|_| !self.arguments.quiet) {
            say(&report::set_line(entry, self.plan.runs));
        }
    }

    /// Prints the summary and says what there is to say of all runs.
    fn end(mut self) -> Exit {
        if let Some(folder) = self.folder {
            let printed = put(&report::set(folder.set(), folder.path()));
            // A reader of the summary that went away changes nothing about the runs.
            let failure = printed.err().filter(|failure| !failure.is_closed_pipe());
            self.lines.extend(failure.map(|failure| Line::new(failure.exit(), format!("error: {failure}"))));
        }
        let ending = Ending::of(self.lines);
        for line in ending.lines() {
            say(&line.text);
        }
        ending.exit()
    }
}
