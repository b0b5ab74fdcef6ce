//! Numbers with their units: rates, shares, durations, and the one place where they are read and written as text.
//!
//! Everything above this module carries a [`Rate`], a [`Share`] or a [`Duration`] and never parses or formats one
//! itself. The module does no I/O and reads no clock; [`Timer`] only says what a clock can do.

pub mod format;
mod hours;
mod parse;
mod rate;
mod share;
mod timer;

pub use hours::Hours;
pub use parse::{ParseError, parse_duration};
pub use rate::Rate;
pub use share::Share;
pub use timer::Timer;

pub use std::time::Duration;
