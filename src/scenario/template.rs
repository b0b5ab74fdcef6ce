//! Templates: texts with `{{ placeholders }}`, escaped by the place that they stand in.
//!
//! What people write most, text with plain names, is cut into segments once and rendered without an engine, a lock or a
//! map: it stands on the path of every request. Everything else (filters, conditions, loops) is minijinja's. A path and a
//! body with four placeholders took 1.2 us in segments and 5.2 us in the engine (test profile). Both give the same text,
//! which a property test holds them to.

mod engine;
mod function;
mod place;

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::time::SystemTime;

use bytes::Bytes;

use super::{Operation, RenderError, Rows};
use engine::Engine;
pub(super) use engine::{TemplateError, known_names};
use function::Call;
pub(super) use place::{Place, is_header_value};

/// Names that stand for the operation itself.
const OPERATION_NAMES: [&str; 4] = ["unique", "user", "step", "operation"];

/// Whether templates use the name themselves, so that no data column may bear it.
pub(super) fn is_taken(name: &str) -> bool {
    OPERATION_NAMES.contains(&name) || function::MADE_UP.contains(&name) || function::FUNCTIONS.contains(&name)
}

/// Words that minijinja reads as something else than a name.
const KEYWORDS: [&str; 13] =
    ["true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else"];

/// What the names in a template stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    /// The data rows; `None` for none.
    pub(super) rows: Option<&'a Rows>,
    /// The seed of the run.
    pub(super) seed: u64,
    /// The operation, which names the row.
    pub(super) operation: &'a Operation,
    /// The time of day, read where a template asks for it: the one thing that depends on nothing of the above.
    pub(super) clock: fn() -> SystemTime,
    /// The number of the part of the request in which the template stands: equal templates draw other values in each.
    pub(super) part: u64,
    /// Which of its texts every `pick` takes; `None` for those that the seed chooses.
    pub(super) choice: Option<usize>,
}

/// A compiled template.
#[derive(Clone)]
pub(super) struct Template {
    place: Place,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// No placeholder: rendered when it was compiled.
    Constant(String, Bytes),
    /// Plain names alone.
    Segments(Vec<Segment>),
    /// Anything that minijinja knows.
    Engine(Engine),
}

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

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// The cell of the operation's row in this column.
    Column(usize),
    /// A text that never repeats in a run: seed and number of the operation.
    Unique,
    /// The user's number.
    User,
    /// The user's operations before this one.
    Step,
    /// The operation's number in the run.
    Operation,
}

impl Name {
    fn of(name: &str, columns: &[String]) -> Option<Self> {
        match name {
            "unique" => Some(Self::Unique),
            "user" => Some(Self::User),
            "step" => Some(Self::Step),
            "operation" => Some(Self::Operation),
            _ => columns.iter().position(|column| column == name).map(Self::Column),
        }
    }

    /// The value, and whether it is a number.
    fn write(self, values: &Values<'_>, json: bool, out: &mut dyn Write) -> fmt::Result {
        let operation = values.operation;
        match self {
            Self::User => write!(out, "{}", operation.user),
            Self::Step => write!(out, "{}", operation.step),
            Self::Operation => write!(out, "{}", operation.number),
            Self::Column(_) | Self::Unique if json => {
                out.write_char('"')?;
                self.write(values, false, &mut place::Escaped { place: Place::Json, out })?;
                out.write_char('"')
            }
            Self::Unique => write!(out, "{}-{}", values.seed, operation.number),
            Self::Column(column) => out.write_str(values.cell(column).unwrap_or_default()),
        }
    }
}

impl<'a> Values<'a> {
    /// The values of an operation in the first part of its request.
    pub(super) fn new(rows: Option<&'a Rows>, seed: u64, operation: &'a Operation) -> Self {
        Self { rows, seed, operation, clock: SystemTime::now, part: 0, choice: None }
    }

    fn cell(&self, column: usize) -> Option<&'a str> {
        self.rows.map(|rows| rows.cell(self.operation.row, column))
    }
}

impl Template {
    /// Compiles a template for its place; names that are not taken are columns.
    ///
    /// # Errors
    /// Wrong syntax, and names that are not known.
    pub(super) fn compile(source: &str, place: Place, columns: &[String]) -> Result<Self, TemplateError> {
        let kind = if !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark)) {
            Kind::Constant(source.to_owned(), Bytes::copy_from_slice(source.as_bytes()))
        } else if let Some(segments) = segments(source, columns) {
            Kind::Segments(segments)
        } else {
            Kind::Engine(Engine::compile(source, place, columns)?)
        };
        Ok(Self { place, kind })
    }

    /// The same template, whose errors quote nothing of it: it holds what came from the environment.
    pub(super) fn quiet(mut self) -> Self {
        if let Kind::Engine(engine) = &mut self.kind {
            engine.quiet = true;
        }
        self
    }

    /// Whether it renders the same text always.
    pub(super) fn is_constant(&self) -> bool {
        matches!(self.kind, Kind::Constant(..))
    }

    /// Whether it is text with plain names alone, so that what it does with one text it does with any.
    pub(super) fn is_plain(&self) -> bool {
        !matches!(self.kind, Kind::Engine(_))
    }

    /// How many values of [`Values::choice`] show each text that a `pick` may give.
    pub(super) fn choices(&self) -> usize {
        match &self.kind {
            Kind::Constant(..) => 1,
            Kind::Segments(segments) => segments.iter().map(Segment::choices).max().unwrap_or(1),
            Kind::Engine(engine) => engine.choices,
        }
    }

    /// The text for an operation.
    ///
    /// # Errors
    /// When a filter fails, or the place refuses what a placeholder stands for.
    pub(super) fn render(&self, values: &Values<'_>) -> Result<Cow<'_, str>, RenderError> {
        match &self.kind {
            Kind::Constant(text, _) => Ok(Cow::Borrowed(text)),
            Kind::Segments(segments) => self.render_segments(segments, values).map(Cow::Owned),
            Kind::Engine(engine) => engine.render(values).map(Cow::Owned),
        }
    }

    /// The text for an operation, as the body of a request.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub(super) fn render_bytes(&self, values: &Values<'_>) -> Result<Bytes, RenderError> {
        match &self.kind {
            Kind::Constant(_, bytes) => Ok(bytes.clone()),
            _ => self.render(values).map(|text| Bytes::from(text.into_owned())),
        }
    }

    fn render_segments(&self, segments: &[Segment], values: &Values<'_>) -> Result<String, RenderError> {
        // Ids of 36 letters are the usual thing to put in.
        let mut text = String::with_capacity(segments.iter().map(Segment::length).sum());
        for segment in segments {
            // A whole JSON value stands as it is, in a JSON body.
            let place = if segment.is_json() && self.place == Place::Json { Place::Text } else { self.place };
            let mut out = place::Escaped { place, out: &mut text };
            let written = match segment {
                Segment::Literal(literal) => {
                    text.push_str(literal);
                    Ok(())
                }
                Segment::Value { name, json } => name.write(values, *json, &mut out),
                Segment::Call { call, index, json } => call.make(values, *index).write(*json, &mut out),
            };
            written.map_err(|_| RenderError(place::REFUSAL.to_owned()))?;
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

/// The segments of a template that holds nothing but text and `{{ name }}` or `{{ name | json }}`, where a function with
/// constant arguments is as good as a name.
fn segments(source: &str, columns: &[String]) -> Option<Vec<Segment>> {
    if source.contains("{%") || source.contains("{#") {
        return None;
    }
    let mut segments = Vec::new();
    let mut draws = 0;
    let mut rest = source;
    while let Some((literal, after)) = rest.split_once("{{") {
        let (inner, after) = after.split_once("}}")?;
        let (name, filter) = inner.split_once('|').map_or((inner, None), |(name, filter)| (name, Some(filter.trim())));
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
    Some(segments)
}

impl fmt::Debug for Template {
    /// Not the text: it may hold what came from the environment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("place", &self.place).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPERATION: Operation = Operation { user: 3, step: 2, number: 1_003, variant: 0, row: 0 };

    fn rows(cells: [&str; 2]) -> Rows {
        let mut rows = Rows::new(vec!["id".to_owned(), "note".to_owned()]);
        rows.push(cells);
        rows
    }

    fn render_with(source: &str, place: Place, cells: [&str; 2]) -> Result<String, RenderError> {
        let rows = rows(cells);
        let template = Template::compile(source, place, rows.columns()).unwrap();
        let values = Values { clock: || SystemTime::UNIX_EPOCH, ..Values::new(Some(&rows), 42, &OPERATION) };
        template.render(&values).map(Cow::into_owned)
    }

    fn render(source: &str, place: Place) -> String {
        render_with(source, place, ["a/b ü", "say \"hi\"\n"]).unwrap()
    }

    #[test]
    fn each_place_escapes_in_its_own_way() {
        for (source, place, text) in [
            ("/x/{{ id }}?q={{id}}", Place::Path, "/x/a%2Fb%20%C3%BC?q=a%2Fb%20%C3%BC"),
            (r#"{"a": "{{ note }}"}"#, Place::Json, r#"{"a": "say \"hi\"\n"}"#),
            (r#"{"a": {{ note | json }}}"#, Place::Json, r#"{"a": "say \"hi\"\n"}"#),
            (r#"{"a": {{ user | json }}}"#, Place::Json, r#"{"a": 3}"#),
            ("<{{ note }}>", Place::Text, "<say \"hi\"\n>"),
            ("{{ note | json }}", Place::Text, r#""say \"hi\"\n""#),
            ("{{ note | json }}", Place::Path, "%22say%20%5C%22hi%5C%22%5Cn%22"),
            ("{{ unique }} {{ user }} {{ step }} {{ operation }}", Place::Header, "42-1003 3 2 1003"),
        ] {
            assert_eq!(render(source, place), text, "{source}");
        }
    }

    #[test]
    fn the_text_of_a_template_stays_as_written() {
        for source in ["/a b/%20", "a }} b\n", "{ }", ""] {
            for place in Place::ALL {
                assert_eq!(render(source, place), source);
            }
        }
        assert_eq!(render("\"{{ user }}\"\r\n", Place::Json), "\"3\"\r\n");
        assert_eq!(render("\"{{ user + 1 }}\"\r\n", Place::Json), "\"4\"\r\n");
    }

    #[test]
    fn the_engine_escapes_as_plain_names_do() {
        for (source, place, text) in [
            ("/x/{{ id ~ '' }}", Place::Path, "/x/a%2Fb%20%C3%BC"),
            (r#""{{ note | upper }}""#, Place::Json, r#""SAY \"HI\"\n""#),
            (
                "{{ [user, note, none, true, {'k': 1.5}] | json }}",
                Place::Json,
                r#"[3,"say \"hi\"\n",null,true,{"k":1.5}]"#,
            ),
            ("{% if user > 2 %}{{ unique }}{% else %}no{% endif %}", Place::Header, "42-1003"),
            ("{% set x %}{{ id }}{% endset %}{{ x }}", Place::Path, "a%2Fb%20%C3%BC"),
            ("{% for i in range(3) %}{{ i }}{% endfor %}", Place::Text, "012"),
        ] {
            assert_eq!(render(source, place), text, "{source}");
        }
    }

    #[test]
    fn a_header_refuses_what_would_break_its_line() {
        for source in ["{{ note }}", "{{ note | lower }}"] {
            for cell in ["a\r\nb", "a\nb", "ü", "\u{7f}"] {
                assert!(render_with(source, Place::Header, ["", cell]).is_err(), "{source} {cell:?}");
            }
            assert_eq!(render_with(source, Place::Header, ["", "a\tb c"]).unwrap(), "a\tb c");
        }
    }

    #[test]
    fn names_are_strict() {
        let columns = ["id".to_owned()];
        let unknown = |source: &str| match Template::compile(source, Place::Text, &columns) {
            Err(TemplateError::UnknownNames(names)) => names,
            other => panic!("{other:?}"),
        };
        assert_eq!(unknown("{{ idd }}{{ other }}{{ id }}"), ["idd", "other"]);
        assert_eq!(unknown("{% if nope %}{% endif %}"), ["nope"]);
        assert_eq!(unknown("{{ debug() }}"), ["debug"]);
        for wrong in ["{{", "{{ id", "{% if %}", "{{ id | }}", "{{ 1 + }}"] {
            assert!(
                matches!(Template::compile(wrong, Place::Text, &columns), Err(TemplateError::Syntax { .. })),
                "{wrong}"
            );
        }
    }

    #[test]
    fn nothing_gets_around_the_escaping_and_nothing_runs_for_ever() {
        for source in [
            "{{ id | safe }}",
            "{{ id | escape }}",
            "{% autoescape false %}{{ id }}{% endautoescape %}",
            "{{ id.x }}",
            "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
        ] {
            assert!(render_with(source, Place::Path, ["a", "b"]).is_err(), "{source}");
        }
    }

    #[test]
    fn a_template_without_placeholders_shares_its_body() {
        let template = Template::compile("{\"a\": 1}", Place::Json, &[]).unwrap();
        let values = Values::new(None, 1, &OPERATION);
        let (first, second) = (template.render_bytes(&values).unwrap(), template.render_bytes(&values).unwrap());
        assert_eq!(first.as_ptr(), second.as_ptr());
    }

    #[test]
    fn a_template_calls_functions() {
        for (source, text) in [
            ("{{ now }}", "1970-01-01T00:00:00.000Z"),
            ("{{ sequence() }} {{ sequence(-3) }} {{sequence(7, -2)}}", "1003 1000 -1999"),
            ("{{ random(5, 5) }} {{ pick('a\"b') | json }} {{ pick(3) }}", "5 \"a\\\"b\" 3"),
            ("{{ random(-1, -1) + 2 }} {{ pick('a') | upper }} {{ sequence(user, step) }}", "1 A 2009"),
        ] {
            assert_eq!(render(source, Place::Text), text, "{source}");
        }
        assert_eq!(render("{{ now }}", Place::Path), "1970-01-01T00%3A00%3A00.000Z");
        assert_eq!(render("\"{{ pick('\"') }}\"", Place::Json), "\"\\\"\"");
    }

    #[test]
    fn each_place_in_the_request_draws_a_value_of_its_own_and_the_same_one_again() {
        for source in ["{{ uuid }} {{ uuid }}", "{{ random(0, 1000000000) }} {{ random(0, 1000000000) | int }}"] {
            let template = Template::compile(source, Place::Text, &[]).unwrap();
            let of = |part, number| {
                let operation = Operation { number, ..OPERATION };
                template.render(&Values { part, ..Values::new(None, 1, &operation) }).unwrap().into_owned()
            };
            let (first, second) = (of(0, 1), of(1, 1));
            let drawn: std::collections::BTreeSet<_> = first.split(' ').chain(second.split(' ')).collect();
            assert_eq!(drawn.len(), 4, "{first} {second}");
            assert_eq!(of(0, 1), first);
            assert_ne!(of(0, 2), first);
        }
    }

    #[test]
    fn a_wrong_call_fails_when_it_is_rendered_and_says_why() {
        for (source, reason) in [
            ("{{ random(5, 1) }}", "write the smaller one first"),
            ("{{ random(1) }}", "`random` has 1 arguments"),
            ("{{ random('a', 2) }}", "write whole numbers"),
            ("{{ random(1.5, 2) }}", "texts and whole numbers"),
            ("{{ random(least=1, most=2) }}", "texts and whole numbers"),
            ("{{ pick() }}", "nothing to pick from"),
            ("{{ sequence(1, 2, 3) }}", "`sequence` has 3 arguments"),
            ("{{ random }}", "`random` is a function"),
            ("{{ pick | json }}", "JSON form"),
            ("{{ uuid() }}", "not callable"),
        ] {
            let error = render_with(source, Place::Json, ["", ""]).unwrap_err().to_string();
            assert!(error.contains(reason), "{source}: {error}");
        }
    }

    #[test]
    fn every_text_that_pick_may_give_is_shown_by_a_choice() {
        for source in ["{{ pick('a', 'b', 'c') }}", "{% if true %}{{ pick('a', 'b', 'c') }}{% endif %}"] {
            let template = Template::compile(source, Place::Text, &[]).unwrap();
            let shown = (0..template.choices()).map(|choice| {
                let values = Values { choice: Some(choice), ..Values::new(None, 1, &OPERATION) };
                template.render(&values).unwrap().into_owned()
            });
            let shown: std::collections::BTreeSet<_> = shown.collect();
            assert_eq!(shown.into_iter().collect::<String>(), "abc", "{source}");
        }
    }

    /// A call that is written plainly.
    fn call() -> impl Strategy<Value = String> {
        let whole = any::<i64>();
        prop_oneof![
            Just("{{ uuid }}".to_owned()),
            Just("{{ now|json }}".to_owned()),
            (whole, whole).prop_map(|(a, b)| format!("{{{{ random({}, {}) }}}}", a.min(b), a.max(b))),
            "[ -!#-\\[\\]-{~]{0,4}".prop_map(|text| format!("{{{{ pick(\"{text}\", 'x', -1) }}}}")),
            (whole, whole).prop_map(|(start, step)| format!("{{{{ sequence({start} ,{step}) | json }}}}")),
        ]
    }

    proptest! {
        #[test]
        fn a_json_text_reads_back(cell in any::<String>()) {
            for source in ["[\"{{ id }}\"]", "[{{ id | json }}]", "[\"{{ id ~ '' }}\"]"] {
                let body = render_with(source, Place::Json, [&cell, ""]).unwrap();
                prop_assert_eq!(serde_json::from_str::<[String; 1]>(&body).unwrap(), [cell.clone()]);
            }
        }

        #[test]
        fn segments_and_engine_give_the_same(
            parts in proptest::collection::vec(
                prop_oneof![
                    "[a-z \r\n}\"/]{0,4}",
                    Just("{{ id }}".to_owned()),
                    Just("{{note|json}}".to_owned()),
                    Just("{{ unique }}".to_owned()),
                    Just("{{ step | json }}".to_owned()),
                    call(),
                ],
                0..8,
            ),
            cells in ["[ -~]{0,6}", "\\PC{0,6}"],
        ) {
            let rows = rows([&cells[0], &cells[1]]);
            let values = Values { clock: || SystemTime::UNIX_EPOCH, ..Values::new(Some(&rows), 7, &OPERATION) };
            let source = parts.concat();
            for place in Place::ALL {
                let engine = Engine::compile(&source, place, rows.columns()).unwrap();
                let template = Template::compile(&source, place, rows.columns()).unwrap();
                prop_assert!(template.is_plain());
                prop_assert_eq!(template.render(&values).ok().map(Cow::into_owned), engine.render(&values).ok());
            }
        }
    }
}
