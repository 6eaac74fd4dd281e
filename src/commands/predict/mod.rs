//! `widthwise predict`: what infinitely wide networks say about test examples, after training or as a posterior.

mod answer;
mod batches;
mod data;
mod dense;
mod infinite_depth;
mod integrated;
mod large;
mod need;
mod outputs;
mod question;
mod score;

use anyhow::{Result, bail};
use faer::Mat;
use widthwise::config::NetworkConfig;
use widthwise::memory::Bytes;
use widthwise_theory::dynamics::OutputLoss;
use widthwise_theory::kernel::{Kernels, TrainedLayers};

use super::Exit;
use super::blocks::{Blocks, WantedKernels};
use super::budget::Budget;
use super::kernel::print_memory;
use super::overrides::ConfigCommand;
use crate::cli::{PredictArguments, PredictLoss, PredictMethod, Solver};
use crate::terminal::console::Console;
use answer::Answer;
use data::PredictionData;
use dense::Whole;
use need::Counts;
use outputs::{PredictionFiles, half};
use question::{Computation, computation, expect_centred, iterative};
use score::Score;
use widthwise::examples::Source;
use widthwise::examples::expected_bytes;
use widthwise::examples::{architecture, shape_of};

/// Training examples up to which everything is computed in memory and double precision, unless told otherwise.
const DIRECT: usize = 4000;

/// Rows of the kernels computed at once.
const ROWS_AT_ONCE: usize = 256;

/// Reads, predicts, writes and prints how good it is.
///
/// # Errors
/// Arguments that do not go together, data that are refused, a system that cannot be solved as asked.
pub(crate) fn execute(arguments: &PredictArguments, console: &Console) -> Result<Exit> {
    let computation = computation(arguments)?;
    let files = PredictionFiles::new(&arguments.out)?;
    let budget = Budget::new(arguments.memory);
    let sources: Vec<&Source> = [&arguments.train].into_iter().chain(&arguments.test).collect();
    let reader =
        ConfigCommand::Network { command: "predict", sources: sources.clone(), draws: false, has_width: false };
    let (network, seed) = reader.network(&arguments.architecture, &arguments.set)?;
    expect_centred(&computation, arguments, &network)?;
    let data_dir = arguments.data_dir.as_deref();
    let expected = sources.iter().fold(0, |sum: u64, source| sum.saturating_add(expected_bytes(source, data_dir)));
    let expected = need::reading(arguments, expected);
    let needed = need::whole_of_outlines(arguments, &computation, (&network, seed), expected).unwrap_or_default();
    budget.for_whole(needed).expect(expected, Bytes(0), "the examples")?;
    let data = data::read_all(arguments, console)?;
    let test = data.test.as_ref().map(|test| &test.inputs);
    let named: Vec<_> =
        [(&arguments.train, &data.train.inputs)].into_iter().chain(arguments.test.as_ref().zip(test)).collect();
    let shape = shape_of(arguments.shape, &network, &named)?;
    let inputs = data::joined(&data.train.inputs, test, shape);
    let held = Bytes::of(2 * 8 * inputs.values.len());
    let (train, all) = (data.train.inputs.rows, inputs.examples());
    let Some(targets) = data.train.targets.as_ref().map(Mat::as_ref) else { bail!("no training targets") };

    let mut answer = if computation == Computation::InfiniteDepth {
        infinite_depth::classify(&network, &inputs, train, targets)?
    } else {
        let architecture = architecture(&network, seed, shape, &data.train.inputs)?;
        let counts = Counts { train, all, outputs: data.outputs };
        let needed = need::whole(arguments, &computation, &architecture, &inputs, counts)?;
        let what = format!("{all} examples of {} numbers", shape.features());
        budget.for_whole(needed).expect(need::prepared(&architecture, &inputs, all)?, held, &what)?;
        let blocks = Blocks::new(&architecture, TrainedLayers::All, &inputs, None)?;
        let dense_bytes = dense_bytes(&computation, arguments, train, all, data.outputs);
        match solver(arguments, &computation, train, dense_bytes <= budget.left(held))? {
            Some(diagonal) => {
                let name = if arguments.method == PredictMethod::Nngp { "nngp" } else { "ntk" };
                large::solve(&blocks, name, targets, diagonal, arguments, (budget, held, &inputs.values), console)?
            }
            None => {
                budget.expect(dense_bytes, held, &format!("the kernels of {all} examples in memory"))?;
                console.note(format_args!("computing {all} x {all} kernels"));
                let whole = whole(&blocks, train, &network)?;
                whole.expect_kernels(arguments.method, &inputs.values)?;
                match &computation {
                    Computation::Posterior | Computation::InfiniteDepth => {
                        dense::posterior(&whole, targets, arguments)?
                    }
                    Computation::Trained(times) => dense::trained(&whole, targets, times, arguments)?,
                    Computation::Batches(times, size) => batches::trained(&whole, targets, times, *size, arguments)?,
                    Computation::Integrated(times, loss) => {
                        integrated::integrated(&whole, targets, times, *loss, arguments)?
                    }
                }
            }
        }
    };
    answer.expect_finite()?;
    (answer.report.noise, answer.report.ridge, answer.report.jitter) =
        (arguments.noise, arguments.ridge, arguments.jitter);
    let scores = scores(&answer, &data, arguments.loss);
    outputs::write(&files, &answer, &data, &scores, arguments, console)?;
    print_memory(arguments.memory, console)?;
    Ok(Exit::Done)
}

/// Bytes at work at once when everything is in memory: numbers of matrices as measured, and a little more.
fn dense_bytes(
    computation: &Computation,
    arguments: &PredictArguments,
    train: usize,
    all: usize,
    outputs: usize,
) -> u64 {
    let [n, t, whole] = [train, all - train, all].map(|size| size as u64);
    let one_time = n * n + t * t;
    let (matrices, times) = match computation {
        Computation::Posterior | Computation::InfiniteDepth => (9 * whole * whole, 1),
        Computation::Trained(times) => (2 * whole * whole + 12 * n * n + 9 * t * t + 4 * n * t, times.len()),
        Computation::Batches(times, _) => (2 * whole * whole + 19 * n * n + 9 * t * t + 4 * n * t, times.len()),
        Computation::Integrated(times, _) => (9 * whole * whole, times.len()),
    };
    let times = times as u64;
    let kept = if arguments.covariance { times * one_time } else { 0 };
    let members = (arguments.members as u64 + 8) * (times + 2) * whole * outputs as u64;
    size_of::<f64>() as u64 * (matrices + kept + members)
}

/// What to add to the diagonal for the large-N solver, or `None` for the direct one.
fn solver(arguments: &PredictArguments, computation: &Computation, train: usize, fits: bool) -> Result<Option<f64>> {
    let large = iterative(computation, arguments);
    match (arguments.solver, large) {
        (Solver::Direct, _) => Ok(None),
        (Solver::Cg, large) => large.map(Some).map_err(anyhow::Error::msg),
        (Solver::Auto, Ok(diagonal)) if train > DIRECT || !fits => Ok(Some(diagonal)),
        (Solver::Auto, _) => Ok(None),
    }
}

fn whole<'a>(blocks: &Blocks<'_>, train: usize, network: &'a NetworkConfig) -> Result<Whole<'a>> {
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
