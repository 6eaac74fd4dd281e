//! A line as cells, and a cell as a number, a name or nothing.

use std::borrow::Cow;

use super::columns::{NameRow, consecutive};

/// What stands between two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    /// One character.
    Character(char),
    /// Blanks and tabs, as many as there are.
    Blanks,
    /// Nothing: a line is a number.
    None,
}

/// The separators known, those first that cannot be part of a number in any country.
const SEPARATORS: [Separator; 5] = [
    Separator::Character(';'),
    Separator::Character(','),
    Separator::Character('\t'),
    Separator::Character('|'),
    Separator::Blanks,
];

impl Separator {
    /// The separator that a first line `sep=;` tells to Excel.
    pub(super) fn announced(line: &str) -> Option<Self> {
        let mut rest = line.trim_matches('"').strip_prefix("sep=")?.chars();
        rest.next().filter(|_| rest.next().is_none()).map(Self::Character)
    }

    /// The separator that makes numbers of these lines, whose first may be a header; else the first that occurs.
    pub(super) fn of(lines: &[&str]) -> Self {
        let rows = if lines.len() > 1 { &lines[1..] } else { lines };
        let makes_numbers = |separator: &Separator| {
            rows.iter().all(|line| {
                split(line, *separator).is_ok_and(|cells| {
                    cells.len() > 1 && cells.iter().all(|cell| number(cell).is_some() || is_missing(cell))
                })
            })
        };
        if let Some(found) = SEPARATORS.into_iter().find(makes_numbers).filter(|_| !rows.is_empty()) {
            return found;
        }
        // Not the comma before the tab: it may be a decimal comma.
        let occurs =
            |mark: char| lines.iter().any(|line| split(line, Self::Character(mark)).is_ok_and(|c| c.len() > 1));
        let mark = [';', '\t', ',', '|'].into_iter().find(|mark| occurs(*mark)).map(Self::Character);
        // The name of a single column may have blanks, two numbers are two columns.
        let has_blanks = lines.iter().enumerate().any(|(index, line)| {
            let is_header =
                lines.len() > 1 && index == 0 && split(line, Self::Blanks).is_ok_and(|c| c.iter().any(|c| is_name(c)));
            !is_header && split(line, Self::Blanks).is_ok_and(|cells| cells.len() > 1)
        });
        mark.unwrap_or(if has_blanks { Self::Blanks } else { Self::None })
    }
}

/// The cells of a line without the blanks and quotes around them; an error for a quote that is not closed.
pub(super) fn split(line: &str, separator: Separator) -> Result<Vec<Cow<'_, str>>, ()> {
    if !line.contains('"') {
        return Ok(match separator {
            Separator::Character(mark) => line.split(mark).map(|cell| Cow::Borrowed(cell.trim())).collect(),
            Separator::Blanks => line.split_whitespace().map(Cow::Borrowed).collect(),
            Separator::None => vec![Cow::Borrowed(line.trim())],
        });
    }
    let mut cells = Vec::new();
    let mut cell = String::new();
    let (mut is_quoted, mut was_quoted) = (false, false);
    let mut characters = line.chars().peekable();
    let is_between = |c: char| match separator {
        Separator::Character(mark) => c == mark,
        Separator::Blanks => c.is_whitespace(),
        Separator::None => false,
    };
    while let Some(c) = characters.next() {
        match c {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' if is_quoted || cell.trim().is_empty() => {
                is_quoted = !is_quoted;
                was_quoted = true;
            }
            c if !is_quoted && is_between(c) => {
                let is_gap = separator == Separator::Blanks && cell.is_empty() && !was_quoted;
                if !is_gap {
                    cells.push(Cow::Owned(cell.trim().to_owned()));
                }
                (cell, was_quoted) = (String::new(), false);
            }
            c => cell.push(c),
        }
    }
    if separator != Separator::Blanks || !cell.is_empty() || was_quoted {
        cells.push(Cow::Owned(cell.trim().to_owned()));
    }
    if is_quoted { Err(()) } else { Ok(cells) }
}

/// The number that a cell holds.
pub(super) fn number(cell: &str) -> Option<f64> {
    cell.parse().ok()
}

/// Whether a cell says that there is no value, in the words of spreadsheets, pandas, R and databases.
pub(super) fn is_missing(cell: &str) -> bool {
    const WORDS: [&str; 12] = ["", "na", "n/a", "<na>", "null", "none", "nil", "missing", "nat", "-", "?", "."];
    WORDS.iter().any(|word| cell.eq_ignore_ascii_case(word)) || is_spreadsheet_error(cell)
}

/// Whether a cell can be the name of a column: no number, also none with a decimal comma, a unit or a strange minus.
fn is_name(cell: &str) -> bool {
    let is_truth = cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("false");
    cell.contains(char::is_alphabetic) && number(cell).is_none() && !is_missing(cell) && !is_truth
}

/// What spreadsheets write in place of a value that cannot be computed.
fn is_spreadsheet_error(cell: &str) -> bool {
    const ERRORS: [&str; 8] = ["#n/a", "#na", "#value!", "#div/0!", "#ref!", "#num!", "#name?", "#null!"];
    ERRORS.iter().any(|error| cell.eq_ignore_ascii_case(error))
}

/// Whether a line is a remark, and not a row that starts with an error of a spreadsheet.
pub(super) fn is_remark(line: &str) -> bool {
    let first = line.split([',', ';', '\t', '|', ' ']).next().unwrap_or_default();
    line.starts_with('#') && !is_spreadsheet_error(first.trim_matches('"'))
}

/// What the first row says about the columns, if it is not an example.
///
/// All names, or names next to column numbers, with nothing or one of pandas' names over an index in front.
pub(super) fn header_of(row: &[Cow<'_, str>]) -> Option<NameRow> {
    let first = row.first()?;
    let has_unnamed_index = row.len() > 1 && (first.is_empty() || *first == "Unnamed: 0");
    let named = if has_unnamed_index { &row[1..] } else { row };
    let numbers: Vec<&str> = named.iter().filter(|cell| number(cell).is_some()).map(AsRef::as_ref).collect();
    let has_name = named.iter().any(|cell| is_name(cell));
    let is_header = match numbers.len() {
        0 => has_name,
        // Column numbers below an index, or next to the name of a column of labels.
        count => consecutive(numbers.iter().copied(), 0) && (has_unnamed_index || (has_name && count > 1)),
    };
    let names_an_index = ["index", "id", "level_0"].iter().any(|name| first.eq_ignore_ascii_case(name));
    is_header.then(|| NameRow { first: first.clone().into_owned(), has_unnamed_index, names_an_index })
}
