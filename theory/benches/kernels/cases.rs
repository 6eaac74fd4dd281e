//! What is timed, with the sizes in the names.

use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{
    Architecture, InitScheme, InitVariance, InputShape, Layer, Padding, Parameterization,
};

/// One row of the table.
pub(crate) struct Case {
    /// Network, size of the inputs and number of examples.
    pub(crate) name: String,
    /// The network.
    pub(crate) architecture: Architecture,
    /// Number of examples `N`; the kernels are `N x N`.
    pub(crate) examples: usize,
    /// Evaluations of a dual activation and its derivative that `N (N + 1) / 2` pairs need.
    pub(crate) duals: f64,
    /// Wall time of neural-tangents on the same network and number of examples.
    pub(crate) reference_s: Option<f64>,
}

const INIT: InitVariance = InitVariance { sigma_w2: 1.9, sigma_b2: 0.1 };
const IMAGE: InputShape = InputShape { channels: 3, height: 32, width: 32 };

fn network(input: InputShape, layers: Vec<Layer>) -> Architecture {
    Architecture {
        input,
        layers,
        gates: None,
        parameterization: Parameterization::Ntk,
        init_scheme: InitScheme::Gaussian,
    }
}

fn dense(function: &Activation, features: usize, depth: usize, examples: usize, reference_s: Option<f64>) -> Case {
    let mut layers = Vec::new();
    for _ in 0..depth {
        layers.push(Layer::Dense { width: 64, init: INIT });
        layers.push(Layer::Activation { function: function.clone() });
    }
    layers.push(Layer::Dense { width: 1, init: INIT });
    Case {
        name: format!("dense, {}, {depth} hidden, {features} features, N = {examples}", function.name()),
        architecture: network(InputShape::flat(features), layers),
        examples,
        duals: depth as f64 * pairs(examples),
        reference_s,
    }
}

fn pairs(examples: usize) -> f64 {
    (examples * (examples + 1) / 2) as f64
}

/// `depth` ReLU convolutions of 3 x 3 taps on images of 32 x 32 x 3, flattened or averaged.
fn convolutional(end: Layer, depth: usize, examples: usize, reference_s: Option<f64>) -> Case {
    let mut layers = Vec::new();
    for _ in 0..depth {
        let (filter_size, stride, padding) = ([3, 3], [1, 1], Padding::Same);
        layers.push(Layer::Convolution { width: 64, filter_size, stride, padding, init: INIT });
        layers.push(Layer::Activation { function: Activation::Relu });
    }
    let positions = (IMAGE.height * IMAGE.width) as f64;
    let entries = if end == Layer::Flatten { positions } else { positions * positions };
    let name = format!("{depth} x conv 3 x 3, relu, 32 x 32 x 3, {}, N = {examples}", end.name());
    layers.extend([end, Layer::Dense { width: 1, init: INIT }]);
    Case {
        name,
        architecture: network(IMAGE, layers),
        examples,
        duals: depth as f64 * entries * pairs(examples),
        reference_s,
    }
}

/// All rows.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for features in [64, 784] {
        for (function, three, ten) in
            [(Activation::Relu, 0.28, 1.13), (Activation::Erf, 0.20, 0.94), (Activation::Gelu, 0.19, 1.03)]
        {
            cases.push(dense(&function, features, 3, 2000, Some(three)));
            cases.push(dense(&function, features, 10, 2000, Some(ten)));
        }
        cases.push(dense(&Activation::Relu, features, 3, 500, Some(0.016)));
        cases.push(dense(&Activation::Relu, features, 10, 500, Some(0.062)));
    }
    cases.push(dense(&Activation::Tanh, 64, 3, 500, None));
    cases.push(convolutional(Layer::Flatten, 5, 50, Some(0.32)));
    cases.push(convolutional(Layer::Flatten, 5, 100, Some(1.57)));
    cases.push(convolutional(Layer::GlobalAveragePool, 3, 2, Some(3.8)));
    cases.push(convolutional(Layer::GlobalAveragePool, 5, 2, Some(6.5)));
    cases.push(convolutional(Layer::GlobalAveragePool, 3, 8, Some(51.0)));
    cases
}
