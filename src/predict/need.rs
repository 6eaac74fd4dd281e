//! What a prediction needs at most, from sizes alone: so that a refusal names a budget that is enough.

use widthwise_theory::TheoryError;
use widthwise_theory::architecture::{Architecture, InputShape};
use widthwise_theory::kernel::{Inputs, TrainedLayers};

use super::data::PredictionSources;
use super::options::Solver;
use super::question::{Computation, Question};
use super::{dense_bytes, large};
use crate::config::NetworkConfig;
use crate::examples::{
    FileExamples, Source, architecture, expected_bytes, expected_file_bytes, file_size, outline, shape_of,
};
use crate::kernels::{Blocks, SAMPLE, roomy, stand_in};

/// How many examples and outputs there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) train: usize,
    /// Training and test examples together.
    pub(super) all: usize,
    pub(super) outputs: usize,
}

/// Bytes that preparing the examples takes.
///
/// # Errors
/// An architecture without a limit, or inputs that do not fit it.
pub(super) fn prepared(architecture: &Architecture, inputs: &Inputs, examples: usize) -> Result<u64, TheoryError> {
    Ok(Blocks::expected_bytes(architecture, TrainedLayers::All, inputs, examples)? as u64)
}

/// Bytes that do for everything once the inputs are there, by the solver that takes the least.
///
/// # Errors
/// As [`prepared`].
pub(super) fn whole(
    question: &Question,
    computation: &Computation,
    architecture: &Architecture,
    inputs: &Inputs,
    counts: Counts,
) -> Result<u64, TheoryError> {
    let Counts { train, all, outputs } = counts;
    let few = inputs.examples().min(SAMPLE);
    let few = Inputs::new(inputs.values[..few * inputs.shape.features()].to_vec(), inputs.shape)?;
    let blocks = Blocks::new(architecture, TrainedLayers::All, &few, None)?;
    let dense = dense_bytes(computation, question, train, all, outputs);
    let iterated = large::bytes(&blocks, train, all, outputs);
    let solved = match (question.solver, question.iterative(computation)) {
        (Solver::Direct, _) | (_, Err(_)) => dense,
        (Solver::Cg, Ok(_)) => iterated,
        (Solver::Auto, Ok(_)) => iterated.min(dense),
    };
    Ok(roomy(prepared(architecture, inputs, all)?.saturating_add(solved)))
}

/// Bytes that reading the examples and their targets takes.
pub(super) fn reading(sources: &PredictionSources) -> u64 {
    let data_dir = sources.data_dir.as_deref();
    let inputs = sources.all().fold(0, |sum: u64, source| sum.saturating_add(expected_bytes(source, data_dir)));
    let targets = [&sources.targets, &sources.test_targets].into_iter().flatten();
    // Examples of both sets are joined in an array of their own.
    targets.fold(inputs.saturating_mul(2), |sum, path| sum.saturating_add(expected_file_bytes(path)))
}

/// As [`whole`], with `reading` bytes of examples and before they are read; nothing where their sizes do not tell.
pub(super) fn whole_of_outlines(
    question: &Question,
    computation: &Computation,
    sources: &PredictionSources,
    shape: Option<InputShape>,
    (network, seed): (&NetworkConfig, u64),
    reading: u64,
) -> Option<u64> {
    let outlines = sources.all().map(outline).collect::<Option<Vec<_>>>()?;
    let named: Vec<(&Source, &FileExamples)> = sources.all().zip(&outlines).collect();
    let shape = shape_of(shape, network, &named).ok()?;
    let train = outlines.first()?;
    let of_file = sources.targets.as_deref().and_then(file_size).map(|[_, columns]| columns);
    let outputs = sources.classes.or(of_file).or(train.targets.as_ref().map(|targets| targets.outputs))?;
    let counts = Counts { train: train.rows, all: outlines.iter().map(|outline| outline.rows).sum(), outputs };
    let sample = FileExamples { values: stand_in(SAMPLE * shape.features()), rows: SAMPLE, ..train.clone() };
    let architecture = architecture(network, seed, shape, &sample).ok()?;
    let inputs = Inputs::new(sample.values, shape).ok()?;
    Some(reading.saturating_add(whole(question, computation, &architecture, &inputs, counts).ok()?))
}
