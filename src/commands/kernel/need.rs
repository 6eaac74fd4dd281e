//! What a kernel job needs at most, from the sizes of its inputs alone: so that a refusal names a budget that is enough.

use anyhow::Result;
use widthwise::config::NetworkConfig;
use widthwise::record::tiles::StoredNumber;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::kernel::{Inputs, TrainedLayers};

use super::tiling;
use crate::cli::KernelArguments;
use crate::commands::blocks::{Blocks, WantedKernels};
use crate::commands::budget::roomy;
use widthwise::examples::Source;
use widthwise::examples::{FileExamples, outline};
use widthwise::examples::{architecture, shape_of};

/// Examples that stand for all of their size.
const SAMPLE: usize = 4;

/// What is made of the inputs, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct KernelRequest {
    pub(super) wanted: WantedKernels,
    pub(super) storage: StoredNumber,
    pub(super) trained: TrainedLayers,
    /// Rows of a tile, where the user says how many.
    pub(super) tile: Option<usize>,
}

/// Bytes that do for everything once the inputs are there: prepared examples, and the smallest tiles that are tried.
///
/// # Errors
/// An architecture without a limit, or inputs that do not fit it.
pub(super) fn whole(
    asked: KernelRequest,
    architecture: &Architecture,
    inputs: &Inputs,
    examples: usize,
) -> Result<u64> {
    let prepared = Blocks::expected_bytes(architecture, asked.trained, inputs, examples)? as u64;
    let few = inputs.examples().min(SAMPLE);
    let few = Inputs::new(inputs.values[..few * inputs.shape.features()].to_vec(), inputs.shape)?;
    let blocks = Blocks::new(architecture, asked.trained, &few, None)?;
    let tile = asked.tile.unwrap_or(tiling::SMALLEST).min(examples);
    Ok(roomy(prepared.saturating_add(tiling::bytes(&blocks, asked.wanted, asked.storage, tile))))
}

/// As [`whole`], with the inputs and before they are read; nothing where their sizes do not tell.
pub(super) fn whole_of_outlines(
    arguments: &KernelArguments,
    asked: KernelRequest,
    (network, seed): (&NetworkConfig, u64),
) -> Option<u64> {
    let sources = || [&arguments.inputs].into_iter().chain(&arguments.right);
    let outlines = sources().map(outline).collect::<Option<Vec<_>>>()?;
    let named: Vec<(&Source, &FileExamples)> = sources().zip(&outlines).collect();
    let shape = shape_of(arguments.shape, network, &named).ok()?;
    let examples: usize = outlines.iter().map(|outline| outline.rows).sum();
    let sample =
        FileExamples { values: stand_in(SAMPLE * shape.features()), rows: SAMPLE, ..outlines.first()?.clone() };
    let architecture = architecture(network, seed, shape, &sample).ok()?;
    let needed = whole(asked, &architecture, &Inputs::new(sample.values, shape).ok()?, examples).ok()?;
    let held = (examples as u64).saturating_mul(shape.features() as u64).saturating_mul(size_of::<f64>() as u64);
    Some(held.saturating_add(needed))
}

/// Numbers in place of those that are not read yet; no two examples are multiples of each other.
pub(crate) fn stand_in(count: usize) -> Vec<f64> {
    (0..count).map(|i| 0.5 + ((i * i + 3 * i) % 17) as f64 / 17.0).collect()
}
