//! The TOML tree with its places in the file: readers that note what is wrong and go on.
//!
//! A reader that finds a mistake notes it and returns `None`; the caller goes on with a default, because a noted mistake
//! refuses the scenario in the end.

mod field;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) use self::field::Field;
use crate::scenario::hidden::UNNAMED;
use crate::scenario::{Hidden, Mistake};

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

    /// Takes note of a text that no output may show.
    fn hide(&self, text: &str) {
        self.hidden.borrow_mut().push((text.to_owned(), UNNAMED.to_owned()));
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
