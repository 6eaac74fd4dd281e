//! Columns that number the rows, rows that number the columns, and how the other cells are written.

use std::borrow::Cow;

/// A first row of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameRow {
    /// The first name.
    pub(super) first: String,
    /// Whether the first column has no name, as the index that pandas and R write.
    pub(super) has_unnamed_index: bool,
    /// Whether the first name is one of an index.
    pub(super) names_an_index: bool,
}

/// Columns from which on a first row 0, 1, ... is no example by chance.
const TOO_MANY: usize = 16;

/// Whether these are whole numbers in a row from `start` on, written without sign or point.
pub(super) fn consecutive<'a>(numbers: impl Iterator<Item = &'a str>, start: usize) -> bool {
    numbers.enumerate().all(|(index, cell)| is_count(cell, start + index))
}

/// Whether a row is exactly 0, 1, ...
pub(super) fn counts_from_zero(row: &[Cow<'_, str>]) -> bool {
    consecutive(row.iter().map(AsRef::as_ref), 0)
}

fn is_count(cell: &str, count: usize) -> bool {
    cell.parse() == Ok(count) && cell.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_whole(cell: &str) -> bool {
    let digits = cell.trim_start_matches(['+', '-']);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a first row 0, 1, ... is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    Header,
    Example,
    Unclear,
}

/// How cells are written, by column: with a point or an exponent, or as whole numbers.
#[derive(Debug, Default)]
pub(super) struct Written {
    real: Vec<bool>,
    whole: Vec<bool>,
    /// Whether some row is not one 1 among zeros.
    is_not_one_hot: bool,
}

impl Written {
    /// Takes note of a row.
    pub(super) fn take(&mut self, row: &[Cow<'_, str>]) {
        self.real.resize(row.len(), false);
        self.whole.resize(row.len(), false);
        let mut ones = 0;
        for (column, cell) in row.iter().enumerate() {
            let is_whole = is_whole(cell);
            self.whole[column] |= is_whole;
            self.real[column] |= !is_whole;
            ones += usize::from(cell == "1");
            self.is_not_one_hot |= cell != "0" && cell != "1";
        }
        self.is_not_one_hot |= ones != 1;
    }

    /// Whether some column has no whole number.
    pub(super) fn has_reals(&self) -> bool {
        self.whole.iter().zip(&self.real).any(|(whole, real)| *real && !whole)
    }

    /// What a first row 0, 1, ... over `rows` others is.
    ///
    /// pandas writes every column of reals with points and every column of whole numbers without, so that points
    /// everywhere make it a header and a column of both kinds makes it an example. Zeros and ones may be one-hot targets.
    pub(super) fn judge(&self, columns: usize, rows: usize) -> Numbering {
        let both = |(whole, real): (&bool, &bool)| *whole && *real;
        if rows == 0 || self.whole.iter().zip(&self.real).any(both) {
            return Numbering::Example;
        }
        if !self.whole.contains(&true) || columns >= TOO_MANY {
            return Numbering::Header;
        }
        match columns {
            1 => Numbering::Example,
            2 if !self.is_not_one_hot => Numbering::Example,
            _ if !self.is_not_one_hot => Numbering::Header,
            _ => Numbering::Unclear,
        }
    }
}

/// Whether a first column numbers the rows.
#[derive(Debug, Default)]
pub(super) struct Index {
    is_other: bool,
    starts_at_one: bool,
}

impl Index {
    /// Takes note of the first cell of row `row`, from 0.
    pub(super) fn take(&mut self, cell: &str, row: usize) {
        if row == 0 {
            self.starts_at_one = is_count(cell, 1);
        }
        self.is_other |= !is_count(cell, row + usize::from(self.starts_at_one));
    }

    /// Whether all of `rows` cells count, and there are some.
    pub(super) fn counts(&self, rows: usize) -> bool {
        rows > 0 && !self.is_other
    }

    /// As [`counts`](Self::counts), with 0 as the first.
    pub(super) fn counts_from_zero(&self, rows: usize) -> bool {
        self.counts(rows) && !self.starts_at_one
    }
}

/// Whether an index may have this cell: a whole number or a name.
pub(super) fn may_be_an_index(cell: &str) -> bool {
    is_whole(cell) || cell.parse::<f64>().is_err()
}
