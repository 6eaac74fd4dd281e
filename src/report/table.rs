//! Joins many runs into one CSV: the end of every run, one row a quantity and layer.
//!
//! Columns: `run`, `config_hash` and `outcome` from the manifest, then those of `results.csv` without its own `run`.

use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::error::ReportError;
use super::read::Records;
use super::select::{is_ensemble, latest};
use crate::record::row::Row;
use crate::verdict::Verdict;

#[derive(Serialize)]
struct JoinedRow<'a> {
    run: Cow<'a, str>,
    config_hash: Cow<'a, str>,
    outcome: Cow<'a, str>,
    schema_version: u32,
    seed: u64,
    members: Cow<'a, str>,
    dataset: Cow<'a, str>,
    family: Cow<'a, str>,
    parameterization: Cow<'a, str>,
    width: usize,
    depth: usize,
    step: u64,
    flow_time: Option<f64>,
    quantity: Cow<'a, str>,
    unit: Cow<'a, str>,
    layer_from: Option<usize>,
    layer: Option<usize>,
    measured: Option<f64>,
    std_error: Option<f64>,
    se_method: Cow<'a, str>,
    predicted: Option<f64>,
    z: Option<f64>,
    verdict: Option<Verdict>,
}

/// Who reads the cells of a joined table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A program: text as it is.
    Program,
    /// Perhaps a spreadsheet: text that it would evaluate begins with an apostrophe, and nothing in it moves a terminal.
    Spreadsheet,
}

impl Reader {
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

const COLUMNS: [&str; 23] = [
    "run",
    "config_hash",
    "outcome",
    "schema_version",
    "seed",
    "members",
    "dataset",
    "family",
    "parameterization",
    "width",
    "depth",
    "step",
    "flow_time",
    "quantity",
    "unit",
    "layer_from",
    "layer",
    "measured",
    "std_error",
    "se_method",
    "predicted",
    "z",
    "verdict",
];

/// Writes the ensemble rows of every run in `dirs` at the last step of each quantity and layer, and returns their number.
///
/// A manifest without `config_hash` or `outcome` leaves the cell empty; without `run` the name in `results.csv` stands.
///
/// # Errors
///
/// Those of [`Records::read`] for any of the directories, and a failing writer.
pub fn join(dirs: &[PathBuf], reader: Reader, out: &mut impl Write) -> Result<usize, ReportError> {
    let failed = |source| ReportError::Table { source };
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(out);
    writer.write_record(COLUMNS).map_err(failed)?;
    let mut count = 0;
    for dir in dirs {
        let records = Records::read(dir)?;
        let text = |key| records.manifest_text(key);
        let (run, config_hash, outcome) =
            (text("run"), text("config_hash").unwrap_or_default(), text("outcome").unwrap_or_default());
        for row in latest(records.rows.iter().filter(|r| is_ensemble(r))) {
            let run = run.as_deref().unwrap_or(&row.run);
            writer.serialize(joined(run, &config_hash, &outcome, row, reader)).map_err(failed)?;
            count += 1;
        }
    }
    writer.flush().map_err(|error| failed(error.into()))?;
    Ok(count)
}

fn joined<'a>(run: &'a str, config_hash: &'a str, outcome: &'a str, row: &'a Row, reader: Reader) -> JoinedRow<'a> {
    let cell = |text| reader.cell(text);
    JoinedRow {
        run: cell(run),
        config_hash: cell(config_hash),
        outcome: cell(outcome),
        schema_version: row.schema_version,
        seed: row.seed,
        members: cell(&row.members),
        dataset: cell(&row.dataset),
        family: cell(&row.family),
        parameterization: cell(&row.parameterization),
        width: row.width,
        depth: row.depth,
        step: row.step,
        flow_time: row.flow_time,
        quantity: cell(&row.quantity),
        unit: cell(&row.unit),
        layer_from: row.layer_from,
        layer: row.layer,
        measured: row.measured,
        std_error: row.std_error,
        se_method: cell(&row.se_method),
        predicted: row.predicted,
        z: row.z,
        verdict: row.verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::Run;

    #[test]
    fn two_runs_give_the_ends_of_both() {
        let dirs: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
        let run = Run::small();
        dirs.iter().for_each(|d| run.write(d.path()));
        let mut out = Vec::new();
        let count =
            join(&dirs.iter().map(|d| d.path().to_owned()).collect::<Vec<_>>(), Reader::Program, &mut out).unwrap();
        let mut reader = csv::Reader::from_reader(out.as_slice());
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
        let rows = run.rows();
        let last = latest(rows.iter().filter(|r| is_ensemble(r)));
        assert_eq!(count, 2 * last.len());
        // `results.csv` reads its columns by name, so a joined row reads as one of its rows.
        let joined: Vec<Row> = reader.deserialize().map(Result::unwrap).collect();
        assert_eq!(joined, last.iter().chain(&last).copied().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn no_cell_is_a_formula() {
        let shown = |text| Reader::Spreadsheet.cell(text).into_owned();
        for text in ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", " =1", "-inf", "-", "\u{ff1d}1"] {
            assert_eq!(shown(text), format!("'{text}"));
            assert_eq!(Reader::Program.cell(text), text);
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
            ..Run::small().rows()[0].clone()
        };
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        writer.serialize(joined("=a", "-b", "+c", &row, Reader::Spreadsheet)).unwrap();
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        assert!(text.starts_with("'=a,'-b,'+c,") && text.contains(",'=1,'@x,") && text.contains(",-2.5,"), "{text}");
    }

    #[test]
    fn no_runs_give_the_header_alone() {
        let mut out = Vec::new();
        assert_eq!(join(&[], Reader::Spreadsheet, &mut out).unwrap(), 0);
        assert_eq!(String::from_utf8(out).unwrap().trim_end(), COLUMNS.join(","));
    }

    #[test]
    fn a_directory_without_run_is_named() {
        let message = join(&[PathBuf::from("no-such-run")], Reader::Program, &mut Vec::new()).unwrap_err().to_string();
        assert!(message.contains("no-such-run") && message.contains("results.csv"), "{message}");
    }
}
