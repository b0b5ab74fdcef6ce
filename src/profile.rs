//! What a server's rate limiter is, inferred from what becomes of requests.
//!
//! A [`Profiler`] is a state machine without I/O and without a clock: it is told what was sent and answered, and says
//! what to send next and when, until it is done. It replays its own log through every model of [`crate::quota`], sends
//! next what would tell the best of them apart, and proves its answer by predicting what will be admitted. The same
//! machine runs in virtual time in tests and over sockets in earnest: [`run`] drives it against a server, and is the only part
//! of this module that sends anything.

mod account;
mod advice;
mod answer;
mod claims;
mod clues;
mod course;
mod events;
mod figures;
mod files;
mod finding;
mod fit;
mod guess;
mod imagine;
mod interval;
mod log;
mod others;
mod paces;
mod plan;
mod polish;
mod profiler;
#[cfg(test)]
mod properties;
mod queue;
mod replay;
mod rivals;
mod schedules;
mod scope;
mod score;
mod search;
mod stalls;
mod theory;
mod tiers;
mod verify;
mod wire;

pub use advice::Advice;
pub use answer::{End, Key, Profile};
pub use claims::{Claim, Claims, Says, Standing, Unit, claimed_limits, held_against};
pub use figures::{Estimate, Figures};
pub use files::{CSV, JSON, SCHEMA, csv, json};
pub use finding::{Check, Finding, Measured, Proof, Spent, Stopped, Unrefused, Verdict};
pub use fit::{Fit, fit};
pub use interval::Interval;
pub use log::{Answer, Log, Observation};
pub use paces::{Held, paces};
pub use plan::{Next, Plan};
pub use profiler::{Phase, Profiler};
pub use scope::{Dimension, Shared, Sharing};
pub use stalls::STALL;
pub use theory::{Family, Hypothesis, Kind, Penalty, Refusals, Theory};
pub use wire::{Error, Fixed, Job, Profiled, Sender, Sends, Step, Trouble, declares, offered, run, tokens_of};
