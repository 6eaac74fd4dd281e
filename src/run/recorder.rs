//! Puts what the training loop shows on disk: rows, matrices, checkpoints.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use faer::Mat;
use serde::Serialize;
use widthwise_probes::{centred_alignment, inner_product, relative_distance, to_matrix};

use super::folder;
use crate::config::KeepWeights;
use crate::entries::Entries;
use crate::measurement::{Evaluation, InitialWeights, Measured, Past, Snapshot, measure};
use crate::monitor::Monitor;
use crate::network::{Network, NoTap, Parameters};
use crate::prediction::{self, InitialOutputs, Theory};
use crate::quantity::Quantity;
use crate::record::checkpoint::{self, Position};
use crate::record::csv_file::CsvFile;
use crate::record::manifest::{MemberOutcome, Outcome};
use crate::record::npy;
use crate::record::row::{Row, SCHEMA_VERSION, TrainingRow};
use crate::session::Session;
use crate::signals::StopFlag;
use crate::training::schedule::row_stride;
use crate::training::{Member, Observer};

/// Steps of a member whose losses are predicted before the first of them.
const PREDICTED_AT_ONCE: u64 = 256;

#[derive(Serialize)]
struct TimeRow<'a> {
    member: usize,
    step: u64,
    phase: &'a str,
    wall_time_s: f64,
}

/// The observer of the training loop.
pub(super) struct Recorder<'a> {
    folder: &'a Path,
    session: &'a Session<'a>,
    theory: &'a Theory,
    stop: &'a StopFlag,
    monitor: &'a dyn Monitor,
    results: CsvFile,
    training: CsvFile,
    times: CsvFile,
    position: Position,
    /// Of the member in training, before its first step.
    initial_ntk: Option<Mat<f64>>,
    initial_weights: InitialWeights,
    /// Of the look before the next one.
    previous_ntk: Option<Mat<f64>>,
    predicted_path: Option<prediction::Path>,
    predicted_steps: BTreeSet<u64>,
    /// The row of a step that was evaluated and whose batch is not yet read: a step has one row.
    evaluated: Option<TrainingRow>,
    since: Instant,
}

impl<'a> Recorder<'a> {
    pub(super) fn open(
        folder: &'a Path,
        session: &'a Session<'a>,
        theory: &'a Theory,
        position: Position,
        stop: &'a StopFlag,
        monitor: &'a dyn Monitor,
    ) -> Result<Self> {
        let times = folder.join("times.csv");
        let times_kept = if position == session.start() { 0 } else { whole_rows(&times) };
        Ok(Self {
            results: CsvFile::open(&folder.join("results.csv"), position.results_bytes)?,
            training: CsvFile::open(&folder.join("training.csv"), position.training_bytes)?,
            times: CsvFile::open(&times, times_kept)?,
            folder,
            session,
            theory,
            stop,
            monitor,
            position,
            initial_ntk: None,
            initial_weights: InitialWeights::default(),
            previous_ntk: None,
            predicted_path: None,
            predicted_steps: BTreeSet::new(),
            evaluated: None,
            since: Instant::now(),
        })
    }

    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// The infinite-width kernels on the probe examples.
    pub(super) fn save_kernels(&self) -> Result<()> {
        if let Some(kernels) = self.theory.kernels() {
            let kernels_folder = self.folder.join("kernels");
            std::fs::create_dir_all(&kernels_folder)?;
            npy::write(&kernels_folder.join("nngp_infinite.npy"), &kernels.nngp)?;
            npy::write(&kernels_folder.join("ntk_infinite.npy"), &kernels.ntk)?;
        }
        Ok(())
    }

    /// Takes the weights with which this member began and the kernel of its last look, and reads what an earlier process left
    /// of its first step.
    pub(super) fn begin(
        &mut self,
        member: &Member,
        initial_weights: Vec<Parameters>,
        previous_ntk: Option<Mat<f64>>,
    ) -> Result<()> {
        let folder = self.member_folder(member.member);
        std::fs::create_dir_all(&folder)?;
        folder::clear_weights(&folder, member.step)?;
        (self.initial_ntk, self.predicted_path) = (None, None);
        (self.initial_weights, self.previous_ntk) = (InitialWeights::new(initial_weights), previous_ntk);
        if member.step > 0 {
            if self.session.experiment.probes.ntk {
                let initial = npy::read(&folder.join("ntk_initial.npy"))?;
                let size = |ntk: &Mat<f64>| [ntk.nrows(), ntk.ncols()];
                if let Some(previous) = self.previous_ntk.as_ref().filter(|ntk| size(ntk) != size(&initial)) {
                    bail!(
                        "the kernel of the last snapshot in the checkpoint is {:?}, and that of the first in {} is {:?}; start again \
                         with --force",
                        size(previous),
                        folder.join("ntk_initial.npy").display(),
                        size(&initial)
                    );
                }
                self.initial_ntk = Some(initial);
            }
            self.predict_path(member, &read_outputs(&folder, self.session.prepared.train.n)?)?;
        }
        self.since = Instant::now();
        Ok(())
    }

    /// Closes a member: the next one starts from a checkpoint without weights.
    pub(super) fn end(&mut self, member: &Member, outcome: Outcome) -> Result<()> {
        // The weights of a diverged member are those of whatever step at which it was noticed.
        if self.session.experiment.run.keep_weights != KeepWeights::None && outcome != Outcome::Diverged {
            self.keep_weights(member, checkpoint::WEIGHTS_FILE)?;
        }
        self.append_evaluated()?;
        self.position.member = member.member + 1;
        self.position.step = 0;
        self.position.member_outcomes.push(MemberOutcome { member: member.member, step: member.step, outcome });
        self.write_checkpoint(&[])
    }

    /// Writes the row of the last evaluated step, if no batch was taken there.
    fn append_evaluated(&mut self) -> Result<()> {
        let row = self.evaluated.take();
        Ok(self.training.append(row.as_slice())?)
    }

    pub(super) fn append(&mut self, rows: &[Row]) -> Result<()> {
        self.results.append(rows)?;
        self.results.sync()?;
        self.training.sync()?;
        self.times.sync()?;
        Ok(())
    }

    fn write_checkpoint(&mut self, sets: &[(String, &[Parameters])]) -> Result<()> {
        self.position.results_bytes = self.results.sync()?;
        self.position.training_bytes = self.training.sync()?;
        Ok(checkpoint::write(&self.folder.join(checkpoint::FILE), &self.position, sets)?)
    }

    fn keep_weights(&self, member: &Member, name: &str) -> Result<()> {
        let path = self.member_folder(member.member).join(name);
        Ok(checkpoint::write_weights(&path, &self.session.architecture, &member.network.parameters)?)
    }

    /// What a look at `step` is held against.
    fn past(&self, step: u64) -> Past<'_> {
        // Looks between two of the schedule end their member.
        let previous = self.session.probe_steps.before(step);
        Past {
            ntk: self.initial_ntk.as_ref().filter(|_| step > 0),
            previous_ntk: self.previous_ntk.as_ref().zip(previous.map(|previous| step - previous)),
            weights: Some(&self.initial_weights).filter(|_| step > 0),
        }
    }

    fn member_folder(&self, member: usize) -> PathBuf {
        folder::member(self.folder, member)
    }

    fn time(&mut self, member: &Member, phase: &str) -> Result<()> {
        let wall_time_s = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        Ok(self.times.append(&[TimeRow { member: member.member, step: member.step, phase, wall_time_s }])?)
    }

    fn row(&self, member: usize, step: u64, measured: &Measured) -> Row {
        let (quantity, layers) = (measured.quantity, (measured.layer_from, measured.layer));
        let time = (step, self.session.flow_time(step, self.learning_rate()));
        let unit = self.session.unit(quantity);
        let named = (quantity.name(), unit.as_str());
        Row {
            measured: measured.value,
            predicted: self.theory.predict(quantity, layers.0, layers.1, step, self.predicted_path.as_ref()),
            ..self.session.columns.row(member.to_string(), time, named, layers)
        }
    }

    /// What theory makes of this member's own start, to twice the step that it has reached: a run that ends early does not pay for
    /// the steps that it does not take.
    fn predict_path(&mut self, member: &Member, initial: &InitialOutputs) -> Result<()> {
        let horizon = member.step.saturating_mul(2).max(PREDICTED_AT_ONCE);
        self.predicted_steps = self.session.probe_steps.between(member.step, horizon).collect();
        // Time may be up at a step that nobody could foresee.
        self.predicted_steps.insert(member.step);
        self.predicted_path = Some(self.theory.path(member.member, initial, &self.predicted_steps)?);
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.position.learning_rate.unwrap_or(f64::NAN)
    }

    fn save_ends(&self, member: &Member, snapshot: &Snapshot, when: &str) -> Result<()> {
        let folder = self.member_folder(member.member);
        if let Some(kernel) = snapshot.ntk.as_ref().filter(|_| when == "initial") {
            let name = format!("the tangent kernel of member {} before training", member.member);
            Entries::of(kernel).expect_kernel(name, &self.session.prepared.train.inputs)?;
        }
        let named = [("ntk", &snapshot.ntk), ("moments", &snapshot.moments), ("units", &snapshot.units)];
        for (name, matrix) in named {
            if let Some(matrix) = matrix {
                npy::write(&folder.join(format!("{name}_{when}.npy")), matrix)?;
            }
        }
        Ok(())
    }
}

impl Observer for Recorder<'_> {
    fn probe(&mut self, member: &Member, is_last: bool) -> Result<Snapshot> {
        self.time(member, "training")?;
        self.monitor.probing(member.member, member.step);
        let experiment = self.session.experiment;
        if member.step == 0 {
            let outputs = initial_outputs(&member.network, self.session);
            write_outputs(&self.member_folder(member.member), &outputs)?;
            self.predict_path(member, &outputs)?;
        } else if !self.predicted_steps.contains(&member.step) {
            let folder = self.member_folder(member.member);
            self.predict_path(member, &read_outputs(&folder, self.session.prepared.train.n)?)?;
        }
        let is_end = is_last || member.step == 0 || experiment.training.stop.loss.is_some();
        let snapshot = measure(
            &member.network,
            &self.session.data,
            &experiment.probes,
            experiment.training.loss,
            (experiment.run.seed, member.member, member.step),
            &self.past(member.step),
            is_end,
        )?;
        if experiment.run.keep_weights == KeepWeights::Probes && snapshot.evaluation.train_loss.is_finite() {
            self.keep_weights(member, &checkpoint::weights_file_at(member.step))?;
        }
        let mut measured = snapshot.measured.clone();
        if let (Some(ntk), Some(kernels)) = (&snapshot.ntk, self.theory.kernels()) {
            measured.extend(against_infinite_width(ntk, &kernels.ntk));
        }
        let rows: Vec<Row> = measured.iter().map(|m| self.row(member.member, member.step, m)).collect();
        self.results.append(&rows)?;
        if member.step == 0 {
            self.save_ends(member, &snapshot, "initial")?;
            self.initial_ntk.clone_from(&snapshot.ntk);
        }
        if is_end {
            self.save_ends(member, &snapshot, "final")?;
        }
        self.previous_ntk.clone_from(&snapshot.ntk);
        self.time(member, "probes")?;
        Ok(snapshot)
    }

    fn losses(&mut self, member: &Member, first: u64, losses: &[f64], evaluation: Option<Evaluation>) -> Result<()> {
        let stride = row_stride(self.session.last_step);
        let training = &self.session.experiment.training;
        let n = self.session.prepared.train.n as f64;
        let batch = training.batch_size.map_or(n, |size| (size as f64).min(n));
        let learning_rate = self.learning_rate();
        let row = |step: u64, evaluation: Option<Evaluation>| TrainingRow {
            schema_version: SCHEMA_VERSION,
            run: self.session.columns.run.clone(),
            member: member.member,
            step,
            epoch: step as f64 * batch / n,
            flow_time: self.session.flow_time(step, learning_rate),
            train_loss: evaluation.map(|evaluation| evaluation.train_loss).filter(|loss| loss.is_finite()),
            test_loss: evaluation.and_then(|evaluation| evaluation.test_loss).filter(|loss| loss.is_finite()),
            train_accuracy: evaluation.and_then(|evaluation| evaluation.train_accuracy),
            test_accuracy: evaluation.and_then(|evaluation| evaluation.test_accuracy),
            batch_loss: None,
        };
        // The loop reads losses before it evaluates, so the step evaluated last comes first among those read after it.
        let mut evaluated = self.evaluated.take();
        let mut rows: Vec<TrainingRow> = Vec::new();
        for (step, loss) in (first..).zip(losses) {
            let here = evaluated.take_if(|row| row.step == step);
            let here = here.or_else(|| step.is_multiple_of(stride).then(|| row(step, None)));
            rows.extend(here.map(|row| TrainingRow { batch_loss: Some(*loss), ..row }));
        }
        self.evaluated = evaluation.map(|evaluation| row(first, Some(evaluation))).or(evaluated);
        self.training.append(&rows)?;
        let last = losses.last().copied().or(evaluation.map(|evaluation| evaluation.train_loss));
        self.monitor.stepped(member.member, member.step, last);
        Ok(())
    }

    fn checkpoint(&mut self, member: &Member) -> Result<()> {
        self.position.step = member.step;
        let mut sets = vec![("parameters".to_owned(), member.network.parameters.as_slice())];
        let moments = member.state.moments.iter().enumerate();
        sets.extend(moments.map(|(i, moment)| (format!("moment{i}"), moment.as_slice())));
        let previous_ntk = self.previous_ntk.as_ref().map(|ntk| [checkpoint::of_matrix(ntk)]);
        sets.extend(previous_ntk.iter().map(|ntk| (checkpoint::PREVIOUS_NTK.to_owned(), ntk.as_slice())));
        self.write_checkpoint(&sets)
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_raised()
    }
}

/// Overlap with, distance from and alignment with the infinite-width kernel.
pub(super) fn against_infinite_width(ntk: &Mat<f64>, infinite: &Mat<f64>) -> [Measured; 3] {
    let scalar = |quantity, value: f64| Measured {
        quantity,
        layer_from: None,
        layer: None,
        value: Some(value).filter(|value| value.is_finite()),
    };
    [
        scalar(Quantity::NtkOverlap, inner_product(ntk, infinite) / inner_product(infinite, infinite)),
        scalar(Quantity::NtkDistance, relative_distance(ntk, infinite)),
        scalar(Quantity::NtkInfiniteCka, centred_alignment(ntk, infinite)),
    ]
}

fn initial_outputs(network: &Network, session: &Session<'_>) -> InitialOutputs {
    let outputs = |batch| to_matrix(network.forward(batch, &mut NoTap));
    let test = session.data.test.as_ref();
    InitialOutputs {
        train: outputs(&session.data.train),
        test: test.map_or_else(|| Mat::zeros(0, session.prepared.outputs), |(batch, _)| outputs(batch)),
    }
}

fn write_outputs(folder: &Path, outputs: &InitialOutputs) -> Result<()> {
    let (train, test) = (&outputs.train, &outputs.test);
    let both = Mat::from_fn(train.nrows() + test.nrows(), train.ncols(), |i, o| {
        if i < train.nrows() { train[(i, o)] } else { test[(i - train.nrows(), o)] }
    });
    Ok(npy::write(&folder.join("outputs_initial.npy"), &both)?)
}

/// Outputs of a member before training, training examples first.
pub(super) fn read_outputs(folder: &Path, train: usize) -> Result<InitialOutputs> {
    let path = folder.join("outputs_initial.npy");
    let both = npy::read(&path)?;
    let (n, outputs) = (both.nrows(), both.ncols());
    anyhow::ensure!(n >= train, "{} holds outputs of {n} examples where {train} are trained on", path.display());
    Ok(InitialOutputs {
        train: both.submatrix(0, 0, train, outputs).to_owned(),
        test: both.submatrix(train, 0, n - train, outputs).to_owned(),
    })
}

/// Bytes of a table up to its last whole row; 0 if it cannot be read.
fn whole_rows(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last as u64 + 1)
}
