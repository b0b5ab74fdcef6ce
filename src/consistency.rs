//! What writes and reads say about each other: whether a write did what its answer said, once.
//!
//! Pure: histories in, judgements out. The engine records [`Event`]s; what they mean is decided here. A register is one
//! attribute of one data row; values are unique, so a read tells which write it saw.

mod history;

pub use history::{Ack, Comparison, Event, Look, Occasion, Place, Repetition, Seen, Write};
