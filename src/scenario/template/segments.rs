//! Templates of text and plain names: cut once, and rendered without an engine, a lock or a map.

use super::function::Call;
use super::place::{Escaped, REFUSAL};
use super::{Name, Place, Values};
use crate::scenario::RenderError;

/// Words that minijinja reads as something else than a name.
const KEYWORDS: [&str; 13] =
    ["true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else"];

/// A template in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segments(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Value {
        name: Name,
        json: bool,
    },
    /// `index` counts the calls before it that draw.
    Call {
        call: Call,
        index: u32,
        json: bool,
    },
}

impl Segments {
    /// The segments of a template that holds nothing but text and `{{ name }}` or `{{ name | json }}`, where a function with
    /// constant arguments is as good as a name.
    pub(super) fn cut(source: &str, columns: &[String]) -> Option<Self> {
        if source.contains("{%") || source.contains("{#") {
            return None;
        }
        let mut segments = Vec::new();
        let mut draws = 0;
        let mut rest = source;
        while let Some((literal, after)) = rest.split_once("{{") {
            let (inner, after) = after.split_once("}}")?;
            let (name, filter) =
                inner.split_once('|').map_or((inner, None), |(name, filter)| (name, Some(filter.trim())));
            let name = name.trim();
            if KEYWORDS.contains(&name) || filter.is_some_and(|filter| filter != "json") {
                return None;
            }
            if !literal.is_empty() {
                segments.push(Segment::Literal(literal.to_owned()));
            }
            let json = filter.is_some();
            segments.push(if let Some(name) = Name::of(name, columns) {
                Segment::Value { name, json }
            } else {
                let (call, index) = (Call::parse(name)?, draws);
                draws += u32::from(call.draws());
                Segment::Call { call, index, json }
            });
            rest = after;
        }
        if !rest.is_empty() {
            segments.push(Segment::Literal(rest.to_owned()));
        }
        Some(Self(segments))
    }

    /// How many texts the call with the most to choose from chooses from.
    pub(super) fn choices(&self) -> usize {
        self.0.iter().map(Segment::choices).max().unwrap_or(1)
    }

    /// The numbers of the columns whose cells stand in it.
    pub(super) fn looks_at(&self) -> Vec<usize> {
        let column = |segment: &Segment| match segment {
            Segment::Value { name: Name::Column(column), .. } => Some(*column),
            _ => None,
        };
        self.0.iter().filter_map(column).collect()
    }

    /// The text for an operation.
    ///
    /// # Errors
    /// When the place refuses what a name stands for.
    pub(super) fn render(&self, place: Place, values: &Values<'_>) -> Result<String, RenderError> {
        // Ids of 36 letters are the usual thing to put in.
        let mut text = String::with_capacity(self.0.iter().map(Segment::length).sum());
        for segment in &self.0 {
            // A whole JSON value stands as it is, in a JSON body.
            let place = if segment.is_json() && place == Place::Json { Place::Text } else { place };
            let mut out = Escaped { place, out: &mut text };
            let written = match segment {
                Segment::Literal(literal) => {
                    text.push_str(literal);
                    Ok(())
                }
                Segment::Value { name, json } => name.write(values, *json, &mut out),
                Segment::Call { call, index, json } => call.make(values, *index).write(*json, &mut out),
            };
            written.map_err(|_| RenderError(REFUSAL.to_owned()))?;
        }
        Ok(text)
    }
}

impl Segment {
    fn length(&self) -> usize {
        match self {
            Self::Literal(literal) => literal.len(),
            Self::Value { .. } | Self::Call { .. } => 40,
        }
    }

    fn is_json(&self) -> bool {
        matches!(self, Self::Value { json: true, .. } | Self::Call { json: true, .. })
    }

    fn choices(&self) -> usize {
        if let Self::Call { call, .. } = self { call.choices() } else { 1 }
    }
}
