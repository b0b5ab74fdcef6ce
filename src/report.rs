//! What a person reads: results as text.
//!
//! Everything here is a pure function of the data and returns a `String`. This module does no I/O, judges nothing and
//! computes no figure of its own: rates come from [`results`](crate::results), quantiles from
//! [`measure`](crate::measure), and the text of every number from [`units::format`](crate::units::format).

mod answers;
mod checks;
mod failures;
mod profile;
mod restoration;
mod retries;
mod set;
mod table;
mod text;

pub use profile::{limit, profile};
pub use restoration::restoration;
pub use set::{set, set_line};
pub use text::text;
