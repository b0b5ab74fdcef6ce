//! How the end of a run becomes lines on stderr and one exit code. Pure: it prints nothing.

use super::exit::{Exit, Failure};
use crate::judge::{Judged, Judgement, Standing, Verdict};
use crate::measure::Warning;

/// What a measurement that turned out invalid does to the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Invalid {
    /// It decides it where nothing weighs more.
    Fails,
    /// Nothing: the caller wants the figures whatever this machine did to them.
    Accepted,
}

/// What is known of a run when it is over.
pub(super) struct End<'a> {
    /// What to know before trusting the figures: also whether the target died, a threshold or a signal stopped the run.
    pub(super) warnings: &'a [Warning],
    /// What was judged of it.
    pub(super) judgement: &'a Judgement,
    /// What an invalid verdict means.
    pub(super) invalid: Invalid,
    /// What could not be written, in the order in which it failed.
    pub(super) unwritten: &'a [Failure],
}

/// A line on stderr, with the exit code that it is the reason for; [`Exit::Done`] where it is a remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The code.
    pub(super) exit: Exit,
    /// The line.
    pub(super) text: String,
}

/// The lines of one run or of several, in the order in which they are to be said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ending(Vec<Line>);

impl Ending {
    /// The ending of a run: everything there is to say, each line with the code that it stands for.
    pub(super) fn new(end: &End<'_>) -> Self {
        let warnings = end.warnings.iter().map(|warning| Line::new(exit_of(warning), format!("warning: {warning}")));
        let crossed = end.judgement.thresholds.iter().filter(|judged| judged.standing == Standing::Crossed);
        let crossed =
            crossed.map(|judged| Line::new(exit_of_threshold(judged), format!("threshold crossed: {judged}")));
        let failures = end.unwritten.iter().map(|failure| Line::new(failure.exit(), format!("error: {failure}")));
        Self::of(warnings.chain(crossed).chain(invalid(end)).chain(failures).collect())
    }

    /// These lines, the one that decides the exit code last; lines of one code keep their order.
    pub(super) fn of(mut lines: Vec<Line>) -> Self {
        lines.sort_by_key(|line| line.exit);
        Self(lines)
    }

    /// The lines; the last one is the reason for the exit code, where that is not [`Exit::Done`].
    pub(super) fn lines(&self) -> &[Line] {
        &self.0
    }

    /// The code that the process exits with: of all that apply, the one that weighs most.
    pub(super) fn exit(&self) -> Exit {
        self.0.last().map_or(Exit::Done, |line| line.exit)
    }
}

impl Line {
    /// A line that is the reason for a code.
    pub(super) fn new(exit: Exit, text: String) -> Self {
        Self { exit, text }
    }
}

/// The code that a crossed threshold stands for.
fn exit_of_threshold(judged: &Judged) -> Exit {
    if judged.is_of_checks() { Exit::Violated } else { Exit::Crossed }
}

/// The code that a warning stands for.
fn exit_of(warning: &Warning) -> Exit {
    match warning {
        // A target that sends us away can be used no more than one that does not answer.
        Warning::TargetDied { .. } | Warning::RetryAfterTooLong { .. } | Warning::Unauthorized { .. } => {
            Exit::TargetUnusable
        }
        Warning::Interrupted { .. } | Warning::WindowClosed { .. } | Warning::RestoreLeft { .. } => Exit::Interrupted,
        Warning::Aborted { .. } => Exit::Crossed,
        Warning::RenewalsFailed { .. }
        | Warning::CertificatesNotChecked
        | Warning::Killed { .. }
        | Warning::BudgetSpent { .. }
        | Warning::RowsRanOut { .. }
        | Warning::AuditIncomplete { .. }
        | Warning::NotRestored { .. } => Exit::Done,
    }
}

/// The reasons that make the measurement invalid, the worst last; none where that is accepted.
fn invalid(end: &End<'_>) -> impl Iterator<Item = Line> {
    let reasons = match end.invalid {
        Invalid::Fails => &end.judgement.reasons[..],
        Invalid::Accepted => &[],
    };
    let reasons = reasons.iter().filter(|reason| reason.level() == Verdict::Invalid).rev();
    reasons.map(|reason| Line::new(Exit::Invalid, format!("invalid: {reason}")))
}

#[cfg(test)]
mod tests {
    use std::io;

    use proptest::prelude::*;

    use super::*;
    use crate::judge::{Measured, Reason};

    const DIED: Warning = Warning::TargetDied { after_s: 10.0 };
    const INTERRUPTED: Warning = Warning::Interrupted { elapsed_s: 1.0, planned_s: 60.0 };

    fn renewals() -> Warning {
        Warning::RenewalsFailed { count: 3, last_error: "no".to_owned() }
    }

    fn aborted() -> Warning {
        Warning::Aborted { threshold: "for 2s failure_rate is 3%, not < 1%".to_owned() }
    }

    fn reason(available: u64) -> Reason {
        Reason::FewDescriptors { needed: 2_000, available }
    }

    fn crossed() -> Judged {
        Judged {
            metric: "service.p99".to_owned(),
            condition: "< 300ms".to_owned(),
            measured: Some(Measured::Time(312_000)),
            samples: 2_000,
            least_samples: 100,
            standing: Standing::Crossed,
        }
    }

    fn judgement(reasons: &[Reason], thresholds: &[Judged]) -> Judgement {
        let verdict = reasons.first().map_or(Verdict::Valid, Reason::level);
        Judgement { verdict, reasons: reasons.to_vec(), thresholds: thresholds.to_vec() }
    }

    /// The first words of each line, and the code.
    fn said(ending: &Ending) -> (Vec<String>, Exit) {
        let words = |line: &Line| line.text.split(' ').take(4).collect::<Vec<_>>().join(" ");
        (ending.lines().iter().map(words).collect(), ending.exit())
    }

    fn strings(lines: &[&str]) -> Vec<String> {
        lines.iter().copied().map(str::to_owned).collect()
    }

    #[test]
    fn a_run_without_a_flaw_says_nothing_and_is_done() {
        let judgement = judgement(&[], &[Judged { standing: Standing::Passed, ..crossed() }]);
        let end = End { warnings: &[], judgement: &judgement, invalid: Invalid::Fails, unwritten: &[] };
        assert_eq!(said(&Ending::new(&end)), (vec![], Exit::Done));
    }

    #[test]
    fn the_last_line_is_the_reason_for_the_code() {
        let (reasons, thresholds) = ([reason(100), reason(200)], [crossed()]);
        let judgement = judgement(&reasons, &thresholds);
        let full = [Failure::Output(io::Error::other("no room"))];
        let end = |warnings: &[Warning], invalid, unwritten: &[Failure]| {
            said(&Ending::new(&End { warnings, judgement: &judgement, invalid, unwritten }))
        };
        let (threshold, invalid) = ("threshold crossed: service.p99 is", "invalid: the run needs");
        let (renewal, stopped) = ("warning: 3 renewals of", "warning: stopped after 1.00s");
        let (abort, died) = ("warning: for 2s failure_rate", "warning: for 10.0s every");

        let (lines, exit) = end(&[renewals(), aborted()], Invalid::Accepted, &[]);
        assert_eq!((lines, exit), (strings(&[renewal, abort, threshold]), Exit::Crossed));
        let (lines, exit) = end(&[aborted(), renewals()], Invalid::Fails, &[]);
        assert_eq!((lines, exit), (strings(&[renewal, abort, threshold, invalid, invalid]), Exit::Invalid));
        let (lines, exit) = end(&[INTERRUPTED], Invalid::Fails, &[]);
        assert_eq!((lines, exit), (strings(&[threshold, invalid, invalid, stopped]), Exit::Interrupted));
        let (lines, exit) = end(&[DIED], Invalid::Accepted, &[]);
        assert_eq!((lines, exit), (strings(&[threshold, died]), Exit::TargetUnusable));
        let (lines, exit) = end(&[DIED], Invalid::Accepted, &full);
        assert_eq!((lines, exit), (strings(&[threshold, died, "error: cannot write to"]), Exit::Internal));
    }

    #[test]
    fn what_the_checks_found_weighs_more_than_another_threshold_and_less_than_an_invalid_run() {
        let lost = Judged {
            metric: "variant.a.lost".to_owned(),
            condition: "= 0".to_owned(),
            measured: Some(Measured::Count(2)),
            ..crossed()
        };
        let (thresholds, reasons) = ([lost, crossed()], [reason(100)]);
        let end = |reasons: &[Reason]| {
            let judgement = judgement(reasons, &thresholds);
            said(&Ending::new(&End { warnings: &[], judgement: &judgement, invalid: Invalid::Fails, unwritten: &[] }))
        };
        let [slow, lost] = ["threshold crossed: service.p99 is", "threshold crossed: variant.a.lost is"];
        assert_eq!(end(&[]), (strings(&[slow, lost]), Exit::Violated));
        assert_eq!(end(&reasons), (strings(&[slow, lost, "invalid: the run needs"]), Exit::Invalid));
        assert_eq!(Exit::Violated.code(), 5);
    }

    #[test]
    fn of_two_reasons_that_spoil_a_run_the_worse_one_comes_last() {
        let judgement = judgement(&[reason(100), reason(200)], &[]);
        let ending =
            Ending::new(&End { warnings: &[], judgement: &judgement, invalid: Invalid::Fails, unwritten: &[] });
        assert!(ending.lines()[1].text.contains("may have 100"), "{ending:?}");
    }

    proptest! {
        #[test]
        fn no_line_weighs_more_than_the_last_one(codes in proptest::collection::vec(0..8_usize, 0..20)) {
            let all = [
                Exit::Usage, Exit::Done, Exit::Crossed, Exit::Internal, Exit::Interrupted, Exit::Invalid,
                Exit::TargetUnusable, Exit::Violated,
            ];
            let lines = codes.iter().map(|code| Line::new(all[*code], String::new())).collect();
            let ending = Ending::of(lines);
            prop_assert_eq!(ending.lines().len(), codes.len());
            let heaviest = codes.iter().map(|code| all[*code]).max().unwrap_or(Exit::Done);
            prop_assert_eq!(ending.exit(), heaviest);
        }
    }
}
