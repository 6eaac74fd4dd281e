//! The files of a prediction.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::PredictError;
use super::answer::{Answer, PredictedOutputs, PredictedSplit, Report};
use super::data::{ExampleSet, PredictionData};
use super::question::Question;
use super::score::Score;
use crate::record::place::{PlaceError, expect_prefix, try_out, with_ending};
use crate::record::{atomic, npy};

/// First line of the table of predictions.
const HEADER: &str = "split,example,output,time,mean,variance,target";

/// Where everything goes.
#[derive(Debug)]
pub struct PredictionFiles {
    /// Every predicted number.
    pub predictions: PathBuf,
    summary: PathBuf,
    prefix: PathBuf,
}

impl PredictionFiles {
    /// Tries the places out.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn new(prefix: &Path) -> Result<Self, PlaceError> {
        expect_prefix(prefix)?;
        let files = Self {
            predictions: with_ending(prefix, ".predictions.csv"),
            summary: with_ending(prefix, ".summary.json"),
            prefix: prefix.to_owned(),
        };
        try_out(&files.predictions)?;
        try_out(&files.summary)?;
        Ok(files)
    }

    /// Writes them, and says which there are.
    ///
    /// # Errors
    /// A failure to write.
    pub fn write(
        &self,
        summary: &PredictionSummary<'_>,
        answer: &Answer,
        data: &PredictionData,
    ) -> Result<Vec<PathBuf>, PredictError> {
        write_predictions(&self.predictions, answer, data)?;
        let mut written = vec![self.predictions.clone(), self.summary.clone()];
        for outputs in &answer.outputs {
            if let Some(covariance) = &outputs.covariance {
                let path = self.covariance(outputs);
                npy::write(&path, covariance)?;
                written.push(path);
            }
        }
        atomic::write(&self.summary, &serde_json::to_vec_pretty(summary)?)?;
        Ok(written)
    }

    fn covariance(&self, outputs: &PredictedOutputs) -> PathBuf {
        let time = match outputs.time {
            None => String::new(),
            Some(time) => format!(".{time}"),
        };
        with_ending(&self.prefix, &format!(".{}{time}.covariance.npy", outputs.half.name()))
    }
}

/// All of the summary file.
#[derive(Debug, Serialize)]
pub struct PredictionSummary<'a> {
    method: &'a str,
    optimizer: Option<&'a str>,
    learning_rate: Option<f64>,
    loss: &'a str,
    train: String,
    test: Option<String>,
    train_examples: usize,
    test_examples: usize,
    outputs: usize,
    #[serde(flatten)]
    /// What the numbers depend on.
    pub report: &'a Report,
    /// How good they are.
    pub scores: &'a [Score],
}

impl<'a> PredictionSummary<'a> {
    /// Of an answer; `train` and `test` name where examples are from.
    pub fn new(
        question: &'a Question,
        answer: &'a Answer,
        data: &PredictionData,
        train: String,
        test: Option<String>,
    ) -> Self {
        let has_times = answer.outputs.iter().any(|outputs| outputs.time.is_some());
        Self {
            method: question.method.name(),
            optimizer: has_times.then(|| question.optimizer.name()),
            learning_rate: question.learning_rate,
            loss: question.loss.name(),
            train,
            test,
            train_examples: data.train.inputs.rows,
            test_examples: data.test.as_ref().map_or(0, |test| test.inputs.rows),
            outputs: data.outputs,
            report: &answer.report,
            scores: &answer.scores,
        }
    }
}

/// The half of the data that `outputs` are of.
pub(super) fn half<'a>(data: &'a PredictionData, outputs: &PredictedOutputs) -> Option<&'a ExampleSet> {
    match outputs.half {
        PredictedSplit::Train => Some(&data.train),
        PredictedSplit::Test => data.test.as_ref(),
    }
}

fn write_predictions(path: &Path, answer: &Answer, data: &PredictionData) -> io::Result<()> {
    atomic::write_with(path, |out| {
        let mut out = BufWriter::new(out);
        writeln!(out, "{HEADER}")?;
        for outputs in &answer.outputs {
            let split = outputs.half.name();
            let targets = half(data, outputs).and_then(|half| half.targets.as_ref());
            let time = outputs.time.map_or_else(String::new, |time| time.to_string());
            for i in 0..outputs.mean.nrows() {
                for o in 0..outputs.mean.ncols() {
                    let written = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:?}"));
                    let variance = written(outputs.variance.as_ref().map(|variance| variance[(i, o)]));
                    let target = written(targets.map(|targets| targets[(i, o)]));
                    writeln!(out, "{split},{i},{o},{time},{:?},{variance},{target}", outputs.mean[(i, o)])?;
                }
            }
        }
        out.flush()
    })
}
