//! Data rows: what templates take their columns from.

use std::sync::Arc;

/// Rows, and the order in which operations take them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
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
}

/// A table of texts. A clone shares the cells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    columns: Arc<[String]>,
    cells: Arc<Vec<Box<str>>>,
}

impl Rows {
    /// An empty table with these columns.
    #[must_use]
    pub fn new(columns: Vec<String>) -> Self {
        Self { columns: columns.into(), cells: Arc::default() }
    }

    /// Appends a row; missing cells are empty, surplus ones dropped.
    pub fn push<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        let mut cells = cells.into_iter();
        let all = Arc::make_mut(&mut self.cells);
        for _ in 0..self.columns.len() {
            all.push(cells.next().unwrap_or_default().into());
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
        if self.columns.is_empty() { 0 } else { self.cells.len() / self.columns.len() }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The cells of a row, in the order of the columns.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[Box<str>] {
        let width = self.columns.len();
        &self.cells[row * width..(row + 1) * width]
    }
}
