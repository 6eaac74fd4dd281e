//! Training and test examples with what they should be mapped to.

use std::path::{Path, PathBuf};

use faer::Mat;
use widthwise_datasets::{TargetForm, prepare};
use widthwise_theory::architecture::InputShape;
use widthwise_theory::kernel::Inputs;

use super::PredictError;
use super::options::PredictLoss;
use crate::examples::{Arrays, FileExamples, FileTargets, RowMeaning, Source, read, read_file};
use crate::monitor::Monitor;

/// One half of the data.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleSet {
    /// `examples x features`, row-major.
    pub inputs: FileExamples,
    /// `examples x outputs`; always there for training.
    pub targets: Option<Mat<f64>>,
    /// Classes, if it is about such; empty otherwise.
    pub labels: Vec<u8>,
}

impl From<&Arrays> for ExampleSet {
    fn from(arrays: &Arrays) -> Self {
        Self { inputs: arrays.inputs(), targets: Some(arrays.targets()), labels: Vec::new() }
    }
}

/// What a prediction is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictionData {
    /// What networks are trained on.
    pub train: ExampleSet,
    /// What else outputs are predicted on.
    pub test: Option<ExampleSet>,
    /// Numbers that a network makes of an example.
    pub outputs: usize,
}

/// Where the data of a prediction come from.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictionSources {
    /// Training examples.
    pub train: Source,
    /// Their targets, one row an example; those of the data set if left out.
    pub targets: Option<PathBuf>,
    /// Test examples.
    pub test: Option<Source>,
    /// Their targets, for scores.
    pub test_targets: Option<PathBuf>,
    /// Files of targets hold one class of this many a row.
    pub classes: Option<usize>,
    /// The only folder in which data sets are searched for.
    pub data_dir: Option<PathBuf>,
    /// `key=value` on top of the configuration that a data set comes from.
    pub overrides: Vec<String>,
}

impl PredictionSources {
    /// Training and test examples.
    pub fn all(&self) -> impl Iterator<Item = &Source> {
        [&self.train].into_iter().chain(&self.test)
    }

    /// Reads everything.
    ///
    /// # Errors
    /// A source that is refused, targets that are missing or do not fit.
    pub fn read(&self, loss: PredictLoss, monitor: &dyn Monitor) -> Result<PredictionData, PredictError> {
        let half = |source: &Source, other: Option<&Source>, targets: Option<&Path>| {
            let mut inputs = read(source, other, self.data_dir.as_deref(), &self.overrides, monitor)?;
            let own = inputs.targets.take();
            let file = targets.map(|path| read_file(path, RowMeaning::Targets)).transpose()?;
            if let (Some(path), Some(file)) = (targets, &file) {
                expect_one_row_each(path, file, source, &inputs)?;
                file.remark(&path.display().to_string(), monitor);
            }
            let given = targets.zip(file).map(|(path, file)| targets_of(path, file, self.classes)).transpose()?;
            let targets = given.or(own);
            let labels = targets.as_ref().map_or_else(Vec::new, |targets| targets.labels.clone());
            let targets = targets.map(|targets| matrix(&for_loss(targets, loss)));
            Ok::<_, PredictError>(ExampleSet { inputs, targets, labels })
        };
        let train = half(&self.train, self.test.as_ref(), self.targets.as_deref())?;
        let test = self.test.as_ref().map(|source| half(source, Some(&self.train), self.test_targets.as_deref()));
        let test = test.transpose()?;
        if train.targets.is_none() {
            return Err(PredictError::NoTargets { name: self.train.to_string() });
        }
        PredictionData::new(train, test, loss)
    }
}

impl PredictionData {
    /// Of examples in memory.
    ///
    /// # Errors
    /// Training targets that are missing, test targets of another size, targets that the loss does not know.
    pub fn new(train: ExampleSet, test: Option<ExampleSet>, loss: PredictLoss) -> Result<Self, PredictError> {
        let Some(targets) = &train.targets else {
            return Err(PredictError::NoTargets { name: "the training set".to_owned() });
        };
        let outputs = targets.ncols();
        if let Some(found) = test.as_ref().and_then(|test| test.targets.as_ref()).map(Mat::ncols)
            && found != outputs
        {
            return Err(PredictError::OtherOutputs { found, outputs });
        }
        check(targets, loss)?;
        Ok(Self { train, test, outputs })
    }
}

fn matrix(targets: &FileTargets) -> Mat<f64> {
    let outputs = targets.outputs;
    Mat::from_fn(targets.values.len() / outputs, outputs, |i, o| targets.values[i * outputs + o])
}

/// As many rows of targets as there are examples.
fn expect_one_row_each(
    path: &Path,
    targets: &FileExamples,
    source: &Source,
    inputs: &FileExamples,
) -> Result<(), PredictError> {
    let (found, expected) = (targets.rows, inputs.rows);
    let hint = if found == expected + 1 && targets.starts_with_numbering {
        "; is the first row, 0, a header of column numbers (pandas writes it)? leave it out with to_csv(..., header=False)"
    } else if expected == 1 && found == inputs.columns {
        "; a vector of inputs is one example, so reshape it to one row an example (numpy: x.reshape(-1, 1))"
    } else {
        ""
    };
    if found == expected {
        return Ok(());
    }
    let (path, name) = (path.to_owned(), source.to_string());
    Err(PredictError::NotOneRowEach { path, found, expected, name, hint })
}

/// Rows of numbers, or with `classes` one class a row, which becomes a centred one-hot row.
fn targets_of(path: &Path, file: FileExamples, classes: Option<usize>) -> Result<FileTargets, PredictError> {
    let FileExamples { values, rows, columns, .. } = file;
    let Some(classes) = classes else { return Ok(FileTargets { values, outputs: columns, labels: Vec::new() }) };
    if columns != 1 {
        return Err(PredictError::NotOneColumn { path: path.to_owned(), columns });
    }
    let mut labels = Vec::with_capacity(rows);
    for (row, value) in values.iter().enumerate() {
        let is_class = value.fract() == 0.0 && (0.0..classes as f64).contains(value);
        if !is_class {
            let (path, row) = (path.to_owned(), row + 1);
            return Err(PredictError::NoClass { path, row, value: *value, last: classes - 1 });
        }
        labels.push(*value as u8);
    }
    let values = prepare::targets(&labels, classes, TargetForm::OneHotCentred);
    Ok(FileTargets { values, outputs: classes, labels })
}

/// Probabilities where the loss wants such and classes are known.
fn for_loss(targets: FileTargets, loss: PredictLoss) -> FileTargets {
    match loss {
        PredictLoss::CrossEntropy if !targets.labels.is_empty() && targets.outputs > 1 => {
            let form = TargetForm::OneHot;
            FileTargets { values: prepare::targets(&targets.labels, targets.outputs, form), ..targets }
        }
        PredictLoss::Logistic if !targets.labels.is_empty() => {
            // One output is +-1 by class, several are one-hot: either way the larger value is the class.
            let values = targets.values.iter().map(|value| f64::from(u8::from(*value > 0.0))).collect();
            FileTargets { values, ..targets }
        }
        _ => targets,
    }
}

fn check(targets: &Mat<f64>, loss: PredictLoss) -> Result<(), PredictError> {
    let values = || targets.col_iter().flat_map(|column| column.iter().copied().collect::<Vec<_>>());
    let allowed = match loss {
        PredictLoss::CrossEntropy if targets.ncols() < 2 => return Err(PredictError::OneOutput),
        PredictLoss::CrossEntropy | PredictLoss::Logistic => {
            values().find(|value| !(0.0..=1.0).contains(value)).map(|v| (v, "0 to 1"))
        }
        PredictLoss::SquaredHinge => values().find(|value| value.abs() != 1.0).map(|v| (v, "-1 or 1")),
        PredictLoss::Mse | PredictLoss::Huber => None,
    };
    match allowed {
        Some((found, range)) => Err(PredictError::UnfitTarget { found, loss: loss.name(), range }),
        None => Ok(()),
    }
}

/// Examples with shape, one after the other.
pub(super) fn joined(train: &FileExamples, test: Option<&FileExamples>, shape: InputShape) -> Inputs {
    let values = train.values.iter().chain(test.iter().flat_map(|test| &test.values)).copied().collect();
    Inputs { values, shape }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_targets(path: &Path, classes: Option<usize>) -> Result<FileTargets, PredictError> {
        targets_of(path, read_file(path, RowMeaning::Targets)?, classes)
    }

    #[test]
    fn a_column_of_classes_becomes_centred_one_hot_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("y.csv");
        std::fs::write(&path, "label\n0\n2\n1\n").unwrap();
        let targets = read_targets(&path, Some(4)).unwrap();
        assert_eq!((targets.outputs, &*targets.labels), (4, &[0, 2, 1][..]));
        assert_eq!(targets.values[..4], [0.75, -0.25, -0.25, -0.25]);
        let one_hot = matrix(&for_loss(targets, PredictLoss::CrossEntropy));
        assert_eq!((one_hot[(1, 2)], one_hot[(1, 0)]), (1.0, 0.0));
        for (text, words) in [("0\n4\n", "row 2 is 4"), ("0.5\n", "row 1 is 0.5"), ("1,2\n", "2 columns")] {
            std::fs::write(&path, text).unwrap();
            let message = read_targets(&path, Some(4)).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
        assert_eq!(read_targets(&path, None).unwrap().outputs, 2);
    }

    #[test]
    fn targets_that_a_loss_does_not_know_are_refused() {
        let half = Mat::from_fn(1, 2, |_, _| 0.5);
        assert!(check(&half, PredictLoss::CrossEntropy).is_ok() && check(&half, PredictLoss::Mse).is_ok());
        let message = check(&half, PredictLoss::SquaredHinge).unwrap_err().to_string();
        assert!(message.contains("a target is 0.5, but --loss squared-hinge wants -1 or 1"), "{message}");
        let message = check(&Mat::from_fn(1, 1, |_, _| 0.5), PredictLoss::CrossEntropy).unwrap_err().to_string();
        assert!(message.contains("at least 2 outputs"), "{message}");
    }
}
