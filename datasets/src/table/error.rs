//! Texts that are no table of numbers, or could be two.

use std::io;

/// A text that cannot be read as rows of numbers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Not a text in a known encoding.
    #[error("it is {what}")]
    NotText {
        /// What it is, and what to do.
        what: &'static str,
    },
    /// Rows of different lengths.
    #[error("line {line} has {found} numbers, the lines before it {expected}{}", if *lacks_a_name {
        "; if the first value of a row is its name, write the rows without names (R: row.names = FALSE)"
    } else {
        ""
    })]
    Ragged {
        /// Line, from 1.
        line: usize,
        /// Cells found.
        found: usize,
        /// Cells of the lines before.
        expected: usize,
        /// Whether the line follows a header with one name too few.
        lacks_a_name: bool,
    },
    /// A cell that is no number.
    #[error("line {line}: {:?} is not a number{}", shortened(found), hint(found))]
    NotANumber {
        /// Line, from 1.
        line: usize,
        /// The cell.
        found: String,
    },
    /// A cell without a value.
    #[error(
        "row {row} (line {line}), column {column} is missing ({:?}); every example needs a number in every column: fill it in or \
         leave the example out",
        shortened(found)
    )]
    Missing {
        /// Line, from 1.
        line: usize,
        /// Row of numbers, from 1.
        row: usize,
        /// Column, from 1.
        column: usize,
        /// The cell.
        found: String,
    },
    /// An empty line among rows of one column.
    #[error(
        "line {line} is empty and the file has one column: is a number missing there? fill it in or remove the line"
    )]
    Blank {
        /// Line, from 1.
        line: usize,
    },
    /// A quote that does not end on its line.
    #[error("line {line} has a quote that is not closed")]
    OpenQuote {
        /// Line, from 1.
        line: usize,
    },
    /// A first row that may be a header of numbers or an example.
    #[error(
        "the first row counts from 0 to {}, which is a header of column numbers (pandas writes it) or an example; leave the header \
         out (to_csv(..., header=False)), or put a row of names first if it is an example",
        columns - 1
    )]
    Numbering {
        /// Number of columns.
        columns: usize,
    },
    /// A first column without a name that is no index.
    #[error(
        "the first column has no name, as the index that pandas writes, but line {line} has {:?} there; give the column a name, or \
         leave the index out (to_csv(..., index=False))",
        shortened(found)
    )]
    Unnamed {
        /// Line, from 1.
        line: usize,
        /// The cell.
        found: String,
    },
    /// A first column without a header that counts the rows.
    #[error(
        "the first column counts the rows from 0 to {}, which is an index (pandas writes it) or a feature; leave the index out \
         (to_csv(..., index=False)), or put a row of names first if it is a feature",
        rows - 1
    )]
    Counting {
        /// Number of rows.
        rows: usize,
    },
    /// The text could not be read.
    #[error("reading stopped: {0}")]
    Read(#[from] io::Error),
}

/// Enough of a cell to find it.
fn shortened(cell: &str) -> String {
    const LONGEST: usize = 40;
    if cell.chars().count() <= LONGEST {
        return cell.to_owned();
    }
    cell.chars().take(LONGEST).chain("...".chars()).collect()
}

fn hint(cell: &str) -> &'static str {
    let (whole, digits) = cell.split_once(',').unwrap_or_default();
    let whole = whole.trim_start_matches(['+', '-']);
    let is_decimal = !digits.is_empty() && whole.bytes().chain(digits.bytes()).all(|byte| byte.is_ascii_digit());
    if is_decimal {
        "; write decimals with a point (pandas: decimal=\".\")"
    } else if cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("false") {
        "; write 1 and 0"
    } else {
        ""
    }
}

/// What starts like this, if it is not a text of single bytes.
pub(super) fn kind_of(start: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 8] = [
        (b"\xff\xfe", "text in UTF-16; save it in UTF-8"),
        (b"\xfe\xff", "text in UTF-16; save it in UTF-8"),
        (b"\x93NUMPY", "a .npy array; give it the ending .npy"),
        (b"PK\x03\x04", "a zip archive, as .npz and .xlsx files are; save its numbers as .csv or .npy"),
        (b"\x1f\x8b", "compressed by gzip; unpack it"),
        (b"\x89HDF", "an HDF5 file; save its numbers as .csv or .npy"),
        (b"\xd0\xcf\x11\xe0", "an old Excel file; save it as .csv"),
        (b"MATLAB 5", "a MATLAB file; save its numbers as .csv or .npy"),
    ];
    let found = known.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, what)| *what);
    found.or_else(|| start.iter().take(512).any(|&byte| byte == 0).then_some("not text: it has zero bytes"))
}
