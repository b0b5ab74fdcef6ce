//! What a template can call: values that are made up for the operation.
//!
//! All but the time of day is a pure function of seed, operation and place in the request. Segments and the engine share
//! this code, so that both give the same text.

use std::borrow::Cow;
use std::fmt::{self, Write};

use rand::RngExt as _;

use super::place::Escaped;
use super::{Place, Values};
use crate::scenario::operation::random_at;
use crate::scenario::uuid::uuid;

/// Names that are called like columns.
pub(super) const MADE_UP: [&str; 2] = ["uuid", "now"];

/// Names that are called with arguments.
pub(super) const FUNCTIONS: [&str; 3] = ["random", "pick", "sequence"];

/// An argument of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Argument {
    Text(String),
    Whole(i64),
}

/// A call with its arguments, which are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// A UUID of version 4.
    Uuid,
    /// The time of day: RFC 3339, UTC, to the millisecond.
    Now,
    /// A whole number, both ends included.
    Random { least: i64, most: i64 },
    /// One of several; never none.
    Pick(Vec<Argument>),
    /// `start` + `step` x the operation's number.
    Sequence { start: i64, step: i64 },
}

/// What a call gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Made<'a> {
    Text(Cow<'a, str>),
    Whole(i128),
}

impl Call {
    /// The call that a name without arguments stands for.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "uuid" => Some(Self::Uuid),
            "now" => Some(Self::Now),
            _ => None,
        }
    }

    /// A call of one of [`FUNCTIONS`].
    ///
    /// # Errors
    /// What is wrong with its arguments.
    pub(super) fn new(function: &str, arguments: Vec<Argument>) -> Result<Self, String> {
        if function == "pick" {
            let right = if arguments.is_empty() { Err("`pick` has nothing to pick from".to_owned()) } else { Ok(()) };
            return right.map(|()| Self::Pick(arguments));
        }
        let wholes = arguments.iter().map(|argument| match argument {
            Argument::Whole(number) => Ok(*number),
            Argument::Text(text) => Err(format!("`{function}` has `{text}` as an argument; write whole numbers")),
        });
        let wholes = wholes.collect::<Result<Vec<_>, _>>()?;
        match (function, wholes.as_slice()) {
            ("random", [least, most]) if least > most => {
                Err(format!("`random({least}, {most})` has no number to give; write the smaller one first"))
            }
            ("random", [least, most]) => Ok(Self::Random { least: *least, most: *most }),
            ("random", other) => {
                Err(format!("`random` has {} arguments; write the least and the most, as in random(1, 6)", other.len()))
            }
            ("sequence", []) => Ok(Self::Sequence { start: 0, step: 1 }),
            ("sequence", [start]) => Ok(Self::Sequence { start: *start, step: 1 }),
            ("sequence", [start, step]) => Ok(Self::Sequence { start: *start, step: *step }),
            ("sequence", other) => {
                Err(format!("`sequence` has {} arguments; write start and step, as in sequence(100, 5)", other.len()))
            }
            _ => Err(format!("`{function}` is no function; known here: {}", FUNCTIONS.join(", "))),
        }
    }

    /// A name, or a function with constant arguments that are right; `None` for all else, which is the engine's to judge.
    pub(super) fn parse(source: &str) -> Option<Self> {
        let source = source.trim();
        let Some((function, rest)) = source.split_once('(') else { return Self::named(source) };
        let arguments = arguments(rest.strip_suffix(')')?)?;
        let function = function.trim_end();
        FUNCTIONS.contains(&function).then(|| Self::new(function, arguments).ok())?
    }

    /// Whether each of several such calls in a request gives another value.
    pub(super) fn draws(&self) -> bool {
        matches!(self, Self::Uuid | Self::Random { .. } | Self::Pick(_))
    }

    /// How many texts it chooses from.
    pub(super) fn choices(&self) -> usize {
        if let Self::Pick(choices) = self { choices.len() } else { 1 }
    }

    /// What it gives as the call number `index` of its part that draws.
    pub(super) fn make(&self, values: &Values<'_>, index: u32) -> Made<'_> {
        let random = || random_at(values.seed, values.operation.number, values.part << 32 | u64::from(index));
        match self {
            Self::Uuid => Made::Text(uuid(&mut random()).into()),
            Self::Now => Made::Text(humantime::format_rfc3339_millis((values.clock)()).to_string().into()),
            Self::Random { least, most } => Made::Whole(random().random_range(*least..=*most).into()),
            Self::Pick(choices) => {
                let drawn = || random().random_range(0..choices.len());
                match &choices[values.choice.map_or_else(drawn, |choice| choice % choices.len())] {
                    Argument::Text(text) => Made::Text(text.into()),
                    Argument::Whole(number) => Made::Whole((*number).into()),
                }
            }
            Self::Sequence { start, step } => {
                Made::Whole(i128::from(*start) + i128::from(*step) * i128::from(values.operation.number))
            }
        }
    }
}

impl Made<'_> {
    /// Writes it as it is, or as a JSON value.
    pub(super) fn write(&self, json: bool, out: &mut dyn Write) -> fmt::Result {
        match self {
            Self::Whole(number) => write!(out, "{number}"),
            Self::Text(text) if json => {
                out.write_char('"')?;
                Escaped { place: Place::Json, out }.write_str(text)?;
                out.write_char('"')
            }
            Self::Text(text) => out.write_str(text),
        }
    }
}

/// Constant arguments, as far as they are written plainly: texts without a backslash, whole numbers in digits.
fn arguments(source: &str) -> Option<Vec<Argument>> {
    let mut arguments = Vec::new();
    let mut rest = source.trim();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
        let (argument, after) = if let Some(quote) = quote {
            let (text, after) = rest[1..].split_once(quote)?;
            (Argument::Text((!text.contains('\\')).then(|| text.to_owned())?), after)
        } else {
            let (number, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            (Argument::Whole(whole(number.trim_end())?), after)
        };
        arguments.push(argument);
        rest = match after.trim_start() {
            "" => "",
            after => Some(after.strip_prefix(',')?.trim_start()).filter(|next| !next.is_empty())?,
        };
    }
    Some(arguments)
}

fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    is_plain.then(|| text.parse().ok())?
}
