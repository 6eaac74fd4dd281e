//! What a run holds from start to end: data, architecture, device, schedule.

mod learning_rate;
mod same;

use std::path::Path;

use burn::tensor::{DType, Device};
use widthwise_datasets::Prepared;
use widthwise_theory::architecture::{Architecture, UpdateRule};

use crate::config::{Checked, LearningRate, Loss, Precision};
use crate::data::{self, Data, input_shape};
use crate::error::{Result, bail};
use crate::memory::Bytes;
use crate::need::{self, RunNeed};
use crate::network::{Network, build_architecture, draw_gates};
use crate::objective::examples_per_unit;
use crate::prediction::{Theory, no_dynamics, other_rates};
use crate::quantity::Quantity;
use crate::record::checkpoint::Position;
use crate::record::manifest::{Manifest, MemberOutcome};
use crate::record::row::RunColumns;
use crate::training::batches::Batches;
use crate::training::gradient::Model;
use crate::training::schedule::{ProbeSchedule, ProbeSteps, last_step};
use crate::training::{Outcome, Trainee, TrainingPlan};
pub(crate) use same::{config_hash, data_hash, expect_same_config, in_what};

/// Where the examples of a session come from.
pub(crate) enum DataSource<'a> {
    /// The data set that the configuration names, looked for in this folder alone if one is given.
    Named(Option<&'a Path>),
    /// These, of as many features and outputs as the configuration says.
    Given(Prepared),
}

/// The unchanging part of a run.
pub(crate) struct Session<'a> {
    pub(crate) experiment: &'a Checked,
    pub(crate) config_text: String,
    pub(crate) config_hash: String,
    pub(crate) data_hash: String,
    pub(crate) dataset_source: String,
    pub(crate) prepared: Prepared,
    pub(crate) architecture: Architecture,
    pub(crate) data: Data,
    pub(crate) columns: RunColumns,
    pub(crate) last_step: u64,
    pub(crate) probe_steps: ProbeSteps,
    pub(crate) device: Device,
    pub(crate) dtype: DType,
    /// Whether the run's optimizer has other learning-rate factors than gradient descent.
    has_other_rates: bool,
}

/// The unit of numbers whose layers are weighted with the learning-rate factors of gradient descent, under an optimizer with others.
const GRADIENT_DESCENT_RATES: &str = "rates of gradient descent";

impl<'a> Session<'a> {
    pub(crate) fn new(experiment: &'a Checked, source: DataSource<'_>, device: Device) -> Result<Self> {
        let seed = experiment.run.seed;
        let (prepared, dataset_source) = match source {
            DataSource::Named(data_dir) => {
                let dataset = data::load(&experiment.dataset.source, data_dir, seed)?;
                let prepared = widthwise_datasets::prepare(&dataset, &experiment.dataset.preprocessing, seed)?;
                (prepared, dataset.source)
            }
            DataSource::Given(prepared) => (prepared, "examples made on the way".to_owned()),
        };
        let shape = input_shape(&prepared);
        let network = &experiment.network;
        let gates =
            network.is_gated().then(|| draw_gates(&network.gates, seed, &prepared.train.inputs, shape.features()));
        let architecture = build_architecture(network, shape, prepared.outputs, gates)?;
        let dtype = match experiment.run.precision {
            Precision::F32 => DType::F32,
            Precision::F64 => DType::F64,
        };
        let data = Data::new(&prepared, &architecture, experiment.probes.examples, &device, dtype);
        let per_epoch = Batches::new(seed, 0, prepared.train.n, experiment.training.batch_size).per_epoch();
        let last_step = last_step(&experiment.training.stop, per_epoch);
        let columns = RunColumns {
            run: experiment.run.name.clone(),
            seed,
            dataset: experiment.dataset.source.name().to_owned(),
            family: network.family.name().to_owned(),
            parameterization: name_of(&network.parameterization)?,
            width: architecture.scaling_width()?,
            depth: architecture.depth()?,
        };
        let config_text = experiment.resolved_toml();
        let has_other_rates = other_rates(experiment, &architecture)?;
        Ok(Self {
            has_other_rates,
            config_hash: config_hash(&config_text),
            data_hash: data_hash(&prepared),
            config_text,
            dataset_source,
            probe_steps: ProbeSchedule::new(&experiment.probes, last_step).all(),
            experiment,
            prepared,
            architecture,
            data,
            columns,
            last_step,
            device,
            dtype,
        })
    }

    /// What this run takes.
    pub(crate) fn need(&self) -> Result<RunNeed> {
        let (train, test) = (self.prepared.train.n, self.prepared.test.n);
        let probed = self.experiment.probes.examples.min(train);
        let has_dropout = self.architecture.without_dropout() != self.architecture;
        let theory = match no_dynamics(self.experiment, has_dropout, &self.prepared) {
            Some(_) => need::both_kernels(probed, 1),
            None => need::theory(train, test),
        };
        let is_here = self.device == Device::flex();
        let probing = if is_here { need::probing(self.experiment, &self.architecture, probed)? } else { Bytes(0) };
        let rate = match self.experiment.training.learning_rate {
            LearningRate::Critical(_) => need::theory(train, 0),
            LearningRate::CriticalEmpirical(_) if is_here => need::empirical_ntk(&self.architecture, train)?,
            LearningRate::CriticalEmpirical(_) | LearningRate::Absolute(_) => Bytes(0),
        };
        Ok(RunNeed { training: self.training_need(&self.architecture)?, probing, theory, rate })
    }

    /// Refuses a run that does not fit into memory here.
    pub(crate) fn expect_memory(&self) -> Result<()> {
        Ok(self.need()?.expect(&self.architecture, [self.prepared.train.n, self.prepared.test.n])?)
    }

    /// Refuses a network of this architecture whose training does not fit into memory here.
    pub(crate) fn expect_training(&self, architecture: &Architecture) -> Result<()> {
        Ok(need::expect_network(architecture, self.training_need(architecture)?, "the training of a network")?)
    }

    pub(crate) fn training_need(&self, architecture: &Architecture) -> Result<Bytes> {
        Ok(if self.device == Device::flex() {
            let batch = self.experiment.training.batch_size.unwrap_or(self.prepared.train.n).min(self.prepared.train.n);
            need::training(self.experiment, architecture, batch)?
        } else {
            // Elsewhere only what is drawn passes through the memory of the host.
            need::drawing(architecture, need::number(self.experiment))?
        })
    }

    pub(crate) fn network(&self, member: usize) -> Result<Network> {
        self.network_on(member, &self.device, self.dtype)
    }

    /// The same network on another device or in another precision.
    pub(crate) fn network_on(&self, member: usize, device: &Device, dtype: DType) -> Result<Network> {
        self.draw(&self.architecture, (self.experiment.run.seed, member), device, dtype)
    }

    /// Member of the ensemble of a seed, perhaps at another width of the network.
    pub(crate) fn network_of(&self, architecture: &Architecture, name: (u64, usize)) -> Result<Network> {
        self.draw(architecture, name, &self.device, self.dtype)
    }

    /// A member before its first step: of the ensemble of a seed, perhaps at another width of the network.
    pub(crate) fn trainee(
        &self,
        architecture: &Architecture,
        name: (u64, usize),
        learning_rate: f64,
    ) -> Result<Trainee> {
        let network = self.network_of(architecture, name)?;
        Ok(self.in_training(network, name, learning_rate))
    }

    /// A model before its first step on the training set of this session.
    pub(crate) fn in_training<M: Model>(&self, model: M, name: (u64, usize), learning_rate: f64) -> Trainee<M> {
        Trainee::new(model, name, self.prepared.train.n, &self.experiment.training, learning_rate)
    }

    /// Training on the data of this session to its last step, with neither checkpoints nor a deadline.
    pub(crate) fn training_plan(&self) -> TrainingPlan<'_> {
        TrainingPlan {
            loss: self.experiment.training.loss,
            examples: &self.data.train,
            targets: &self.data.train_targets,
            last_step: self.last_step,
            stop_loss: self.experiment.training.stop.loss,
            probe_steps: &self.probe_steps,
            checkpoint_every: u64::MAX,
            deadline: None,
        }
    }

    /// The one place where a network that is to be trained is drawn: as the configuration's optimizer scales it, centred if asked for.
    fn draw(
        &self,
        architecture: &Architecture,
        (seed, member): (u64, usize),
        device: &Device,
        dtype: DType,
    ) -> Result<Network> {
        let network = Network::new(architecture, rule(self.experiment), seed, member, device, dtype)?;
        Ok(if self.experiment.network.centred { network.centred() } else { network })
    }

    /// The unit of a quantity in the rows of this run. A tangent kernel is that of steps linear in the gradient: where Adam trains layers
    /// in other proportions than gradient descent would, the row says whose factors weigh them.
    pub(crate) fn unit(&self, quantity: Quantity) -> String {
        let unit = quantity.unit();
        match (unit, quantity.weighs_layers() && self.has_other_rates) {
            (_, false) => unit.to_owned(),
            ("", true) => GRADIENT_DESCENT_RATES.to_owned(),
            (_, true) => format!("{unit}, {GRADIENT_DESCENT_RATES}"),
        }
    }

    /// Relative spacing of the numbers that the run computes with.
    pub(crate) fn epsilon(&self) -> f64 {
        if self.dtype == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) }
    }

    /// Where tensors of the run live, and their precision.
    pub(crate) fn placement(&self) -> (&Device, DType) {
        (&self.device, self.dtype)
    }

    pub(crate) fn theory(&self, learning_rate: f64) -> Result<Theory<'_>> {
        Ok(Theory::new(self.experiment, &self.architecture, &self.prepared, learning_rate)?)
    }

    /// Learning rate times steps in the units of `1/2 sum`, where that means anything.
    pub(crate) fn flow_time(&self, step: u64, learning_rate: f64) -> Option<f64> {
        let training = &self.experiment.training;
        let is_linear = rule(self.experiment) == UpdateRule::Linear;
        let batch = training.batch_size.unwrap_or(self.prepared.train.n).min(self.prepared.train.n);
        is_linear.then(|| learning_rate * step as f64 * time_per_rate(training.loss, batch, self.prepared.train.n))
    }

    /// Where a member stands before its first step.
    pub(crate) fn start(&self, member: usize) -> Position {
        let (config_hash, data_hash) = (self.config_hash.clone(), self.data_hash.clone());
        Position {
            config_hash,
            data_hash,
            architecture: Some(self.architecture.clone()),
            member,
            ..Position::default()
        }
    }

    pub(crate) fn manifest(
        &self,
        outcome: Outcome,
        member_outcomes: Vec<MemberOutcome>,
        learning_rate: f64,
        remarks: &[String],
    ) -> Manifest {
        let device = name_of(&self.experiment.run.device).unwrap_or_default();
        let precision = name_of(&self.experiment.run.precision).unwrap_or_default();
        Manifest {
            schema_version: Manifest::VERSION,
            run: self.columns.run.clone(),
            outcome,
            seed: self.columns.seed,
            members: self.experiment.run.members,
            member_outcomes,
            config_hash: self.config_hash.clone(),
            registration: None,
            command: "widthwise run config.toml".to_owned(),
            widthwise_version: env!("CARGO_PKG_VERSION").to_owned(),
            burn_version: burn_version().to_owned(),
            device: format!("{device}, {precision}"),
            dataset_source: self.dataset_source.clone(),
            data_hash: self.data_hash.clone(),
            parameters: parameter_count(&self.architecture),
            learning_rate,
            theory: if remarks.is_empty() { "every prediction is available".into() } else { remarks.join("; ") },
        }
    }
}

/// Flow time of one step per unit of learning rate: a batch of m of N examples has on average m/N of the gradient of the
/// sum over all of them, and a mean loss divides by m.
pub(crate) fn time_per_rate(loss: Loss, batch: usize, examples: usize) -> f64 {
    batch as f64 / examples as f64 / examples_per_unit(loss, batch)
}

/// The device that the configuration names.
pub(crate) fn device(experiment: &Checked) -> Result<Device> {
    let kind = experiment.run.device;
    let device = crate::device::open(kind)?;
    if experiment.run.precision == Precision::F64 && !device.supports_dtype(DType::F64) {
        bail!(
            Device: "run.precision = \"f64\": this machine's {} computes in f32 only; set \"f32\", or run.device = \"flex\"",
            kind.name()
        );
    }
    Ok(device)
}

/// Which learning-rate column the run's optimizer reads.
pub(crate) fn rule(experiment: &Checked) -> UpdateRule {
    crate::training::optimizer::update_rule(experiment.training.optimizer)
}

/// Weights and biases of one network.
pub(crate) fn parameter_count(architecture: &Architecture) -> usize {
    usize::try_from(need::parameters(architecture)).unwrap_or(usize::MAX)
}

/// The version of Burn that this program was built with, as the lock file of the workspace has it.
fn burn_version() -> &'static str {
    const LOCKED: &str = include_str!("../Cargo.lock");
    let (_, package) = LOCKED.split_once("name = \"burn\"\nversion = \"").unwrap_or_default();
    package.split('"').next().unwrap_or_default()
}

/// The name by which a unit variant is written in configurations.
fn name_of(value: &impl serde::Serialize) -> Result<String> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(name) => Ok(name),
        other => bail!("{other} has no plain name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_burn_is_the_one_asked_for() {
        let manifest: toml::Value = toml::from_str(include_str!("../Cargo.toml")).unwrap();
        let asked = manifest["workspace"]["dependencies"]["burn"]["version"].as_str().unwrap();
        assert_eq!(asked.trim_start_matches('='), burn_version());
    }

    #[test]
    fn flow_time_is_that_of_the_sum_over_all_examples() {
        assert_eq!(time_per_rate(Loss::HalfSum, 32, 32), 1.0);
        assert_eq!(time_per_rate(Loss::HalfSum, 8, 32), 0.25);
        // A mean loss moves at 1/N whatever the batch.
        assert_eq!(time_per_rate(Loss::HalfMean, 32, 32), time_per_rate(Loss::HalfMean, 8, 32));
        assert_eq!(time_per_rate(Loss::HalfMean, 8, 32), 1.0 / 32.0);
    }
}
