//! The finite networks that are timed, and examples for them.

use burn::tensor::Tensor;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{
    Architecture, InitScheme, InitVariance, InputShape, Layer, Padding, Parameterization,
};

use crate::config::GatesConfig;
use crate::network::{Batch, Network, draw_gates, from_f64};
use crate::objective::Targets;

pub(super) const DENSE_INIT: InitVariance = InitVariance { sigma_w2: 2.0, sigma_b2: 0.1 };
pub(super) const FEATURES: usize = 784;
pub(super) const IMAGE: InputShape = InputShape { channels: 3, height: 32, width: 32 };

/// Layers on an input in the NTK parameterization.
pub(super) fn architecture(input: InputShape, layers: Vec<Layer>) -> Architecture {
    let (parameterization, init_scheme) = (Parameterization::Ntk, InitScheme::Gaussian);
    Architecture { input, layers, gates: None, parameterization, init_scheme }
}

/// Outputs of a classifier.
pub(super) const OUTPUTS: usize = 10;

/// Three hidden layers on a flat input, without activations if `function` is `None`.
pub(super) fn mlp(width: usize, outputs: usize, function: Option<Activation>) -> Architecture {
    let mut layers = Vec::new();
    for _ in 0..3 {
        layers.push(Layer::Dense { width, init: DENSE_INIT });
        layers.extend(function.clone().map(|function| Layer::Activation { function }));
    }
    layers.push(Layer::Dense { width: outputs, init: DENSE_INIT });
    architecture(InputShape::flat(FEATURES), layers)
}

/// Five narrow tanh layers between twelve inputs and two classes.
pub(super) fn narrow() -> Architecture {
    let mut layers = Vec::new();
    for width in [10, 7, 5, 4, 3] {
        layers.push(Layer::Dense { width, init: DENSE_INIT });
        layers.push(Layer::Activation { function: Activation::Tanh });
    }
    layers.push(Layer::Dense { width: 2, init: DENSE_INIT });
    architecture(InputShape::flat(12), layers)
}

/// Three convolutions of an image below a global average.
pub(super) fn cnn(width: usize) -> Architecture {
    let hidden = [
        Layer::Convolution { width, filter_size: [3, 3], stride: [1, 1], padding: Padding::Same, init: DENSE_INIT },
        Layer::Activation { function: Activation::Relu },
    ];
    let mut layers: Vec<Layer> = std::iter::repeat_n(hidden, 3).flatten().collect();
    layers.extend([Layer::GlobalAveragePool, Layer::Dense { width: OUTPUTS, init: DENSE_INIT }]);
    architecture(IMAGE, layers)
}

/// Three hidden layers, all but the first gated.
pub(super) fn gated(width: usize) -> Architecture {
    let gates = draw_gates(&GatesConfig::default(), 1, &[], FEATURES);
    let mut layers = vec![Layer::Dense { width, init: DENSE_INIT }];
    layers.extend(std::iter::repeat_n(Layer::GatedDense { width, init: DENSE_INIT }, 2));
    layers.push(Layer::GatedDense { width: OUTPUTS, init: DENSE_INIT });
    Architecture { gates: Some(gates), ..architecture(InputShape::flat(FEATURES), layers) }
}

/// The `i`-th of a fixed sequence of numbers in `[-1, 1)`, SplitMix64 of `i`. Multiples of an irrational number would put all examples on a
/// curve, where many nearly coincide, and their kernels are computed pair by pair.
pub(super) fn value(i: usize) -> f64 {
    let mut x = (i as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    2.0 * ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 - 1.0
}

/// `count` inputs of `network` one after the other, from the `start`-th number of the sequence on.
pub(super) fn inputs(network: &Network, count: usize, start: usize) -> Vec<f64> {
    (start..start + count * network.architecture().input.features()).map(value).collect()
}

/// Inputs and targets on the device of `network`.
pub(super) fn examples(network: &Network, count: usize, start: usize) -> (Batch, Targets) {
    let (device, dtype) = network.placement();
    let outputs = network.weight_layers().last().map_or(0, |readout| readout.width);
    let values = (0..count * outputs).map(|i| value(start + 7 * i + 3)).collect();
    let classes: Vec<i64> = (0..count).map(|i| (i % OUTPUTS.min(outputs)) as i64).collect();
    let targets = Targets {
        values: from_f64(values, [count, outputs], device, dtype),
        classes: Tensor::from_data(classes.as_slice(), device),
    };
    (network.batch(&inputs(network, count, start)), targets)
}
