//! What the whole job needs at most, from sizes alone: so that a refusal names a budget that is enough.

use widthwise::need;
use widthwise::record::tiles::MatrixFile;
use widthwise_datasets::catalog;
use widthwise_probes::ntk::{Number, Plan};
use widthwise_theory::{Architecture, TheoryError};

use super::subject::Subject;
use super::{eigen, tiling};
use crate::cli::NtkArguments;
use crate::commands::inputs::{Examples, Targets};
use crate::commands::kernel::storage;
use crate::commands::source::{SetName, Source};

/// Room for what heaps keep between large arrays.
const SLACK: u64 = 16 << 20;

/// Bytes that do for everything from the drawing of the network to the last tile, inputs not counted.
///
/// # Errors
/// Shapes that do not fit.
pub(super) fn whole<T: Number>(arguments: &NtkArguments, subject: &Subject, plan: &Plan) -> Result<u64, TheoryError> {
    let job = job::<T>(arguments, subject.architecture(), plan)?;
    let held = need::network(subject.architecture(), size_of::<T>())?.0.saturating_add(job);
    Ok(roomy(held.max(subject.bytes::<T>()?)))
}

/// Bytes that do for everything once the network is there.
///
/// # Errors
/// Shapes that do not fit.
pub(super) fn job<T: Number>(
    arguments: &NtkArguments,
    architecture: &Architecture,
    plan: &Plan,
) -> Result<u64, TheoryError> {
    let number = size_of::<T>();
    let [block, work] = per_example(architecture, plan)?.map(|numbers| numbers.saturating_mul(number as u64));
    // Of a few examples the sizes of blocks are found.
    let sample = (block.saturating_add(work)).saturating_mul(super::source::SAMPLE.min(plan.rows) as u64);
    let weights = need::network(architecture, number)?.0;
    let job = match arguments.top_k {
        Some(count) => {
            let vectors = eigen::basis_bytes(plan, count);
            let gradients = weights.saturating_mul(plan.wanted().len() as u64);
            vectors.saturating_add(gradients).saturating_add(2 * block + work)
        }
        None => {
            let layers = architecture.weight_layers()?.len();
            let matrices = if arguments.per_layer { layers + 1 } else { 1 };
            let tiles = tiling::tile_bytes(plan, matrices, storage(arguments.storage), 1);
            tiles.saturating_add(2 * block + work)
        }
    };
    // Weights are there once more where they are pulled back in host memory.
    Ok(roomy(weights.saturating_add(job.max(sample))))
}

/// With what heaps keep beside arrays.
fn roomy(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 50).saturating_add(SLACK)
}

/// The most numbers that the block of an example has, and that are at work while it is made.
fn per_example(architecture: &Architecture, plan: &Plan) -> Result<[u64; 2], TheoryError> {
    let wanted = plan.wanted().len();
    let (mut block, mut rows, mut pulled) = (0_u64, 0_u64, 0_u64);
    for layer in architecture.weight_layers()? {
        let own = (layer.positions as u64).saturating_mul((layer.fan_in * layer.branches) as u64);
        let derivatives = (layer.width as u64).saturating_mul(wanted as u64);
        rows = rows.saturating_add(own);
        pulled = pulled.saturating_add(derivatives.saturating_mul(layer.positions as u64));
        let gradients = if layer.positions > 1 { (layer.fan_in * layer.branches + 1) as u64 } else { 1 };
        let kept = derivatives.saturating_mul(gradients.max(layer.positions as u64));
        block = block.saturating_add(own).saturating_add(if layer.is_readout { 0 } else { kept });
    }
    let states = need::states(architecture)?;
    Ok([block, (4 * states).saturating_add(3 * pulled).saturating_add(2 * rows)])
}

/// Sizes of examples that are not read yet, where they are known before: enough to know the network by.
pub(super) fn outline(source: &Source) -> Option<Examples> {
    let (rows, columns, targets) = match source {
        Source::File(path) => {
            let file = MatrixFile::open(path, false).ok()?;
            (file.rows(), file.columns(), None)
        }
        Source::Set { set: SetName::Known(name), count, .. } => {
            let entry = catalog::find(name)?;
            let targets = Targets { values: Vec::new(), outputs: entry.classes, labels: Vec::new() };
            ((*count)?, entry.shape.len(), Some(targets))
        }
        Source::Set { .. } => return None,
    };
    Some(Examples { rows, columns, targets, ..Examples::default() })
}

/// As [`whole`], before the inputs are read; nothing where their sizes do not tell.
pub(super) fn whole_of_outlines<T: Number>(arguments: &NtkArguments) -> Option<u64> {
    let sources = || [&arguments.inputs].into_iter().chain(&arguments.right);
    let outlines = sources().map(outline).collect::<Option<Vec<_>>>()?;
    let named: Vec<_> = sources().zip(&outlines).collect();
    let subject = Subject::new(arguments, &named).ok()?;
    let outputs = subject.architecture().outputs().ok()?;
    let [rows, columns] = [outlines.first()?, outlines.last()?].map(|outline| outline.rows);
    whole::<T>(arguments, &subject, &Plan { output: arguments.output.0, outputs, rows, columns }).ok()
}
