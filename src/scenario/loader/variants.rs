//! `[[variant]]`: the shapes of the request, compiled and tried.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use super::body::{self, Body};
use super::environment::Text;
use super::rows::Tables;
use super::source::is_secret;
use super::tree::{Field, Table, hint, line_of};
use super::trial::Trial;
use crate::scenario::template::{Place, Template, TemplateError, WrongCall, is_header_value, known_names};
use crate::scenario::variant::{Request, Variant};

const KEYS: [&str; 10] =
    ["name", "method", "path", "headers", "body", "body_file", "data", "expect", "throttled_status", "weight"];
const METHODS: [(&str, &str); 3] = [("PATCH", "PATCH"), ("PUT", "PUT"), ("POST", "POST")];
const STATUSES: RangeInclusive<u64> = 100..=599;

/// A block holds each variant as often as its weight says, so weights are small numbers.
const MOST_WEIGHT: u64 = 1_000;

/// Headers that are not the scenario's to set, and why.
const TAKEN: [(&str, &str); 6] = [
    ("authorization", "comes from [target.auth]; set it there"),
    ("host", "comes from the target; remove it"),
    ("content-length", "comes from the body; remove it"),
    ("transfer-encoding", "comes from the connection; remove it"),
    ("connection", "comes from `load.connections`; remove it"),
    ("expect", "would make each request wait; remove it"),
];

const CONTENT_TYPE: &str = "Content-Type";
const JSON: &str = "application/json";

/// Reads all variants; `None` only after noting a mistake.
pub(super) fn read(root: &Table<'_>, tables: &Tables, seed: u64) -> Option<Vec<Variant>> {
    let field = root.required("variant", "add a [[variant]] with name, path, body and expect")?;
    if field.is_table() {
        field.mistake("is one table; write [[variant]] with two brackets, also for a single one");
        return None;
    }
    let items = field.items()?;
    if items.is_empty() {
        field.mistake("is empty; add a [[variant]] with name, path, body and expect");
    }
    let mut names = BTreeSet::new();
    let variants: Vec<_> = items.iter().map(|item| variant(item, (tables, seed), &mut names)).collect();
    variants.into_iter().collect()
}

fn variant(field: &Field<'_>, (tables, seed): (&Tables, u64), names: &mut BTreeSet<String>) -> Option<Variant> {
    let table = field.table(&KEYS)?;
    let (data, columns) = tables.of(table.field("data").as_ref());
    let name = table.required("name", "name the variant, for example \"attributes\"");
    let name = name.and_then(|field| {
        let name = field.name()?;
        if name == "all" {
            field.mistake("is what the reports call all variants together; take another name");
        }
        if !names.insert(name.clone()) {
            field.mistake("is the name of another variant too; give each its own");
        }
        Some(name)
    });
    let method = match table.field("method") {
        Some(field) => field.choice(&METHODS),
        None => Some("PATCH"),
    };
    let expect = table.required("expect", "write the statuses that mean success, for example [202]");
    let expect = expect.and_then(|field| statuses(&field));
    if let (Some(field), Some([])) = (table.field("expect"), expect.as_deref()) {
        field.mistake("is empty; write the statuses that mean success, for example [202]");
    }
    let throttled = table.field("throttled_status").and_then(|field| statuses(&field)).unwrap_or_default();
    let is_throttled = |status: &&u16| **status == 429 || throttled.contains(status);
    if let (Some(field), Some(both)) = (table.field("expect"), expect.iter().flatten().find(is_throttled)) {
        field.mistake(format_args!("has {both}, which means that a quota refused the request; remove it here"));
    }
    let weight = table.field("weight").and_then(|field| field.whole::<u32>(1..=MOST_WEIGHT));
    let (sent, shown) = request(&table, &Trial::new(columns, seed, field.document.is_broken()))?;
    Some(Variant {
        name: name?,
        method: method?.to_owned(),
        expect: expect?,
        throttled_status: throttled,
        weight: weight.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN),
        data,
        sent,
        shown,
    })
}

fn statuses(field: &Field<'_>) -> Option<Vec<u16>> {
    let statuses: Vec<_> = field.items()?.iter().map(|item| item.whole(STATUSES)).collect();
    statuses.into_iter().collect()
}

/// A template as it is sent and, where the environment was put in, as it is shown.
pub(super) struct Pair {
    pub(super) sent: Template,
    pub(super) shown: Option<Template>,
}

impl Pair {
    pub(super) fn shown(&self) -> Template {
        self.shown.clone().unwrap_or_else(|| self.sent.clone())
    }
}

/// The request as it is sent and, where the environment was put in, as it is shown.
pub(super) fn request(table: &Table<'_>, trial: &Trial<'_>) -> Option<(Request, Option<Request>)> {
    let path = table.required("path", "write the path after the host, for example \"/api/v2/items/{{ id }}\"");
    let path = path.and_then(|field| {
        let text = field.text()?;
        if !text.value.starts_with('/') {
            field.mistake("does not begin with `/`; write the path after the host");
            return None;
        }
        let path = compile(&field, &text, Place::Path, trial)?;
        trial.path(&field, &path.sent, &text)?;
        Some(path)
    });
    let headers = match table.field("headers") {
        Some(field) => headers(&field, trial),
        None => Some((Vec::new(), None)),
    };
    // A broken header table may have said what the body is.
    let content_type = headers.as_ref().and_then(|(_, content_type)| content_type.clone());
    let has_type = headers.is_none() || content_type.is_some();
    let place = match content_type {
        Some(content_type) if !content_type.to_ascii_lowercase().contains("json") => Place::Text,
        None if headers.is_none() => Place::Text,
        _ => Place::Json,
    };
    let body = match body::read(table) {
        Body::Text(field, text) => {
            let body = compile(&field, &text, place, trial)?;
            if place == Place::Json {
                trial.json_body(&field, &body.sent, &text)?;
            } else {
                trial.text(&field, &body.sent, &text)?;
            }
            Some(body)
        }
        Body::Wrong => return None,
        Body::Absent => None,
    };
    let (mut headers, _) = headers?;
    let path = path?;
    if body.is_some() && !has_type {
        let sent = Template::compile(JSON, Place::Header, &[]).ok()?;
        headers.push((CONTENT_TYPE.to_owned(), Pair { sent, shown: None }));
    }
    let is_substituted = path.shown.is_some()
        || body.iter().chain(headers.iter().map(|(_, pair)| pair)).any(|pair| pair.shown.is_some());
    let shown = is_substituted.then(|| Request {
        path: path.shown(),
        headers: headers.iter().map(|(name, pair)| (name.clone(), pair.shown())).collect(),
        body: body.as_ref().map(Pair::shown),
    });
    let sent = Request {
        path: path.sent,
        headers: headers.into_iter().map(|(name, pair)| (name, pair.sent)).collect(),
        body: body.map(|pair| pair.sent),
    };
    Some((sent, shown))
}

/// Names and values of headers.
pub(super) type Headers = Vec<(String, Pair)>;

/// The headers, and the template of `Content-Type` where there is one.
pub(super) fn headers(field: &Field<'_>, trial: &Trial<'_>) -> Option<(Headers, Option<String>)> {
    let mut names = BTreeSet::new();
    let mut headers = Vec::new();
    let mut content_type = None;
    let mut is_right = true;
    for (name, field) in field.entries()? {
        let lower = name.to_ascii_lowercase();
        let header = header(&lower, &field, trial);
        if !names.insert(lower.clone()) {
            field.mistake("is there twice, in other capitals; keep one of them");
        }
        let Some((text, pair)) = header else {
            is_right = false;
            continue;
        };
        if lower == "content-type" {
            content_type = Some(text.value);
        }
        headers.push((name.to_owned(), pair));
    }
    is_right.then_some((headers, content_type))
}

fn header(name: &str, field: &Field<'_>, trial: &Trial<'_>) -> Option<(Text, Pair)> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        field.mistake("is no name of a header; use letters, digits and `-`");
        return None;
    }
    if let Some((_, reason)) = TAKEN.iter().find(|(taken, _)| *taken == name) {
        field.mistake(reason);
        return None;
    }
    let text = if is_secret(name) { field.secret()? } else { field.text()? };
    if !is_header_value(&text.value) {
        field.mistake("holds a line break or another character that is not visible ASCII; write one line of ASCII");
        return None;
    }
    let pair = compile(field, &text, Place::Header, trial)?;
    trial.header(field, &pair.sent, &text)?;
    Some((text, pair))
}

pub(super) fn compile(field: &Field<'_>, text: &Text, place: Place, trial: &Trial<'_>) -> Option<Pair> {
    // What comes from the environment is text, never a template.
    let marks = |text: &str| ["{{", "{%", "{#"].map(|mark| text.matches(mark).count());
    if text.substituted && marks(&text.value) != marks(&text.shown) {
        field.mistake("has a value from the environment that holds the marks of a template; use a value without them");
        return None;
    }
    let columns = trial.columns();
    match Template::compile(&text.value, place, columns) {
        Ok(sent) if text.substituted => {
            let shown = Template::compile(&text.shown, place, columns).ok();
            Some(Pair { sent: sent.quiet(), shown: Some(shown.or_else(|| Template::compile("***", place, &[]).ok())?) })
        }
        Ok(sent) => Some(Pair { sent, shown: None }),
        Err(TemplateError::Syntax { line, .. }) if text.substituted => {
            field.mistake_in_line(
                line,
                "is no template with the values from the environment; check the text between `{{` and `}}`",
            );
            None
        }
        Err(TemplateError::Syntax { line, text }) => {
            let error = format_args!("is no template ({text}); check the text between `{{{{` and `}}}}`");
            field.mistake_in_line(line, error);
            None
        }
        Err(TemplateError::WrongCalls(_)) if text.substituted => {
            field.mistake("makes a call that fails with the values from the environment; check filters and functions");
            None
        }
        Err(TemplateError::WrongCalls(calls)) => {
            for WrongCall { line, text } in calls {
                field.mistake_in_line(line, format_args!("cannot be rendered: {text}"));
            }
            None
        }
        // The columns are wrong, which has been noted; nobody knows which names there are.
        Err(TemplateError::UnknownNames(_)) if trial.is_blind() => None,
        Err(TemplateError::UnknownNames(names)) => {
            for name in names {
                let shown = if text.shown.contains(&name) { format!("`{name}`") } else { "a name".to_owned() };
                let hint = hint(&name, &known_names(columns));
                let line = line_of(&text.value, &name);
                field.mistake_in_line(line, format_args!("uses {shown}, which is no column and no known name; {hint}"));
            }
            None
        }
    }
}
