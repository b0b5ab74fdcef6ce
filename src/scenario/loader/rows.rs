//! `[data.NAME]`: the rows, from a CSV file or from the simulator's own population.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder};

use super::tree::{Field, Table, is_name};
use crate::scenario::template::OPERATION_NAMES;
use crate::scenario::{Data, Endpoint, Mistake, Participant, Pick, Role, Rows, population};

const KEYS: [&str; 4] = ["file", "from", "role", "pick"];
const ROLES: [(&str, Role); 2] = [("customer", Role::Customer), ("agent", Role::Agent)];

/// Mistakes of one data file that are told one by one.
const MOST_MISTAKES: usize = 10;

/// What templates may take columns from.
pub(super) enum Columns {
    /// Rows.
    Data(Data),
    /// The scenario has none.
    None,
    /// It means to have some, but they are wrong, which has been noted.
    Unknown,
}

impl Columns {
    /// The rows, where there are any.
    pub(super) fn into_data(self) -> Option<Data> {
        match self {
            Self::Data(data) => Some(data),
            Self::None | Self::Unknown => None,
        }
    }
}

/// Reads the table; `endpoint` is `None` where it is wrong, which has been noted.
pub(super) fn read(root: &Table<'_>, endpoint: Option<&Endpoint>) -> Columns {
    let Some(field) = root.field("data") else { return Columns::None };
    let Some(tables) = field.entries() else { return Columns::Unknown };
    for (name, field) in tables.iter().filter(|(name, _)| !is_name(name)) {
        field.mistake(format_args!("has the name `{name}`; use one or more of A-Z a-z 0-9 . _ -"));
    }
    let Some((_, first)) = tables.first() else {
        field.mistake("has no table; add one such as [data.participants], or remove it");
        return Columns::Unknown;
    };
    for (_, surplus) in &tables[1..] {
        surplus.mistake(format_args!(
            "stands beside `{}`, and this version reads one table; join them into one",
            first.name
        ));
    }
    data(first, endpoint).map_or(Columns::Unknown, Columns::Data)
}

fn data(field: &Field<'_>, endpoint: Option<&Endpoint>) -> Option<Data> {
    let table = field.table(&KEYS)?;
    let picks = [("sequential", Pick::Sequential), ("random", Pick::Random)];
    let pick = table.field("pick").and_then(|field| field.choice(&picks)).unwrap_or(Pick::Sequential);
    let rows = match (table.field("file"), table.field("from")) {
        (Some(file), None) => {
            if let Some(role) = table.field("role") {
                role.mistake("goes with `from` alone; leave the rows that you do not want out of the file");
            }
            file_rows(&file)
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
    Some(Data { rows: rows?, pick })
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

/// A data file while it is read.
struct File<'a> {
    field: &'a Field<'a>,
    /// The path to show.
    path: PathBuf,
    bytes: &'a [u8],
    mistakes: usize,
}

impl File<'_> {
    fn mistake(&mut self, line: usize, text: String) {
        self.mistakes += 1;
        if self.mistakes <= MOST_MISTAKES {
            self.field.document.note(Mistake { path: self.path.clone(), line, column: 1, text });
        }
    }

    /// The line of a record: the reader counts blank lines before it as its own.
    fn line(&self, record: &ByteRecord) -> usize {
        let Some(position) = record.position() else { return 1 };
        let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
        let blank = self.bytes.iter().skip(start).take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let line = usize::try_from(position.line()).unwrap_or(usize::MAX);
        line.saturating_add(blank.filter(|byte| **byte == b'\n').count())
    }
}

/// The rows of a CSV file with a header row.
fn file_rows(field: &Field<'_>) -> Option<Rows> {
    let text = field.text()?;
    let directory = field.document.path.parent().unwrap_or(Path::new(""));
    let bytes = match fs::read(directory.join(&text.value)) {
        Ok(bytes) => bytes,
        Err(error) => {
            let (shown, reason) = (&text.shown, error.kind());
            field.mistake(format_args!(
                "is `{shown}`, which cannot be read ({reason}); write a path relative to the scenario"
            ));
            return None;
        }
    };
    // The path may have come from the environment, so messages must not show it.
    let mut file = File { field, path: directory.join(&text.shown), bytes: &bytes, mistakes: 0 };
    let rows = parse(&mut file);
    if file.mistakes > MOST_MISTAKES {
        let (shown, mistakes) = (&text.shown, file.mistakes);
        field
            .mistake(format_args!("is `{shown}`, which has {mistakes} mistakes; the first {MOST_MISTAKES} are listed"));
    } else if file.mistakes == 0 && rows.is_empty() {
        field.mistake(format_args!("is `{}`, which has no rows below its header; add at least one", text.shown));
        return None;
    }
    (file.mistakes == 0).then_some(rows)
}

/// The rows that are right. A byte order mark is skipped, blank lines are no rows, all else is told.
fn parse(file: &mut File<'_>) -> Rows {
    let mut reader = ReaderBuilder::new().flexible(true).has_headers(false).from_reader(file.bytes);
    let mut record = ByteRecord::new();
    let mut rows = None;
    // Reading from memory cannot fail, and rows of any length are read.
    while reader.read_byte_record(&mut record).unwrap_or(false) {
        match &mut rows {
            None => rows = Some(Rows::new(columns(&record, file))),
            Some(rows) => push(&record, rows, file),
        }
    }
    rows.unwrap_or_else(|| {
        file.mistake(1, "the file is empty; begin with a header row that names the columns".to_owned());
        Rows::default()
    })
}

/// The names of the header row.
fn columns(header: &ByteRecord, file: &mut File<'_>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let line = file.line(header);
    let mut columns = Vec::new();
    for (i, cell) in header.iter().enumerate() {
        let number = i + 1;
        let name = str::from_utf8(cell).map(str::trim);
        match name {
            Err(_) => file.mistake(line, format!("the name of column {number} is not UTF-8; save the file in UTF-8")),
            Ok("") => file.mistake(line, format!("column {number} has no name; name it in the header row")),
            Ok(name) if OPERATION_NAMES.contains(&name) => {
                file.mistake(
                    line,
                    format!("column `{name}` bears a name that templates use for the operation; rename it"),
                );
            }
            Ok(name) if !seen.insert(name) => {
                file.mistake(line, format!("column `{name}` is there twice; rename one of them"));
            }
            Ok(_) => {}
        }
        columns.push(name.unwrap_or_default().to_owned());
    }
    columns
}

fn push(record: &ByteRecord, rows: &mut Rows, file: &mut File<'_>) {
    let line = file.line(record);
    let (cells, width) = (record.len(), rows.columns().len());
    if cells != width {
        return file.mistake(
            line,
            format!("cells in the row: {cells}, columns in the header: {width}; write one cell for each column"),
        );
    }
    let cells: Result<Vec<_>, _> = record.iter().map(str::from_utf8).collect();
    match cells {
        Ok(cells) => rows.push(cells),
        Err(_) => file.mistake(line, "the row is not UTF-8; save the file in UTF-8".to_owned()),
    }
}
