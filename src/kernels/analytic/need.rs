//! What a kernel job needs at most, from the sizes of its inputs alone: so that a refusal names a budget that is enough.

use widthwise_theory::TheoryError;
use widthwise_theory::architecture::{Architecture, InputShape};
use widthwise_theory::kernel::Inputs;

use super::super::{Blocks, SAMPLE, roomy, stand_in};
use super::{AnalyticRequest, tiling};
use crate::config::NetworkConfig;
use crate::examples::{FileExamples, Source, architecture, outline, shape_of};

/// Bytes that do for everything once the inputs are there: prepared examples, and the smallest tiles that are tried.
///
/// # Errors
/// An architecture without a limit, or inputs that do not fit it.
pub(super) fn whole(
    request: AnalyticRequest,
    architecture: &Architecture,
    inputs: &Inputs,
    examples: usize,
) -> Result<u64, TheoryError> {
    let AnalyticRequest { wanted, trained, options } = request;
    let prepared = Blocks::expected_bytes(architecture, trained, inputs, examples)? as u64;
    let few = inputs.examples().min(SAMPLE);
    let few = Inputs::new(inputs.values[..few * inputs.shape.features()].to_vec(), inputs.shape)?;
    let blocks = Blocks::new(architecture, trained, &few, None)?;
    let tile = options.tile.unwrap_or(tiling::SMALLEST).min(examples);
    Ok(roomy(prepared.saturating_add(tiling::bytes(&blocks, wanted, options.storage, tile))))
}

/// As [`whole`], with the inputs and before they are read; nothing where their sizes do not tell.
pub(super) fn whole_of_outlines(
    request: AnalyticRequest,
    sources: &[&Source],
    shape: Option<InputShape>,
    (network, seed): (&NetworkConfig, u64),
) -> Option<u64> {
    let outlines = sources.iter().map(|source| outline(source)).collect::<Option<Vec<_>>>()?;
    let named: Vec<(&Source, &FileExamples)> = sources.iter().copied().zip(&outlines).collect();
    let shape = shape_of(shape, network, &named).ok()?;
    let examples: usize = outlines.iter().map(|outline| outline.rows).sum();
    let sample =
        FileExamples { values: stand_in(SAMPLE * shape.features()), rows: SAMPLE, ..outlines.first()?.clone() };
    let architecture = architecture(network, seed, shape, &sample).ok()?;
    let needed = whole(request, &architecture, &Inputs::new(sample.values, shape).ok()?, examples).ok()?;
    let held = (examples as u64).saturating_mul(shape.features() as u64).saturating_mul(size_of::<f64>() as u64);
    Some(held.saturating_add(needed))
}
