//! Quantity to theory: what infinite width (and, for kurtosis, its first correction) predicts for exactly this network,
//! these examples and this optimizer. One theory a file, each worked out when it is first asked for. "No prediction" is a value, and its
//! reason a sentence.

mod control;
mod dynamics;
mod jacobians;
mod kernels;
mod kurtosis;
mod layer_variances;
mod linear_path;
mod predicted;
#[cfg(test)]
mod tests;
mod variances;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use faer::Mat;
use widthwise_datasets::Prepared;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::{Architecture, Parameterization, Scaling, UpdateRule};
use widthwise_theory::kernel::{Inputs, Kernels};

use crate::config::Experiment;
use crate::data::{input_shape, probe_examples};
use crate::quantity::{self, Quantity};
use crate::training::optimizer::update_rule;
use control::controlled;
pub(crate) use control::{control_step, has_control};
pub use dynamics::{InitialOutputs, LossCurve};
pub(crate) use dynamics::{closed_form, kernel_dynamics, minibatch_training, no_dynamics, step_rule};
use kernels::KernelTheory;
pub use kernels::initial_covariance;
pub(crate) use kernels::{infinite_dynamics, infinite_kernels, mean_diagonal, mean_off_diagonal};
pub(crate) use linear_path::{LinearPath, column, for_outputs, rms_distance, rows};
pub use predicted::{Axis, Predicted, Query};

/// What is said where an optimizer has other learning-rate factors than gradient descent.
pub(crate) const OTHER_RATES: &str = "Adam's steps have no tangent kernel: kernels weigh layers with the learning-rate factors that gradient descent has";

/// A theory that is worked out once, when it is first asked for; one that has nothing to say tells why.
type Lazy<T> = OnceLock<Result<T, TheoryError>>;

/// Theory of one run.
pub struct Theory<'a> {
    experiment: &'a Experiment,
    prepared: &'a Prepared,
    learning_rate: f64,
    /// The network as probes see it: with dropout off.
    evaluated: Architecture,
    has_dropout: bool,
    /// That network as the negative control has it.
    architecture: Architecture,
    /// Probe examples among the training examples, and their inputs.
    chosen: Vec<usize>,
    probe: Inputs,
    kernels: Lazy<KernelTheory>,
    /// Mean over probe examples, entry `l - 1`.
    variances: Lazy<Vec<f64>>,
    kurtosis: Lazy<Vec<f64>>,
    jacobians: Lazy<Mat<f64>>,
}

impl<'a> Theory<'a> {
    /// The theory of `experiment`, whose base learning rate is `learning_rate`; nothing is worked out yet.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn new(
        experiment: &'a Experiment,
        architecture: &Architecture,
        prepared: &'a Prepared,
        learning_rate: f64,
    ) -> Result<Self, TheoryError> {
        let evaluated = architecture.without_dropout();
        let shape = input_shape(prepared);
        let chosen = probe_examples(prepared, experiment.probes.examples);
        let features = shape.features();
        let rows = chosen.iter().flat_map(|&i| &prepared.train.inputs[i * features..(i + 1) * features]);
        let probe = Inputs::new(rows.copied().collect(), shape)?;
        Ok(Self {
            experiment,
            prepared,
            learning_rate,
            has_dropout: evaluated != *architecture,
            architecture: controlled(&evaluated, &experiment.control),
            evaluated,
            chosen,
            probe,
            kernels: OnceLock::new(),
            variances: OnceLock::new(),
            kurtosis: OnceLock::new(),
            jacobians: OnceLock::new(),
        })
    }

    fn kernel_theory(&self) -> Result<&KernelTheory, TheoryError> {
        let made = self.kernels.get_or_init(|| {
            let on_probes = (self.chosen.as_slice(), &self.probe);
            let Self { experiment, evaluated, has_dropout, prepared, learning_rate, .. } = self;
            KernelTheory::new(experiment, evaluated, *has_dropout, prepared, on_probes, *learning_rate)
        });
        made.as_ref().map_err(Clone::clone)
    }

    fn variances(&self) -> Result<&Vec<f64>, TheoryError> {
        let made = self.variances.get_or_init(|| variances::mean_variances(&self.architecture, &self.probe));
        made.as_ref().map_err(Clone::clone)
    }

    fn kurtosis(&self) -> Result<&Vec<f64>, TheoryError> {
        let made = self.kurtosis.get_or_init(|| kurtosis::mean_kurtosis(&self.architecture, &self.probe));
        made.as_ref().map_err(Clone::clone)
    }

    fn jacobians(&self) -> Result<&Mat<f64>, TheoryError> {
        let examples = self.experiment.probes.jacobian_examples.min(self.chosen.len()).max(1);
        let made = self.jacobians.get_or_init(|| jacobians::mean_norms(&self.architecture, &self.probe, examples));
        made.as_ref().map_err(Clone::clone)
    }

    /// Why some predictions are missing, or of what kind they are; one sentence each. Works everything out.
    ///
    /// # Errors
    /// Shapes that do not fit or a failed decomposition; a missing limit is no error but a remark.
    pub fn remarks(&self) -> Result<Vec<String>, TheoryError> {
        let mut remarks = self.kernel_theory()?.remarks.clone();
        if self.experiment.network.parameterization != Parameterization::Ntk {
            remarks.push(
                "predictions are those of the kernel regime with this network's own learning-rate factors".into(),
            );
        }
        if self.experiment.network.centred {
            remarks.push(
                "the network is f - f_0: losses start at zero outputs; pre-activations and the NNGP kernel are those of f".into(),
            );
        }
        if other_rates(self.experiment, &self.evaluated)? {
            remarks.push(OTHER_RATES.into());
        }
        for missing in [self.variances().err(), self.kurtosis().err(), self.jacobians().err()].into_iter().flatten() {
            let TheoryError::NoPrediction { reason } = missing else { return Err(missing) };
            if !remarks.iter().any(|remark| remark.ends_with(&reason)) {
                remarks.push(format!("no prediction: {reason}"));
            }
        }
        Ok(remarks)
    }

    /// Kernels on the probe examples, if there is a limit.
    ///
    /// # Errors
    /// As [`remarks`](Self::remarks).
    pub fn kernels(&self) -> Result<Option<&Kernels>, TheoryError> {
        Ok(self.kernel_theory()?.on_probes.as_ref())
    }

    /// The losses of `member` at `steps` from its own initial outputs, nothing where theory does not follow its training.
    ///
    /// # Errors
    /// Outputs whose shapes do not fit.
    pub fn losses(
        &self,
        member: usize,
        initial: &InitialOutputs,
        steps: &BTreeSet<u64>,
    ) -> Result<LossCurve, TheoryError> {
        let time = |step| control_step(&self.experiment.control, step);
        let dynamics = self.kernel_theory()?.dynamics.as_ref();
        Ok(dynamics.map(|dynamics| dynamics.losses(member, initial, steps, time)).transpose()?.unwrap_or_default())
    }

    /// The predicted number, or `None` where theory has none or it is beyond the largest number.
    ///
    /// # Errors
    /// As [`remarks`](Self::remarks).
    pub fn predict(&self, asked: Query<'_>) -> Result<Option<Predicted>, TheoryError> {
        if asked.quantity.theory() == quantity::Theory::None {
            return Ok(None);
        }
        match self.limit(asked) {
            Ok(predicted) => Ok(predicted.filter(|predicted| predicted.value.is_finite())),
            Err(TheoryError::NoPrediction { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn limit(
        &self,
        Query { quantity, layer_from, layer, step, losses }: Query<'_>,
    ) -> Result<Option<Predicted>, TheoryError> {
        let limit = |value: f64| Some(Predicted::limit(value));
        let along = |loss: &f64| Predicted::limit(*loss).along_steps();
        let of_layer = |values: &[f64]| values.get(layer?.checked_sub(1)?).copied();
        Ok(match quantity {
            Quantity::TrainLoss => losses.and_then(|losses| losses.train.get(&step)).map(along),
            Quantity::TestLoss => losses.and_then(|losses| losses.test.get(&step)).map(along),
            Quantity::NtkMeanDiagonal => self.kernels()?.and_then(|k| limit(mean_diagonal(&k.ntk))),
            Quantity::NtkMeanOffDiagonal => self.kernels()?.and_then(|k| limit(mean_off_diagonal(&k.ntk))),
            Quantity::NtkTrace => self.kernels()?.and_then(|k| limit(mean_diagonal(&k.ntk) * k.ntk.nrows() as f64)),
            Quantity::NtkOverlap => self.kernels()?.and_then(|_| limit(1.0)),
            // The bound of Lee et al. 2019 (1902.06720) on the change of the kernel, with constant one.
            Quantity::NtkRelativeChange => {
                let width = narrowest(&self.architecture)? as f64;
                self.kernels()?.map(|_| Predicted::limit(width.powf(-0.5)).of_order(0.5))
            }
            // The others are those of random networks.
            _ if step > 0 => None,
            Quantity::NngpMeanDiagonal => self.kernels()?.and_then(|k| limit(mean_diagonal(&k.nngp))),
            Quantity::NngpMeanOffDiagonal => self.kernels()?.and_then(|k| limit(mean_off_diagonal(&k.nngp))),
            Quantity::PreactivationVariance => of_layer(self.variances()?).and_then(limit),
            Quantity::WeightVariance | Quantity::BiasVariance => {
                let of_layers = layer_variances::weights_and_biases(&self.architecture)?;
                let index = usize::from(quantity == Quantity::BiasVariance);
                layer.and_then(|l| of_layers.get(l.checked_sub(1)?)).and_then(|both| limit(both[index]))
            }
            Quantity::Kurtosis => of_layer(self.kurtosis()?).map(|kurtosis| Predicted::limit(kurtosis).of_order(1.0)),
            Quantity::ExcessKurtosis => {
                of_layer(self.kurtosis()?).map(|kurtosis| Predicted::limit(kurtosis - 3.0).of_order(1.0))
            }
            Quantity::Skewness => self.kurtosis().map(|_| Predicted::limit(0.0).of_order(1.0)).map(Some)?,
            Quantity::PartialJacobianNorm => {
                let norms = self.jacobians()?;
                let pair = layer.zip(layer_from).and_then(|(l, from)| Some((l.checked_sub(1)?, from.checked_sub(1)?)));
                pair.and_then(|(l, from)| limit(norms[(l, from)]))
            }
            _ => None,
        })
    }
}

/// Units of the narrowest hidden layer; 1 without one.
fn narrowest(architecture: &Architecture) -> Result<usize, TheoryError> {
    let layers = architecture.weight_layers()?;
    Ok(layers.iter().filter(|layer| !layer.is_readout).map(|layer| layer.width).min().unwrap_or(1))
}

/// Whether the run's optimizer trains layers in other proportions than gradient descent.
pub(crate) fn other_rates(experiment: &Experiment, architecture: &Architecture) -> Result<bool, TheoryError> {
    let rates = |rule| -> Result<Vec<[f64; 2]>, TheoryError> {
        let rates = |scaling: &Scaling| [scaling.weight_rate, scaling.bias_rate];
        Ok(architecture.scalings(rule)?.iter().map(rates).collect())
    };
    Ok(rates(update_rule(experiment.training.optimizer))? != rates(UpdateRule::Linear)?)
}
