//! Quantity to theory: what infinite width (and, for kurtosis, its first correction) predicts for exactly this network,
//! these examples and this optimizer. "No prediction" is a value, and its reason a sentence.

use faer::Mat;
use widthwise_datasets::Prepared;
use widthwise_theory::{
    Architecture, Inputs, KernelDynamics, Kernels, Parameterization, TheoryError, Training, kernels,
    layer_fluctuations, partial_jacobian_norms, preactivation_variances,
};

use crate::config::{Anchor, ControlConfig, Experiment, Loss, Optimizer};
use crate::data::{input_shape, probe_examples};
use crate::quantity::Quantity;
use crate::training::loss::examples_per_unit;

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
    time_factor: f64,
    /// Why some predictions are missing, or of what kind they are; one sentence each.
    pub remarks: Vec<String>,
}

/// Outputs of one member before training, from which its predicted path starts.
#[derive(Debug, Clone, PartialEq)]
pub struct InitialOutputs {
    /// On the training set, `N x O`.
    pub train: Mat<f64>,
    /// On the test set, `T x O`.
    pub test: Mat<f64>,
}

struct Dynamics {
    kernel: KernelDynamics,
    targets: Mat<f64>,
    test_targets: Mat<f64>,
    optimizer: Optimizer,
    /// Learning rate in the units of `1/2 sum`.
    learning_rate: f64,
    loss: Loss,
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
        let shape = input_shape(prepared);
        let chosen = probe_examples(prepared, experiment.probes.examples);
        let features = shape.features();
        let rows = chosen.iter().flat_map(|&i| &prepared.train.inputs[i * features..(i + 1) * features]);
        let probe = Inputs::new(rows.copied().collect(), shape)?;
        let mut remarks = Vec::new();
        let mut predicted = |result: Result<Kernels, TheoryError>| match result {
            Ok(mut kernels) => {
                if control.nngp_for_ntk {
                    kernels.ntk = kernels.nngp.clone();
                }
                Ok(Some(kernels))
            }
            Err(TheoryError::NoPrediction { reason }) => {
                remarks.push(format!("no kernel: {reason}"));
                Ok(None)
            }
            Err(error) => Err(error),
        };
        let (on_probes, dynamics) = match no_dynamics(experiment, has_dropout, prepared) {
            Some(reason) => {
                let on_probes = predicted(kernels(architecture, &probe, None))?;
                if on_probes.is_some() {
                    remarks.push(format!("no path of the loss: {reason}"));
                }
                (on_probes, None)
            }
            None => {
                let train = Inputs::new(prepared.train.inputs.clone(), shape)?;
                let test = Inputs::new(prepared.test.inputs.clone(), shape)?;
                let on_train = predicted(kernels(architecture, &train, None))?;
                let block =
                    |kernel: &Mat<f64>| Mat::from_fn(chosen.len(), chosen.len(), |i, j| kernel[(chosen[i], chosen[j])]);
                let on_probes = on_train.as_ref().map(|k| Kernels { nngp: block(&k.nngp), ntk: block(&k.ntk) });
                let has_test = on_train.is_some() && prepared.test.n > 0;
                let cross = if has_test { predicted(kernels(architecture, &test, Some(&train)))? } else { None };
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
            time_factor: control.time_factor,
            remarks,
        })
    }

    /// Kernels on the probe examples, if there is a limit.
    pub fn kernels(&self) -> Option<&Kernels> {
        self.kernels.as_ref()
    }

    /// The predicted number, or `None` where theory has none. `initial` are the outputs of the member in question.
    pub fn predict(
        &self,
        quantity: Quantity,
        layer_from: Option<usize>,
        layer: Option<usize>,
        step: u64,
        initial: Option<&InitialOutputs>,
    ) -> Option<f64> {
        let at_start = |value: Option<f64>| value.filter(|_| step == 0);
        match quantity {
            Quantity::TrainLoss => self.dynamics.as_ref()?.train_loss(self.time(step), initial?),
            Quantity::TestLoss => self.dynamics.as_ref()?.test_loss(self.time(step), initial?),
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
            // Eigenvalues and distances of random matrices are biased by their noise; information has no limit here.
            Quantity::NtkTopEigenvalue
            | Quantity::NtkSecondEigenvalue
            | Quantity::NtkThirdEigenvalue
            | Quantity::NtkConditionNumber
            | Quantity::NtkTargetAlignment
            | Quantity::NtkDistance
            | Quantity::KsDistance
            | Quantity::InformationInputBinning
            | Quantity::InformationLabelBinning
            | Quantity::InformationInputKdeUpper
            | Quantity::InformationInputKdeLower
            | Quantity::InformationLabelKde
            | Quantity::InformationInputCeiling
            | Quantity::InformationLabelCeiling => None,
        }
    }

    fn time(&self, step: u64) -> u64 {
        (step as f64 * self.time_factor).round() as u64
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

/// Why a constant kernel has no closed form for the training of `experiment`, if it has none.
fn no_dynamics(experiment: &Experiment, has_dropout: bool, prepared: &Prepared) -> Option<String> {
    let training = &experiment.training;
    let unit_rates = matches!(experiment.network.parameterization, Parameterization::Ntk | Parameterization::Standard);
    if has_dropout {
        Some("dropout draws new masks every step".into())
    } else if training.batch_size.is_some_and(|size| size < prepared.train.n) {
        Some("minibatches; only full-batch training is predicted".into())
    } else if matches!(training.optimizer, Optimizer::Adam { .. } | Optimizer::AdamW { .. }) {
        Some("Adam is not linear in the gradient".into())
    } else if training.loss == Loss::CrossEntropy {
        Some("cross-entropy has no closed form".into())
    } else if training.l2.strength > 0.0 && (training.l2.toward == Anchor::Zero || !unit_rates) {
        Some("an L2 penalty is predicted only toward the initial weights and with equal rates".into())
    } else {
        None
    }
}

impl Dynamics {
    fn new(
        experiment: &Experiment,
        prepared: &Prepared,
        on_train: Kernels,
        cross: Option<Kernels>,
        learning_rate: f64,
    ) -> Result<Self, TheoryError> {
        let training = &experiment.training;
        let outputs = prepared.outputs;
        let matrix = |values: &[f64]| Mat::from_fn(values.len() / outputs, outputs, |i, o| values[i * outputs + o]);
        let mut kernel = KernelDynamics::new(on_train.ntk.as_ref(), on_train.nngp.as_ref())?;
        let per_unit = examples_per_unit(training.loss, prepared.train.n);
        if training.l2.strength > 0.0 {
            kernel = kernel.with_ridge(training.l2.strength * per_unit);
        }
        if let Some(cross) = cross {
            // Only paths from given initial outputs are asked for: the test examples' own covariance is not needed.
            let unused = Mat::zeros(prepared.test.n, prepared.test.n);
            kernel = kernel.with_test(cross.ntk.as_ref(), cross.nngp.as_ref(), unused.as_ref())?;
        }
        Ok(Self {
            kernel,
            targets: matrix(&prepared.train.targets),
            test_targets: matrix(&prepared.test.targets),
            optimizer: training.optimizer,
            learning_rate: learning_rate / per_unit,
            loss: training.loss,
        })
    }

    fn training(&self, steps: u64) -> Option<Training> {
        let learning_rate = self.learning_rate;
        match self.optimizer {
            Optimizer::GradientDescent {} => Some(Training::GradientDescent { learning_rate, steps }),
            Optimizer::Momentum { beta } => Some(Training::Momentum { learning_rate, beta, steps }),
            Optimizer::Nesterov { beta } => Some(Training::Nesterov { learning_rate, beta, steps }),
            Optimizer::Adam { .. } | Optimizer::AdamW { .. } => None,
        }
    }

    fn train_loss(&self, steps: u64, initial: &InitialOutputs) -> Option<f64> {
        let training = self.training(steps)?;
        let outputs = self.kernel.train_outputs(self.targets.as_ref(), initial.train.as_ref(), &training).ok()?;
        Some(self.loss_of(&outputs, &self.targets))
    }

    fn test_loss(&self, steps: u64, initial: &InitialOutputs) -> Option<f64> {
        let training = self.training(steps)?;
        let targets = self.targets.as_ref();
        let outputs =
            self.kernel.test_outputs(targets, initial.train.as_ref(), initial.test.as_ref(), &training).ok()?;
        Some(self.loss_of(&outputs, &self.test_targets))
    }

    fn loss_of(&self, outputs: &Mat<f64>, targets: &Mat<f64>) -> f64 {
        let difference = outputs - targets;
        0.5 * difference.squared_norm_l2() / examples_per_unit(self.loss, targets.nrows())
    }
}

fn mean_diagonal(kernel: &Mat<f64>) -> f64 {
    (0..kernel.nrows()).map(|i| kernel[(i, i)]).sum::<f64>() / kernel.nrows() as f64
}

fn mean_off_diagonal(kernel: &Mat<f64>) -> f64 {
    let n = kernel.nrows();
    (kernel.sum() - mean_diagonal(kernel) * n as f64) / (n * (n - 1)) as f64
}
