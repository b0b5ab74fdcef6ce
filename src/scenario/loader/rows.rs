//! `[data.NAME]`: tables of rows, from a file or from the simulator's own population.

mod comma;
mod file;
mod lines;

use super::tree::{Field, Table, hint, is_name};
use crate::scenario::{Data, Endpoint, Participant, Pick, Role, Rows, population};

const KEYS: [&str; 4] = ["file", "from", "role", "pick"];
const ROLES: [(&str, Role); 2] = [("customer", Role::Customer), ("agent", Role::Agent)];
const PICKS: [(&str, Pick); 3] = [("sequential", Pick::Sequential), ("random", Pick::Random), ("unique", Pick::Unique)];

/// What templates may take columns from.
pub(super) struct Tables {
    /// The tables in the order of the file, `None` for one that is wrong, which has been noted.
    tables: Vec<(String, Option<Data>)>,
    /// Whether nobody knows which tables there are, which has been noted.
    is_unknown: bool,
}

/// What the templates of one variant may take columns from.
#[derive(Clone, Copy)]
pub(super) enum Columns<'a> {
    /// A table.
    Data(&'a Data),
    /// The scenario has none.
    None,
    /// It means to have some, but they are wrong, which has been noted.
    Unknown,
}

impl Tables {
    /// The tables, in a scenario that is right.
    pub(super) fn into_data(self) -> Vec<Data> {
        self.tables.into_iter().filter_map(|(_, data)| data).collect()
    }

    /// Index and columns of the table that `data` names, of the first one where it is absent.
    pub(super) fn of(&self, field: Option<&Field<'_>>) -> (usize, Columns<'_>) {
        let index = match field {
            None => Some(0),
            Some(field) => self.named(field),
        };
        let columns = match index {
            _ if self.is_unknown => Columns::Unknown,
            None => Columns::Unknown,
            Some(index) => match self.tables.get(index) {
                None => Columns::None,
                Some((_, None)) => Columns::Unknown,
                Some((_, Some(data))) => Columns::Data(data),
            },
        };
        (index.unwrap_or(0), columns)
    }

    fn named(&self, field: &Field<'_>) -> Option<usize> {
        let text = field.text()?;
        let index = self.tables.iter().position(|(name, _)| *name == text.value);
        if index.is_none() && !self.is_unknown {
            let known: Vec<_> = self.tables.iter().map(|(name, _)| name.as_str()).collect();
            let hint = match known.as_slice() {
                [] => format!("add [data.{}]", text.shown),
                known => hint(&text.shown, known),
            };
            field.mistake(format_args!("is `{}`, and there is no such table; {hint}", text.shown));
        }
        index
    }
}

/// Reads the tables; `endpoint` is `None` where it is wrong, which has been noted.
pub(super) fn read(root: &Table<'_>, endpoint: Option<&Endpoint>) -> Tables {
    let unknown = Tables { tables: Vec::new(), is_unknown: true };
    let Some(field) = root.field("data") else { return Tables { tables: Vec::new(), is_unknown: false } };
    let Some(tables) = field.entries() else { return unknown };
    for (name, field) in tables.iter().filter(|(name, _)| !is_name(name)) {
        field.mistake(format_args!("has the name `{name}`; use one or more of A-Z a-z 0-9 . _ -"));
    }
    if tables.is_empty() {
        field.mistake("has no table; add one such as [data.participants], or remove it");
        return unknown;
    }
    // `[data]` with the keys of a table: nobody knows its name.
    let is_unknown = tables.iter().any(|(_, field)| !field.is_table());
    let read = |(name, field): &(&str, Field<'_>)| ((*name).to_owned(), data(name, field, endpoint));
    Tables { tables: tables.iter().map(read).collect(), is_unknown }
}

fn data(name: &str, field: &Field<'_>, endpoint: Option<&Endpoint>) -> Option<Data> {
    let table = field.table(&KEYS)?;
    let pick = table.field("pick").and_then(|field| field.choice(&PICKS)).unwrap_or(Pick::Sequential);
    let rows = match (table.field("file"), table.field("from")) {
        (Some(file), None) => {
            if let Some(role) = table.field("role") {
                role.mistake("goes with `from` alone; leave the rows that you do not want out of the file");
            }
            file::read(&file)
        }
        (None, Some(from)) => population_rows(&table, &from, endpoint),
        (Some(_), Some(from)) => {
            from.mistake("stands beside `file`; keep the one that you mean");
            None
        }
        (None, None) => {
            table.mistake("has neither `file` nor `from`; write file = \"rows.csv\" or from = \"simulator\"");
            None
        }
    };
    Some(Data { name: name.to_owned(), rows: rows?, pick })
}

fn population_rows(table: &Table<'_>, from: &Field<'_>, endpoint: Option<&Endpoint>) -> Option<Rows> {
    let role = table.field("role").and_then(|field| field.choice(&ROLES));
    from.choice(&[("simulator", ())])?;
    let Endpoint::Simulator(simulator) = endpoint? else {
        from.mistake("is `simulator`, but the target is another server; write file = \"rows.csv\"");
        return None;
    };
    let mut rows = Rows::new(Participant::COLUMNS.map(str::to_owned).to_vec());
    for participant in population(simulator) {
        if role.is_none_or(|role| role == participant.role) {
            rows.push(participant.cells());
        }
    }
    Some(rows)
}
