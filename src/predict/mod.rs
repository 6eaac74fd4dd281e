//! What infinitely wide networks say about examples, after training or as a posterior.

mod answer;
mod batches;
mod data;
mod dense;
mod error;
mod files;
mod infinite_depth;
mod integrated;
mod large;
mod need;
mod options;
mod question;
mod score;

use faer::Mat;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::InputShape;
use widthwise_theory::dynamics::OutputLoss;
use widthwise_theory::kernel::{Kernels, TrainedLayers};

use crate::config::NetworkConfig;
use crate::examples::{ExamplesError, Source, architecture, shape_of};
use crate::kernels::{Blocks, Budget, WantedKernels};
use crate::memory::Bytes;
use crate::monitor::Monitor;
pub use answer::{Answer, PredictedOutputs, PredictedSplit, Report};
pub use data::{ExampleSet, PredictionData, PredictionSources};
use dense::Whole;
pub use error::PredictError;
use files::half;
pub use files::{PredictionFiles, PredictionSummary};
use need::Counts;
pub use options::{PredictLoss, PredictMethod, PredictOptimizer, Solver};
pub use question::{Computation, Question, Time};
pub use score::Score;

/// Training examples up to which everything is computed in memory and double precision, unless told otherwise.
const DIRECT: usize = 4000;

/// Rows of the kernels computed at once.
const ROWS_AT_ONCE: usize = 256;

/// Refuses examples that do not fit into the budget before they are read, and names one that is enough for all that follows.
///
/// # Errors
/// A question that is refused, or one sentence with the least budget that would do.
pub fn require_room(
    question: &Question,
    sources: &PredictionSources,
    shape: Option<InputShape>,
    network: (&NetworkConfig, u64),
    budget: Budget,
) -> Result<(), PredictError> {
    let computation = question.computation()?;
    let expected = need::reading(sources);
    let needed = need::whole_of_outlines(question, &computation, sources, shape, network, expected);
    Ok(budget.for_whole(needed.unwrap_or_default()).require(expected, "the examples")?)
}

/// The shape of the examples: `asked`, or that of the data set, or flat.
///
/// # Errors
/// A network of images on rows of numbers without a shape, or examples of another size.
pub fn shape(
    asked: Option<InputShape>,
    network: &NetworkConfig,
    sources: &PredictionSources,
    data: &PredictionData,
) -> Result<InputShape, ExamplesError> {
    let inputs = [&data.train].into_iter().chain(&data.test).map(|half| &half.inputs);
    let named: Vec<(&Source, _)> = sources.all().zip(inputs).collect();
    shape_of(asked, network, &named)
}

/// Answers a question about the networks that `network` describes, whose gates are drawn with `seed`, on examples of this `shape`.
///
/// # Errors
/// A question that is refused, a network that has no limit or does not fit, a budget that is too small, a system that cannot be solved as
/// asked, or numbers that are lost.
pub fn predict(
    question: &Question,
    (network, seed): (&NetworkConfig, u64),
    data: &PredictionData,
    shape: InputShape,
    budget: Budget,
    monitor: &dyn Monitor,
) -> Result<Answer, PredictError> {
    let computation = question.computation()?;
    question.expect_centred(&computation, network)?;
    let test = data.test.as_ref().map(|test| &test.inputs);
    let inputs = data::joined(&data.train.inputs, test, shape);
    let budget = budget.holding(Bytes::of(2 * 8 * inputs.values.len()));
    let (train, all) = (data.train.inputs.rows, inputs.examples());
    let Some(targets) = data.train.targets.as_ref().map(Mat::as_ref) else {
        return Err(PredictError::NoTargets { name: "the training set".to_owned() });
    };
    let mut answer = if computation == Computation::InfiniteDepth {
        infinite_depth::classify(network, &inputs, train, targets)?
    } else {
        let architecture = architecture(network, seed, shape, &data.train.inputs)?;
        let counts = Counts { train, all, outputs: data.outputs };
        let needed = need::whole(question, &computation, &architecture, &inputs, counts)?;
        let what = format!("{all} examples of {} numbers", shape.features());
        budget.for_whole(needed).require(need::prepared(&architecture, &inputs, all)?, &what)?;
        let blocks = Blocks::new(&architecture, TrainedLayers::All, &inputs, None)?;
        let dense_bytes = dense_bytes(&computation, question, train, all, data.outputs);
        match solver(question, &computation, train, dense_bytes <= budget.left())? {
            Some(diagonal) => {
                let name = if question.method == PredictMethod::Nngp { "nngp" } else { "ntk" };
                large::solve(&blocks, name, targets, diagonal, question, (budget, &inputs.values), monitor)?
            }
            None => {
                budget.require(dense_bytes, &format!("the kernels of {all} examples in memory"))?;
                monitor.note(&format!("computing {all} x {all} kernels"));
                let whole = whole(&blocks, train, network)?;
                whole.expect_kernels(question.method, &inputs.values)?;
                match &computation {
                    Computation::Posterior | Computation::InfiniteDepth => dense::posterior(&whole, targets, question)?,
                    Computation::Trained(times) => dense::trained(&whole, targets, times, question)?,
                    Computation::Batches(times, size) => batches::trained(&whole, targets, times, *size, question)?,
                    Computation::Integrated(times, loss) => {
                        integrated::integrated(&whole, targets, times, *loss, question)?
                    }
                }
            }
        }
    };
    answer.expect_finite()?;
    (answer.report.noise, answer.report.ridge, answer.report.jitter) =
        (question.noise, question.ridge, question.jitter);
    answer.scores = scores(&answer, data, question.loss);
    Ok(answer)
}

/// Bytes at work at once when everything is in memory: numbers of matrices as measured, and a little more.
fn dense_bytes(computation: &Computation, question: &Question, train: usize, all: usize, outputs: usize) -> u64 {
    let [n, t, whole] = [train, all - train, all].map(|size| size as u64);
    let one_time = n * n + t * t;
    let (matrices, times) = match computation {
        Computation::Posterior | Computation::InfiniteDepth => (9 * whole * whole, 1),
        Computation::Trained(times) => (2 * whole * whole + 12 * n * n + 9 * t * t + 4 * n * t, times.len()),
        Computation::Batches(times, _) => (2 * whole * whole + 19 * n * n + 9 * t * t + 4 * n * t, times.len()),
        Computation::Integrated(times, _) => (9 * whole * whole, times.len()),
    };
    let times = times as u64;
    let kept = if question.covariance { times * one_time } else { 0 };
    let members = (question.members as u64 + 8) * (times + 2) * whole * outputs as u64;
    size_of::<f64>() as u64 * (matrices + kept + members)
}

/// What to add to the diagonal for the large-N solver, or `None` for the direct one.
fn solver(
    question: &Question,
    computation: &Computation,
    train: usize,
    fits: bool,
) -> Result<Option<f64>, PredictError> {
    let large = question.iterative(computation);
    match (question.solver, large) {
        (Solver::Direct, _) => Ok(None),
        (Solver::Cg, large) => large.map(Some),
        (Solver::Auto, Ok(diagonal)) if train > DIRECT || !fits => Ok(Some(diagonal)),
        (Solver::Auto, _) => Ok(None),
    }
}

fn whole<'a>(blocks: &Blocks<'_>, train: usize, network: &'a NetworkConfig) -> Result<Whole<'a>, TheoryError> {
    let (all, _) = blocks.size();
    let mut kernels = Kernels { nngp: Mat::zeros(all, all), ntk: Mat::zeros(all, all) };
    let mut out = [Vec::new(), Vec::new()];
    for start in (0..all).step_by(ROWS_AT_ONCE) {
        let rows = start..(start + ROWS_AT_ONCE).min(all);
        for columns in [rows.clone(), rows.end..all] {
            if columns.is_empty() {
                continue;
            }
            blocks.compute(rows.clone(), columns.clone(), WantedKernels::BOTH, &mut out)?;
            for (kernel, values) in [&mut kernels.nngp, &mut kernels.ntk].into_iter().zip(&out) {
                for (at, value) in values.iter().enumerate() {
                    let (i, j) = (rows.start + at / columns.len(), columns.start + at % columns.len());
                    kernel[(i, j)] = *value;
                    kernel[(j, i)] = *value;
                }
            }
        }
    }
    Ok(Whole { kernels, train, network })
}

fn scores(answer: &Answer, data: &PredictionData, loss: PredictLoss) -> Vec<Score> {
    let middle = if loss == PredictLoss::Logistic { 0.0 } else { middle(data) };
    let loss = loss.integrated().unwrap_or(OutputLoss::Squared);
    let score = |outputs| {
        let half = half(data, outputs);
        let targets = half.and_then(|half| half.targets.as_ref());
        Score::new(outputs, targets, half.map_or(&[], |half| &half.labels), middle, loss)
    };
    answer.outputs.iter().map(score).collect()
}

/// Between the two values of a single output.
fn middle(data: &PredictionData) -> f64 {
    let targets = data.train.targets.as_ref();
    let values = || targets.into_iter().flat_map(|targets| targets.col(0).iter().copied().collect::<Vec<_>>());
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    0.5 * (low + high)
}
