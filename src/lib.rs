//! patchload load-tests and profiles the rate limits of APIs whose attributes are changed by PATCH.
//!
//! # The map
//! A module imports only from modules above its own row (`tests/layers.rs` holds the table and fails on any other arrow).
//!
//! | layer | module | owns |
//! |---|---|---|
//! | 0 | [`units`] | rates, shares, durations; all parsing and formatting of numbers; what a clock can do |
//! | 1 | [`measure`] | the plain data of a measurement: sample, outcome, the one HDR configuration, interval, run |
//! | 1 | [`stats`] | intervals and tests as pure functions |
//! | 1 | [`pace`] | when something is due, and who does it |
//! | 1 | [`quota`] | models of rate limiters as pure functions of arrivals |
//! | 2 | [`judge`] | thresholds, and the verdict on the measurement itself |
//! | 2 | [`consistency`] | what writes and reads say about each other: idempotency, visibility, lost updates |
//! | 3 | [`scenario`] | a TOML file to a checked scenario; templates; data rows; what each operation is |
//! | 4 | [`http`] | one attempt to one outcome: connections, TLS, logins, classification |
//! | 4 | [`sim`] | the simulated API |
//! | 5 | [`engine`] | runs a scenario: workers, users, limits, tokens, collection |
//! | 5 | [`results`] | run folders and sets of them: the only module that touches them |
//! | 6 | [`profile`] | what a server's rate limiter is, inferred from what becomes of requests; and the one file that sends them |
//! | 7 | [`report`] | a run or a set of runs to text |
//! | 8 | [`cli`] | arguments, wiring, screen, exit codes |
//!
//! # The way of an operation
//! [`cli`] loads a [`scenario::Scenario`] and hands it to [`engine::run`], which places its users on workers, a thread
//! each. In the closed model a user asks [`pace::Stages`] when its next operation is due, in the open model
//! [`pace::Arrivals`] says so whatever the users do. [`scenario::Scenario::operation`] says what it is; the user waits
//! for a permit of its [`engine::Limiter`], and sends one attempt through [`http::Transport`]. The
//! [`measure::Sample`] goes into the worker's own [`measure::Recorder`]; once a second the worker hands its
//! [`measure::Interval`] to the collector, which closes the [`measure::Second`] and adds it to the [`measure::Totals`].
//! [`cli`] passes each second to [`results::Folder`], and at the end the [`measure::Run`] to [`report`].
//!
//! # What must stay true
//! - `units`, `measure`, `stats`, `pace`, `quota`, `judge`, `consistency`, `profile` and `report` do no I/O and read no
//!   clock, but for `profile::wire`, which lets a profile talk to a server.
//! - `Instant::now()` stands in `engine`, `http` and `sim` only; the engine reads time through [`units::Timer`], which
//!   tests can pause.
//! - Only `cli` prints.
//! - Memory does not grow with the number of requests.
//! - Time starts when the schedule wanted a request, never after the limit.
//! - What the server does is data, never an error.

pub mod cli;
pub mod consistency;
pub mod engine;
pub mod http;
pub mod judge;
pub mod measure;
pub mod pace;
pub mod profile;
pub mod quota;
pub mod report;
pub mod results;
pub mod scenario;
pub mod sim;
pub mod stats;
pub mod units;
