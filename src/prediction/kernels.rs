//! The infinite-width kernels of an experiment, and the dynamics under them.

use std::borrow::Cow;

use faer::Mat;
use widthwise_datasets::Prepared;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::dynamics::KernelDynamics;
use widthwise_theory::kernel::{Inputs, Kernels};

use super::control::controlled;
use super::dynamics::{Dynamics, kernel_dynamics, no_dynamics};
use crate::config::{Experiment, NetworkConfig};
use crate::data::input_shape;
use crate::entries::finite_kernels;

/// Kernels on the probe examples and the dynamics on all of them, as far as there are any.
pub(super) struct KernelTheory {
    pub(super) on_probes: Option<Kernels>,
    pub(super) dynamics: Option<Dynamics>,
    /// Why there are not.
    pub(super) remarks: Vec<String>,
}

impl KernelTheory {
    /// `evaluated` is the architecture without its dropout, `chosen` are the probe examples and `probe` their inputs.
    pub(super) fn new(
        experiment: &Experiment,
        evaluated: &Architecture,
        has_dropout: bool,
        prepared: &Prepared,
        (chosen, probe): (&[usize], &Inputs),
        learning_rate: f64,
    ) -> Result<Self, TheoryError> {
        let kernels = |left: &Inputs, right: Option<&Inputs>| infinite_kernels(experiment, evaluated, left, right);
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
                let on_probes = predicted(kernels(probe, None))?;
                if on_probes.is_some() {
                    remarks.push(format!("no loss curve: {reason}"));
                }
                (on_probes, None)
            }
            None => {
                let shape = input_shape(prepared);
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
        Ok(Self { on_probes, dynamics, remarks })
    }
}

/// The kernels of infinite width that theory holds against the networks of `experiment`: changed by its negative control, where it
/// asks for one.
pub(crate) fn infinite_kernels(
    experiment: &Experiment,
    architecture: &Architecture,
    left: &Inputs,
    right: Option<&Inputs>,
) -> Result<Kernels, TheoryError> {
    let control = &experiment.control;
    let mut kernels = finite_kernels(&controlled(architecture, control), left, right)?;
    if control.nngp_for_ntk {
        kernels.ntk = kernels.nngp.clone();
    }
    Ok(kernels)
}

/// Training under these kernels on the training examples, with outputs on the first `tests` test examples: those of an ensemble, or, at
/// less cost, only paths from given outputs.
///
/// # Errors
/// No kernels, shapes that do not fit or a failed decomposition.
pub(crate) fn infinite_dynamics(
    experiment: &Experiment,
    architecture: &Architecture,
    prepared: &Prepared,
    tests: usize,
    of_ensemble: bool,
) -> Result<KernelDynamics, TheoryError> {
    let shape = input_shape(prepared);
    let kernels = |left: &Inputs, right: Option<&Inputs>| infinite_kernels(experiment, architecture, left, right);
    let train = Inputs::new(prepared.train.inputs.clone(), shape)?;
    let on_train = kernels(&train, None)?;
    if tests == 0 {
        return kernel_dynamics(experiment, &on_train, None, None);
    }
    let test = Inputs::new(prepared.test.inputs[..tests * shape.features()].to_vec(), shape)?;
    let on_test = of_ensemble.then(|| kernels(&test, None)).transpose()?.map(|kernels| kernels.nngp);
    kernel_dynamics(experiment, &on_train, Some(&kernels(&test, Some(&train))?), on_test.as_ref())
}

/// Covariance of the outputs of `network` before training, from its NNGP kernel: zero where the network subtracts its initial
/// function, so that an ensemble trained under a constant kernel is its mean.
pub fn initial_covariance<'a>(network: &NetworkConfig, nngp: &'a Mat<f64>) -> Cow<'a, Mat<f64>> {
    if network.centred { Cow::Owned(Mat::zeros(nngp.nrows(), nngp.ncols())) } else { Cow::Borrowed(nngp) }
}

pub(crate) fn mean_diagonal(kernel: &Mat<f64>) -> f64 {
    (0..kernel.nrows()).map(|i| kernel[(i, i)]).sum::<f64>() / kernel.nrows() as f64
}

pub(crate) fn mean_off_diagonal(kernel: &Mat<f64>) -> f64 {
    let n = kernel.nrows();
    (kernel.sum() - mean_diagonal(kernel) * n as f64) / (n * (n - 1)) as f64
}
