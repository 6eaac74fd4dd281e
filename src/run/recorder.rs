//! Puts what the training loop shows of a member on disk: rows, matrices, checkpoints.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use faer::Mat;
use serde::Serialize;
use widthwise_probes::{centred_alignment, inner_product, relative_distance};
use widthwise_tensors::to_matrix;

use super::folder;
use super::members::Members;
use crate::config::KeepWeights;
use crate::entries::Entries;
use crate::error::{Result, bail, ensure};
use crate::measurement::{InitialWeights, Measured, Past, Snapshot, measure};
use crate::network::{LayerParameters, Network, NoTap};
use crate::objective::Evaluation;
use crate::prediction::{InitialOutputs, LossCurve, Query};
use crate::quantity::{Probe, Quantity};
use crate::record::checkpoint::{self, Position};
use crate::record::csv_file::CsvFile;
use crate::record::folder::remove_file;
use crate::record::manifest::{MemberEnd, MemberOutcome};
use crate::record::npy;
use crate::record::row::{Row, SCHEMA_VERSION, TrainingRow};
use crate::session::Session;
use crate::training::Outcome;
use crate::training::schedule::{ProbeSchedule, row_stride};
use crate::training::{Observer, Trainee};

/// Steps of a member whose losses are predicted before the first of them.
const PREDICTED_AT_ONCE: u64 = 256;

#[derive(Serialize)]
struct TimeRow<'a> {
    member: usize,
    step: u64,
    phase: &'a str,
    wall_time_s: f64,
}

/// The tables of a member, as long as it has not been put together with the others.
pub(super) const TABLES: [&str; 3] = ["results.csv", "training.csv", "times.csv"];

/// The observer of the training loop of one member.
pub(super) struct Recorder<'a> {
    /// Of the member.
    folder: PathBuf,
    run: &'a Members<'a>,
    results: CsvFile,
    training: CsvFile,
    times: CsvFile,
    position: Position,
    initial_ntk: Option<Mat<f64>>,
    initial_weights: InitialWeights,
    schedule: ProbeSchedule,
    /// Of the last snapshot that measured it.
    previous_ntk: Option<Mat<f64>>,
    predicted_losses: Option<LossCurve>,
    predicted_steps: BTreeSet<u64>,
    /// The row of a step that was evaluated and whose batch is not yet read: a step has one row.
    evaluated: Option<TrainingRow>,
    since: Instant,
}

impl<'a> Recorder<'a> {
    /// Opens the tables of `trainee` where `position` says that they end, and reads what an earlier process left of its first step.
    /// `initial_weights` are those before it, `previous_ntk` the kernel of the last snapshot.
    pub(super) fn open(
        run: &'a Members<'a>,
        position: Position,
        trainee: &Trainee,
        initial_weights: Vec<LayerParameters>,
        previous_ntk: Option<Mat<f64>>,
    ) -> Result<Self> {
        let folder = folder::member(run.folder, trainee.member);
        let [results, training, times] = TABLES.map(|name| folder.join(name));
        let times_kept = if position.step == 0 { 0 } else { whole_rows(&times) };
        folder::clear_weights(&folder, trainee.step)?;
        let mut recorder = Self {
            results: CsvFile::open(&results, position.results_bytes)?,
            training: CsvFile::open(&training, position.training_bytes)?,
            times: CsvFile::open(&times, times_kept)?,
            folder,
            run,
            position,
            initial_ntk: None,
            initial_weights: InitialWeights::new(initial_weights),
            schedule: ProbeSchedule::new(&run.session.experiment.probes, run.session.last_step),
            previous_ntk,
            predicted_losses: None,
            predicted_steps: BTreeSet::new(),
            evaluated: None,
            since: Instant::now(),
        };
        if trainee.step > 0 {
            recorder.read_start(trainee)?;
        }
        Ok(recorder)
    }

    fn read_start(&mut self, trainee: &Trainee) -> Result<()> {
        if self.run.session.experiment.probes.is_on(Probe::Ntk) {
            let path = self.folder.join("ntk_initial.npy");
            let initial = npy::read(&path)?;
            let size = |ntk: &Mat<f64>| [ntk.nrows(), ntk.ncols()];
            if let Some(previous) = self.previous_ntk.as_ref().filter(|ntk| size(ntk) != size(&initial)) {
                bail!(
                    damaged: "the kernel of the last snapshot in the checkpoint is {:?}, and that of the first in {} is {:?}; start again with \
                     --force",
                    size(previous),
                    path.display(),
                    size(&initial)
                );
            }
            self.initial_ntk = Some(initial);
        }
        self.predict_losses(trainee, &read_outputs(&self.folder, self.run.session.prepared.train.n)?)
    }

    /// Closes the member.
    pub(super) fn end(mut self, trainee: &Trainee, outcome: Outcome) -> Result<()> {
        // The weights of a diverged member are those of whatever step at which it was noticed.
        if self.run.session.experiment.run.keep_weights != KeepWeights::None && outcome != Outcome::Diverged {
            self.keep_weights(trainee, checkpoint::WEIGHTS_FILE)?;
        }
        // The row of the last evaluated step, where no batch was taken.
        let row = self.evaluated.take();
        self.training.append(row.as_slice())?;
        self.results.sync()?;
        self.training.sync()?;
        self.times.sync()?;
        let Position { config_hash, data_hash, .. } = self.position;
        let outcome = MemberOutcome { member: trainee.member, step: trainee.step, outcome };
        MemberEnd { config_hash, data_hash, outcome }.write(&self.folder)?;
        Ok(remove_file(&self.folder.join(checkpoint::FILE))?)
    }

    fn write_checkpoint(&mut self, sets: &[(String, &[LayerParameters])]) -> Result<()> {
        self.position.results_bytes = self.results.sync()?;
        self.position.training_bytes = self.training.sync()?;
        Ok(checkpoint::write(&self.folder.join(checkpoint::FILE), &self.position, sets)?)
    }

    fn keep_weights(&self, trainee: &Trainee, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        Ok(checkpoint::write_weights(&path, &self.run.session.architecture, &trainee.model.parameters)?)
    }

    /// What a snapshot at `step` is held against.
    fn past(&self, step: u64) -> Past<'_> {
        // Snapshots between two steps of the schedule end their member.
        let previous = self.schedule.of(Probe::Ntk).before(step);
        Past {
            ntk: self.initial_ntk.as_ref().filter(|_| step > 0),
            previous_ntk: self.previous_ntk.as_ref().zip(previous.map(|previous| step - previous)),
            weights: Some(&self.initial_weights).filter(|_| step > 0),
        }
    }

    fn time(&mut self, trainee: &Trainee, phase: &str) -> Result<()> {
        let wall_time_s = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        Ok(self.times.append(&[TimeRow { member: trainee.member, step: trainee.step, phase, wall_time_s }])?)
    }

    fn row(&self, member: usize, step: u64, measured: &Measured) -> Result<Row> {
        let (quantity, layers) = (measured.quantity, (measured.layer_from, measured.layer));
        let time = (step, self.run.session.flow_time(step, self.run.learning_rate));
        let unit = self.run.session.unit(quantity);
        let named = (quantity.name(), unit.as_str());
        let losses = self.predicted_losses.as_ref();
        let asked = Query { quantity, layer_from: layers.0, layer: layers.1, step, losses };
        let row = Row {
            measured: measured.value,
            std_error: measured.std_error.as_ref().map(|(std_error, _)| *std_error),
            se_method: measured.std_error.as_ref().map(|(_, method)| method.to_string()).unwrap_or_default(),
            predicted: self.run.theory.predict(asked)?.map(|predicted| predicted.value),
            ..self.run.session.columns.row(member.to_string(), time, named, layers)
        };
        Ok(row.trusted(Some(measured.trust.clone())))
    }

    /// What theory makes of this member's own start, to twice the step that it has reached: a run that ends early does not pay for
    /// the steps that it does not take.
    fn predict_losses(&mut self, trainee: &Trainee, initial: &InitialOutputs) -> Result<()> {
        let horizon = trainee.step.saturating_mul(2).max(PREDICTED_AT_ONCE);
        self.predicted_steps = self.run.session.probe_steps.between(trainee.step, horizon).collect();
        // Time may be up at a step that nothing could foresee.
        self.predicted_steps.insert(trainee.step);
        self.predicted_losses = Some(self.run.theory.losses(trainee.member, initial, &self.predicted_steps)?);
        Ok(())
    }

    fn save_ends(&self, trainee: &Trainee, snapshot: &Snapshot, when: &str) -> Result<()> {
        if let Some(kernel) = snapshot.ntk.as_ref().filter(|_| when == "initial") {
            let name = format!("the tangent kernel of member {} before training", trainee.member);
            Entries::of(kernel).expect_kernel(name, &self.run.session.prepared.train.inputs)?;
        }
        let named = [("ntk", &snapshot.ntk), ("moments", &snapshot.moments), ("units", &snapshot.units)];
        for (name, matrix) in named {
            if let Some(matrix) = matrix {
                npy::write(&self.folder.join(format!("{name}_{when}.npy")), matrix)?;
            }
        }
        Ok(())
    }
}

impl Observer for Recorder<'_> {
    fn probe(&mut self, trainee: &Trainee, is_last: bool) -> Result<Evaluation> {
        self.time(trainee, "training")?;
        self.run.job.monitor.probing(trainee.member, trainee.step);
        let experiment = self.run.session.experiment;
        if trainee.step == 0 {
            let outputs = initial_outputs(&trainee.model, self.run.session);
            write_outputs(&self.folder, &outputs)?;
            self.predict_losses(trainee, &outputs)?;
        } else if !self.predicted_steps.contains(&trainee.step) {
            self.predict_losses(trainee, &read_outputs(&self.folder, self.run.session.prepared.train.n)?)?;
        }
        let is_end = is_last || trainee.step == 0 || experiment.training.stop.loss.is_some();
        let snapshot = measure(
            &trainee.model,
            &self.run.session.data,
            &experiment.probes,
            experiment.training.loss,
            (experiment.run.seed, trainee.member, trainee.step),
            &self.past(trainee.step),
            |probe| match probe {
                Probe::Gaussianity => is_end,
                probe => is_last || self.schedule.of(probe).contains(trainee.step),
            },
        )?;
        if experiment.run.keep_weights == KeepWeights::Probes && snapshot.evaluation.train_loss.is_finite() {
            self.keep_weights(trainee, &checkpoint::weights_file_at(trainee.step))?;
        }
        let mut measured = snapshot.measured.clone();
        if let (Some(ntk), Some(kernels)) = (&snapshot.ntk, self.run.theory.kernels()?) {
            measured.extend(against_infinite_width(ntk, &kernels.ntk));
        }
        let rows = measured.iter().map(|m| self.row(trainee.member, trainee.step, m)).collect::<Result<Vec<Row>>>()?;
        self.results.append(&rows)?;
        if trainee.step == 0 {
            self.save_ends(trainee, &snapshot, "initial")?;
            self.initial_ntk.clone_from(&snapshot.ntk);
        }
        if is_end {
            self.save_ends(trainee, &snapshot, "final")?;
        }
        if snapshot.ntk.is_some() {
            self.previous_ntk = snapshot.ntk;
        }
        self.time(trainee, "probes")?;
        Ok(snapshot.evaluation)
    }

    fn losses(&mut self, trainee: &Trainee, first: u64, losses: &[f64], evaluation: Option<Evaluation>) -> Result<()> {
        let stride = row_stride(self.run.session.last_step);
        let training = &self.run.session.experiment.training;
        let n = self.run.session.prepared.train.n as f64;
        let batch = training.batch_size.map_or(n, |size| (size as f64).min(n));
        let learning_rate = self.run.learning_rate;
        let row = |step: u64, evaluation: Option<Evaluation>| TrainingRow {
            schema_version: SCHEMA_VERSION,
            run: self.run.session.columns.run.clone(),
            member: trainee.member,
            step,
            epoch: step as f64 * batch / n,
            flow_time: self.run.session.flow_time(step, learning_rate),
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
        self.run.job.monitor.stepped(trainee.member, trainee.step, last);
        Ok(())
    }

    fn checkpoint(&mut self, trainee: &Trainee) -> Result<()> {
        self.position.step = trainee.step;
        let mut sets = vec![("parameters".to_owned(), trainee.model.parameters.as_slice())];
        let moments = trainee.state.moments.iter().enumerate();
        sets.extend(moments.map(|(i, moment)| (format!("moment{i}"), moment.as_slice())));
        let previous_ntk = self.previous_ntk.as_ref().map(|ntk| [checkpoint::of_matrix(ntk)]);
        sets.extend(previous_ntk.iter().map(|ntk| (checkpoint::PREVIOUS_NTK.to_owned(), ntk.as_slice())));
        self.write_checkpoint(&sets)
    }

    fn is_stopped(&self) -> bool {
        self.run.job.stop.is_raised()
    }
}

/// Overlap with, distance from and alignment with the infinite-width kernel.
pub(super) fn against_infinite_width(ntk: &Mat<f64>, infinite: &Mat<f64>) -> [Measured; 3] {
    [
        Measured::new(Quantity::NtkOverlap, inner_product(ntk, infinite) / inner_product(infinite, infinite)),
        Measured::new(Quantity::NtkDistance, relative_distance(ntk, infinite)),
        Measured::new(Quantity::NtkInfiniteCka, centred_alignment(ntk, infinite)),
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
    ensure!(n >= train, damaged: "{} holds outputs of {n} examples where {train} are trained on", path.display());
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
