//! The base learning rate of an experiment as a number.

use faer::Mat;
use widthwise_probes::KernelSummary;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::kernel::Inputs;

use super::Session;
use crate::config::LearningRate;
use crate::data::input_shape;
use crate::entries::finite_kernels;
use crate::error::{OrRefused, Result, bail};
use crate::ntk::ntk;
use crate::objective::examples_per_unit;
use crate::observation::Observation;

impl Session<'_> {
    /// The base learning rate of `architecture` on the training set of this session.
    ///
    /// # Errors
    /// A critical rate of a network without a kernel of infinite width, or of a kernel that moves nothing.
    pub(crate) fn learning_rate(&self, architecture: &Architecture) -> Result<f64> {
        let (share, kernel, whose) = match self.experiment.training.learning_rate {
            LearningRate::Absolute(rate) => return Ok(rate),
            LearningRate::Critical(share) => (share, self.infinite_ntk(architecture)?, "infinite-width"),
            LearningRate::CriticalEmpirical(share) => {
                let network = self.network_of(architecture, (self.experiment.run.seed, 0))?;
                (share, ntk(&Observation::new(&network, &self.data.train)), "empirical")
            }
        };
        let largest = KernelSummary::new(&kernel).eigenvalues.first().copied();
        let largest = largest.filter(|value| value.is_finite() && *value > 0.0).or_refused(|| {
            format!(
                "the {whose} NTK of the training set has no positive eigenvalue, so there is no critical learning rate; give \
                 training.learning_rate.absolute"
            )
        })?;
        let training = &self.experiment.training;
        Ok(share * 2.0 / largest * examples_per_unit(training.loss, self.prepared.train.n))
    }

    /// Without the negative control, which alters theory and not the networks.
    fn infinite_ntk(&self, architecture: &Architecture) -> Result<Mat<f64>> {
        let inputs = Inputs::new(self.prepared.train.inputs.clone(), input_shape(&self.prepared))?;
        match finite_kernels(&architecture.without_dropout(), &inputs, None) {
            Ok(kernels) => Ok(kernels.ntk),
            Err(TheoryError::NoPrediction { reason }) => bail!(
                "training.learning_rate.critical is a share of the largest stable rate at infinite width, but there is no kernel: \
                 {reason}; set training.learning_rate.critical_empirical, which takes the kernel of member 0, or \
                 training.learning_rate.absolute"
            ),
            Err(error) => Err(error.into()),
        }
    }
}
