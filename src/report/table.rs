//! Columns of text, aligned with spaces.

use std::fmt::Write as _;

/// On which side of its column a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells; a column is as wide as its widest cell.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    sides: [Side; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with its heading.
    pub(super) fn new(columns: [(&str, Side); N]) -> Self {
        Self { sides: columns.map(|(_, side)| side), rows: vec![columns.map(|(name, _)| name.to_owned())] }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// The lines, two spaces between columns; a column without a single character takes no room.
    pub(super) fn lines(&self) -> String {
        let widths: [usize; N] =
            std::array::from_fn(|i| self.rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0));
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), side) in row.iter().zip(widths).zip(self.sides).filter(|((_, width), _)| *width > 0) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                let written = match side {
                    Side::Left => write!(line, "{cell:<width$}"),
                    Side::Right => write!(line, "{cell:>width$}"),
                };
                written.expect("memory takes any text");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_words_left() {
        let mut table = Table::new([("name", Side::Left), ("", Side::Left), ("count", Side::Right)]);
        table.row(["a".to_owned(), String::new(), "1".to_owned()]);
        table.row(["longest".to_owned(), String::new(), "1,000".to_owned()]);
        assert_eq!(table.lines(), "name     count\na            1\nlongest  1,000\n");
    }
}
