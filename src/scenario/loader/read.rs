//! `[read]` and `[snapshot]`: how attributes are seen, and how they are put back after a run.

use std::time::Duration;

use super::rows::Columns;
use super::tree::{Field, Table};
use super::trial::Trial;
use super::variants::{Headers, Pair, compile, headers, request};
use crate::scenario::operation::rows_within_reach;
use crate::scenario::read::check_query;
use crate::scenario::snapshot::{ATTRIBUTES, CHANGED, all_with_marks, holds_all, is_marked};
use crate::scenario::template::{Place, Template};
use crate::scenario::variant::{Request, Variant};
use crate::scenario::{Data, Load, Pick, Read, Snapshot};
use crate::units::format::count;

const READ: [&str; 3] = ["path", "headers", "attributes"];
const SNAPSHOT: [&str; 4] = ["enabled", "most_rows", "settle", "restore"];
const RESTORE: [&str; 4] = ["method", "path", "headers", "body"];
const METHODS: [(&str, &str); 3] = [("PATCH", "PATCH"), ("PUT", "PUT"), ("POST", "POST")];

/// What puts attributes back where the scenario does not say: a write that merges keys, of those that are different.
const DEFAULT_BODY: &str = "{\"attributes\": {{ changed | json }}}";

const DEFAULT_MOST_ROWS: u64 = 10_000;
const DEFAULT_SETTLE: Duration = Duration::from_secs(1);

/// Reads `[read]`; `None` where it is not there, or after noting a mistake.
pub(super) fn read(root: &Table<'_>, columns: Columns<'_>, seed: u64) -> Option<Read> {
    let field = root.field("read")?;
    let trial = Trial::new(columns, seed, field.document.is_broken());
    let table = field.table(&READ)?;
    let hint = "write where in the answer they are, for example \"$.attributes\"";
    let attributes = table.required("attributes", hint).and_then(|field| {
        let text = field.text()?;
        let query = compile(&field, &text, Place::Query, &trial)?;
        trial.query(&field, &query.sent, &text, &|query| {
            // What came from the environment is not shown, and the problem quotes it, too.
            let shown = |error| {
                if text.substituted {
                    "gives what is no JSONPath".to_owned()
                } else {
                    format!("gives `{query}`, which is no JSONPath ({error})")
                }
            };
            check_query(query).map(|_| ()).map_err(|error| format!("{}; see RFC 9535", shown(error)).into())
        })?;
        Some(query)
    });
    let (sent, shown) = request(&table, &trial)?;
    let attributes = attributes?;
    Some(Read { sent, shown, attributes_shown: attributes.shown(), attributes: attributes.sent })
}

/// Reads `[snapshot]`; `None` where attributes are not to be put back, or after noting a mistake.
pub(super) fn snapshot(
    root: &Table<'_>,
    columns: Columns<'_>,
    (variants, load): (Option<&[Variant]>, Option<&Load>),
    seed: u64,
) -> Option<Snapshot> {
    let field = root.field("snapshot")?;
    let table = field.table(&SNAPSHOT)?;
    let hint = "write true to put attributes back after each run, or false";
    let enabled = table.required("enabled", hint)?.yes_or_no();
    let most_rows = table.or("most_rows", DEFAULT_MOST_ROWS, |field| field.whole(1..=u64::from(u32::MAX)));
    let settle = table.or("settle", DEFAULT_SETTLE, Field::duration);
    if enabled? && root.field("read").is_none() {
        field.mistake("needs to know how attributes are seen; add [read] with path and attributes");
    }
    let data = match columns {
        Columns::Data(data) => Some(data),
        Columns::None | Columns::Unknown => None,
    };
    // Without its load nobody knows which rows a run leaves alone.
    let reach = |data| variants.zip(load).map(|(variants, load)| rows_within_reach(data, variants, load) as u64);
    let reach = data.map_or(0, |data| reach(data).unwrap_or(data.rows.len() as u64));
    if reach > most_rows {
        field.mistake(format_args!(
            "would read {} rows, and `snapshot.most_rows` is {}; raise it, or use fewer rows",
            count(reach),
            count(most_rows)
        ));
    }
    let rows = data.map(|data| &data.rows);
    if let Some(name) =
        rows.and_then(|rows| rows.columns().iter().find(|name| [ATTRIBUTES, CHANGED].contains(&name.as_str())))
    {
        field.mistake(format_args!("gives `{name}` a meaning, and a column has that name, too; rename the column"));
        return None;
    }
    if let Some(variant) = variants.and_then(|variants| variants.iter().find(|variant| variant.data != 0)) {
        field.mistake(format_args!(
            "puts back the rows of the first table, and the variant `{}` changes those of another one; give a scenario of its \
             own to the variants of each table",
            variant.name
        ));
        return None;
    }
    let restore = table.field("restore");
    let restore = match &restore {
        Some(field) => Some(field.table(&RESTORE)?),
        None => None,
    };
    let restore = restore_of(restore.as_ref(), columns, variants, seed)?;
    enabled?.then_some(Snapshot { most_rows: usize::try_from(most_rows).unwrap_or(usize::MAX), settle, ..restore })
}

/// The request that puts attributes back.
fn restore_of(
    table: Option<&Table<'_>>,
    columns: Columns<'_>,
    variants: Option<&[Variant]>,
    seed: u64,
) -> Option<Snapshot> {
    let field = |key| table.and_then(|table| table.field(key));
    let is_broken = field("body").is_some_and(|field| field.document.is_broken());
    let trial = Trial::new(columns, seed, is_broken);
    let method = field("method").map_or(Some("PATCH"), |field| field.choice(&METHODS));
    let path = if let Some(field) = field("path") {
        let text = field.text()?;
        let path = compile(&field, &text, Place::Path, &trial)?;
        trial.path(&field, &path.sent, &text)?;
        path
    } else {
        let first = variants?.first()?;
        Pair { sent: first.sent.path.clone(), shown: first.shown.as_ref().map(|shown| shown.path.clone()) }
    };
    let mut all_headers = match (field("headers"), field("path")) {
        (Some(field), _) => headers(&field, &trial)?.0,
        // A request of its own takes nothing over.
        (None, Some(_)) => Vec::new(),
        (None, None) => headers_of(variants?.first()?),
    };
    if !all_headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        let json = Template::compile("application/json", Place::Header, &[]).ok()?;
        all_headers.push(("Content-Type".to_owned(), Pair { sent: json, shown: None }));
    }
    let rows = match columns {
        Columns::Data(data) => Some(&data.rows),
        Columns::None => None,
        // Nobody knows which names there are, and that has been noted.
        Columns::Unknown => return None,
    };
    let marked = Data { name: String::new(), rows: all_with_marks(rows), pick: Pick::Sequential };
    let marked = Trial::new(Columns::Data(&marked), seed, is_broken);
    let body = match field("body") {
        Some(field) => {
            let text = field.text()?;
            let body = compile(&field, &text, Place::Json, &marked)?;
            marked.json_body(&field, &body.sent, &text)?;
            marked.query(&field, &body.sent, &text, &|body| {
                let hint = "has no place for the earlier attributes, or one inside a text; write {{ attributes | json }} \
                            for all of them, or {{ changed | json }} for those that are different, without quotes";
                if is_marked(body) { Ok(()) } else { Err(hint.to_owned().into()) }
            })?;
            body
        }
        None => Pair { sent: Template::compile(DEFAULT_BODY, Place::Json, marked.columns()).ok()?, shown: None },
    };
    let shown = all_headers.iter().map(|(name, pair)| (name.clone(), pair.shown())).collect();
    let sent = all_headers.into_iter().map(|(name, pair)| (name, pair.sent)).collect();
    Some(Snapshot {
        most_rows: usize::MAX,
        settle: DEFAULT_SETTLE,
        method: method?.to_owned(),
        holds_all: marked.first(&body.sent).is_some_and(|body| holds_all(&body)),
        shown: Request { path: path.shown(), headers: shown, body: Some(body.shown()) },
        restore: Request { path: path.sent, headers: sent, body: Some(body.sent) },
    })
}

/// The headers of a variant, as they are sent and as they are shown.
fn headers_of(variant: &Variant) -> Headers {
    let shown = variant.shown.as_ref().map(|shown| shown.headers.iter().map(|(_, value)| value));
    let mut shown = shown.into_iter().flatten().cloned();
    let sent = variant.sent.headers.iter().cloned();
    sent.map(|(name, sent)| (name, Pair { sent, shown: shown.next() })).collect()
}
