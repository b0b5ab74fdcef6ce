//! A value of the tree, read as what its place calls for.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::super::environment::{Text, substitute};
use super::{Document, LONGEST, Table, hint, is_name, line_of};
use crate::scenario::words::NONE;
use crate::scenario::{Mistake, Span};
use crate::units::{ParseError, format, parse_duration};

/// A value with its name and place.
pub(in crate::scenario::loader) struct Field<'a> {
    /// The file it stands in.
    pub(in crate::scenario::loader) document: &'a Document<'a>,
    /// The path to it, such as `load.stages[1].users`.
    pub(in crate::scenario::loader) name: String,
    at: usize,
    value: &'a DeValue<'a>,
    /// The file that holds its text, where that is not this one.
    file: Option<PathBuf>,
}

impl<'a> Field<'a> {
    pub(super) fn new(
        document: &'a Document<'a>,
        name: String,
        value: &'a Spanned<DeValue<'a>>,
        key: Range<usize>,
    ) -> Self {
        // Tables that exist by their children alone (`[a.b]` without `[a]`) have no place of their own.
        let span = value.span();
        let at = if span.is_empty() { key.start } else { span.start };
        Self { document, name, at, value: value.get_ref(), file: None }
    }

    /// The same field, whose text stands in a file of its own: what is wrong with it is told there.
    pub(in crate::scenario::loader) fn in_file(&self, file: PathBuf) -> Self {
        Self { document: self.document, name: self.name.clone(), at: self.at, value: self.value, file: Some(file) }
    }

    /// Notes a mistake: "`name` text".
    pub(in crate::scenario::loader) fn mistake(&self, text: impl Display) {
        self.mistake_in_line(1, text);
    }

    /// Notes a mistake in a line of the text, where that stands in a file of its own.
    pub(in crate::scenario::loader) fn mistake_in_line(&self, line: usize, text: impl Display) {
        let text = format!("`{}` {text}", self.name);
        match &self.file {
            None => self.document.note_at(self.at, text),
            Some(file) => self.document.note(Mistake { path: file.clone(), line, column: 1, text }),
        }
    }

    /// Notes that the value is of another type than `expected`.
    pub(in crate::scenario::loader) fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        self.mistake(format_args!("is {}; write {expected}", kind(self.value)));
        None
    }

    /// Whether it is a table.
    pub(in crate::scenario::loader) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Whether it is a text.
    pub(in crate::scenario::loader) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    /// Whether it is an array.
    pub(in crate::scenario::loader) fn is_array(&self) -> bool {
        self.value.is_array()
    }

    /// A text, with `${NAME}` substituted.
    pub(in crate::scenario::loader) fn text(&self) -> Option<Text> {
        let DeValue::String(text) = self.value else { return self.wrong_type("a text in quotes") };
        self.substituted(text)
    }

    /// A text that stands for the field's value, with `${NAME}` substituted.
    pub(in crate::scenario::loader) fn substituted(&self, text: &str) -> Option<Text> {
        substitute(text, &|name| self.document.variable(name))
            .map_err(|errors| {
                for error in &errors {
                    self.mistake_in_line(line_of(text, &error.to_find()), error);
                }
            })
            .ok()
    }

    /// A text that no output may show.
    pub(in crate::scenario::loader) fn secret(&self) -> Option<Text> {
        let text = self.text()?;
        self.document.hide(&text.value);
        Some(text)
    }

    /// A name: one or more of `A-Z a-z 0-9 . _ -`. It is shown, so nothing in it may come from the environment.
    pub(in crate::scenario::loader) fn name(&self) -> Option<String> {
        let text = self.text()?;
        if text.substituted {
            self.mistake(format_args!(
                "is `{}`; names are shown in files and messages, so write it without the environment",
                text.shown
            ));
            return None;
        }
        if is_name(&text.value) {
            return Some(text.value);
        }
        self.mistake(format_args!("is `{}`; use one or more of A-Z a-z 0-9 . _ -", text.shown));
        None
    }

    /// One of several words.
    pub(in crate::scenario::loader) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let chosen = choices.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if chosen.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.mistake(format_args!("is `{}`; {}", text.shown, hint(&text.shown, &words)));
        }
        chosen
    }

    /// A whole number in a range.
    pub(in crate::scenario::loader) fn whole<T: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Option<T> {
        let DeValue::Integer(number) = self.value else { return self.wrong_type("a whole number") };
        let value = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let value = value.filter(|value| range.contains(value)).and_then(|value| T::try_from(value).ok());
        if value.is_none() {
            let (least, most) = (format::count(*range.start()), format::count(*range.end()));
            self.mistake(format_args!("is {number}; use a whole number from {least} to {most}"));
        }
        value
    }

    /// A decimal or whole number above zero, up to `most`.
    pub(in crate::scenario::loader) fn positive_number(&self, most: f64) -> Option<f64> {
        let text = match self.value {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            _ => return self.wrong_type("a decimal number such as 0.5"),
        };
        let value = text.parse().ok().filter(|value| *value > 0.0 && *value <= most);
        if value.is_none() {
            self.mistake(format_args!("is {text}; use a number above 0 and up to {most}"));
        }
        value
    }

    /// True or false.
    pub(in crate::scenario::loader) fn yes_or_no(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type("true or false"),
        }
    }

    /// A text, a number, or true or false, as JSON has it.
    pub(in crate::scenario::loader) fn scalar(&self) -> Option<serde_json::Value> {
        match self.value {
            DeValue::String(_) => self.text().map(|text| text.value.into()),
            DeValue::Boolean(value) => Some((*value).into()),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse::<i64>().ok().map(Into::into),
            DeValue::Float(number) => number.as_str().parse::<f64>().ok().map(Into::into),
            _ => self.wrong_type("a text, a number, or true or false"),
        }
    }

    /// Whether it is the text `none`.
    pub(in crate::scenario::loader) fn says_none(&self) -> bool {
        self.is_text() && self.text().is_some_and(|text| text.value == NONE)
    }

    /// A number with a unit, in quotes.
    pub(in crate::scenario::loader) fn quantity<T: FromStr<Err = ParseError>>(&self) -> Option<T> {
        self.parsed(str::parse)
    }

    /// A duration, up to a year.
    pub(in crate::scenario::loader) fn duration(&self) -> Option<Duration> {
        let duration = self.parsed(parse_duration)?;
        if duration > LONGEST {
            self.mistake("is longer than a year; use a shorter time");
            return None;
        }
        Some(duration)
    }

    /// A duration above zero.
    pub(in crate::scenario::loader) fn positive_duration(&self) -> Option<Duration> {
        let duration = self.duration()?;
        if duration.is_zero() {
            self.mistake("is no time at all; use more than zero");
            return None;
        }
        Some(duration)
    }

    /// A duration, or a table with the shortest and the longest.
    pub(in crate::scenario::loader) fn span(&self) -> Option<Span> {
        if !self.is_table() {
            let time = self.duration()?;
            return Some(Span { min: time, max: time });
        }
        let table = self.table(&["min", "max"])?;
        let min = table.required("min", "write the shortest time").and_then(|field| field.duration());
        let field = table.required("max", "write the longest time")?;
        let (max, min) = (field.duration()?, min?);
        if max < min {
            field.mistake("is shorter than `min`; use at least `min`");
            return None;
        }
        Some(Span { min, max })
    }

    /// What `parse` makes of a text. Its error may quote the text.
    pub(in crate::scenario::loader) fn parsed<T, E: Display>(&self, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        let text = self.text()?;
        match parse(&text.value) {
            Ok(value) => Some(value),
            Err(error) if !text.substituted => {
                self.mistake(format_args!("cannot be used: {error}"));
                None
            }
            // The error quotes what it read, so it must read the text that may be shown.
            Err(_) => {
                let shown = parse(&text.shown).err().map(|error| format!(": {error}")).unwrap_or_default();
                self.mistake(format_args!("cannot be used with the value from the environment{shown}"));
                None
            }
        }
    }

    /// The items of an array.
    pub(in crate::scenario::loader) fn items(&self) -> Option<Vec<Field<'a>>> {
        let DeValue::Array(items) = self.value else { return self.wrong_type("an array in [brackets]") };
        let item = |(i, item)| Field::new(self.document, format!("{}[{i}]", self.name), item, self.at..self.at);
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A table with these known keys.
    pub(in crate::scenario::loader) fn table(&self, known: &[&str]) -> Option<Table<'a>> {
        let DeValue::Table(entries) = self.value else { return self.wrong_type("a table") };
        Some(Table { document: self.document, name: self.name.clone(), at: self.at, entries }.of(known))
    }

    /// The keys and values of a table whose keys are free, in the order of the file.
    pub(in crate::scenario::loader) fn entries(&self) -> Option<Vec<(&'a str, Field<'a>)>> {
        let DeValue::Table(entries) = self.value else { return self.wrong_type("a table") };
        let mut fields: Vec<_> = entries
            .iter()
            .map(|(key, value)| {
                let name = format!("{}.{}", self.name, key.get_ref());
                let field = Field::new(self.document, name, value, key.span());
                (key.span().start, key.get_ref().as_ref(), field)
            })
            .collect();
        fields.sort_by_key(|(at, ..)| *at);
        Some(fields.into_iter().map(|(_, key, field)| (key, field)).collect())
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
