//! Rows of numbers in a text file: CSV and its relatives, as spreadsheets, pandas, numpy and R write them.
//!
//! One row is one example. Separators are commas, semicolons, tabs, bars or blanks, whichever makes numbers of the first
//! rows. Lines that start with `#` are remarks. A first row of names is a header. What could be an example as well as
//! something else, or is missing, is refused: no example is dropped, added or changed without a word.

mod cells;
mod columns;
mod error;

use std::borrow::Cow;
use std::io::{self, BufRead};

use cells::{Separator, header_of, is_missing, number, split};
use columns::{Index, NameRow, Numbering, Written};

pub use error::TableError;

/// Lines by which the separator is found.
const SAMPLE: usize = 16;

/// Numbers of a text file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// `rows x columns`, row-major.
    pub values: Vec<f64>,
    /// Number of rows, 0 for a file without numbers.
    pub rows: usize,
    /// Numbers in a row.
    pub columns: usize,
    /// What was taken for something else than numbers, each in a sentence without its beginning.
    pub remarks: Vec<String>,
    /// Whether the first row counts the columns from 0, as a header of pandas does, and was read as numbers.
    pub starts_with_numbering: bool,
}

/// What a text of numbers holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextSize {
    /// Lines with something in them, a header and remarks among them.
    pub rows: usize,
    /// Numbers, names and whatever else stands between separators.
    pub numbers: usize,
}

/// Counts a text of numbers to its end without keeping any, so that what it takes is known before it is read.
///
/// # Errors
/// A source that cannot be read.
pub fn size(mut source: impl BufRead) -> io::Result<TextSize> {
    let mut size = TextSize::default();
    let (mut is_in_row, mut is_in_number) = (false, false);
    loop {
        let bytes = source.fill_buf()?;
        if bytes.is_empty() {
            return Ok(size);
        }
        for byte in bytes {
            let ends_row = matches!(byte, b'\n' | b'\r');
            let separates = ends_row || matches!(byte, b' ' | b',' | b';' | b'\t' | b'|');
            size.rows += usize::from(!separates && !is_in_row);
            size.numbers += usize::from(!separates && !is_in_number);
            is_in_row = !ends_row && (is_in_row || !separates);
            is_in_number = !separates;
        }
        let count = bytes.len();
        source.consume(count);
    }
}

/// Reads a text of numbers to its end.
///
/// # Errors
/// [`TableError`] names line and column of what is no number, is missing, or can be understood in two ways.
pub fn read(source: impl BufRead) -> Result<Table, TableError> {
    let mut lines = NumberedLines::new(source)?;
    let mut sample = Vec::new();
    while sample.len() < SAMPLE
        && let Some(line) = lines.next_line()?
    {
        sample.push(line);
    }
    let announced = sample.first().and_then(|(_, text)| Separator::announced(text));
    sample.drain(..usize::from(announced.is_some()));
    let texts: Vec<&str> = sample.iter().map(|(_, text)| text.as_str()).collect();
    let mut reader = RowReader::new(announced.unwrap_or_else(|| Separator::of(&texts)));
    for (line, text) in sample {
        reader.take(line, &text)?;
    }
    while let Some((line, text)) = lines.next_line()? {
        reader.take(line, &text)?;
    }
    reader.finish(lines.blank)
}

/// Lines with something in them, and their numbers from 1.
struct NumberedLines<R> {
    source: R,
    /// Parts of the last line read that stand between carriage returns, the last one first.
    parts: Vec<String>,
    number: usize,
    /// The first line without anything that has a line with something before and after it.
    blank: Option<usize>,
    open_blank: Option<usize>,
    has_started: bool,
}

impl<R: BufRead> NumberedLines<R> {
    fn new(mut source: R) -> Result<Self, TableError> {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let start = source.fill_buf()?;
        if let Some(what) = error::kind_of(start) {
            return Err(TableError::NotText { what });
        }
        if start.starts_with(BYTE_ORDER_MARK) {
            source.consume(BYTE_ORDER_MARK.len());
        }
        Ok(Self { source, parts: Vec::new(), number: 0, blank: None, open_blank: None, has_started: false })
    }

    fn next_line(&mut self) -> Result<Option<(usize, String)>, io::Error> {
        loop {
            let Some(text) = self.next_part()? else { return Ok(None) };
            self.number += 1;
            let text = text.trim_matches(|c: char| c.is_whitespace() && c != '\t');
            if cells::is_remark(text) {
                continue;
            }
            if text.trim().is_empty() {
                if self.has_started {
                    self.open_blank = self.open_blank.or(Some(self.number));
                }
                continue;
            }
            self.has_started = true;
            self.blank = self.blank.or(self.open_blank);
            return Ok(Some((self.number, text.to_owned())));
        }
    }

    /// A line that ends in LF, CR LF or CR.
    fn next_part(&mut self) -> Result<Option<String>, io::Error> {
        if self.parts.is_empty() {
            let mut bytes = Vec::new();
            if self.source.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            let text = String::from_utf8_lossy(&bytes);
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            self.parts = text.rsplit('\r').map(str::to_owned).collect();
        }
        Ok(self.parts.pop())
    }
}

/// The rows so far.
struct RowReader {
    separator: Separator,
    header: Option<NameRow>,
    table: Table,
    /// How the cells below the first row are written, by column.
    written: Written,
    index: Index,
    /// Number of the first line, and whether it is exactly 0, 1, ...
    first: Option<(usize, bool)>,
    /// Whether the first line ended in a separator.
    has_open_end: bool,
}

impl RowReader {
    fn new(separator: Separator) -> Self {
        Self {
            separator,
            header: None,
            table: Table::default(),
            written: Written::default(),
            index: Index::default(),
            first: None,
            has_open_end: false,
        }
    }

    fn take(&mut self, line: usize, text: &str) -> Result<(), TableError> {
        let mut row = split(text, self.separator).map_err(|()| TableError::OpenQuote { line })?;
        let ends_open = row.len() > 1 && row.last().is_some_and(|cell| cell.is_empty());
        if self.first.is_none() {
            if ends_open {
                row.pop();
            }
            self.has_open_end = ends_open;
            self.header = header_of(&row);
            let is_numbering = columns::counts_from_zero(&row);
            self.first = Some((line, is_numbering));
            self.table.columns = row.len();
            if let Some(header) = &self.header {
                self.table.columns -= usize::from(header.has_unnamed_index);
                return Ok(());
            }
            self.table.starts_with_numbering = is_numbering;
            return self.push(line, &row, !is_numbering);
        }
        let has_unnamed_index = self.header.as_ref().is_some_and(|header| header.has_unnamed_index);
        let expected = self.table.columns + usize::from(has_unnamed_index);
        if row.len() == expected + 1 && ends_open {
            row.pop();
        } else if row.len() == expected + 1 && self.has_open_end && self.header.is_none() {
            let (line, _) = self.first.unwrap_or_default();
            return Err(TableError::Missing { line, row: 1, column: row.len(), found: String::new() });
        }
        if row.len() != expected {
            let lacks_a_name = self.header.is_some() && self.table.rows == 0 && row.len() == expected + 1;
            return Err(TableError::Ragged { line, found: row.len(), expected, lacks_a_name });
        }
        if has_unnamed_index {
            let name = row.remove(0);
            if !columns::may_be_an_index(&name) {
                return Err(TableError::Unnamed { line, found: name.into_owned() });
            }
        }
        self.push(line, &row, true)
    }

    fn push(&mut self, line: usize, row: &[Cow<'_, str>], counts: bool) -> Result<(), TableError> {
        let number_of_row = self.table.rows + 1;
        for (column, cell) in row.iter().enumerate() {
            match number(cell) {
                Some(value) => self.table.values.push(value),
                None if is_missing(cell) => {
                    let (row, column, found) = (number_of_row, column + 1, cell.clone().into_owned());
                    return Err(TableError::Missing { line, row, column, found });
                }
                None => return Err(TableError::NotANumber { line, found: cell.clone().into_owned() }),
            }
        }
        if counts {
            self.written.take(row);
        }
        if self.table.columns > 1 {
            self.index.take(&row[0], self.table.rows);
        }
        self.table.rows += 1;
        Ok(())
    }

    fn finish(mut self, blank: Option<usize>) -> Result<Table, TableError> {
        let Some((_, is_numbering)) = self.first else { return Ok(Table::default()) };
        if self.table.columns == 1
            && let Some(line) = blank
        {
            return Err(TableError::Blank { line });
        }
        if is_numbering && self.header.is_none() {
            match self.written.judge(self.table.columns, self.table.rows - 1) {
                Numbering::Header => self.drop_first_row(),
                Numbering::Example => {}
                Numbering::Unclear => return Err(TableError::Numbering { columns: self.table.columns }),
            }
        }
        if let Some(header) = self.header.take() {
            if header.has_unnamed_index {
                let text = "the first column has no name and numbers or names the rows: it is left out";
                self.table.remarks.push(text.to_owned());
            } else if header.names_an_index && self.index.counts(self.table.rows) && self.table.columns > 1 {
                self.drop_first_column();
                let text = format!("the first column, {:?}, counts the rows: it is left out", header.first);
                self.table.remarks.push(text);
            }
        } else if !is_numbering
            && self.table.rows > 2
            && self.index.counts_from_zero(self.table.rows)
            && self.written.has_reals()
        {
            return Err(TableError::Counting { rows: self.table.rows });
        }
        self.table.values.shrink_to_fit();
        Ok(self.table)
    }

    fn drop_first_row(&mut self) {
        self.table.values.drain(..self.table.columns);
        self.table.rows -= 1;
        self.table.starts_with_numbering = false;
        let last = self.table.columns - 1;
        let numbers = match last {
            0 => "0".to_owned(),
            1 => "0, 1".to_owned(),
            last => format!("0, 1, ... {last}"),
        };
        self.table.remarks.push(format!("the first row, {numbers}, numbers the columns: it is taken for a header"));
    }

    fn drop_first_column(&mut self) {
        let columns = self.table.columns;
        let mut place = 0;
        self.table.values.retain(|_| {
            place += 1;
            (place - 1) % columns != 0
        });
        self.table.columns -= 1;
    }
}

#[cfg(test)]
mod tests;
