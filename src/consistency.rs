//! What writes and reads say about each other: whether a write did what its answer said, once.
//!
//! Pure: histories in, judgements out. The engine records [`Event`]s and hands them to the [`Ledger`], which judges them
//! when all are known; what they mean is decided here. A register is one attribute of one data row; values are unique, so
//! a read tells which write it saw. [`compare`] says of a request that was repeated whether once and twice are the same.

mod bounds;
mod ending;
mod history;
mod latest;
mod ledger;
mod lines;
mod merging;
mod order;
mod quiet;
mod reading;
mod register;
mod repeat;
mod row;
mod rows;
mod stale;
mod tally;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod store;

pub use bounds::Bounds;
pub use history::{Ack, Comparison, Event, Look, Occasion, Place, REPEATED, Repetition, Seen, Untracked, Write};
pub use ledger::{BYTES_PER_WRITE, LOOKS_PER_WRITE, Ledger};
pub use lines::{Line, parse_line};
pub use reading::{Reading, keys_of, seen};
pub use repeat::{Repeat, Told, compare};
pub use row::Audit;
