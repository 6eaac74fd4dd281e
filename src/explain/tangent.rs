//! The whole tangent kernel of a network at one moment on the points of comparison, and its outputs there.

use faer::Mat;
use widthwise_probes::empirical_ntk_full;
use widthwise_tensors::to_matrix;

use super::points::{Outputs, Points};
use crate::network::{LayerParameters, Network};
use crate::observation::Observation;

/// Rows and columns count examples and outputs, example-major.
pub(super) struct Tangent {
    /// Training against training examples, `N O x N O`.
    pub(super) train: Mat<f64>,
    /// Test against training examples, `T O x N O`.
    pub(super) test: Mat<f64>,
    /// Outputs of the network there.
    pub(super) outputs: Outputs,
}

impl Tangent {
    pub(super) fn new(network: &Network, points: &Points) -> Self {
        let kernel = empirical_ntk_full(&Observation::new(network, &points.all));
        let outputs = points.outputs(network);
        let side = points.n * outputs.train.ncols();
        Self { train: kernel.get(..side, ..side).to_owned(), test: kernel.get(side.., ..side).to_owned(), outputs }
    }
}

/// `J delta` on all examples of `points`, as outputs.
pub(super) fn pushed(network: &Network, points: &Points, delta: &[LayerParameters]) -> Outputs {
    points.split(&to_matrix(network.push_forward(&points.all, delta)))
}
