//! Joins many runs into one CSV: the end of every run, one row a quantity and layer.
//!
//! Columns: `run`, `config_hash` and `outcome` from the manifest, then those of `results.csv` without its own `run`.

use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;

use super::error::ReportError;
use super::read::Records;
use super::select::{is_ensemble, latest};
use crate::record::columns::columns;
use crate::record::row::Row;

/// Who reads the cells of a joined table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableReader {
    /// A program: text as it is.
    Program,
    /// Perhaps a spreadsheet: text that it would evaluate begins with an apostrophe, and nothing in it moves a terminal.
    Spreadsheet,
}

impl TableReader {
    fn cell(self, text: &str) -> Cow<'_, str> {
        let is_formula =
            || text.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
        let is_number = || text.parse::<f64>().is_ok_and(f64::is_finite);
        if self == Self::Program {
            return Cow::Borrowed(text);
        }
        let guarded = if text.starts_with(['\t', '\r', '\n']) || is_formula() && !is_number() {
            Cow::Owned(format!("'{text}"))
        } else {
            Cow::Borrowed(text)
        };
        if !guarded.contains(|c: char| c.is_control() && c != '\t') {
            return guarded;
        }
        let plain = |c: char| if c.is_control() && c != '\t' { c.escape_unicode().to_string() } else { c.to_string() };
        Cow::Owned(guarded.chars().map(plain).collect())
    }
}

/// Columns from the manifest.
const FROM_MANIFEST: [&str; 3] = ["run", "config_hash", "outcome"];

/// Columns of the joined table.
fn joined_columns() -> Vec<&'static str> {
    let of_rows = columns::<Row>().iter().copied().filter(|column| !FROM_MANIFEST.contains(column));
    FROM_MANIFEST.into_iter().chain(of_rows).collect()
}

/// Writes the ensemble rows of every run in `dirs` at the last step of each quantity and layer, and returns their number.
///
/// A manifest without `config_hash` or `outcome` leaves the cell empty; without `run` the name in `results.csv` stands.
///
/// # Errors
///
/// Those of [`Records::read`] for any of the directories, and a failing writer.
pub fn join(dirs: &[PathBuf], reader: TableReader, out: &mut impl Write) -> Result<usize, ReportError> {
    let failed = |source| ReportError::Table { source };
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(out);
    writer.write_record(joined_columns()).map_err(failed)?;
    let mut count = 0;
    for dir in dirs {
        let records = Records::read(dir)?;
        let text = |key| records.manifest_text(key);
        let (run, config_hash, outcome) =
            (text("run"), text("config_hash").unwrap_or_default(), text("outcome").unwrap_or_default());
        for row in latest(records.rows.iter().filter(|r| is_ensemble(r))) {
            let run = run.as_deref().unwrap_or(&row.run);
            writer.write_record(joined([run, &config_hash, &outcome], row, reader).map_err(failed)?).map_err(failed)?;
            count += 1;
        }
    }
    writer.flush().map_err(|error| failed(error.into()))?;
    Ok(count)
}

/// The cells of `row` in the joined table.
fn joined(manifest: [&str; 3], row: &Row, reader: TableReader) -> Result<Vec<String>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.serialize(row)?;
    let line = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    let mut cells = csv::StringRecord::new();
    csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_slice()).read_record(&mut cells)?;
    let of_row = columns::<Row>().iter().zip(&cells).filter(|(column, _)| !FROM_MANIFEST.contains(column));
    let cells = manifest.into_iter().chain(of_row.map(|(_, cell)| cell));
    Ok(cells.map(|cell| reader.cell(cell).into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::FixtureRun;

    #[test]
    fn two_runs_give_the_ends_of_both() {
        let dirs: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
        let run = FixtureRun::small();
        dirs.iter().for_each(|d| run.write(d.path()));
        let mut out = Vec::new();
        let count = join(&dirs.iter().map(|d| d.path().to_owned()).collect::<Vec<_>>(), TableReader::Program, &mut out)
            .unwrap();
        let mut reader = csv::Reader::from_reader(out.as_slice());
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), joined_columns());
        let rows = run.rows();
        let last = latest(rows.iter().filter(|r| is_ensemble(r)));
        assert_eq!(count, 2 * last.len());
        // `results.csv` reads its columns by name, so a joined row reads as one of its rows.
        let joined: Vec<Row> = reader.deserialize().map(Result::unwrap).collect();
        assert_eq!(joined, last.iter().chain(&last).copied().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn no_cell_is_a_formula() {
        let shown = |text| TableReader::Spreadsheet.cell(text).into_owned();
        for text in ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", " =1", "-inf", "-", "\u{ff1d}1"] {
            assert_eq!(shown(text), format!("'{text}"));
            assert_eq!(TableReader::Program.cell(text), text);
        }
        for text in ["-0.5", "+1e-3", "-7", "0..16", "mnist", "a=b", "", "1e5"] {
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown("\rx"), "'\\u{d}x");
        assert_eq!(shown("a\x1b[2J\nb"), "a\\u{1b}[2J\\u{a}b");
        let row = Row {
            quantity: "=1".to_owned(),
            unit: "@x".to_owned(),
            measured: Some(-2.5),
            ..FixtureRun::small().rows()[0].clone()
        };
        let text = joined(["=a", "-b", "+c"], &row, TableReader::Spreadsheet).unwrap().join(",");
        assert!(text.starts_with("'=a,'-b,'+c,") && text.contains(",'=1,'@x,") && text.contains(",-2.5,"), "{text}");
    }

    #[test]
    fn no_runs_give_the_header_alone() {
        let mut out = Vec::new();
        assert_eq!(join(&[], TableReader::Spreadsheet, &mut out).unwrap(), 0);
        assert_eq!(String::from_utf8(out).unwrap().trim_end(), joined_columns().join(","));
    }

    #[test]
    fn a_directory_without_run_is_named() {
        let message =
            join(&[PathBuf::from("no-such-run")], TableReader::Program, &mut Vec::new()).unwrap_err().to_string();
        assert!(message.contains("no-such-run") && message.contains("results.csv"), "{message}");
    }
}
