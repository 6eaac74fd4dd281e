//! What the whole job needs at most, from sizes alone: so that a refusal names a budget that is enough.

use widthwise_probes::ntk::BlockPlan;
use widthwise_tensors::Number;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::Architecture;

use super::super::{SAMPLE, roomy};
use super::{EmpiricalRequest, UnsetNetwork, eigen, tiling};
use crate::examples::{FileExamples, Source, outline};
use crate::need;

/// Bytes that do for everything from the drawing of the network to the last tile, inputs not counted.
///
/// # Errors
/// Shapes that do not fit.
pub(super) fn whole<T: Number>(
    request: &EmpiricalRequest,
    subject: &UnsetNetwork,
    plan: &BlockPlan,
) -> Result<u64, TheoryError> {
    let job = job::<T>(request, subject.architecture(), plan)?;
    let held = need::network(subject.architecture(), size_of::<T>())?.0.saturating_add(job);
    Ok(roomy(held.max(subject.bytes::<T>()?)))
}

/// Bytes that do for everything once the network is there.
///
/// # Errors
/// Shapes that do not fit.
pub(super) fn job<T: Number>(
    request: &EmpiricalRequest,
    architecture: &Architecture,
    plan: &BlockPlan,
) -> Result<u64, TheoryError> {
    let number = size_of::<T>();
    let [block, work] =
        need::derivatives(architecture, plan.wanted().len())?.map(|numbers| numbers.saturating_mul(number as u64));
    // Of a few examples the sizes of blocks are found.
    let sample = (block.saturating_add(work)).saturating_mul(SAMPLE.min(plan.rows) as u64);
    let weights = need::network(architecture, number)?.0;
    let job = match request.top_k {
        Some(count) => {
            let vectors = eigen::basis_bytes(plan, count);
            let gradients = weights.saturating_mul(plan.wanted().len() as u64);
            vectors.saturating_add(gradients).saturating_add(2 * block + work)
        }
        None => {
            let layers = architecture.weight_layers()?.len();
            let matrices = if request.per_layer { layers + 1 } else { 1 };
            let tiles = tiling::tile_bytes(plan, matrices, request.options.storage, 1);
            tiles.saturating_add(2 * block + work)
        }
    };
    // Weights are there once more where they are pulled back in host memory.
    Ok(roomy(weights.saturating_add(job.max(sample))))
}

/// As [`whole`], before the inputs are read; nothing where their sizes do not tell which network `find` finds.
pub(super) fn whole_of_outlines<T: Number, E>(
    request: &EmpiricalRequest,
    sources: &[&Source],
    find: impl FnOnce(&[(&Source, &FileExamples)]) -> Result<UnsetNetwork, E>,
) -> Option<u64> {
    let outlines = sources.iter().map(|source| outline(source)).collect::<Option<Vec<_>>>()?;
    let named: Vec<_> = sources.iter().copied().zip(&outlines).collect();
    let subject = find(&named).ok()?;
    let outputs = subject.architecture().outputs().ok()?;
    let [rows, columns] = [outlines.first()?, outlines.last()?].map(|outline| outline.rows);
    whole::<T>(request, &subject, &BlockPlan { output: request.output, outputs, rows, columns }).ok()
}
