//! What a run will take, before it takes it.

use super::RunOptions;
use super::registration::registration;
use crate::comparison::few_members;
use crate::config::{Checked, KeepWeights, Precision};
use crate::error::Result;
use crate::record::registration::{RegisteredClaim, Registration};
use crate::session::{DataSource, Session, device, parameter_count};

/// The answer of `--dry-run`.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// One sentence a line.
    pub lines: Vec<String>,
    /// What the run will be judged by, to be published before it.
    pub registration: Registration,
}

/// States steps, memory and disk of `experiment`; reads the data, writes nothing.
///
/// # Errors
/// Data that cannot be read, shapes that do not fit.
pub fn plan(experiment: &Checked, options: &RunOptions) -> Result<DryRun> {
    let session = Session::new(experiment, DataSource::Named(options.data_dir.as_deref()), device(experiment)?)?;
    let folder = options.output.clone().unwrap_or_else(|| experiment.run.output_folder());
    let bytes = if experiment.run.precision == Precision::F64 { 8.0 } else { 4.0 };
    let parameter_count = parameter_count(&session.architecture);
    let members = experiment.run.members;
    let batch_size = experiment.training.batch_size.unwrap_or(session.prepared.train.n).min(session.prepared.train.n);
    let probe_examples = experiment.probes.examples.min(session.prepared.train.n);
    let snapshots = session.probe_steps.count();
    // Products of what a configuration may ask for are beyond whole numbers of 64 bits.
    let [parameters, train, test, probes, outputs, depth] = [
        parameter_count,
        session.prepared.train.n,
        session.prepared.test.n,
        probe_examples,
        session.prepared.outputs,
        session.columns.depth,
    ]
    .map(|count| count as f64);
    let per_member = 8.0 * (2.0 * probes * probes + 2.0 * 6.0 * probes * depth) + 8.0 * (train + test) * outputs;
    let rows = snapshots as f64 * 40.0 * (depth + 1.0);
    let kept = bytes
        * parameters
        * match experiment.run.keep_weights {
            KeepWeights::None => 0.0,
            KeepWeights::Last => 1.0,
            KeepWeights::Probes => snapshots as f64 + 1.0,
        };
    let disk = members as f64 * (per_member + 160.0 * rows + kept) + 2.0 * bytes * parameters;
    let mebibytes = |bytes: f64| format!("{:.0} MiB", bytes / 1_048_576.0);
    let registration = registration(&session);
    Ok(DryRun {
        lines: vec![
            format!("data: {}", session.dataset_source),
            format!(
                "network: {} of depth {} and width {}, {parameter_count} parameters",
                session.columns.family, session.columns.depth, session.columns.width
            ),
            format!(
                "steps: {members} members of up to {} steps on {batch_size} of {train} examples, {snapshots} snapshots each on {probe_examples} examples",
                session.last_step
            ),
            judged(&registration, members),
            format!("memory: about {}", mebibytes(session.need()?.total().0 as f64)),
            format!("disk: about {} in {}", mebibytes(disk), folder.display()),
            format!("registration: SHA-256 {}", registration.hash()),
        ],
        registration,
    })
}

/// How many claims are judged, and by what so many members are rejected.
fn judged(registration: &Registration, members: usize) -> String {
    let places = |claim: &RegisteredClaim| claim.steps.len() * claim.layers.len().max(1);
    let count = registration.claims.iter().map(places).sum();
    let start = format!("claims: {count} at most are judged");
    match few_members(members, count, registration.significance) {
        _ if count == 0 => "claims: none, since nothing that is measured has a prediction".to_owned(),
        _ if members < 2 => format!("{start}; one member has no standard error, and decides none"),
        Some(sentence) => format!("{start}; {sentence}"),
        None => start,
    }
}
