//! Reads the files of a run directory, the only input of a report.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::ReportError;
use crate::record::budget::{BUDGET_FILE, BudgetRow};
use crate::record::columns::columns;
use crate::record::registration::Registration;
use crate::record::row::{READABLE, Row, SCHEMA_VERSION, SINCE_VERSION_2, TrainingRow};

/// Everything a run left in its directory.
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    /// `manifest.json`.
    pub manifest: Map<String, Value>,
    /// `config.toml` as text, if there is one.
    pub config: Option<String>,
    /// `registration.toml` as text, if there is one.
    pub registration: Option<String>,
    /// Rows of `results.csv`, in their order.
    pub rows: Vec<Row>,
    /// Rows of `training.csv`, in their order; empty if there is no such file.
    pub training: Vec<TrainingRow>,
    /// Rows of `error_budget.csv`; none where the run was not explained.
    pub budget: Vec<BudgetRow>,
}

impl Records {
    /// Reads `results.csv` and `manifest.json`, and `training.csv`, `error_budget.csv`, `registration.toml` and `config.toml`
    /// where they exist.
    ///
    /// # Errors
    ///
    /// A missing or unreadable file, a missing column, a cell that is not what its column allows, a row of another
    /// schema version, or a manifest that is not a JSON object.
    pub fn read(dir: &Path) -> Result<Self, ReportError> {
        let path = dir.join("results.csv");
        let rows = parse_csv(&required(&path)?, &path, |row: &Row| row.schema_version)?;
        let path = dir.join("training.csv");
        let training = match optional(&path)? {
            Some(text) => parse_csv(&text, &path, |row: &TrainingRow| row.schema_version)?,
            None => Vec::new(),
        };
        let path = dir.join(BUDGET_FILE);
        let budget = match optional(&path)? {
            Some(text) => parse_csv(&text, &path, |_: &BudgetRow| SCHEMA_VERSION)?,
            None => Vec::new(),
        };
        let manifest = read_manifest(dir)?;
        let config = optional(&dir.join("config.toml"))?;
        let registration = optional(&dir.join(Registration::FILE))?;
        Ok(Self { manifest, config, registration, rows, training, budget })
    }

    /// The text of a manifest entry; numbers and flags as JSON writes them.
    pub fn manifest_text(&self, key: &str) -> Option<String> {
        match self.manifest.get(key)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

fn read_manifest(dir: &Path) -> Result<Map<String, Value>, ReportError> {
    let path = dir.join("manifest.json");
    let text = required(&path)?;
    let refused = |line, reason| ReportError::Manifest { path: path.clone(), line, reason };
    match serde_json::from_str(&text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(refused(1, "not a JSON object".to_owned())),
        Err(error) => Err(refused(error.line(), error.to_string())),
    }
}

fn required(path: &Path) -> Result<String, ReportError> {
    optional(path)?.ok_or_else(|| ReportError::Missing { path: path.to_owned() })
}

fn optional(path: &Path) -> Result<Option<String>, ReportError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(ReportError::Io { path: path.to_owned(), action: "read", source }),
    }
}

fn parse_csv<T: DeserializeOwned>(text: &str, path: &Path, version: impl Fn(&T) -> u32) -> Result<Vec<T>, ReportError> {
    if text.is_empty() {
        // A run that was stopped before its first row leaves an empty file.
        return Ok(Vec::new());
    }
    if !text.ends_with('\n') {
        // Without this a number cut off in its middle would be read as another number.
        return Err(ReportError::Line {
            path: path.to_owned(),
            line: text.lines().count() as u64,
            reason: "the last line has no end, as after a run killed while it wrote: continue the run".to_owned(),
        });
    }
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let not_csv = |error: csv::Error| ReportError::Line {
        path: path.to_owned(),
        line: error.position().map_or(1, csv::Position::line),
        reason: error.to_string(),
    };
    let header = reader.headers().map_err(not_csv)?.clone();
    let missing: Vec<&'static str> =
        columns::<T>().iter().copied().filter(|column| !header.iter().any(|found| found == *column)).collect();
    let lacks = |column: &'static str| {
        let found = match header.iter().collect::<Vec<_>>() {
            names if names.is_empty() => "nothing".to_owned(),
            names => names.join(", "),
        };
        ReportError::Column { path: path.to_owned(), column, found }
    };
    if let Some(column) = missing.iter().find(|column| !SINCE_VERSION_2.contains(column)) {
        return Err(lacks(column));
    }
    let mut rows = Vec::new();
    let mut records = reader.records();
    while let Some(record) = records.next().transpose().map_err(not_csv)? {
        let line = record.position().map_or(0, csv::Position::line);
        let row: T = record.deserialize(Some(&header)).map_err(|error| cell_error(&error, &header, &record, path))?;
        let found = version(&row);
        if !READABLE.contains(&found) {
            return Err(ReportError::Schema { path: path.to_owned(), line, found, supported: SCHEMA_VERSION });
        }
        if let Some(column) = missing.first().filter(|_| found > 1) {
            return Err(lacks(column));
        }
        rows.push(row);
    }
    Ok(rows)
}

fn cell_error(error: &csv::Error, header: &csv::StringRecord, record: &csv::StringRecord, path: &Path) -> ReportError {
    let line = record.position().map_or(0, csv::Position::line);
    if let csv::ErrorKind::Deserialize { err, .. } = error.kind() {
        let index = err.field().and_then(|field| usize::try_from(field).ok());
        if let Some((column, found)) = index.and_then(|i| header.get(i).zip(record.get(i))) {
            return ReportError::Cell {
                path: path.to_owned(),
                line,
                column: column.to_owned(),
                found: found.to_owned(),
                reason: err.kind().to_string(),
            };
        }
    }
    ReportError::Line { path: path.to_owned(), line, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::FixtureRun;

    /// The message of reading a small run whose file `name` has been rewritten by `change`.
    fn message_after(name: &str, change: impl Fn(String) -> String) -> String {
        let dir = tempfile::tempdir().unwrap();
        FixtureRun::small().write(dir.path());
        let path = dir.path().join(name);
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
        Records::read(dir.path()).unwrap_err().to_string()
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let run = FixtureRun::small();
        run.write(dir.path());
        let records = Records::read(dir.path()).unwrap();
        assert_eq!(records.rows, run.rows());
        assert_eq!(records.training, run.training());
        assert_eq!(records.budget, run.budget());
        assert_eq!(records.manifest_text("outcome").as_deref(), Some("finished"));
        assert_eq!(records.manifest_text("seed").as_deref(), Some("7"));
        assert!(records.config.unwrap().contains("width"));
    }

    #[test]
    fn columns_are_those_that_are_written() {
        let run = FixtureRun::small();
        let header = |text: String| text.lines().next().unwrap().to_owned();
        assert_eq!(header(run.results_csv()), columns::<Row>().join(","));
        assert_eq!(header(run.training_csv()), columns::<TrainingRow>().join(","));
        assert_eq!(header(run.budget_csv()), columns::<BudgetRow>().join(","));
    }

    #[test]
    fn runs_of_the_first_version_are_read() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schema_1");
        let records = Records::read(&dir).unwrap();
        assert!(records.rows.len() > 500 && records.rows.iter().all(|row| row.schema_version == 1));
        assert!(records.rows.iter().all(|row| row.trust().is_none()));
        // Rows of the second version need all columns.
        let old = fs::read_to_string(dir.join("results.csv")).unwrap();
        let message = message_after("results.csv", |_| old.replacen("\n1,", "\n2,", 1));
        assert!(message.contains("line 1: no column `kind`"), "{message}");
    }

    #[test]
    fn only_results_and_manifest_are_required() {
        let dir = tempfile::tempdir().unwrap();
        let message = Records::read(dir.path()).unwrap_err().to_string();
        assert!(message.contains("results.csv: no such file"), "{message}");
        FixtureRun::small().write(dir.path());
        fs::remove_file(dir.path().join("training.csv")).unwrap();
        fs::remove_file(dir.path().join("config.toml")).unwrap();
        let records = Records::read(dir.path()).unwrap();
        assert!(records.training.is_empty() && records.config.is_none());
        fs::remove_file(dir.path().join("manifest.json")).unwrap();
        let message = Records::read(dir.path()).unwrap_err().to_string();
        assert!(message.contains("manifest.json: no such file"), "{message}");
    }

    #[test]
    fn a_bad_cell_is_named_with_file_line_column_and_content() {
        let message = message_after("results.csv", |text| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let mut cells: Vec<&str> = lines[2].split(',').collect();
            cells[15] = "abc";
            lines[2] = cells.join(",");
            lines.join("\n") + "\n"
        });
        assert!(message.contains("results.csv line 3: column `measured` holds `abc`"), "{message}");
        assert!(message.contains("correct or delete"), "{message}");
    }

    #[test]
    fn a_torn_line_is_named() {
        let last = format!("training.csv line {}", FixtureRun::small().training_csv().lines().count());
        for ending in ["", "\n"] {
            let message = message_after("training.csv", |text| text[..text.len() - 30].to_owned() + ending);
            assert!(message.contains(&last), "{message}");
        }
    }

    #[test]
    fn a_missing_column_and_another_version_are_named() {
        let message = message_after("results.csv", |text| text.replacen("std_error", "sd", 1));
        assert!(message.contains("line 1: no column `std_error`; found schema_version, run"), "{message}");
        let message = message_after("results.csv", |text| text.replacen("\n2,", "\n3,", 1));
        assert!(message.contains("line 2: schema_version is 3, this program reads 1 to 2"), "{message}");
        let message = message_after("results.csv", |_| "\n".to_owned());
        assert!(message.contains("found nothing"), "{message}");
    }

    #[test]
    fn a_run_stopped_before_its_first_row_has_no_rows() {
        let dir = tempfile::tempdir().unwrap();
        FixtureRun::small().write(dir.path());
        fs::write(dir.path().join("results.csv"), "").unwrap();
        assert!(Records::read(dir.path()).unwrap().rows.is_empty());
    }

    #[test]
    fn a_broken_manifest_is_named() {
        let message = message_after("manifest.json", |_| "{\n\"run\": }".to_owned());
        assert!(message.contains("manifest.json line 2"), "{message}");
        let message = message_after("manifest.json", |_| "[1]".to_owned());
        assert!(message.contains("not a JSON object"), "{message}");
    }
}
