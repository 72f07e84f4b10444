//! Figures in columns.

use std::fmt;

/// A title, a head, and rows; the first column is text, the others are figures.
pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, head: &[&str]) -> Self {
        Table { title: title.into(), rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.title)?;
        for row in &self.rows {
            writeln!(f)?;
            for (column, cell) in row.iter().enumerate() {
                match column {
                    0 => write!(f, "  {cell:<12}")?,
                    _ => write!(f, "{cell:>18}")?,
                }
            }
        }
        Ok(())
    }
}
