//! Data rows: what templates take their columns from.

use std::sync::Arc;

/// A table of rows, and the order in which operations take them.
///
/// Which row an operation takes is a pure function of its number and the seed. So workers share no cursor and no lock: each
/// takes the rows of its own operations, whatever the others do, and the same scenario gives the same rows to the same
/// operations with any number of workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The name, as in `[data.NAME]`.
    pub name: String,
    /// The rows; at least one.
    pub rows: Rows,
    /// Which operation takes which row.
    pub pick: Pick,
}

/// Which operation takes which row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// One after the other, from the start again after the last.
    Sequential,
    /// Any, by the seed.
    Random,
    /// The operation's number is the row's: no row is taken twice, and where there is none left nothing more is due.
    Unique,
}

/// A table of texts. A clone shares the cells.
///
/// All cells stand in one text, with the end of each beside it: a million rows take little more than their text, in two
/// allocations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    columns: Arc<[String]>,
    cells: Arc<Cells>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Cells {
    /// Row by row.
    text: String,
    /// Where each cell ends. Four bytes, because short cells would be outweighed by eight.
    ends: Vec<u32>,
}

impl Cells {
    fn push(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.ends.push(u32::try_from(self.text.len()).expect("no table holds more than 4 GiB of text"));
    }

    fn start(&self, cell: usize) -> usize {
        cell.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }
}

impl Rows {
    /// The longest text of all cells together, in bytes.
    pub const LONGEST: u64 = u32::MAX as u64;

    /// An empty table with these columns.
    #[must_use]
    pub fn new(columns: Vec<String>) -> Self {
        Self { columns: columns.into(), cells: Arc::default() }
    }

    /// Appends a row; missing cells are empty, surplus ones dropped.
    ///
    /// # Panics
    /// When all cells together are longer than [`Rows::LONGEST`].
    pub fn push<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        let mut cells = cells.into_iter();
        let all = Arc::make_mut(&mut self.cells);
        for _ in 0..self.columns.len() {
            all.push(cells.next().unwrap_or_default());
        }
    }

    /// The names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.columns.is_empty() { 0 } else { self.cells.ends.len() / self.columns.len() }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.ends.is_empty()
    }

    /// The cell of a row in a column, both counted from 0.
    ///
    /// # Panics
    /// When there is no such cell.
    #[must_use]
    pub fn cell(&self, row: usize, column: usize) -> &str {
        let cell = row * self.columns.len() + column;
        &self.cells.text[self.cells.start(cell)..self.cells.ends[cell] as usize]
    }

    /// The cells of a row, in the order of the columns.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = &str> {
        (0..self.columns.len()).map(move |column| self.cell(row, column))
    }

    /// The length of all cells of a row, in bytes.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn length_of(&self, row: usize) -> usize {
        let width = self.columns.len();
        self.cells.start((row + 1) * width) - self.cells.start(row * width)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_cell_is_found_again(table in proptest::collection::vec(["\\PC{0,5}", "\\PC{0,5}"], 0..20)) {
            let mut rows = Rows::new(vec!["a".to_owned(), "b".to_owned()]);
            for row in &table {
                rows.push(row.iter().map(String::as_str));
            }
            prop_assert_eq!((rows.len(), rows.is_empty()), (table.len(), table.is_empty()));
            for (i, row) in table.iter().enumerate() {
                prop_assert_eq!(rows.row(i).collect::<Vec<_>>(), row.iter().map(String::as_str).collect::<Vec<_>>());
                prop_assert_eq!(rows.length_of(i), row[0].len() + row[1].len());
            }
        }
    }

    #[test]
    fn a_row_has_as_many_cells_as_there_are_columns() {
        let mut rows = Rows::new(vec!["a".to_owned(), "b".to_owned()]);
        rows.push(["1"]);
        rows.push(["1", "2", "3"]);
        assert_eq!([rows.row(0).collect::<Vec<_>>(), rows.row(1).collect()], [["1", ""], ["1", "2"]]);
    }
}
