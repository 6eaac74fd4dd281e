//! Quantity to theory: what infinite width (and, for kurtosis, its first correction) predicts for exactly this network,
//! these examples and this optimizer. "No prediction" is a value, and its reason a sentence.

mod dynamics;

use std::borrow::Cow;
use std::collections::BTreeSet;

use faer::Mat;
use widthwise_datasets::Prepared;
use widthwise_theory::{
    Architecture, Inputs, Kernels, Parameterization, Scaling, TheoryError, UpdateRule, layer_fluctuations,
    partial_jacobian_norms, preactivation_variances,
};

use crate::config::{ControlConfig, Experiment, NetworkConfig};
use crate::data::{input_shape, probe_examples};
use crate::entries::sound_kernels;
use crate::quantity::Quantity;
use crate::training::optimizer::update_rule;
use dynamics::Dynamics;
pub use dynamics::{InitialOutputs, Path};
pub(crate) use dynamics::{closed_form, no_dynamics, step_rule};

/// What is said where an optimizer has other learning-rate factors than gradient descent.
pub(crate) const OTHER_RATES: &str = "Adam's steps have no tangent kernel: kernels weigh layers with the learning-rate factors that gradient descent has";

/// Theory of one run.
pub struct Theory {
    /// Kernels on the probe examples.
    kernels: Option<Kernels>,
    dynamics: Option<Dynamics>,
    /// Mean over probe examples, entry `l - 1`.
    variances: Option<Vec<f64>>,
    kurtosis: Option<Vec<f64>>,
    jacobians: Option<Mat<f64>>,
    width: usize,
    control: ControlConfig,
    /// Why some predictions are missing, or of what kind they are; one sentence each.
    pub remarks: Vec<String>,
}

impl Theory {
    /// Works out the theory of `experiment`, whose base learning rate is `learning_rate`.
    ///
    /// # Errors
    /// Shapes that do not fit or a failed decomposition; a missing limit is no error but a remark.
    pub fn new(
        experiment: &Experiment,
        architecture: &Architecture,
        prepared: &Prepared,
        learning_rate: f64,
    ) -> Result<Self, TheoryError> {
        let control = &experiment.control;
        // Probes look at the network as it is evaluated, with dropout off.
        let evaluated = architecture.without_dropout();
        let has_dropout = evaluated != *architecture;
        let architecture = &controlled(&evaluated, control);
        let kernels = |left: &Inputs, right: Option<&Inputs>| infinite_kernels(experiment, &evaluated, left, right);
        let shape = input_shape(prepared);
        let chosen = probe_examples(prepared, experiment.probes.examples);
        let features = shape.features();
        let rows = chosen.iter().flat_map(|&i| &prepared.train.inputs[i * features..(i + 1) * features]);
        let probe = Inputs::new(rows.copied().collect(), shape)?;
        let mut remarks = Vec::new();
        let mut predicted = |result: Result<Kernels, TheoryError>| match result {
            Ok(kernels) => Ok(Some(kernels)),
            Err(TheoryError::NoPrediction { reason }) => {
                remarks.push(format!("no kernel: {reason}"));
                Ok(None)
            }
            Err(error) => Err(error),
        };
        let (on_probes, dynamics) = match no_dynamics(experiment, has_dropout, prepared) {
            Some(reason) => {
                let on_probes = predicted(kernels(&probe, None))?;
                if on_probes.is_some() {
                    remarks.push(format!("no path of the loss: {reason}"));
                }
                (on_probes, None)
            }
            None => {
                let train = Inputs::new(prepared.train.inputs.clone(), shape)?;
                let test = Inputs::new(prepared.test.inputs.clone(), shape)?;
                let on_train = predicted(kernels(&train, None))?;
                let block =
                    |kernel: &Mat<f64>| Mat::from_fn(chosen.len(), chosen.len(), |i, j| kernel[(chosen[i], chosen[j])]);
                let on_probes = on_train.as_ref().map(|k| Kernels { nngp: block(&k.nngp), ntk: block(&k.ntk) });
                let has_test = on_train.is_some() && prepared.test.n > 0;
                let cross = if has_test { predicted(kernels(&test, Some(&train)))? } else { None };
                let dynamics =
                    on_train.map(|on_train| Dynamics::new(experiment, prepared, on_train, cross, learning_rate));
                (on_probes, dynamics.transpose()?)
            }
        };
        if experiment.network.parameterization != Parameterization::Ntk {
            remarks.push(
                "predictions are those of the kernel regime with this network's own learning-rate factors".into(),
            );
        }
        if experiment.network.centred {
            remarks.push(
                "the network is f - f_0: losses start at zero outputs; pre-activations and the NNGP kernel are those of f".into(),
            );
        }
        if other_rates(experiment, &evaluated)? {
            remarks.push(OTHER_RATES.into());
        }
        let mean_over_examples = |matrix: Mat<f64>| -> Vec<f64> {
            let n = matrix.nrows() as f64;
            (0..matrix.ncols()).map(|l| (0..matrix.nrows()).map(|i| matrix[(i, l)]).sum::<f64>() / n).collect()
        };
        let variances = optional(preactivation_variances(architecture, &probe), &mut remarks)?.map(mean_over_examples);
        let fluctuations = optional(layer_fluctuations(architecture, &probe), &mut remarks)?;
        let kurtosis = fluctuations.map(|examples| {
            let layers = examples.first().map_or(0, Vec::len);
            let mean = |l: usize| {
                // An example whose gates are all shut has no variance there, and no kurtosis.
                let found: Vec<f64> =
                    examples.iter().map(|e| e[l].excess_kurtosis()).filter(|k| k.is_finite()).collect();
                3.0 + found.iter().sum::<f64>() / found.len() as f64
            };
            (0..layers).map(mean).collect()
        });
        let jacobian_examples = experiment.probes.jacobian_examples.min(chosen.len()).max(1);
        let subset = Inputs::new(probe.values[..jacobian_examples * features].to_vec(), shape)?;
        let jacobians = optional(partial_jacobian_norms(architecture, &subset), &mut remarks)?;
        Ok(Self {
            kernels: on_probes,
            dynamics,
            variances,
            kurtosis,
            jacobians,
            width: narrowest(architecture)?,
            control: control.clone(),
            remarks,
        })
    }

    /// Kernels on the probe examples, if there is a limit.
    pub fn kernels(&self) -> Option<&Kernels> {
        self.kernels.as_ref()
    }

    /// The losses of `member` at `steps` from its own initial outputs, nothing where theory does not follow its training.
    ///
    /// # Errors
    /// Outputs whose shapes do not fit.
    pub fn path(&self, member: usize, initial: &InitialOutputs, steps: &BTreeSet<u64>) -> Result<Path, TheoryError> {
        let path = self
            .dynamics
            .as_ref()
            .map(|dynamics| dynamics.path(member, initial, steps, |step| spoilt_time(&self.control, step)));
        Ok(path.transpose()?.unwrap_or_default())
    }

    /// The predicted number, or `None` where theory has none or it is beyond the largest number. `path` is that of the member in
    /// question.
    pub fn predict(
        &self,
        quantity: Quantity,
        layer_from: Option<usize>,
        layer: Option<usize>,
        step: u64,
        path: Option<&Path>,
    ) -> Option<f64> {
        self.limit(quantity, layer_from, layer, step, path).filter(|value| value.is_finite())
    }

    fn limit(
        &self,
        quantity: Quantity,
        layer_from: Option<usize>,
        layer: Option<usize>,
        step: u64,
        path: Option<&Path>,
    ) -> Option<f64> {
        let at_start = |value: Option<f64>| value.filter(|_| step == 0);
        match quantity {
            Quantity::TrainLoss => path?.train.get(&step).copied(),
            Quantity::TestLoss => path?.test.get(&step).copied(),
            Quantity::NngpMeanDiagonal => at_start(self.kernels.as_ref().map(|k| mean_diagonal(&k.nngp))),
            Quantity::NngpMeanOffDiagonal => at_start(self.kernels.as_ref().map(|k| mean_off_diagonal(&k.nngp))),
            Quantity::NtkMeanDiagonal => self.kernels.as_ref().map(|k| mean_diagonal(&k.ntk)),
            Quantity::NtkMeanOffDiagonal => self.kernels.as_ref().map(|k| mean_off_diagonal(&k.ntk)),
            Quantity::NtkTrace => self.kernels.as_ref().map(|k| mean_diagonal(&k.ntk) * k.ntk.nrows() as f64),
            Quantity::NtkOverlap => self.kernels.as_ref().map(|_| 1.0),
            // The bound of Lee et al. 2019 (1902.06720) on the change of the kernel, with constant one.
            Quantity::NtkRelativeChange => self.kernels.as_ref().map(|_| (self.width as f64).powf(-0.5)),
            Quantity::PreactivationVariance => at_start(self.variances.as_ref()?.get(layer? - 1).copied()),
            Quantity::Kurtosis => at_start(self.kurtosis.as_ref()?.get(layer? - 1).copied()),
            Quantity::ExcessKurtosis => {
                at_start(self.kurtosis.as_ref()?.get(layer? - 1).map(|kurtosis| kurtosis - 3.0))
            }
            Quantity::Skewness => at_start(self.kurtosis.as_ref().map(|_| 0.0)),
            Quantity::PartialJacobianNorm => at_start(
                self.jacobians
                    .as_ref()
                    .map(|j| (layer, layer_from, j))
                    .and_then(|(layer, from, j)| Some(j[(layer? - 1, from? - 1)])),
            ),
            _ => None,
        }
    }
}

/// Units of the narrowest hidden layer; 1 without one.
fn narrowest(architecture: &Architecture) -> Result<usize, TheoryError> {
    let layers = architecture.weight_layers()?;
    Ok(layers.iter().filter(|layer| !layer.is_readout).map(|layer| layer.width).min().unwrap_or(1))
}

/// A missing limit becomes a remark, any other error stays one.
fn optional<T>(result: Result<T, TheoryError>, remarks: &mut Vec<String>) -> Result<Option<T>, TheoryError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(TheoryError::NoPrediction { reason }) => {
            if !remarks.iter().any(|remark| remark.ends_with(&reason)) {
                remarks.push(format!("no prediction: {reason}"));
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The kernels of infinite width that theory holds against the networks of `experiment`: spoilt by its negative control, where it
/// asks for one.
pub(crate) fn infinite_kernels(
    experiment: &Experiment,
    architecture: &Architecture,
    left: &Inputs,
    right: Option<&Inputs>,
) -> Result<Kernels, TheoryError> {
    let control = &experiment.control;
    let mut kernels = sound_kernels(&controlled(architecture, control), left, right)?;
    if control.nngp_for_ntk {
        kernels.ntk = kernels.nngp.clone();
    }
    Ok(kernels)
}

/// Covariance of the outputs of `network` before training, from its NNGP kernel: zero where the network subtracts its initial
/// function, so that an ensemble trained under a constant kernel is its mean.
pub fn initial_covariance<'a>(network: &NetworkConfig, nngp: &'a Mat<f64>) -> Cow<'a, Mat<f64>> {
    if network.centred { Cow::Owned(Mat::zeros(nngp.nrows(), nngp.ncols())) } else { Cow::Borrowed(nngp) }
}

/// Whether a negative control changes anything about the theory of `architecture`.
pub(crate) fn spoils(control: &ControlConfig, architecture: &Architecture) -> bool {
    control.nngp_for_ntk || control.time_factor != 1.0 || controlled(architecture, control) != *architecture
}

/// The step that theory is asked for in place of `step`: another one under a control of time.
pub(crate) fn spoilt_time(control: &ControlConfig, step: u64) -> u64 {
    (step as f64 * control.time_factor).round() as u64
}

/// Whether the run's optimizer trains layers in other proportions than gradient descent.
pub(crate) fn other_rates(experiment: &Experiment, architecture: &Architecture) -> Result<bool, TheoryError> {
    let rates = |rule| -> Result<Vec<[f64; 2]>, TheoryError> {
        let rates = |scaling: &Scaling| [scaling.weight_rate, scaling.bias_rate];
        Ok(architecture.scalings(rule)?.iter().map(rates).collect())
    };
    Ok(rates(update_rule(experiment.training.optimizer))? != rates(UpdateRule::Linear)?)
}

/// The architecture as a negative control misunderstands it.
fn controlled(architecture: &Architecture, control: &ControlConfig) -> Architecture {
    let mut changed = architecture.clone();
    for layer in &mut changed.layers {
        layer.change_variances(&mut |init| {
            init.sigma_w2 *= control.sigma_w2_factor;
            if control.drop_bias {
                init.sigma_b2 = 0.0;
            }
        });
    }
    changed
}

pub(crate) fn mean_diagonal(kernel: &Mat<f64>) -> f64 {
    (0..kernel.nrows()).map(|i| kernel[(i, i)]).sum::<f64>() / kernel.nrows() as f64
}

pub(crate) fn mean_off_diagonal(kernel: &Mat<f64>) -> f64 {
    let n = kernel.nrows();
    (kernel.sum() - mean_diagonal(kernel) * n as f64) / (n * (n - 1)) as f64
}
