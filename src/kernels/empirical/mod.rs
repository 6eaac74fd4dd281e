//! The tangent kernel of one finite network, trained or drawn, on examples.

mod eigen;
mod need;
mod source;
mod subject;
mod tiling;

use std::path::Path;

use widthwise_probes::ntk::{BlockPlan, NtkOutput};
use widthwise_tensors::{Number, to_f64};

use super::job::{complete, fingerprint};
use super::{Budget, JobOptions, KernelError, KernelFiles, KernelsEnd};
use crate::config::Precision;
use crate::examples::{FileExamples, Source, expected_bytes};
use crate::memory::Bytes;
use crate::monitor::Monitor;
use crate::network::Network;
use crate::ntk::BlockMaker;
use crate::record::tiles::Fingerprint;
use crate::signals::StopFlag;
pub use eigen::FoundEigenpairs;
use source::{BlockSource, Side};
pub use subject::UnsetNetwork;
use tiling::NtkTiling;

/// Bytes of inputs that do not matter besides the program itself.
const SMALL: u64 = 8 << 20;
/// Rows of weights that are examined together.
const ROWS: usize = 1024;

/// What is computed of the network, and how.
#[derive(Debug, Clone, Copy)]
pub struct EmpiricalRequest {
    /// Which numbers.
    pub output: NtkOutput,
    /// Also the share of every layer.
    pub per_layer: bool,
    /// Instead of the kernel this many of its largest eigenvalues, with their vectors.
    pub top_k: Option<usize>,
    /// Of the computation.
    pub precision: Precision,
    /// How kernels are stored.
    pub options: JobOptions,
}

/// How it ends.
#[derive(Debug)]
pub enum EmpiricalEnd {
    /// Kernels: every layer's share if asked for, and the whole.
    Kernels(KernelsEnd),
    /// Eigenvalues; none if the search was stopped.
    Eigenpairs(Option<FoundEigenpairs>),
}

impl EmpiricalRequest {
    /// Refuses a request that contradicts itself; `has_right` says whether columns are of other examples.
    ///
    /// # Errors
    /// One sentence.
    pub fn check(&self, has_right: bool) -> Result<(), KernelError> {
        let is_alone = self.output != NtkOutput::Diagonal || (!has_right && self.top_k.is_none());
        if is_alone { Ok(()) } else { Err(KernelError::DiagonalAlone) }
    }
}

/// Refuses examples that do not fit into the budget before they are read, and names one that is enough for all that follows; `find`
/// finds the network.
///
/// # Errors
/// One sentence with the least budget that would do.
pub fn require_room<E>(
    request: &EmpiricalRequest,
    sources: &[&Source],
    data_dir: Option<&Path>,
    budget: Budget,
    find: impl FnOnce(&[(&Source, &FileExamples)]) -> Result<UnsetNetwork, E>,
) -> Result<(), KernelError> {
    let expected = sources.iter().map(|source| expected_bytes(source, data_dir)).sum();
    if expected <= SMALL {
        return Ok(());
    }
    let whole = match request.precision {
        Precision::F32 => need::whole_of_outlines::<f32, E>(request, sources, find),
        Precision::F64 => need::whole_of_outlines::<f64, E>(request, sources, find),
    };
    let whole = whole.unwrap_or_default().saturating_add(expected);
    Ok(budget.for_whole(whole).require(expected, "the inputs")?)
}

/// Computes the kernel of `subject` on `left`, or of `left` with `right`, and writes it to files whose names begin with `prefix`.
///
/// # Errors
/// A network that does not fit or cannot be read, a budget that is too small, numbers that are lost, a failure to write.
pub fn compute(
    request: &EmpiricalRequest,
    subject: UnsetNetwork,
    examples: (&FileExamples, Option<&FileExamples>),
    prefix: &Path,
    budget: Budget,
    stop: &StopFlag,
    monitor: &dyn Monitor,
) -> Result<EmpiricalEnd, KernelError> {
    let listeners = (stop, monitor);
    match request.precision {
        Precision::F32 => compute_in::<f32>(request, subject, examples, prefix, budget, listeners),
        Precision::F64 => compute_in::<f64>(request, subject, examples, prefix, budget, listeners),
    }
}

fn compute_in<T: Number>(
    request: &EmpiricalRequest,
    subject: UnsetNetwork,
    (left, right): (&FileExamples, Option<&FileExamples>),
    prefix: &Path,
    budget: Budget,
    (stop, monitor): (&StopFlag, &dyn Monitor),
) -> Result<EmpiricalEnd, KernelError> {
    let outputs = subject.architecture().outputs()?;
    if let NtkOutput::Logit(logit) = request.output
        && logit >= outputs
    {
        return Err(KernelError::NoLogit { logit, outputs });
    }
    let held = Bytes::of(8 * (left.values.len() + right.map_or(0, |right| right.values.len())));
    let plan = BlockPlan { output: request.output, outputs, rows: left.rows, columns: right.unwrap_or(left).rows };
    // Nothing large is made before it is known to fit, and a refusal names what does for all that follows.
    let budget = budget.holding(held).for_whole(need::whole::<T>(request, &subject, &plan)?);
    let what = format!("a network of {} parameters", crate::need::parameters(subject.architecture()));
    budget.require(subject.bytes::<T>()?, &what)?;
    let network = subject.network(T::DTYPE)?;
    let weights = BlockMaker::<T>::weight_bytes(&network, &plan) as u64;
    budget.for_whole(need::job::<T>(request, network.architecture(), &plan)?).require(weights, &what)?;
    let budget = budget.for_whole(0);
    let sides = [left, right.unwrap_or(left)].map(|side| Side { values: &side.values, features: side.columns });
    let blocks = BlockSource::<T>::new(&network, plan, sides, right.is_none());
    if let Some(count) = request.top_k {
        let found = eigen::eigenpairs(blocks, count, prefix, budget.holding(Bytes(0)), (stop, monitor))?;
        return Ok(EmpiricalEnd::Eigenpairs(found));
    }
    let files = KernelFiles::new(prefix, names(&network, request.per_layer))?;
    let tiling = NtkTiling::new(blocks, files.names.len(), request.options.storage, budget);
    let fingerprint = identity(request, &network, left, right)?;
    let job = (&files, &request.options, fingerprint);
    let end = complete(job, tiling, || budget.left(), |_, _| Ok(None), (stop, monitor))?;
    Ok(EmpiricalEnd::Kernels(end))
}

/// Names of the matrices: every layer's share if asked for, and the kernel.
fn names(network: &Network, per_layer: bool) -> Vec<String> {
    let layers = if per_layer { network.weight_layers().len() } else { 0 };
    (1..=layers).map(|layer| format!("ntk.layer{layer}")).chain(["ntk".to_owned()]).collect()
}

/// What is computed, so that nothing else is taken for it.
fn identity(
    request: &EmpiricalRequest,
    network: &Network,
    left: &FileExamples,
    right: Option<&FileExamples>,
) -> Result<Fingerprint, KernelError> {
    // Probes see parameters through what a network does with them; gains and rates are those of the architecture.
    let weights = network.parameters.iter().flat_map(|parameters| {
        let rows = parameters.weight.dims()[0];
        let starts = (0..rows).step_by(ROWS);
        let weights =
            starts.map(move |start| to_f64(parameters.weight.clone().narrow(0, start, ROWS.min(rows - start))));
        weights.chain(parameters.bias.iter().map(|bias| to_f64(bias.clone())))
    });
    let right = right.map(|right| right.values.as_slice());
    Ok(fingerprint(network.architecture(), Some(weights), &left.values, right)?
        .with("output", &format!("{:?}", request.output))
        .with("layers", if request.per_layer { "each" } else { "sum" })
        .with("precision", if request.precision == Precision::F32 { "f32" } else { "f64" })
        .with("storage", request.options.storage.name()))
}
