//! Small networks of every family for the tests.

use burn::tensor::{DType, Device};
use rand_distr::{Distribution, StandardNormal};
use widthwise::config::{ConvolutionConfig, ConvolutionReadout, Family, GateKind, GatesConfig, NetworkConfig};
use widthwise::network::{Network, build_architecture, draw_gates};
use widthwise_theory::{Activation, Architecture, InputShape, Padding, Parameterization, UpdateRule};

/// Gaussian inputs, `n x features`.
pub(crate) fn inputs(n: usize, features: usize) -> Vec<f64> {
    let mut random = widthwise_datasets::stream(11, "test.inputs");
    (0..n * features).map(|_| StandardNormal.sample(&mut random)).collect()
}

/// A named architecture of each kind, hidden width `width`, two hidden layers, three outputs.
pub(crate) fn families(width: usize, parameterization: Parameterization) -> Vec<(&'static str, Architecture)> {
    let base = NetworkConfig {
        depth: 2,
        width,
        activation: Activation::Tanh,
        sigma_w2: 1.7,
        sigma_b2: 0.3,
        parameterization,
        ..NetworkConfig::default()
    };
    let image = InputShape { channels: 2, height: 7, width: 5 };
    let flat = InputShape::flat(6);
    let build = |config: &NetworkConfig, shape: InputShape| {
        let gates = (config.family == Family::GatedDeepLinear)
            .then(|| draw_gates(&config.gates, 5, &inputs(20, shape.features()), shape.features()));
        build_architecture(config, shape, 3, gates).unwrap()
    };
    let cnn = |convolution: ConvolutionConfig| NetworkConfig { family: Family::Cnn, convolution, ..base.clone() };
    let same = ConvolutionConfig { stride: [2, 1], ..ConvolutionConfig::default() };
    let pooled = ConvolutionConfig {
        filter_size: [2, 2],
        padding: Padding::Valid,
        pool: Some([2, 1]),
        readout: ConvolutionReadout::GlobalAverage,
        ..ConvolutionConfig::default()
    };
    let circular = ConvolutionConfig {
        filter_size: [3, 2],
        stride: [1, 2],
        padding: Padding::Circular,
        readout: ConvolutionReadout::GlobalAverage,
        ..ConvolutionConfig::default()
    };
    let gated = |kind: GateKind, input_layer: bool| NetworkConfig {
        family: Family::GatedDeepLinear,
        sigma_b2: 0.0,
        gates: GatesConfig { kind, count: 3, input_layer, ..GatesConfig::default() },
        ..base.clone()
    };
    vec![
        ("mlp", build(&base, flat)),
        (
            "mlp without biases",
            build(&NetworkConfig { sigma_b2: 0.0, activation: Activation::Gelu, ..base.clone() }, flat),
        ),
        ("deep_linear", build(&NetworkConfig { family: Family::DeepLinear, ..base.clone() }, flat)),
        ("cnn same stride flatten", build(&cnn(same), image)),
        ("cnn valid pooled global average", build(&cnn(pooled), image)),
        ("cnn circular global average", build(&cnn(circular), image)),
        ("gated heaviside", build(&gated(GateKind::Heaviside, false), flat)),
        ("gated smooth, input too", build(&gated(GateKind::Smooth, true), flat)),
        ("gated k-means", build(&gated(GateKind::KMeans, false), flat)),
    ]
}

/// Member `member` of `architecture` in f64 on flex.
pub(crate) fn network(architecture: &Architecture, member: usize) -> Network {
    Network::new(architecture, UpdateRule::Linear, 3, member, &Device::flex(), DType::F64).unwrap()
}
