//! Comma-separated values with a header row.

use std::io::Read;

use csv::{ByteRecord, ReaderBuilder};

use super::file::DataFile;
use crate::scenario::Rows;

/// The rows that are right. A byte order mark is skipped, blank lines are no rows, all else is told.
pub(super) fn read(input: impl Read, file: &mut DataFile<'_>) -> Rows {
    let mut reader = ReaderBuilder::new().flexible(true).has_headers(false).from_reader(input);
    let mut record = ByteRecord::new();
    let mut rows = None;
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                if let csv::ErrorKind::Io(error) = error.kind() {
                    file.broke_off(error);
                }
                break;
            }
        }
        match &mut rows {
            None => rows = Some(Rows::new(columns(&record, file))),
            Some(rows) => push(&record, rows, file),
        }
    }
    rows.unwrap_or_else(|| {
        file.mistake((1, 1), "the file is empty; begin with a header row that names the columns".to_owned());
        Rows::default()
    })
}

/// The names of the header row.
fn columns(header: &ByteRecord, file: &mut DataFile<'_>) -> Vec<String> {
    let line = line(header, file);
    let mut columns = Vec::new();
    for (cell, number) in header.iter().zip(1..) {
        if str::from_utf8(cell).is_err() {
            file.mistake((line, 1), format!("the name of column {number} is not UTF-8; save the file in UTF-8"));
        }
        columns.push(String::from_utf8_lossy(cell).trim().to_owned());
    }
    file.check_names(line, "column", &columns);
    columns
}

fn push(record: &ByteRecord, rows: &mut Rows, file: &mut DataFile<'_>) {
    let (cells, width) = (record.len(), rows.columns().len());
    if cells != width {
        let line = line(record, file);
        return file.mistake(
            (line, 1),
            format!("cells in the row: {cells}, columns in the header: {width}; write one cell for each column"),
        );
    }
    // One look at the whole row is quicker than one at each cell; a letter must not lie in two of them.
    let text = str::from_utf8(record.as_slice()).ok();
    let ranges = || (0..record.len()).filter_map(|cell| record.range(cell));
    if let Some(text) = text.filter(|text| ranges().all(|range| text.is_char_boundary(range.end))) {
        rows.push(ranges().map(|range| &text[range]));
    } else {
        let line = line(record, file);
        file.mistake((line, 1), "the row is not UTF-8; save the file in UTF-8".to_owned());
    }
}

/// The line of a record: the reader counts blank lines before it as its own.
fn line(record: &ByteRecord, file: &DataFile<'_>) -> usize {
    let Some(position) = record.position() else { return 1 };
    let mut line = usize::try_from(position.line()).unwrap_or(usize::MAX);
    let Some(text) = file.look(position.byte()) else { return line };
    for byte in text.bytes().map_while(Result::ok).take_while(|byte| matches!(byte, b'\r' | b'\n')) {
        line = line.saturating_add(usize::from(byte == b'\n'));
    }
    line
}
