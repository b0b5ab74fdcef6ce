//! The TOML tree with its places in the file: readers that note what is wrong and go on.
//!
//! A reader that finds a mistake notes it and returns `None`; the caller goes on with a default, because a noted mistake
//! refuses the scenario in the end.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment::{Text, substitute};
use crate::scenario::hidden::UNNAMED;
use crate::scenario::words::NONE;
use crate::scenario::{Hidden, Mistake, Span};
use crate::units::{ParseError, format, parse_duration};

/// Longer durations are typing errors, and sums of them could overflow.
pub(super) const LONGEST: Duration = Duration::from_hours(365 * 24);

/// A scenario file while it is read.
pub(super) struct Document<'a> {
    /// The file's path, as the user named it.
    pub(super) path: &'a Path,
    text: &'a str,
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// Lines whose syntax is wrong: what the parser made of them says nothing.
    broken: BTreeSet<usize>,
    mistakes: RefCell<Vec<Mistake>>,
    /// What no output may show, each with what stands for it.
    hidden: RefCell<Vec<(String, String)>>,
}

impl<'a> Document<'a> {
    /// Begins to read `text`, which has these errors of syntax.
    pub(super) fn new(
        path: &'a Path,
        text: &'a str,
        environment: &'a dyn Fn(&str) -> Option<String>,
        errors: &[toml::de::Error],
    ) -> Self {
        let (mistakes, hidden) = (RefCell::default(), RefCell::default());
        let mut document = Self { path, text, environment, broken: BTreeSet::new(), mistakes, hidden };
        let mut broken = BTreeSet::new();
        for error in errors {
            let at = error.span().map_or(text.len(), |span| span.start);
            document.note_at(at, format!("{}; correct the TOML syntax here", error.message().replace('\n', " ")));
            broken.insert(document.position(at).0);
        }
        document.broken = broken;
        document
    }

    /// Line and column, both counted from 1, of a byte.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let line = before.split(|byte| *byte == b'\n').count();
        (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
    }

    fn note_at(&self, at: usize, text: String) {
        let (line, column) = self.position(at);
        if !self.broken.contains(&line) {
            self.note(Mistake { path: self.path.to_owned(), line, column, text });
        }
    }

    /// The value of an environment variable, which no output may show from now on.
    fn variable(&self, name: &str) -> Option<String> {
        let value = (self.environment)(name)?;
        self.hidden.borrow_mut().push((value.clone(), format!("${{{name}}}")));
        Some(value)
    }

    /// What no output may show, of all that has been read.
    pub(super) fn hidden(&self) -> Hidden {
        Hidden::new(self.hidden.borrow().iter().cloned())
    }

    /// Notes a mistake that may lie in another file.
    pub(super) fn note(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_right(&self) -> bool {
        self.mistakes.borrow().is_empty()
    }

    /// Whether its syntax is wrong, so that parts of it may be missing from the tree.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// All mistakes, in the order of this file, then those of other files.
    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by(|a, b| {
            let key =
                |mistake: &Mistake| (mistake.path != self.path, mistake.path.clone(), mistake.line, mistake.column);
            key(a).cmp(&key(b))
        });
        mistakes.dedup();
        mistakes
    }
}

/// A table, whose unknown keys have been noted.
pub(super) struct Table<'a> {
    document: &'a Document<'a>,
    name: String,
    at: usize,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The whole file, with these known keys.
    pub(super) fn root(document: &'a Document<'a>, tree: &'a DeTable<'a>, known: &[&str]) -> Self {
        Self { document, name: String::new(), at: 0, entries: tree }.of(known)
    }

    /// Notes unknown keys.
    fn of(self, known: &[&str]) -> Self {
        for (key, _) in self.entries.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
            let hint = hint(key.get_ref(), known);
            self.document.note_at(key.span().start, format!("`{}` is not known; {hint}", self.path(key.get_ref())));
        }
        self
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// The value of a key; `None` where it is absent.
    pub(super) fn field(&self, key: &str) -> Option<Field<'a>> {
        let (key, value) = self.entries.get_key_value(key)?;
        Some(self.entry(key, value))
    }

    fn entry(&self, key: &Spanned<impl AsRef<str>>, value: &'a Spanned<DeValue<'a>>) -> Field<'a> {
        Field::new(self.document, self.path(key.get_ref().as_ref()), value, key.span())
    }

    /// What `read` makes of the value of a key; `default` where it is absent, or wrong, which has been noted.
    pub(super) fn or<T>(&self, key: &str, default: T, read: impl FnOnce(&Field<'a>) -> Option<T>) -> T {
        self.field(key).and_then(|field| read(&field)).unwrap_or(default)
    }

    /// What `read` makes of the value of a key, or `None` for the text `none`; `default` where the key is absent.
    pub(super) fn or_none<T>(
        &self,
        key: &str,
        default: Option<T>,
        read: impl FnOnce(&Field<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.field(key) {
            None => default,
            Some(field) if field.says_none() => None,
            Some(field) => read(&field),
        }
    }

    /// The value of a key that must be there; `hint` says what to write.
    pub(super) fn required(&self, key: &str, hint: &str) -> Option<Field<'a>> {
        let field = self.field(key);
        // A broken line may be the missing one.
        if field.is_none() && !self.document.is_broken() {
            self.document.note_at(self.at, format!("`{}` is missing; {hint}", self.path(key)));
        }
        field
    }

    /// Notes a mistake about the table as a whole.
    pub(super) fn mistake(&self, text: impl Display) {
        if !self.document.is_broken() {
            self.document.note_at(self.at, format!("`{}` {text}", self.name));
        }
    }
}

/// A value with its name and place.
pub(super) struct Field<'a> {
    /// The file it stands in.
    pub(super) document: &'a Document<'a>,
    /// The path to it, such as `load.stages[1].users`.
    pub(super) name: String,
    at: usize,
    value: &'a DeValue<'a>,
    /// The file that holds its text, where that is not this one.
    file: Option<PathBuf>,
}

impl<'a> Field<'a> {
    fn new(document: &'a Document<'a>, name: String, value: &'a Spanned<DeValue<'a>>, key: Range<usize>) -> Self {
        // Tables that exist by their children alone (`[a.b]` without `[a]`) have no place of their own.
        let span = value.span();
        let at = if span.is_empty() { key.start } else { span.start };
        Self { document, name, at, value: value.get_ref(), file: None }
    }

    /// The same field, whose text stands in a file of its own: what is wrong with it is told there.
    pub(super) fn in_file(&self, file: PathBuf) -> Self {
        Self { document: self.document, name: self.name.clone(), at: self.at, value: self.value, file: Some(file) }
    }

    /// Notes a mistake: "`name` text".
    pub(super) fn mistake(&self, text: impl Display) {
        self.mistake_in_line(1, text);
    }

    /// Notes a mistake in a line of the text, where that stands in a file of its own.
    pub(super) fn mistake_in_line(&self, line: usize, text: impl Display) {
        let text = format!("`{}` {text}", self.name);
        match &self.file {
            None => self.document.note_at(self.at, text),
            Some(file) => self.document.note(Mistake { path: file.clone(), line, column: 1, text }),
        }
    }

    /// Notes that the value is of another type than `expected`.
    pub(super) fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        self.mistake(format_args!("is {}; write {expected}", kind(self.value)));
        None
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Whether it is a text.
    pub(super) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    /// Whether it is an array.
    pub(super) fn is_array(&self) -> bool {
        self.value.is_array()
    }

    /// A text, with `${NAME}` substituted.
    pub(super) fn text(&self) -> Option<Text> {
        let DeValue::String(text) = self.value else { return self.wrong_type("a text in quotes") };
        self.substituted(text)
    }

    /// A text that stands for the field's value, with `${NAME}` substituted.
    pub(super) fn substituted(&self, text: &str) -> Option<Text> {
        substitute(text, &|name| self.document.variable(name))
            .map_err(|errors| {
                for error in &errors {
                    self.mistake_in_line(line_of(text, &error.to_find()), error);
                }
            })
            .ok()
    }

    /// A text that no output may show.
    pub(super) fn secret(&self) -> Option<Text> {
        let text = self.text()?;
        self.document.hidden.borrow_mut().push((text.value.clone(), UNNAMED.to_owned()));
        Some(text)
    }

    /// A name: one or more of `A-Z a-z 0-9 . _ -`. It is shown, so nothing in it may come from the environment.
    pub(super) fn name(&self) -> Option<String> {
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
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let chosen = choices.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if chosen.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.mistake(format_args!("is `{}`; {}", text.shown, hint(&text.shown, &words)));
        }
        chosen
    }

    /// A whole number in a range.
    pub(super) fn whole<T: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Option<T> {
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
    pub(super) fn positive_number(&self, most: f64) -> Option<f64> {
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
    pub(super) fn yes_or_no(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type("true or false"),
        }
    }

    /// A text, a number, or true or false, as JSON has it.
    pub(super) fn scalar(&self) -> Option<serde_json::Value> {
        match self.value {
            DeValue::String(_) => self.text().map(|text| text.value.into()),
            DeValue::Boolean(value) => Some((*value).into()),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse::<i64>().ok().map(Into::into),
            DeValue::Float(number) => number.as_str().parse::<f64>().ok().map(Into::into),
            _ => self.wrong_type("a text, a number, or true or false"),
        }
    }

    /// Whether it is the text `none`.
    pub(super) fn says_none(&self) -> bool {
        self.is_text() && self.text().is_some_and(|text| text.value == NONE)
    }

    /// A number with a unit, in quotes.
    pub(super) fn quantity<T: FromStr<Err = ParseError>>(&self) -> Option<T> {
        self.parsed(str::parse)
    }

    /// A duration, up to a year.
    pub(super) fn duration(&self) -> Option<Duration> {
        let duration = self.parsed(parse_duration)?;
        if duration > LONGEST {
            self.mistake("is longer than a year; use a shorter time");
            return None;
        }
        Some(duration)
    }

    /// A duration above zero.
    pub(super) fn positive_duration(&self) -> Option<Duration> {
        let duration = self.duration()?;
        if duration.is_zero() {
            self.mistake("is no time at all; use more than zero");
            return None;
        }
        Some(duration)
    }

    /// A duration, or a table with the shortest and the longest.
    pub(super) fn span(&self) -> Option<Span> {
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
    pub(super) fn parsed<T, E: Display>(&self, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
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
    pub(super) fn items(&self) -> Option<Vec<Field<'a>>> {
        let DeValue::Array(items) = self.value else { return self.wrong_type("an array in [brackets]") };
        let item = |(i, item)| Field::new(self.document, format!("{}[{i}]", self.name), item, self.at..self.at);
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A table with these known keys.
    pub(super) fn table(&self, known: &[&str]) -> Option<Table<'a>> {
        let DeValue::Table(entries) = self.value else { return self.wrong_type("a table") };
        Some(Table { document: self.document, name: self.name.clone(), at: self.at, entries }.of(known))
    }

    /// The keys and values of a table whose keys are free, in the order of the file.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Field<'a>)>> {
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

/// The line, counted from 1, in which a part of a text stands first.
pub(super) fn line_of(text: &str, part: &str) -> usize {
    text.split(part).next().unwrap_or_default().matches('\n').count() + 1
}

/// Whether a text is a name: one or more of `A-Z a-z 0-9 . _ -`.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// What to write instead of an unknown word.
pub(super) fn hint(word: &str, known: &[&str]) -> String {
    let distance = |known: &str| strsim::damerau_levenshtein(&word.to_lowercase(), &known.to_lowercase());
    // A third of the letters may be wrong, and one always.
    let near = |known: &&str| distance(known) <= (known.len() / 3).max(1);
    match known.iter().copied().filter(near).min_by_key(|known| distance(known)) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.is_empty() => "nothing is known here; remove it".to_owned(),
        None => format!("known here: {}", known.join(", ")),
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
