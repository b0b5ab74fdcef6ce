//! What a profile came to, as a document: stable words for programs, and words for people beside them.

use serde::{Deserialize, Serialize};

use super::SCHEMA;
use super::parts::{Advised, Bounds, Candidate, Cost, Pace, Proven, Scope, Span, Stop, Stretch, Test, Tier};
use crate::profile::answer::{End, Profile};
use crate::profile::claims::Claim;
use crate::profile::finding::Verdict;
use crate::profile::paces::paces;
use crate::profile::theory::Kind;

/// `profile.json`; its fields are the keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Document {
    schema: u32,
    version: String,
    name: String,
    target: String,
    place: String,
    started_unix_s: f64,
    state: State,
    verdict: Word,
    /// The kinds that explain as much as the best one, in words.
    equivalent: Vec<String>,
    /// Requests per second that others are taken to send with the same key.
    others_per_s: Option<Span>,
    tiers: Vec<Tier>,
    sustainable_per_s: Option<Span>,
    safe_burst: Option<u32>,
    /// Outcomes that the best explanation makes all but impossible.
    surprises: Option<usize>,
    /// Outcomes that would be among these but for a stall.
    stalled: Option<usize>,
    fits: Vec<Candidate>,
    scope: Vec<Scope>,
    checks: Vec<Test>,
    advice: Option<Advised>,
    proof: Option<Proven>,
    before_test: Option<Cost>,
    claims: Vec<Claim>,
    unrefused: Stretch,
    /// The paces that were held, and what share of them was refused.
    paces: Vec<Pace>,
    requests: u32,
    seconds: f64,
    stopped: Stop,
    plan: Bounds,
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Finished,
    Interrupted,
}

/// How much of it is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Identified,
    Equivalent,
    NotVerified,
    NotConfirmed,
    SharedQuota,
    Unknown,
    NoLimit,
    Undecided,
    Declared,
}

impl Word {
    /// The word for a verdict, and the kinds that it names.
    fn of(profile: &Profile) -> (Self, &[Kind]) {
        let word = match &profile.finding.verdict {
            Verdict::Equivalent(kinds) => return (Self::Equivalent, kinds),
            Verdict::Identified => Self::Identified,
            Verdict::NotVerified => Self::NotVerified,
            Verdict::NotConfirmed => Self::NotConfirmed,
            Verdict::SharedQuota { alike, .. } => return (Self::SharedQuota, alike),
            Verdict::Unknown => Self::Unknown,
            Verdict::NoLimit => Self::NoLimit,
            Verdict::Undecided if profile.is_declared() => Self::Declared,
            Verdict::Undecided => Self::Undecided,
        };
        (word, &[])
    }
}

impl Document {
    pub(super) fn of(profile: &Profile) -> Self {
        let finding = &profile.finding;
        let (verdict, equivalent) = Word::of(profile);
        let label = |key: usize| profile.keys.get(key);
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: profile.name.clone(),
            target: profile.target.clone(),
            place: profile.place.clone(),
            started_unix_s: profile.started_unix_s,
            state: match profile.end {
                End::Finished => State::Finished,
                End::Interrupted => State::Interrupted,
            },
            verdict,
            equivalent: equivalent.iter().map(ToString::to_string).collect(),
            others_per_s: finding.others().map(Span::of),
            tiers: finding.figures().iter().map(Tier::of).collect(),
            sustainable_per_s: finding.sustainable().map(Span::of),
            safe_burst: finding.safe_burst(),
            surprises: finding.best.as_ref().map(|fit| fit.surprises),
            stalled: finding.best.as_ref().map(|fit| fit.stalled),
            fits: profile.fits.iter().map(Candidate::of).collect(),
            scope: finding.scope.iter().map(|sharing| Scope::of(sharing, label(sharing.key))).collect(),
            checks: finding.checks.iter().map(Test::of).collect(),
            advice: finding.advice.as_ref().map(|advice| Advised::of(advice, profile.is_per_token())),
            proof: finding.proof.as_ref().map(Proven::of),
            before_test: finding.before_test.as_ref().map(Cost::of),
            claims: profile.claims.clone(),
            unrefused: Stretch { per_s: finding.unrefused.rate, requests: finding.unrefused.requests },
            paces: paces(&profile.log).iter().map(Pace::of).collect(),
            requests: profile.requests,
            seconds: profile.elapsed.as_secs_f64(),
            stopped: Stop::of(finding.stopped),
            plan: Bounds::of(&profile.plan),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::files::samples;

    #[test]
    fn a_document_that_is_read_and_written_again_is_the_same() {
        for profile in samples::all() {
            let document = Document::of(&profile);
            let read: Document = serde_json::from_slice(&super::super::json(&profile)).unwrap();
            assert_eq!(read, document);
        }
    }
}
