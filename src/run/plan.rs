//! What a run will take, before it takes it.

use anyhow::Result;

use super::RunOptions;
use crate::config::{Checked, KeepWeights, Precision};
use crate::session::{Session, device, parameter_count};
use crate::training::optimizer::moment_count;

/// The answer of `--dry-run`.
#[derive(Debug, Clone)]
pub struct Plan {
    /// One sentence a line.
    pub lines: Vec<String>,
}

/// States steps, memory and disk of `experiment`; reads the data, writes nothing.
///
/// # Errors
/// Data that cannot be read, shapes that do not fit.
pub fn plan(experiment: &Checked, options: &RunOptions) -> Result<Plan> {
    let session = Session::new(experiment, options.data_dir.as_deref(), device(experiment)?)?;
    let folder = options.output.clone().unwrap_or_else(|| experiment.run.output_folder());
    let bytes = if experiment.run.precision == Precision::F64 { 8 } else { 4 };
    let parameters = parameter_count(&session.architecture);
    let members = experiment.run.members;
    let (train, test) = (session.prepared.train.n, session.prepared.test.n);
    let probes = experiment.probes.examples.min(train);
    let states: usize = session.architecture.shapes()?.iter().map(|shape| shape.features()).sum();
    let outputs = session.prepared.outputs;
    let batch = experiment.training.batch_size.unwrap_or(train).min(train);
    // Weights, the initial ones, gradients and moments; states forward and backward; the pullbacks of all outputs; theory's kernels in f64.
    let training = bytes * (parameters * (3 + moment_count(experiment.training.optimizer)) + 3 * states * batch);
    let probing = bytes * (states * probes * (outputs + 1));
    let theory = 8 * (4 * train * train + 4 * train * test);
    let per_member = 8 * (2 * probes * probes + 2 * 6 * probes * session.columns.depth) + 8 * (train + test) * outputs;
    let rows = session.probe_steps.len() * 40 * (session.columns.depth + 1);
    let kept = bytes
        * parameters
        * match experiment.run.keep_weights {
            KeepWeights::None => 0,
            KeepWeights::Last => 1,
            KeepWeights::Probes => session.probe_steps.len() + 1,
        };
    let disk = members * (per_member + 160 * rows + kept) + 2 * bytes * parameters;
    let mebibytes = |bytes: usize| format!("{:.0} MiB", bytes as f64 / 1_048_576.0);
    Ok(Plan {
        lines: vec![
            format!("data: {}", session.dataset_source),
            format!(
                "network: {} of depth {} and width {}, {parameters} parameters",
                session.columns.family, session.columns.depth, session.columns.width
            ),
            format!(
                "steps: {members} members of up to {} steps on {batch} of {train} examples, {} looks each on {probes} examples",
                session.last_step,
                session.probe_steps.len()
            ),
            format!("memory: about {}", mebibytes(training.max(probing) + theory)),
            format!("disk: about {} in {}", mebibytes(disk), folder.display()),
        ],
    })
}
