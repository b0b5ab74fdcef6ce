//! The files of a profile: every request as `profile.csv`, and what it came to as `profile.json`.
//!
//! Columns and keys are part of the interface. What is not known is an empty cell or `null`; no number is ever infinite.

mod document;
mod parts;
mod requests;
#[cfg(test)]
mod samples;

use super::answer::Profile;

/// The name of the table of requests.
pub const CSV: &str = "profile.csv";

/// The name of the account of what it came to.
pub const JSON: &str = "profile.json";

/// The version of both formats.
pub const SCHEMA: u32 = 1;

/// `profile.csv`: a row for every request that has been answered or given up, in the order of sending.
#[must_use]
pub fn csv(profile: &Profile) -> Vec<u8> {
    requests::csv(profile)
}

/// `profile.json`: what is known of the limiter, and on what grounds.
///
/// # Panics
/// Never: all keys are texts.
#[must_use]
pub fn json(profile: &Profile) -> Vec<u8> {
    let document = document::Document::of(profile);
    let mut bytes = serde_json::to_vec_pretty(&document).expect("all keys of the document are texts");
    bytes.push(b'\n');
    bytes
}
