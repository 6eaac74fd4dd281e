//! Examples for kernels and predictions: numbers in files of the user's, a split of a data set, or an array in memory.

mod architecture;
mod arrays;
mod error;
#[cfg(test)]
mod mutations;
#[cfg(test)]
#[path = "../../tests/mutator/mod.rs"]
mod mutator;
mod source;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use widthwise_datasets::catalog::{self, CatalogEntry};
use widthwise_datasets::locate::{Located, SearchPath, locate};
use widthwise_datasets::{DatasetSpec, Prepared, Table, prepare, table};
use widthwise_theory::architecture::InputShape;

use crate::config::{self, DatasetConfig};
use crate::monitor::Monitor;
use crate::record::npy;
pub use architecture::{architecture, architecture_with, shape_of, width_dependence};
pub use arrays::Arrays;
pub use error::ExamplesError;
pub use source::{DataSplit, SetName, Source};

/// Seed of the subset of a data set that comes without a configuration: that of an experiment.
const SEED: u64 = 1;

/// Examples as read, `rows x columns` row-major.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FileExamples {
    /// One row after the other.
    pub values: Vec<f64>,
    /// Number of examples.
    pub rows: usize,
    /// Features of an example.
    pub columns: usize,
    /// Of a data set, which knows it.
    pub shape: Option<InputShape>,
    /// Of a data set, which has them.
    pub targets: Option<FileTargets>,
    /// Sizes of an example in an array of more than two dimensions; empty otherwise.
    pub dimensions: Vec<usize>,
    /// What was taken for something else than numbers, in sentences without their beginning.
    pub remarks: Vec<String>,
    /// Whether the first row counts the columns from 0, as a header of pandas does, and was read as numbers.
    pub starts_with_numbering: bool,
}

impl FileExamples {
    /// Refuses a shape that takes the dimensions of an array in another order.
    ///
    /// # Errors
    /// The array, its dimensions and the shape.
    pub fn expect_shape(&self, source: &Source, shape: InputShape) -> Result<(), ExamplesError> {
        let asked = [shape.channels, shape.height, shape.width];
        let without_ones = |sizes: &[usize]| sizes.iter().copied().filter(|size| *size > 1).collect::<Vec<_>>();
        let is_flat = without_ones(&asked).len() < 2;
        if is_flat || self.dimensions.is_empty() || without_ones(&self.dimensions) == without_ones(&asked) {
            return Ok(());
        }
        let (found, asked) = (times(&self.dimensions), times(&asked));
        Err(ExamplesError::AxisOrder { name: source.to_string(), found, asked })
    }

    /// Says how many examples were read, and what is not one of them.
    fn announce(&self, name: &str, monitor: &dyn Monitor) {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let (rows, columns) = (self.rows, self.columns);
        monitor.note(&format!("{name}: {rows} example{} of {columns} feature{}", plural(rows), plural(columns)));
        self.remark(name, monitor);
    }

    /// Says what is not an example.
    pub fn remark(&self, name: &str, monitor: &dyn Monitor) {
        self.remarks.iter().for_each(|remark| monitor.note(&format!("{name}: {remark}")));
    }
}

fn times(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

/// What the rows of a file are; a vector is one example of several features, or several examples of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowMeaning {
    /// Features of an example.
    Inputs,
    /// Targets of an example.
    Targets,
}

/// What the examples should be mapped to.
#[derive(Debug, Clone, PartialEq)]
pub struct FileTargets {
    /// `examples x outputs`, row-major.
    pub values: Vec<f64>,
    /// Numbers of an example.
    pub outputs: usize,
    /// Classes, if it is about such; empty otherwise.
    pub labels: Vec<u8>,
}

/// Reads examples and says how many. `other` is a source next to this one: of a data set, each takes the number of examples of
/// its own split, and both see the same preprocessing.
///
/// `overrides` are `key=value` on top of the configuration that a data set comes from.
///
/// # Errors
/// A file that cannot be read, has no examples, or holds something else than finite numbers in rows of one length; a data set
/// that is not there.
pub fn read(
    source: &Source,
    other: Option<&Source>,
    data_dir: Option<&Path>,
    overrides: &[String],
    monitor: &dyn Monitor,
) -> Result<FileExamples, ExamplesError> {
    let examples = match source {
        Source::File(path) => read_file(path, RowMeaning::Inputs)?,
        Source::Set { set: name, split, .. } => read_split(name, *split, [Some(source), other], data_dir, overrides)?,
    };
    examples.announce(&source.to_string(), monitor);
    Ok(examples)
}

/// Bytes that the examples of a source take while they are read, where that is known before.
pub fn expected_bytes(source: &Source, data_dir: Option<&Path>) -> u64 {
    match source {
        Source::File(path) => expected_file_bytes(path),
        Source::Set { set: SetName::Known(name), count, .. } => {
            let chosen = |entry: &CatalogEntry| count.unwrap_or(0) as u64 * entry.shape.len() as u64 * 8;
            catalog::find(name).map_or(0, |entry| whole_bytes(entry, data_dir) + chosen(entry))
        }
        Source::Set { .. } => 0,
    }
}

/// Bytes of the numbers in a file; a file that cannot be read is refused later.
pub fn expected_file_bytes(path: &Path) -> u64 {
    let [rows, columns] = file_size(path).unwrap_or_default();
    [columns, size_of::<f64>()].into_iter().fold(rows as u64, |bytes, count| bytes.saturating_mul(count as u64))
}

/// Rows and columns of a file of numbers before it is read; in a text never less than there are.
pub fn file_size(path: &Path) -> Option<[usize; 2]> {
    if is_npy(path) {
        let header = npy::read_header(path).ok()?;
        let rows = if header.shape.len() > 1 { header.shape[0] } else { 1 };
        return Some([rows, header.count.checked_div(rows).unwrap_or(0)]);
    }
    let size = table::size(BufReader::new(File::open(path).ok()?)).ok()?;
    Some([size.rows, size.numbers.div_ceil(size.rows.max(1))])
}

/// Sizes of examples that are not read yet, where they are known before: enough to know the architecture by.
pub fn outline(source: &Source) -> Option<FileExamples> {
    match source {
        Source::File(path) => {
            let [rows, columns] = file_size(path)?;
            Some(FileExamples { rows, columns, ..FileExamples::default() })
        }
        Source::Set { set: SetName::Known(name), count, .. } => {
            let entry = catalog::find(name)?;
            let targets = FileTargets { values: Vec::new(), outputs: entry.classes, labels: Vec::new() };
            let shape =
                InputShape { channels: entry.shape.channels, height: entry.shape.height, width: entry.shape.width };
            let (rows, columns) = ((*count)?, entry.shape.len());
            Some(FileExamples { rows, columns, shape: Some(shape), targets: Some(targets), ..FileExamples::default() })
        }
        Source::Set { .. } => None,
    }
}

/// Bytes of a data set before any example is chosen; what is not found is bundled and small, or refused later.
fn whole_bytes(entry: &CatalogEntry, data_dir: Option<&Path>) -> u64 {
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
pub fn read_file(path: &Path, what: RowMeaning) -> Result<FileExamples, ExamplesError> {
    let examples = if is_npy(path) { read_npy(path, what)? } else { read_table(path)? };
    let path = || path.to_owned();
    if examples.rows == 0 || examples.columns == 0 {
        return Err(ExamplesError::NoNumbers { path: path() });
    }
    if let Some(index) = examples.values.iter().position(|value| !value.is_finite()) {
        let (row, column) = (index / examples.columns + 1, index % examples.columns + 1);
        return Err(ExamplesError::NotFinite { path: path(), row, column, value: examples.values[index] });
    }
    Ok(examples)
}

/// An array whose first dimension counts the examples.
fn read_npy(path: &Path, what: RowMeaning) -> Result<FileExamples, ExamplesError> {
    let npy::Array { shape, values } = npy::read_array(path)?;
    let (rows, dimensions) = match (shape.as_slice(), what) {
        (&[count], RowMeaning::Inputs) => (1, vec![count]),
        (&[count], RowMeaning::Targets) => (count, vec![1]),
        (all, _) => (all[0], all[1..].to_vec()),
    };
    if what == RowMeaning::Targets && dimensions.iter().filter(|size| **size > 1).count() > 1 {
        return Err(ExamplesError::TooManyDimensions { path: path.to_owned(), shape: times(&shape) });
    }
    let columns = if values.is_empty() { 0 } else { values.len() / rows };
    let dimensions = if dimensions.len() > 1 { dimensions } else { Vec::new() };
    Ok(FileExamples { values, rows, columns, dimensions, ..FileExamples::default() })
}

fn read_table(path: &Path) -> Result<FileExamples, ExamplesError> {
    let file = File::open(path).map_err(|source| ExamplesError::Unreadable { path: path.to_owned(), source })?;
    let Table { values, rows, columns, remarks, starts_with_numbering } =
        table::read(BufReader::new(file)).map_err(|source| ExamplesError::Table { path: path.to_owned(), source })?;
    Ok(FileExamples { values, rows, columns, remarks, starts_with_numbering, ..FileExamples::default() })
}

fn read_split(
    set: &SetName,
    split: DataSplit,
    sources: [Option<&Source>; 2],
    data_dir: Option<&Path>,
    overrides: &[String],
) -> Result<FileExamples, ExamplesError> {
    let (dataset, seed) = match set {
        SetName::Known(name) => {
            let source = name.parse::<DatasetSpec>().map_err(ExamplesError::UnknownSet)?;
            (DatasetConfig { source, ..DatasetConfig::default() }, SEED)
        }
        SetName::Config(path) => config::load_data(path, overrides)?,
    };
    let mut preprocessing = dataset.preprocessing;
    for source in sources.into_iter().flatten() {
        match source {
            Source::Set { set: same, split: DataSplit::Train, count: Some(count) } if same == set => {
                preprocessing.train = Some(*count);
            }
            Source::Set { set: same, split: DataSplit::Test, count: Some(count) } if same == set => {
                preprocessing.test = Some(*count);
            }
            _ => {}
        }
    }
    let loaded = crate::data::load(&dataset.source, data_dir, seed);
    let raw = loaded.map_err(|error| ExamplesError::Data(error.into()))?;
    let Prepared { shape, outputs, classes, train, test, .. } = prepare(&raw, &preprocessing, seed)?;
    let chosen = if split == DataSplit::Train { train } else { test };
    let labels = if classes > 0 { chosen.labels } else { Vec::new() };
    Ok(FileExamples {
        rows: chosen.n,
        columns: shape.len(),
        values: chosen.inputs,
        shape: Some(InputShape { channels: shape.channels, height: shape.height, width: shape.width }),
        targets: Some(FileTargets { values: chosen.targets, outputs, labels }),
        ..FileExamples::default()
    })
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::*;
    use crate::monitor::Silent;

    /// The error and its causes, as they are told.
    fn told(error: &dyn std::error::Error) -> String {
        let causes = std::iter::successors(Some(error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    #[test]
    fn csv_and_npy_say_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (csv, npy_path) = (folder.path().join("x.csv"), folder.path().join("x.NPY"));
        std::fs::write(&csv, "a, b\n# a remark\n1, -2.5e-3\n\n3,4\n").unwrap();
        npy::write(&npy_path, &Mat::from_fn(2, 2, |i, j| [[1.0, -2.5e-3], [3.0, 4.0]][i][j])).unwrap();
        let expected =
            FileExamples { values: vec![1.0, -2.5e-3, 3.0, 4.0], rows: 2, columns: 2, ..FileExamples::default() };
        assert_eq!(read_file(&csv, RowMeaning::Inputs).unwrap(), expected);
        assert_eq!(read_file(&npy_path, RowMeaning::Inputs).unwrap(), expected);
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
            let message = told(&read_file(&path, RowMeaning::Inputs).unwrap_err());
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_split_of_a_data_set_has_targets_and_a_shape() {
        let source: Source = "uniform-sphere:train:7".parse().unwrap();
        let test: Source = "uniform-sphere:test:3".parse().unwrap();
        let examples = read(&source, Some(&test), None, &[], &Silent).unwrap();
        assert_eq!((examples.rows, examples.values.len()), (7, 7 * examples.columns));
        let targets = examples.targets.unwrap();
        assert_eq!(targets.values.len(), 7 * targets.outputs);
        assert_eq!(read(&test, Some(&source), None, &[], &Silent).unwrap().rows, 3);
        let message = told(&read(&"nmist:train".parse().unwrap(), None, None, &[], &Silent).unwrap_err());
        assert!(message.contains("nmist") && message.contains("mnist"), "{message}");
    }
}
