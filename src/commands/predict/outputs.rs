//! The files and the table of a prediction.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use widthwise::record::{atomic, npy};

use super::answer::{Answer, PredictedOutputs, Report};
use super::data::{ExampleSet, PredictionData};
use super::score::Score;
use crate::cli::PredictArguments;
use crate::terminal::columns::{Align, cell, columns, number};
use crate::terminal::console::Console;
use widthwise::record::place::{expect_prefix, try_out, with_ending};

/// First line of the table of predictions.
const HEADER: &str = "split,example,output,time,mean,variance,target";

/// Where everything goes.
#[derive(Debug)]
pub(super) struct PredictionFiles {
    predictions: PathBuf,
    summary: PathBuf,
    prefix: PathBuf,
}

impl PredictionFiles {
    /// Tries the places out.
    ///
    /// # Errors
    /// What stands in the way.
    pub(super) fn new(prefix: &Path) -> Result<Self> {
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
struct PredictionSummary<'a> {
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
    report: &'a Report,
    scores: &'a [Score],
}

#[derive(Serialize)]
struct ScoreLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    score: &'a Score,
}

#[derive(Serialize)]
struct SummaryLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    summary: &'a PredictionSummary<'a>,
    predictions: &'a Path,
}

/// Writes the files and prints the table.
///
/// # Errors
/// A failure to write.
pub(super) fn write(
    files: &PredictionFiles,
    answer: &Answer,
    data: &PredictionData,
    scores: &[Score],
    arguments: &PredictArguments,
    console: &Console,
) -> Result<()> {
    write_predictions(&files.predictions, answer, data)?;
    let mut written = vec![files.predictions.clone(), files.summary.clone()];
    for outputs in &answer.outputs {
        if let Some(covariance) = &outputs.covariance {
            let path = files.covariance(outputs);
            npy::write(&path, covariance)?;
            written.push(path);
        }
    }
    let has_times = answer.outputs.iter().any(|outputs| outputs.time.is_some());
    let summary = PredictionSummary {
        method: arguments.method.name(),
        optimizer: has_times.then(|| arguments.optimizer.name()),
        learning_rate: arguments.learning_rate,
        loss: arguments.loss.name(),
        train: arguments.train.to_string(),
        test: arguments.test.as_ref().map(ToString::to_string),
        train_examples: data.train.inputs.rows,
        test_examples: data.test.as_ref().map_or(0, |test| test.inputs.rows),
        outputs: data.outputs,
        report: &answer.report,
        scores,
    };
    atomic::write(&files.summary, &serde_json::to_vec_pretty(&summary)?)?;
    print(&summary, answer, files, console)?;
    let written: Vec<String> = written.iter().map(|file| file.display().to_string()).collect();
    console.line(format_args!("written: {}", written.join(", ")))
}

/// The half of the data that `outputs` are of.
pub(super) fn half<'a>(data: &'a PredictionData, outputs: &PredictedOutputs) -> Option<&'a ExampleSet> {
    match outputs.half {
        super::answer::PredictedSplit::Train => Some(&data.train),
        super::answer::PredictedSplit::Test => data.test.as_ref(),
    }
}

fn write_predictions(path: &Path, answer: &Answer, data: &PredictionData) -> Result<()> {
    Ok(atomic::write_with(path, |out| {
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
    })?)
}

fn print(summary: &PredictionSummary<'_>, answer: &Answer, files: &PredictionFiles, console: &Console) -> Result<()> {
    let heading = ["split", "time", "accuracy", "mse", "loss", "mean_variance", "expected_half_sum"];
    let mut rows = vec![heading.map(str::to_owned)];
    for (score, outputs) in summary.scores.iter().zip(&answer.outputs) {
        console.json(&ScoreLine { event: "score", score })?;
        let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        rows.push([
            score.half.name().to_owned(),
            dash(outputs.time.map_or_else(String::new, |time| time.to_string())),
            dash(cell(score.accuracy, 4)),
            dash(cell(score.mean_squared_error, 5)),
            dash(cell(score.loss, 5)),
            dash(cell(score.mean_variance, 5)),
            dash(cell(score.expected_half_sum, 6)),
        ]);
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, right, right, left], &rows) {
        console.detail(line)?;
    }
    let report = summary.report;
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: Option<f64>, digits| {
        facts.extend(value.map(|value| format!("{name} {}", number(value, digits))));
    };
    if report.smallest_eigenvalue.is_some() && report.condition_number.is_none() {
        fact("smallest eigenvalue", report.smallest_eigenvalue, 4);
        fact("largest", report.largest_eigenvalue, 4);
    } else {
        fact("condition number", report.condition_number, 4);
        fact("smallest eigenvalue", report.smallest_eigenvalue, 4);
        fact("largest", report.largest_eigenvalue, 4);
    }
    fact("condition number as solved", report.solved_condition_number, 4);
    fact("stable learning rate", report.stable_learning_rate, 6);
    fact("log evidence", report.log_evidence, 8);
    fact("degrees of freedom", report.degrees_of_freedom, 6);
    fact("residual", report.residual, 2);
    if !facts.is_empty() {
        console.detail(format_args!("{} kernel: {}", report.kernel, facts.join(", ")))?;
    }
    if report.smallest_eigenvalue.is_some() && report.condition_number.is_none() {
        console.detail("the kernel is singular to round-off: its condition number is not known")?;
    }
    let of = |name: &str, value: f64| format!("{name} {}", number(value, 4));
    let mut added = vec![of("noise", report.noise), of("ridge", report.ridge), of("jitter", report.jitter)];
    added.extend(report.preconditioner_jitter.map(|jitter| of("jitter of the preconditioner alone", jitter)));
    console.detail(format_args!("added to the diagonal: {}", added.join(", ")))?;
    for remark in &report.remarks {
        console.note(remark);
    }
    console.json(&SummaryLine { event: "prediction", summary, predictions: &files.predictions })
}
