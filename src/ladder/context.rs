//! What all networks of a ladder share, and what those of one width do.

use faer::Mat;
use rand::Rng;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::dynamics::MinibatchTraining;
use widthwise_theory::kernel::{Inputs, Kernels};

use super::quantity::LadderQuantity;
use crate::config::{Loss, NetworkConfig};
use crate::data::input_shape;
use crate::error::{Result, ensure};
use crate::need;
use crate::network::build_architecture;
use crate::objective::examples_per_unit;
use crate::prediction::{
    OTHER_RATES, closed_form, control_step, for_outputs, infinite_kernels, kernel_dynamics, mean_diagonal,
    mean_off_diagonal, minibatch_training, no_dynamics, other_rates,
};
use crate::session::{Session, rule};

/// Rows of the largest kernel that a ladder follows: examples times outputs.
const MOST_ROWS: usize = 4096;

/// Rate, data and problem, the same for all widths.
pub(super) struct LadderContext<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) learning_rate: f64,
    /// Inputs of all examples examined: the training set, then the test set.
    pub(super) inputs: Vec<f64>,
    /// Their targets, `M x O`.
    pub(super) targets: Mat<f64>,
    /// What a constant kernel says about the training, where it says something and is asked for.
    pub(super) linear: Option<MinibatchTraining>,
    /// Whether kernels are measured.
    pub(super) has_kernels: bool,
    /// Why some quantities are missing.
    pub(super) remarks: Vec<String>,
}

impl<'a> LadderContext<'a> {
    pub(super) fn new(session: &'a Session<'a>, learning_rate: f64, has_kernels: bool) -> Result<Self> {
        let (experiment, prepared) = (session.experiment, &session.prepared);
        let outputs = prepared.outputs;
        let values = [prepared.train.targets.as_slice(), &prepared.test.targets].concat();
        let targets = Mat::from_fn(values.len() / outputs, outputs, |i, o| values[i * outputs + o]);
        let training = &experiment.training;
        let has_dropout = session.architecture.without_dropout() != session.architecture;
        let refusal = match training.loss {
            Loss::CrossEntropy => Some("cross-entropy has no linear path".to_owned()),
            Loss::HalfSum | Loss::HalfMean => no_dynamics(experiment, has_dropout, prepared),
        };
        let mut remarks = Vec::new();
        let batch = training.batch_size.unwrap_or(prepared.train.n).min(prepared.train.n);
        let linear = match refusal {
            None => minibatch_training(training, learning_rate, batch).filter(|_| has_kernels),
            Some(reason) => {
                if has_kernels {
                    remarks.push(format!("no distance from the linearized network: {reason}"));
                }
                None
            }
        };
        if has_kernels && other_rates(experiment, &session.architecture)? {
            remarks.push(OTHER_RATES.to_owned());
        }
        let inputs = [prepared.train.inputs.as_slice(), &prepared.test.inputs].concat();
        Ok(Self { session, learning_rate, inputs, targets, linear, has_kernels, remarks })
    }

    /// Training examples.
    pub(super) fn train(&self) -> usize {
        self.session.prepared.train.n
    }
}

/// Refuses data whose kernels would be too large to follow.
pub(super) fn expect_small(session: &Session<'_>) -> Result<()> {
    let prepared = &session.prepared;
    let rows = (prepared.train.n + prepared.test.n) * prepared.outputs;
    ensure!(
        rows <= MOST_ROWS,
        "a ladder follows the whole kernel of (training + test examples) x outputs, {rows} rows here, and at most \
         {MOST_ROWS} are allowed; lower dataset.preprocessing.train and dataset.preprocessing.test"
    );
    Ok(())
}

/// The network of a session at another width.
pub(super) fn architecture_at(session: &Session<'_>, width: usize) -> Result<Architecture> {
    let network = NetworkConfig { width, ..session.experiment.network.clone() };
    let gates = session.architecture.gates.clone();
    Ok(build_architecture(&network, input_shape(&session.prepared), session.prepared.outputs, gates)?)
}

/// Seed of the networks of a width. The stream of a member would otherwise begin with the same numbers at every width, and
/// widths would not be independent.
pub(super) fn seed_of(seed: u64, width: usize) -> u64 {
    widthwise_datasets::stream(seed, &format!("ladder.{width}")).next_u64()
}

/// What the networks of one width share.
pub(super) struct Width {
    pub(super) width: usize,
    pub(super) seed: u64,
    pub(super) architecture: Architecture,
    /// Kernels of infinite width with this width's learning-rate factors, on all examples.
    kernels: Option<Kernels>,
    /// The tangent kernel among them over examples and outputs.
    pub(super) infinite_ntk: Option<Mat<f64>>,
    /// Why there is none.
    pub(super) remark: Option<String>,
}

impl Width {
    pub(super) fn new(context: &LadderContext<'_>, width: usize) -> Result<Self> {
        let session = context.session;
        let architecture = architecture_at(session, width)?;
        let mut remark = None;
        let found = if context.has_kernels {
            let (train, test) = (session.prepared.train.n, session.prepared.test.n);
            need::expect_theory(need::both_kernels(train + test, session.prepared.outputs), [train, test])?;
            let inputs = Inputs::new(context.inputs.clone(), input_shape(&session.prepared))?;
            match infinite_kernels(session.experiment, &architecture.without_dropout(), &inputs, None) {
                Ok(kernels) => Some(kernels),
                Err(TheoryError::NoPrediction { reason }) => {
                    remark = Some(format!("no kernel of infinite width: {reason}"));
                    None
                }
                Err(error) => return Err(error.into()),
            }
        } else {
            None
        };
        Ok(Self {
            width,
            seed: seed_of(session.experiment.run.seed, width),
            architecture,
            infinite_ntk: found.as_ref().map(|kernels| for_outputs(&kernels.ntk, session.prepared.outputs)),
            kernels: found,
            remark,
        })
    }

    /// What theory says of a signed quantity at infinite width, and the size that its error is held against.
    ///
    /// # Errors
    /// A failed decomposition.
    pub(super) fn limit(&self, context: &LadderContext<'_>, quantity: LadderQuantity) -> Result<Option<(f64, f64)>> {
        let Some(kernels) = &self.kernels else { return Ok(None) };
        let rates = self.architecture.width_rates(rule(context.session.experiment))?;
        let of_kernel = |value: f64| Some((value, value.abs()));
        Ok(match quantity {
            // A kernel that grows with the width has no limit.
            _ if !rates.is_stable() => None,
            LadderQuantity::NtkMeanDiagonal => of_kernel(mean_diagonal(&kernels.ntk)),
            LadderQuantity::NtkMeanOffDiagonal => of_kernel(mean_off_diagonal(&kernels.ntk)),
            _ if !rates.is_lazy() => None,
            LadderQuantity::TrainLoss => self.ensemble_loss(context, kernels)?.map(|loss| (loss, loss)),
            LadderQuantity::TrainLossGap => self.ensemble_loss(context, kernels)?.map(|loss| (0.0, loss)),
            LadderQuantity::TargetOverlapGap => {
                let targets = &context.targets;
                Some((0.0, targets.squared_norm_l2() / (targets.nrows() * targets.ncols()) as f64))
            }
            _ => None,
        })
    }

    /// Mean training loss of infinitely wide networks after the last step; full batches only.
    fn ensemble_loss(&self, context: &LadderContext<'_>, kernels: &Kernels) -> Result<Option<f64>> {
        let (session, n) = (context.session, context.train());
        let training = &session.experiment.training;
        let is_whole = training.batch_size.is_none_or(|size| size >= n);
        let Some(linear) = context.linear.filter(|_| is_whole) else { return Ok(None) };
        let block = |kernel: &Mat<f64>| kernel.get(..n, ..n).to_owned();
        let on_train = Kernels { nngp: block(&kernels.nngp), ntk: block(&kernels.ntk) };
        let dynamics = kernel_dynamics(session.experiment, &on_train, None, None)?;
        let steps = closed_form(&linear, training.loss, n, theory_step(context, session.last_step));
        let targets = context.targets.get(..n, ..);
        let predicted = dynamics.train_prediction(targets, &steps)?;
        Ok(Some(predicted.expected_loss(targets)? / examples_per_unit(training.loss, n)))
    }
}

/// The step that infinite-width theory is asked for: another one under a control of time.
pub(super) fn theory_step(context: &LadderContext<'_>, step: u64) -> u64 {
    control_step(&context.session.experiment.control, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_draw_from_streams_of_their_own() {
        let seeds = [64, 128, 640].map(|width| seed_of(1, width));
        assert!(seeds[0] != seeds[1] && seeds[1] != seeds[2] && seed_of(2, 64) != seeds[0]);
    }
}
