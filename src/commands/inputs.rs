//! Examples for kernels and predictions: numbers in files of the user's, or a split of a data set.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use widthwise::config::{self, Checked, ConfigError, DatasetConfig};
use widthwise::record::tiles::MatrixFile;
use widthwise_datasets::catalog::{self, Entry};
use widthwise_datasets::locate::{Located, SearchPath, locate};
use widthwise_datasets::{DataError, DatasetSpec, Prepared, prepare};
use widthwise_theory::InputShape;

use super::source::{SetName, Source, Split};

/// Seed of the subset of a data set that comes without a configuration: that of an experiment.
const SEED: u64 = 1;

/// Rows read at once.
const ROWS_AT_ONCE: usize = 64;

/// Examples as read, `rows x columns` row-major.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Examples {
    pub(super) values: Vec<f64>,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Of a data set, which knows it.
    pub(super) shape: Option<InputShape>,
    /// Of a data set, which has them.
    pub(super) targets: Option<Targets>,
}

/// What the examples should be mapped to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Targets {
    /// `examples x outputs`, row-major.
    pub(super) values: Vec<f64>,
    pub(super) outputs: usize,
    /// Classes, if it is about such; empty otherwise.
    pub(super) labels: Vec<u8>,
}

/// Reads examples. `other` is a source beside this one: of a data set, each takes the number of examples of its own split,
/// and both see the same preprocessing.
///
/// # Errors
/// A file that cannot be read, has no examples, or holds something else than finite numbers in rows of one length; a data set
/// that is not there.
pub(super) fn read(source: &Source, other: Option<&Source>, data_dir: Option<&Path>) -> Result<Examples> {
    match source {
        Source::File(path) => read_file(path),
        Source::Set { set, split, .. } => read_split(set, *split, [Some(source), other], data_dir),
    }
}

/// Bytes that the examples of a source take while they are read, where that is known before.
pub(super) fn expected_bytes(source: &Source, data_dir: Option<&Path>) -> u64 {
    match source {
        Source::File(path) if is_npy(path) => {
            MatrixFile::open(path, false).map_or(0, |file| file.rows() as u64 * file.columns() as u64 * 8)
        }
        Source::File(_) => 0,
        Source::Set { set: SetName::Known(name), count, .. } => {
            let chosen = |entry: &Entry| count.unwrap_or(0) as u64 * entry.shape.len() as u64 * 8;
            catalog::find(name).map_or(0, |entry| whole_bytes(entry, data_dir) + chosen(entry))
        }
        Source::Set { .. } => 0,
    }
}

/// Bytes of a data set before any example is chosen; what is not found is bundled and small, or refused later.
fn whole_bytes(entry: &Entry, data_dir: Option<&Path>) -> u64 {
    match SearchPath::new(data_dir).map(|search| locate(entry, &search)) {
        Ok(Located::Complete { .. }) => entry.files.iter().map(|file| file.bytes).sum(),
        _ => 0,
    }
}

fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"))
}

/// Reads numbers from a file by the ending of its name.
///
/// # Errors
/// As [`read`].
pub(super) fn read_file(path: &Path) -> Result<Examples> {
    let examples = if is_npy(path) {
        read_npy(path)?
    } else {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        parse_csv(file).with_context(|| path.display().to_string())?
    };
    ensure!(examples.rows > 0 && examples.columns > 0, "{} holds no numbers; one row is one example", path.display());
    if let Some(index) = examples.values.iter().position(|value| !value.is_finite()) {
        let (row, column) = (index / examples.columns + 1, index % examples.columns + 1);
        bail!("{}: row {row}, column {column} is {}; inputs must be finite", path.display(), examples.values[index]);
    }
    Ok(examples)
}

/// Row by row, so that nothing is in memory twice.
fn read_npy(path: &Path) -> Result<Examples> {
    let file = MatrixFile::open(path, false)?;
    let (rows, columns) = (file.rows(), file.columns());
    let mut values = Vec::new();
    let reserved = rows.checked_mul(columns).map(|count| values.try_reserve_exact(count));
    ensure!(
        matches!(reserved, Some(Ok(()))),
        "{}: {rows} x {columns} numbers do not fit into memory; take fewer examples",
        path.display()
    );
    let (mut bytes, mut part) = (Vec::new(), Vec::new());
    for start in (0..rows).step_by(ROWS_AT_ONCE) {
        file.read_values(start..(start + ROWS_AT_ONCE).min(rows), 0..columns, &mut bytes, &mut part)?;
        values.extend_from_slice(&part);
    }
    Ok(Examples { values, rows, columns, ..Examples::default() })
}

/// A first row without any number is a header; empty lines are passed over.
fn parse_csv(text: impl std::io::Read) -> Result<Examples> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(text);
    let mut examples = Examples::default();
    let mut is_first = true;
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let is_header = is_first && record.iter().all(|cell| cell.parse::<f64>().is_err());
        is_first = false;
        if is_header {
            examples.columns = record.len();
            continue;
        }
        if examples.columns == 0 {
            examples.columns = record.len();
        }
        let (found, expected) = (record.len(), examples.columns);
        ensure!(found == expected, "line {line} has {found} numbers, the lines before it {expected}");
        for cell in &record {
            let value = cell.parse::<f64>();
            examples.values.push(value.with_context(|| format!("line {line}: \"{cell}\" is not a number"))?);
        }
        examples.rows += 1;
    }
    examples.values.shrink_to_fit();
    Ok(examples)
}

fn read_split(set: &SetName, split: Split, sources: [Option<&Source>; 2], data_dir: Option<&Path>) -> Result<Examples> {
    let (dataset, seed) = match set {
        SetName::Known(name) => {
            let source = name.parse::<DatasetSpec>();
            let dataset = DatasetConfig { source: source.map_err(known_names)?, ..DatasetConfig::default() };
            (dataset, SEED)
        }
        SetName::Config(path) => {
            let experiment = load_for_data(path)?;
            (experiment.dataset.clone(), experiment.run.seed)
        }
    };
    let mut preprocessing = dataset.preprocessing;
    for source in sources.into_iter().flatten() {
        match source {
            Source::Set { set: same, split: Split::Train, count: Some(count) } if same == set => {
                preprocessing.train = Some(*count);
            }
            Source::Set { set: same, split: Split::Test, count: Some(count) } if same == set => {
                preprocessing.test = Some(*count);
            }
            _ => {}
        }
    }
    let raw = widthwise::data::load(&dataset.source, data_dir, seed)?;
    let Prepared { shape, outputs, classes, train, test, .. } = prepare(&raw, &preprocessing, seed)?;
    let chosen = if split == Split::Train { train } else { test };
    let labels = if classes > 0 { chosen.labels } else { Vec::new() };
    Ok(Examples {
        rows: chosen.n,
        columns: shape.len(),
        values: chosen.inputs,
        shape: Some(InputShape { channels: shape.channels, height: shape.height, width: shape.width }),
        targets: Some(Targets { values: chosen.targets, outputs, labels }),
    })
}

/// A configuration whose data are wanted: how many of them probes look at does not matter.
fn load_for_data(path: &Path) -> Result<Checked, ConfigError> {
    match config::load(Some(path), &[]) {
        Err(ConfigError::Invalid(problems)) if problems.iter().all(|problem| problem.key.starts_with("probes.")) => {
            config::load(Some(path), &["probes.examples=2", "probes.jacobian_examples=2"].map(str::to_owned))
        }
        result => result,
    }
}

fn known_names(error: DataError) -> anyhow::Error {
    anyhow::Error::from(error).context("a source with a colon is NAME:train, NAME:test or CONFIG.toml:train")
}

#[cfg(test)]
mod tests {
    use faer::Mat;
    use widthwise::record::npy;

    use super::*;

    #[test]
    fn csv_and_npy_say_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (csv, npy_path) = (folder.path().join("x.csv"), folder.path().join("x.NPY"));
        std::fs::write(&csv, "a, b\n# a remark\n1, -2.5e-3\n\n3,4\n").unwrap();
        npy::write(&npy_path, &Mat::from_fn(2, 2, |i, j| [[1.0, -2.5e-3], [3.0, 4.0]][i][j])).unwrap();
        let expected = Examples { values: vec![1.0, -2.5e-3, 3.0, 4.0], rows: 2, columns: 2, ..Examples::default() };
        assert_eq!(read_file(&csv).unwrap(), expected);
        assert_eq!(read_file(&npy_path).unwrap(), expected);
        assert_eq!(expected_bytes(&Source::File(npy_path), None), 32);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, expected) in [
            ("1,2\n3\n", "line 2 has 1 numbers, the lines before it 2"),
            ("1,2\n3,x\n", "line 2: \"x\" is not a number"),
            ("1,2\n3,nan\n", "row 2, column 2 is NaN"),
            ("", "holds no numbers"),
            ("a,b\n", "holds no numbers"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.csv");
            std::fs::write(&path, text).unwrap();
            let message = format!("{:#}", read_file(&path).unwrap_err());
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_split_of_a_data_set_has_targets_and_a_shape() {
        let source: Source = "uniform-sphere:train:7".parse().unwrap();
        let test: Source = "uniform-sphere:test:3".parse().unwrap();
        let examples = read(&source, Some(&test), None).unwrap();
        assert_eq!((examples.rows, examples.values.len()), (7, 7 * examples.columns));
        let targets = examples.targets.unwrap();
        assert_eq!(targets.values.len(), 7 * targets.outputs);
        assert_eq!(read(&test, Some(&source), None).unwrap().rows, 3);
        let message = format!("{:#}", read(&"nmist:train".parse().unwrap(), None, None).unwrap_err());
        assert!(message.contains("nmist") && message.contains("mnist"), "{message}");
    }
}
