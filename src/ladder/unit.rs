//! One network of a ladder: trained next to the two networks that a constant kernel describes, and compared with its own start.

use burn::tensor::Tensor;
use faer::Mat;
use widthwise_probes::{Observed, empirical_ntk_full, relative_distance};
use widthwise_tensors::{to_f64, to_matrix};

use super::context::{LadderContext, Width, theory_step};
use super::quantity::LadderQuantity;
use crate::error::Result;
use crate::measurement::{evaluate, mean_square};
use crate::network::{Batch, LayerParameters, Network};
use crate::objective::Evaluation;
use crate::objective::examples_per_unit;
use crate::observation::Observation;
use crate::prediction::{LinearPath, mean_diagonal, mean_off_diagonal, rms_distance};
use crate::signals::StopFlag;
use crate::training::Outcome;
use crate::training::batches::Batches;
use crate::training::{Observer, Trainee, TrainingPlan, train};

/// One number of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LadderNumber {
    pub(super) quantity: LadderQuantity,
    pub(super) layer: Option<usize>,
    pub(super) value: f64,
}

/// Trains and measures `member` of a width. `None` if a stop was asked for.
///
/// # Errors
/// Shapes that do not fit.
pub(super) fn measure(
    context: &LadderContext<'_>,
    width: &Width,
    member: usize,
    stop: &StopFlag,
) -> Result<Option<Vec<LadderNumber>>> {
    let session = context.session;
    let mut trainee = session.trainee(&width.architecture, (width.seed, member), context.learning_rate)?;
    let network = &trainee.model;
    let batch = network.batch(&context.inputs);
    let observation = Observation::new(network, &batch);
    let start = UntrainedNetwork {
        parameters: network.parameters.clone(),
        outputs: to_matrix(observation.outputs()),
        preactivations: (1..=observation.layers()).map(|layer| observation.preactivations(layer)).collect(),
        ntk: context.has_kernels.then(|| empirical_ntk_full(&observation)),
    };
    drop(observation);
    let mut snapshots = Snapshots {
        context,
        width,
        batch: &batch,
        start: &start,
        own: LinearTrajectory::new(context, start.ntk.as_ref(), &start.outputs, trainee.batches.clone())?,
        infinite: LinearTrajectory::new(context, width.infinite_ntk.as_ref(), &start.outputs, trainee.batches.clone())?,
        measured: Vec::new(),
        stop,
    };
    snapshots.measure_start();
    // Snapshots at the first step, at those of the schedule and at the last.
    let steps = session.probe_steps.clone().with(1);
    let plan = TrainingPlan { probe_steps: &steps, ..session.training_plan() };
    let outcome = train(&mut trainee, &plan, &mut snapshots)?;
    let mut measured = snapshots.measured;
    match outcome {
        Outcome::Interrupted => return Ok(None),
        Outcome::Diverged => {
            measured.push(LadderNumber { quantity: LadderQuantity::Diverged, layer: None, value: 1.0 });
        }
        _ => {}
    }
    measured.retain(|found| found.value.is_finite());
    Ok(Some(measured))
}

/// A network before its first step, on all examples.
struct UntrainedNetwork {
    parameters: Vec<LayerParameters>,
    outputs: Mat<f64>,
    preactivations: Vec<Tensor<3>>,
    ntk: Option<Mat<f64>>,
}

/// A path next to the network, and the largest distance from it so far.
struct LinearTrajectory<'a> {
    path: LinearPath<'a>,
    gap: f64,
}

impl<'a> LinearTrajectory<'a> {
    /// `None` without a kernel, or where a constant kernel does not say how training goes.
    fn new(
        context: &LadderContext<'_>,
        kernel: Option<&'a Mat<f64>>,
        initial: &Mat<f64>,
        batches: Batches,
    ) -> Result<Option<Self>> {
        let (Some(training), Some(kernel)) = (context.linear, kernel) else { return Ok(None) };
        let (n, side) = (context.train(), context.train() * initial.ncols());
        let kernels = [kernel.get(..side, ..side), kernel.get(side.., ..side)];
        let initial = [initial.get(..n, ..), initial.get(n.., ..)];
        let path = LinearPath::new(training, kernels, context.targets.get(..n, ..), initial, Some((batches, 0)))?;
        Ok(Some(Self { path, gap: 0.0 }))
    }

    fn compare(&mut self, step: u64, outputs: &Mat<f64>) -> Result<()> {
        self.path.advance(step)?;
        self.gap = self.gap.max(rms_distance(outputs, &self.path.outputs()));
        Ok(())
    }
}

/// The snapshots of a network while it trains.
struct Snapshots<'a> {
    context: &'a LadderContext<'a>,
    width: &'a Width,
    batch: &'a Batch,
    start: &'a UntrainedNetwork,
    own: Option<LinearTrajectory<'a>>,
    infinite: Option<LinearTrajectory<'a>>,
    measured: Vec<LadderNumber>,
    stop: &'a StopFlag,
}

impl Snapshots<'_> {
    fn push(&mut self, quantity: LadderQuantity, layer: Option<usize>, value: f64) {
        self.measured.push(LadderNumber { quantity, layer, value });
    }

    fn measure_start(&mut self) {
        let Some(ntk) = &self.start.ntk else { return };
        let over_outputs = outputs_averaged(ntk, self.start.outputs.ncols());
        self.push(LadderQuantity::NtkMeanDiagonal, None, mean_diagonal(&over_outputs));
        self.push(LadderQuantity::NtkMeanOffDiagonal, None, mean_off_diagonal(&over_outputs));
        if let Some(infinite) = &self.width.infinite_ntk {
            self.push(LadderQuantity::FullNtkDistance, None, relative_distance(ntk, infinite));
        }
    }

    fn measure_preactivations(&mut self, quantity: LadderQuantity, observation: &Observation<'_>) {
        for layer in 1..=observation.layers() {
            let change = observation.preactivations(layer) - self.start.preactivations[layer - 1].clone();
            self.push(quantity, Some(layer), mean_square(change).sqrt());
        }
    }

    fn measure_end(&mut self, network: &Network, observation: &Observation<'_>, outputs: &Mat<f64>, loss: f64) {
        self.measure_preactivations(LadderQuantity::PreactivationChange, observation);
        for (index, (now, before)) in network.parameters.iter().zip(&self.start.parameters).enumerate() {
            let change = norm(now.weight.clone() - before.weight.clone()) / norm(before.weight.clone());
            self.push(LadderQuantity::WeightChange, Some(index + 1), change);
        }
        if let Some(ntk) = &self.start.ntk {
            let change = relative_distance(&empirical_ntk_full(observation), ntk);
            self.push(LadderQuantity::FullNtkRelativeChange, None, change);
            self.push(LadderQuantity::TrainLoss, None, loss);
        }
        if let Some(gap) = self.own.as_ref().map(|own| own.gap) {
            self.push(LadderQuantity::LinearizationGap, None, gap);
        }
        if let Some(infinite) = &self.infinite {
            let (gap, wide) = (infinite.gap, infinite.path.outputs());
            let loss_gap = loss - self.loss_of(&wide);
            let targets = &self.context.targets;
            let overlap = widthwise_probes::inner_product(targets, &(outputs - &wide));
            self.push(LadderQuantity::InfiniteKernelGap, None, gap);
            self.push(LadderQuantity::TrainLossGap, None, loss_gap);
            let count = (targets.nrows() * targets.ncols()) as f64;
            self.push(LadderQuantity::TargetOverlapGap, None, overlap / count);
        }
    }

    /// Squared loss on the training set, as the run records it.
    fn loss_of(&self, outputs: &Mat<f64>) -> f64 {
        let n = self.context.train();
        let difference = outputs.get(..n, ..) - self.context.targets.get(..n, ..);
        let kind = self.context.session.experiment.training.loss;
        0.5 * difference.squared_norm_l2() / examples_per_unit(kind, n)
    }
}

impl Observer for Snapshots<'_> {
    fn probe(&mut self, trainee: &Trainee, is_last: bool) -> Result<Evaluation> {
        let session = self.context.session;
        let evaluation = evaluate(&trainee.model, &session.data, session.experiment.training.loss);
        if trainee.step == 0 || !evaluation.train_loss.is_finite() {
            return Ok(evaluation);
        }
        let observation = Observation::new(&trainee.model, self.batch);
        let outputs = to_matrix(observation.outputs());
        if let Some(own) = &mut self.own {
            own.compare(trainee.step, &outputs)?;
        }
        if let Some(infinite) = &mut self.infinite {
            infinite.compare(theory_step(self.context, trainee.step), &outputs)?;
        }
        if trainee.step == 1 {
            self.measure_preactivations(LadderQuantity::FirstPreactivationChange, &observation);
        }
        if is_last {
            self.measure_end(&trainee.model, &observation, &outputs, evaluation.train_loss);
        }
        Ok(evaluation)
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_raised()
    }
}

/// Frobenius norm, summed axis by axis: one order of addition for any number of threads.
fn norm(weight: Tensor<2>) -> f64 {
    to_f64(weight.square().sum_dim(1).sum_dim(0))[0].sqrt()
}

/// Mean over outputs of the diagonal blocks of a kernel over examples and outputs.
fn outputs_averaged(ntk: &Mat<f64>, outputs: usize) -> Mat<f64> {
    let examples = ntk.nrows() / outputs;
    Mat::from_fn(examples, examples, |x, y| {
        (0..outputs).map(|o| ntk[(x * outputs + o, y * outputs + o)]).sum::<f64>() / outputs as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_averaged_block_by_block() {
        let ntk = Mat::from_fn(4, 4, |i, j| (4 * i + j) as f64);
        // Entries (0, 0) and (1, 1); (0, 2) and (1, 3); and so on.
        let expected = [[2.5, 4.5], [10.5, 12.5]];
        let found = outputs_averaged(&ntk, 2);
        for (i, row) in expected.iter().enumerate() {
            for (j, &value) in row.iter().enumerate() {
                assert_eq!(found[(i, j)], value);
            }
        }
    }
}
