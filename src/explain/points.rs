//! Where trajectories are compared: all training examples, which the recursions need, and some test examples.

use burn::tensor::{DType, Device, Tensor};
use faer::Mat;
use widthwise_tensors::to_matrix;

use crate::data::Data;
use crate::network::Batch;
use crate::objective::Targets;
use crate::session::Session;
use crate::training::gradient::Model;

/// Outputs of one model at one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    /// On the training set, `N x O`.
    pub train: Mat<f64>,
    /// On the test examples that are examined, `T x O`.
    pub test: Mat<f64>,
}

impl Outputs {
    pub(super) fn is_finite(&self) -> bool {
        self.train.is_all_finite() && self.test.is_all_finite()
    }
}

/// The examples on one device at one precision.
pub(super) struct Points {
    /// Training examples, on the device.
    pub(super) train: Batch,
    /// Their targets, on the device.
    pub(super) train_targets: Targets,
    /// Training and test examples, on the device.
    pub(super) all: Batch,
    /// Number of training examples.
    pub(super) n: usize,
    /// Training examples that are kept in files.
    pub(super) kept: usize,
    /// Targets of all examples, training examples first, `(N + T) x O`.
    pub(super) targets: Mat<f64>,
}

impl Points {
    pub(super) fn new(session: &Session<'_>, device: &Device, dtype: DType) -> Self {
        let (prepared, wanted) = (&session.prepared, session.experiment.explain.examples);
        let data = Data::new(prepared, &session.architecture, 1, device, dtype);
        let (n, tests, outputs) = (prepared.train.n, wanted.min(prepared.test.n), prepared.outputs);
        let all = match &data.test {
            Some((batch, _)) => joined(&data.train, &batch.first(tests)),
            None => data.train.clone(),
        };
        let targets = Mat::from_fn(n + tests, outputs, |i, o| match i.checked_sub(n) {
            None => prepared.train.targets[i * outputs + o],
            Some(test) => prepared.test.targets[test * outputs + o],
        });
        Self { train: data.train, train_targets: data.train_targets, all, n, kept: wanted.min(n), targets }
    }

    /// Targets of the training examples, `N x O`.
    pub(super) fn train_target_matrix(&self) -> Mat<f64> {
        self.targets.get(..self.n, ..).to_owned()
    }

    /// Outputs of `model` on all examples.
    pub(super) fn outputs(&self, model: &impl Model) -> Outputs {
        self.split(&to_matrix(model.outputs(&self.all)))
    }

    /// Rows of all examples as outputs.
    pub(super) fn split(&self, all: &Mat<f64>) -> Outputs {
        Outputs { train: all.get(..self.n, ..).to_owned(), test: all.get(self.n.., ..).to_owned() }
    }

    /// `1/2 sum (f - y)^2` over the training examples.
    pub(super) fn half_sum(&self, outputs: &Outputs) -> f64 {
        0.5 * (&outputs.train - self.targets.get(..self.n, ..)).squared_norm_l2()
    }
}

fn joined(first: &Batch, second: &Batch) -> Batch {
    let both = |a: &Tensor<2>, b: &Tensor<2>| Tensor::cat(vec![a.clone(), b.clone()], 0);
    Batch {
        inputs: both(&first.inputs, &second.inputs),
        gates: first.gates.as_ref().zip(second.gates.as_ref()).map(|(a, b)| both(a, b)),
        masks: Vec::new(),
    }
}
