//! `experiment.toml` as values: what the user may write, with every default said once.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use widthwise_datasets::{DatasetSpec, Normalize, Preprocessing};

use super::device::DeviceKind;
use super::network::NetworkConfig;
use super::optimizer::Optimizer;
use super::probes::ProbesConfig;

/// A whole experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Experiment {
    /// Name, seed, members, device, output.
    pub run: RunConfig,
    /// Data and preprocessing.
    pub dataset: DatasetConfig,
    /// The network.
    pub network: NetworkConfig,
    /// Optimizer, loss, stopping.
    pub training: TrainingConfig,
    /// What is measured and when.
    pub probes: ProbesConfig,
    /// Which comparisons decide the verdict of the run.
    pub claims: ClaimsConfig,
    /// Deliberate errors in the theory, to see that the comparison notices.
    pub control: ControlConfig,
    /// Why theory and experiment differ.
    pub explain: ExplainConfig,
}

/// `[run]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Name in tables and file columns.
    pub name: String,
    /// Seed of every named random stream.
    pub seed: u64,
    /// Networks trained from independent initial weights; standard errors need at least 2.
    pub members: usize,
    /// Where tensors live.
    pub device: DeviceKind,
    /// Arithmetic of training.
    pub precision: Precision,
    /// Folder of the results; by default `runs/<name>`.
    pub output: Option<PathBuf>,
    /// Steps between checkpoints inside a member, besides one at every member's end.
    pub checkpoint_every: u64,
    /// Which weights of every member stay in its folder.
    pub keep_weights: KeepWeights,
}

impl RunConfig {
    /// Folder of the results: `output`, or `runs/<name>`.
    pub fn output_folder(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| PathBuf::from("runs").join(&self.name))
    }
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            name: "default".into(),
            seed: 1,
            members: 16,
            device: DeviceKind::Flex,
            precision: Precision::F32,
            output: None,
            checkpoint_every: 200,
            keep_weights: KeepWeights::None,
        }
    }
}

/// `run.keep_weights`: a switch, or a name. What a switch can say is written as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "KeptWritten", into = "KeptWritten")]
pub enum KeepWeights {
    /// None: `false` or `"none"`.
    None,
    /// Those after training: `true` or `"last"`.
    Last,
    /// Those after training and at every probe step: `"probes"`.
    Probes,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum KeptWritten {
    Switch(bool),
    Name(KeptName),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeptName {
    None,
    Last,
    Probes,
}

impl From<KeptWritten> for KeepWeights {
    fn from(written: KeptWritten) -> Self {
        match written {
            KeptWritten::Switch(false) | KeptWritten::Name(KeptName::None) => Self::None,
            KeptWritten::Switch(true) | KeptWritten::Name(KeptName::Last) => Self::Last,
            KeptWritten::Name(KeptName::Probes) => Self::Probes,
        }
    }
}

impl From<KeepWeights> for KeptWritten {
    fn from(kept: KeepWeights) -> Self {
        match kept {
            KeepWeights::None => Self::Switch(false),
            KeepWeights::Last => Self::Switch(true),
            KeepWeights::Probes => Self::Name(KeptName::Probes),
        }
    }
}

/// `run.precision`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single.
    F32,
    /// Double, where the device has it.
    F64,
}

/// `[dataset]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatasetConfig {
    /// Which data: `name = "mnist"` or a synthetic set with its parameters.
    pub source: DatasetSpec,
    /// Subsets, scaling, targets.
    pub preprocessing: Preprocessing,
}

impl Default for DatasetConfig {
    /// 256 training and 256 test examples with `|x|^2 = d`.
    fn default() -> Self {
        let preprocessing = Preprocessing {
            train: Some(256),
            test: Some(256),
            normalize: Normalize::SqrtDim,
            ..Preprocessing::default()
        };
        Self { source: DatasetSpec::default(), preprocessing }
    }
}

/// `[training]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Update rule.
    pub optimizer: Optimizer,
    /// Loss and its normalization.
    pub loss: Loss,
    /// Step size.
    pub learning_rate: LearningRate,
    /// Examples a step; the whole training set when absent.
    pub batch_size: Option<usize>,
    /// Penalty `strength/2 |theta - anchor|^2`.
    pub l2: L2,
    /// When to stop; whichever comes first.
    pub stop: Stop,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            optimizer: Optimizer::GradientDescent {},
            loss: Loss::HalfSum,
            learning_rate: LearningRate::Critical(0.5),
            batch_size: None,
            l2: L2::default(),
            stop: Stop { steps: Some(400), ..Stop::default() },
        }
    }
}

/// `training.loss`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `1/2 sum_i |f(x_i) - y_i|^2` over the batch: the normalization in which theory states time.
    HalfSum,
    /// `1/(2m) sum_i |f(x_i) - y_i|^2` over a batch of m examples.
    HalfMean,
    /// Mean softmax cross-entropy over the batch, with the labels as classes.
    CrossEntropy,
}

/// `training.learning_rate`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearningRate {
    /// In units of the loss.
    Absolute(f64),
    /// In units of `2 / lambda_max` of the infinite-width NTK on the training set (times its size for mean losses): the largest rate at
    /// which gradient descent on the limit is stable.
    Critical(f64),
    /// The same of the empirical NTK of member 0 before training; the same rate for all members.
    CriticalEmpirical(f64),
}

/// `[training.l2]`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct L2 {
    /// Coefficient; 0 for none.
    pub strength: f64,
    /// The point the penalty pulls to.
    pub toward: Anchor,
}

/// `training.l2.toward`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Anchor {
    /// The origin.
    #[default]
    Zero,
    /// The initial weights.
    Init,
}

/// `[training.stop]`: at least one rule; a configuration with any rule of its own drops the default of 400 steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// Steps of each member.
    pub steps: Option<u64>,
    /// Passes over the training set.
    pub epochs: Option<f64>,
    /// Training loss, in the normalization of the run, examined on probe steps.
    pub loss: Option<f64>,
    /// Seconds of the whole run; the one rule whose outcome depends on the machine.
    pub wall_time_s: Option<f64>,
}

/// `[claims]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimsConfig {
    /// Names of the claims whose verdicts decide the exit code of `check`.
    pub required: Vec<String>,
    /// Family-wise error rate of the run's claims (Holm).
    pub significance: f64,
    /// Share of the scale of a claim that its distance from the prediction, four standard errors included, may come to in an agreement.
    pub resolution: f64,
}

impl Default for ClaimsConfig {
    fn default() -> Self {
        Self { required: Vec::new(), significance: 1e-3, resolution: 0.1 }
    }
}

/// `[control]`: negative controls; the defaults change nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlConfig {
    /// Factor on sigma_w2 as theory sees it.
    pub sigma_w2_factor: f64,
    /// Factor on time as theory sees it.
    pub time_factor: f64,
    /// Theory forgets the biases.
    pub drop_bias: bool,
    /// Theory uses the NNGP kernel K where the NTK Theta belongs.
    pub nngp_for_ntk: bool,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { sigma_w2_factor: 1.0, time_factor: 1.0, drop_bias: false, nngp_for_ntk: false }
    }
}

/// `[explain]`: trajectories between the finite network and infinite width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExplainConfig {
    /// Members whose gap to infinite width is split into parts, from the first on; 0 for none.
    pub members: usize,
    /// Training and test examples at which the trajectories are kept, as many of each, from the first on.
    pub examples: usize,
    /// Whether to forecast the rest of training from the kernel of every snapshot.
    pub forecast: bool,
    /// Error at which a forecast no longer holds, in units of the residual at its start (root mean squares).
    pub forecast_tolerance: f64,
    /// Whether to train the second-order Taylor model too.
    pub quadratic: bool,
}

impl Default for ExplainConfig {
    fn default() -> Self {
        Self { members: 0, examples: 32, forecast: true, forecast_tolerance: 0.1, quadratic: false }
    }
}
