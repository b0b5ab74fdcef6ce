//! `latency.hlog`: an HdrHistogram interval log, version 1.3, with one line per tag and second.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

use super::{ALL, Error};
use crate::measure::{Clock, Header, Outcome, Second, Totals, new_histogram};

/// The column line that other tools write; all of them skip it.
const LEGEND: &[u8] = b"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// The lines before the first second.
pub(super) fn head(header: &Header) -> Vec<u8> {
    let since_1970 = Duration::try_from_secs_f64(header.started_unix_s).unwrap_or_default();
    let started = UNIX_EPOCH.checked_add(since_1970).unwrap_or(UNIX_EPOCH);
    let (mut bytes, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[Values are microseconds]")
        .add_comment("[MaxValueDivisor: 1.000 (Interval_Max is in microseconds too)]")
        .add_comment("[Tags are target/variant/outcome/clock]")
        .with_start_time(started)
        .with_base_time(started)
        .begin_log_with(&mut bytes, &mut serializer)
        .expect("memory takes any bytes");
    bytes.extend_from_slice(LEGEND);
    bytes
}

/// The lines of one second.
///
/// The writer of the library borrows its sink for its life, so each second begins a log of its own in memory; one with
/// no comments and a divisor of 1 has no head, so its bytes are the lines alone.
pub(super) fn lines(header: &Header, second: &Second) -> Vec<u8> {
    let (mut bytes, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut writer =
        IntervalLogWriterBuilder::new().begin_log_with(&mut bytes, &mut serializer).expect("memory takes any bytes");
    for (name, part) in header.variants.iter().zip(&second.interval.variants) {
        for (clock, outcome, histogram) in part.distributions.iter() {
            let outcome = outcome.map_or(ALL, Outcome::name);
            let tag = format!("{}/{name}/{outcome}/{clock}", header.target);
            let tag = Tag::new(&tag).expect("a scenario's names hold no comma, space or line break");
            writer
                .write_histogram(histogram, Duration::from_secs(second.second), Duration::from_secs(1), Some(tag))
                .expect("memory takes any bytes, and a count of one second fits 63 bits");
        }
    }
    drop(writer);
    bytes
}

/// Which lines belong to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// All; one more is damage.
    Whole,
    /// Those of the seconds that are counted. Whatever follows was written by a process that was killed.
    Torn,
}

/// Adds the histograms of all seconds that `totals` counts, and returns the length of their lines in bytes.
pub(super) fn read(path: &Path, bytes: &[u8], into: (&Header, &mut Totals), tail: Tail) -> Result<usize, Error> {
    let (header, totals) = into;
    let (ours, mut deserializer) = (shape(&new_histogram()), Deserializer::new());
    let mut end = 0;
    for (line, number) in bytes.split_inclusive(|byte| *byte == b'\n').zip(1..) {
        if !line.ends_with(b"\n") {
            if tail == Tail::Torn {
                break;
            }
            return Err(Error::damaged(path, number, "the line has no end"));
        }
        match IntervalLogIterator::new(line).next() {
            None | Some(Ok(LogEntry::StartTime(_) | LogEntry::BaseTime(_))) => {}
            Some(Err(_)) => return Err(Error::damaged(path, number, "this is no line of an interval log")),
            Some(Ok(LogEntry::Interval(entry))) => {
                if entry.start_timestamp().as_secs() >= totals.seconds {
                    if tail == Tail::Torn {
                        break;
                    }
                    return Err(Error::damaged(path, number, "the line is of a second after the end of the run"));
                }
                let damaged = |problem| Error::damaged(path, number, problem);
                let (variant, outcome, clock) = series(header, &entry).map_err(damaged)?;
                let histogram = histogram(&entry, &mut deserializer).map_err(damaged)?;
                if shape(&histogram) != ours {
                    return Err(damaged("the histogram has another range or precision than a run's".to_owned()));
                }
                totals.variants[variant].distributions.merge(clock, outcome, &histogram);
            }
        }
        end += line.len();
    }
    Ok(end)
}

/// A histogram as the log holds it: compressed, in base 64.
pub(super) fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("memory takes any bytes");
    STANDARD.encode(bytes)
}

/// The histogram that [`encode`] gave; the error says what is wrong with it.
pub(super) fn decode(encoded: &str) -> Result<Histogram<u64>, String> {
    let histogram = histogram_of(encoded, &mut Deserializer::new())?;
    // The copy has the counts in the one configuration, whatever the bytes left out at the end.
    let mut ours = new_histogram();
    ours.add(histogram).map_err(|error| format!("a histogram of another kind: {error}"))?;
    Ok(ours)
}

/// What all histograms of a run have in common: the lowest and the highest value, and the digits.
fn shape(histogram: &Histogram<u64>) -> (u64, u64, u8) {
    (histogram.low(), histogram.high(), histogram.sigfig())
}

/// The histogram of a line; the error says what is wrong with it.
fn histogram(entry: &IntervalLogHistogram<'_>, deserializer: &mut Deserializer) -> Result<Histogram<u64>, String> {
    histogram_of(entry.encoded_histogram(), deserializer)
}

fn histogram_of(encoded: &str, deserializer: &mut Deserializer) -> Result<Histogram<u64>, String> {
    let encoded = STANDARD.decode(encoded).map_err(|error| format!("no histogram: {error}"))?;
    deserializer.deserialize(&mut &encoded[..]).map_err(|error| format!("no histogram: {error}"))
}

/// The variant, outcome and clock of a line; the error says why this run has no such series.
fn series(header: &Header, entry: &IntervalLogHistogram<'_>) -> Result<(usize, Option<Outcome>, Clock), String> {
    let tag = entry.tag().ok_or("the line has no tag")?;
    parse(header, tag.as_str()).ok_or_else(|| format!("the run has no series `{}`", tag.as_str()))
}

fn parse(header: &Header, tag: &str) -> Option<(usize, Option<Outcome>, Clock)> {
    let (tag, clock) = tag.rsplit_once('/')?;
    let (tag, outcome) = tag.rsplit_once('/')?;
    let name = tag.strip_prefix(&header.target)?.strip_prefix('/')?;
    let variant = header.variants.iter().position(|variant| variant == name)?;
    let clock = Clock::from_name(clock)?;
    let outcome = match (clock.has_outcome(), outcome) {
        (false, ALL) => None,
        (true, name) => Some(Outcome::from_name(name)?),
        (false, _) => return None,
    };
    Some((variant, outcome, clock))
}
