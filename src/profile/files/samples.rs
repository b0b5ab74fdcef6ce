//! Profiles to make files of.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::profile::Plan;
use crate::profile::advice::Advice;
use crate::profile::answer::{End, Key, Profile};
use crate::profile::claims::{Claim, Says, Standing, Unit};
use crate::profile::finding::{Check, Finding, Measured, Proof, Spent, Stopped, Unrefused, Verdict};
use crate::profile::fit::Fit;
use crate::profile::interval::Interval;
use crate::profile::log::{Answer, Observation};
use crate::profile::scope::{Dimension, Sharing};
use crate::profile::theory::{Family, Hypothesis, Kind, Theory};
use crate::units::Rate;

/// An identified window, and a profile that came to nothing.
pub(super) fn all() -> [Profile; 2] {
    [identified(), interrupted()]
}

fn at(key: usize, sent_ms: u64, answer: Answer) -> Observation {
    let sent = Duration::from_millis(sent_ms);
    Observation { key, due: sent, sent, received: sent + Duration::from_millis(4), answer }
}

/// Two requests per second, in a window that begins with the first one.
pub(super) fn identified() -> Profile {
    let refused = Answer::Refused { retry_after: Some(Duration::from_secs(1)) };
    let log = [
        at(0, 100, Answer::Admitted),
        at(0, 110, Answer::Admitted),
        at(0, 120, refused),
        at(1, 130, Answer::Admitted),
        at(0, 140, refused),
        at(0, 1_200, Answer::Admitted),
        at(0, 1_210, Answer::Lost),
        at(0, 1_220, Answer::Failed),
    ];
    let kind = Kind::plain(Family::FirstRequestWindow);
    let theory = Theory { kind, limit: 2, time: 1.0, phase: 0.0, tick: 0.0, penalty: 0.0 };
    let fit = Fit { hypothesis: Hypothesis::single(theory), log_likelihood: -0.5, surprises: 0, stalled: 0, bic: 5.25 };
    let rival = Fit { log_likelihood: f64::NEG_INFINITY, bic: f64::INFINITY, surprises: 3, ..fit.clone() };
    let says = Says::Quota { limit: 2, window_s: Some(1.0), unit: Unit::Requests, tier: Some(0) };
    let source = "RateLimit-Policy".to_owned();
    Profile {
        name: "two".to_owned(),
        target: "main".to_owned(),
        place: "https://api.example.com/".to_owned(),
        started_unix_s: 1_795_268_701.5,
        keys: vec![
            Key { label: "token 1".to_owned(), differs: Vec::new() },
            Key { label: "token 2".to_owned(), differs: vec![Dimension::Token] },
        ],
        plan: Plan::default(),
        finding: Finding {
            verdict: Verdict::Identified,
            best: Some(fit.clone()),
            tiers: vec![Measured { time: Interval { low: 0.998, high: 1.003 }, block: None, limits: (2, 2) }],
            scope: vec![Sharing { tier: 0, key: 1, refused: 0, admitted: 3, controls: 2, strange: 0 }],
            advice: Some(Advice {
                rate: Rate::new(NonZeroU32::MIN, Duration::from_secs(1)).unwrap(),
                burst: NonZeroU32::MIN,
                tier: 0,
                sustainable: 2.0,
                largest_burst: 2,
                recovery: Duration::from_secs(1),
                window: Duration::from_secs(1),
            }),
            proof: Some(Proof { windows: 5, requests: 6, refused: 0 }),
            before_test: Some(Spent { requests: 40, time: Duration::from_millis(12_250) }),
            checks: vec![Check { share: 0.99, sent: 60, predicted: 60, expected: 60, tolerance: 1, admitted: 60 }],
            stopped: Stopped::Done,
            unrefused: Unrefused { rate: 1.9, requests: 60 },
        },
        fits: vec![fit, rival],
        log: log.into_iter().collect(),
        claims: vec![Claim { source, name: "default".to_owned(), says, answers: 8, standing: Standing::True }],
        elapsed: Duration::from_millis(61_500),
        requests: 8,
        end: End::Finished,
    }
}

/// Stopped by somebody before anything was known.
pub(super) fn interrupted() -> Profile {
    let finding = Finding {
        verdict: Verdict::Undecided,
        best: None,
        tiers: Vec::new(),
        scope: Vec::new(),
        advice: None,
        proof: None,
        before_test: None,
        checks: Vec::new(),
        stopped: Stopped::RetryAfter(Duration::from_hours(1)),
        unrefused: Unrefused::default(),
    };
    let log = [at(0, 0, Answer::Admitted), at(0, 5, Answer::Lost)].into_iter().collect();
    Profile { finding, log, fits: Vec::new(), claims: Vec::new(), end: End::Interrupted, ..identified() }
}
