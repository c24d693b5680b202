//! Tables in Markdown.

use std::fmt;

/// A header and rows of as many cells, printed with aligned columns.
pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub fn new(header: [&str; N]) -> Self {
        let rows = vec![header.map(String::from)];
        Self { rows }
    }

    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.rows.iter().map(move |row| row[column].chars().count());
        let widths: [usize; N] = std::array::from_fn(|column| width(column).max().unwrap_or(0));
        for (index, row) in self.rows.iter().enumerate() {
            for (cell, width) in row.iter().zip(widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")?;
            if index == 0 {
                let rule: String = widths.map(|width| format!("|{:-<1$}", "", width + 2)).concat();
                writeln!(f, "{rule}|")?;
            }
        }
        Ok(())
    }
}
