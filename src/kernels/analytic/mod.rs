//! Kernels of infinite width on examples, from theory.

mod need;
mod tiling;

use std::path::Path;

use faer::Mat;
use widthwise_theory::architecture::{Architecture, InputShape};
use widthwise_theory::kernel::{Inputs, TrainedLayers};

use super::job::{complete, fingerprint};
use super::precision::largest_error;
use super::{Blocks, Budget, JobOptions, KernelError, KernelFiles, KernelInputs, KernelsEnd, WantedKernels};
use crate::config::NetworkConfig;
use crate::entries::has_nonzero;
use crate::examples::{Source, expected_bytes};
use crate::memory::Bytes;
use crate::monitor::Monitor;
use crate::record::tiles::StoredNumber;
use crate::signals::StopFlag;
use tiling::KernelTiling;

/// What is made of the inputs, and how.
#[derive(Debug, Clone, Copy)]
pub struct AnalyticRequest {
    /// Which of the kernels.
    pub wanted: WantedKernels,
    /// What the tangent kernel is of.
    pub trained: TrainedLayers,
    /// How they are stored.
    pub options: JobOptions,
}

/// Refuses examples that do not fit into the budget before they are read, and names one that is enough for all that follows.
///
/// # Errors
/// One sentence with the least budget that would do.
pub fn require_room(
    request: AnalyticRequest,
    sources: &[&Source],
    shape: Option<InputShape>,
    network: (&NetworkConfig, u64),
    data_dir: Option<&Path>,
    budget: Budget,
) -> Result<(), KernelError> {
    let expected = sources.iter().map(|source| expected_bytes(source, data_dir)).sum();
    let whole = need::whole_of_outlines(request, sources, shape, network).unwrap_or_default();
    Ok(budget.for_whole(whole).require(expected, "the inputs")?)
}

/// Computes the kernels that are wanted and writes them to `files`, whose names are those of [`WantedKernels::names`].
///
/// # Errors
/// An architecture without a limit, inputs that do not fit it or numbers that are lost, a budget that is too small, a failure to write.
pub fn compute(
    request: AnalyticRequest,
    architecture: &Architecture,
    inputs: KernelInputs<'_>,
    files: &KernelFiles,
    budget: Budget,
    stop: &StopFlag,
    monitor: &dyn Monitor,
) -> Result<KernelsEnd, KernelError> {
    let AnalyticRequest { wanted, trained, options } = request;
    let KernelInputs { left, right } = inputs;
    let budget = budget.holding(Bytes::of(8 * (left.values.len() + right.map_or(0, |right| right.values.len()))));
    let count = left.examples() + right.map_or(0, Inputs::examples);
    let prepared = Blocks::expected_bytes(architecture, trained, left, count)?;
    let what = format!("{count} examples of {} numbers", left.shape.features());
    budget.for_whole(need::whole(request, architecture, left, count)?).require(prepared as u64, &what)?;
    let blocks = Blocks::new(architecture, trained, left, right)?;
    // Different examples may be orthogonal to each other; the kernel of one with itself says whether numbers are lost.
    let is_lost = || is_lost(request, architecture, left);
    let zeros = if right.is_none() || is_lost()? { left.values.as_slice() } else { &[] };
    let tiling = KernelTiling { blocks: &blocks, wanted, storage: options.storage, budget, inputs: zeros };
    let fingerprint =
        fingerprint(architecture, None::<[&[f64]; 0]>, &left.values, right.map(|right| right.values.as_slice()))?
            .with("kernels", &wanted.names().collect::<Vec<_>>().join(","))
            .with("storage", options.storage.name())
            .with("trained", &format!("{trained:?}"));
    // What has no kernel is refused before there is a job to finish.
    for name in wanted.names() {
        blocks.tile(0..1, 0..1, name, Mat::zeros(1, 1).as_mut())?;
    }
    let error = |name: &str, file: &_| match options.storage {
        StoredNumber::F64 => Ok(None),
        StoredNumber::F32 => largest_error(name, file, architecture, trained, inputs).map(Some),
    };
    complete((files, &options, fingerprint), tiling, || budget.left(), error, (stop, monitor))
}

/// Whether a kernel of the first example that is not zero vanishes as it is stored.
fn is_lost(request: AnalyticRequest, architecture: &Architecture, left: &Inputs) -> Result<bool, KernelError> {
    let Some(first) = (0..left.examples()).map(|i| left.example(i)).find(|example| has_nonzero(example)) else {
        return Ok(false);
    };
    let one = Inputs::new(first.to_vec(), left.shape)?;
    let blocks = Blocks::new(architecture, request.trained, &one, None)?;
    let mut entry = vec![Vec::new(); request.wanted.count()];
    blocks.compute(0..1, 0..1, request.wanted, &mut entry)?;
    let (storage, mut bytes) = (request.options.storage, Vec::new());
    storage.encode(entry.concat().into_iter(), &mut bytes);
    Ok(storage.decode(&bytes).any(|value| value == 0.0))
}
