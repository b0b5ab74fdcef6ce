//! Every request as a row.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::profile::account::{Said, account};
use crate::profile::answer::Profile;
use crate::profile::log::{Answer, Log, Observation};
use crate::profile::theory::Hypothesis;

/// A row of `profile.csv`; its fields are the columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    target: String,
    /// 0 for the key under test.
    key: usize,
    due_us: u64,
    sent_us: u64,
    done_us: u64,
    outcome: Outcome,
    retry_after_s: Option<f64>,
    /// For how long it had been admissible by the best explanation; below zero, after which time it would be.
    margin_us: Option<i64>,
    predicted: Option<Outcome>,
}

/// What became of a request, or should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Admitted,
    Refused,
    Failed,
    Lost,
}

impl Outcome {
    fn of(answer: Answer) -> Self {
        match answer {
            Answer::Admitted => Self::Admitted,
            Answer::Refused { .. } => Self::Refused,
            Answer::Failed => Self::Failed,
            Answer::Lost => Self::Lost,
        }
    }
}

impl Row {
    fn of(target: &str, observation: &Observation, said: Option<&Said>) -> Self {
        let retry_after = match observation.answer {
            Answer::Refused { retry_after } => retry_after,
            Answer::Admitted | Answer::Failed | Answer::Lost => None,
        };
        Self {
            target: target.to_owned(),
            key: observation.key,
            due_us: micros(observation.due),
            sent_us: micros(observation.sent),
            done_us: micros(observation.received),
            outcome: Outcome::of(observation.answer),
            retry_after_s: retry_after.map(|wait| wait.as_secs_f64()),
            margin_us: said.and_then(|said| signed_micros(said.margin)),
            predicted: said.map(|said| if said.is_admitted() { Outcome::Admitted } else { Outcome::Refused }),
        }
    }
}

pub(super) fn csv(profile: &Profile) -> Vec<u8> {
    let best = profile.finding.best.as_ref().map(|fit| &fit.hypothesis);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (observation, said) in told(&profile.log, best) {
        writer.serialize(Row::of(&profile.target, &observation, said.as_ref())).expect("memory takes any row");
    }
    writer.into_inner().expect("memory takes any row")
}

/// All requests, each with what the best explanation says of it, where there is one.
fn told(log: &Log, best: Option<&Hypothesis>) -> Vec<(Observation, Option<Said>)> {
    if let Some(best) = best {
        return account(log, best);
    }
    let mut all: Vec<_> = log.observations().iter().chain(log.others()).map(|one| (*one, None)).collect();
    all.sort_by_key(|(observation, _)| observation.sent);
    all
}

fn micros(instant: Duration) -> u64 {
    u64::try_from(instant.as_micros()).unwrap_or(u64::MAX)
}

/// Whole microseconds; `None` where there is no bound.
fn signed_micros(seconds: f64) -> Option<i64> {
    let size = Duration::try_from_secs_f64(seconds.abs()).ok()?;
    let size = i64::try_from(size.as_micros()).ok()?;
    Some(if seconds < 0.0 { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::files::samples;

    #[test]
    fn a_request_is_a_row_with_what_the_best_explanation_says_of_it() {
        let expected = "\
target,key,due_us,sent_us,done_us,outcome,retry_after_s,margin_us,predicted
main,0,100000,100000,104000,admitted,,,admitted
main,0,110000,110000,114000,admitted,,,admitted
main,0,120000,120000,124000,refused,1.0,-980000,refused
main,1,130000,130000,134000,admitted,,,
main,0,140000,140000,144000,refused,1.0,-960000,refused
main,0,1200000,1200000,1204000,admitted,,100000,admitted
main,0,1210000,1210000,1214000,lost,,,admitted
main,0,1220000,1220000,1224000,failed,,,admitted
";
        assert_eq!(String::from_utf8(csv(&samples::identified())).unwrap(), expected);
    }

    #[test]
    fn rows_are_read_back_as_the_log_that_they_were_made_of() {
        for profile in samples::all() {
            let file = csv(&profile);
            let mut reader = csv::Reader::from_reader(file.as_slice());
            let rows: Vec<Row> = reader.deserialize().collect::<Result<_, _>>().unwrap();
            let micros = Duration::from_micros;
            let read = rows.iter().map(|row| Observation {
                key: row.key,
                due: micros(row.due_us),
                sent: micros(row.sent_us),
                received: micros(row.done_us),
                answer: match row.outcome {
                    Outcome::Admitted => Answer::Admitted,
                    Outcome::Refused => Answer::Refused { retry_after: row.retry_after_s.map(Duration::from_secs_f64) },
                    Outcome::Failed => Answer::Failed,
                    Outcome::Lost => Answer::Lost,
                },
            });
            assert_eq!(read.collect::<Log>(), profile.log);
        }
    }

    #[test]
    fn a_margin_without_a_bound_is_an_empty_cell() {
        for (margin, micros) in [(f64::INFINITY, None), (f64::NAN, None), (-0.25, Some(-250_000)), (0.0, Some(0))] {
            assert_eq!(signed_micros(margin), micros);
        }
    }
}
