//! Small networks of every family for the tests.

use burn::tensor::{DType, Device};
use rand_distr::{Distribution, StandardNormal};
use widthwise::config::{ConvolutionConfig, ConvolutionReadout, Family, GateKind, GatesConfig, NetworkConfig};
use widthwise::network::{Network, build_architecture, draw_gates};
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{
    Architecture, Branch, InitScheme, InitVariance, InputShape, Layer, Padding, Parameterization, UpdateRule,
};

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

/// Networks with norms, residual blocks, sum pooling, dropout and sums of branches, hidden width `width`, two outputs.
pub(crate) fn layered(width: usize, parameterization: Parameterization) -> Vec<(&'static str, Architecture)> {
    let init = InitVariance { sigma_w2: 1.7, sigma_b2: 0.3 };
    let dense = |width: usize| Layer::Dense { width, init };
    let convolution =
        |stride: [usize; 2]| Layer::Convolution { width, filter_size: [3, 2], stride, padding: Padding::Same, init };
    let padded = |filter_size: [usize; 2], stride: [usize; 2], cells: [usize; 2]| Layer::Convolution {
        width,
        filter_size,
        stride,
        padding: Padding::Zeros(cells),
        init,
    };
    let phi = |function: Activation| Layer::Activation { function };
    let norm = Layer::LayerNorm { epsilon: 1e-3 };
    let block = |scale: f64| Layer::residual(scale, vec![phi(Activation::Gelu), dense(width)]);
    let image = InputShape { channels: 2, height: 6, width: 5 };
    let flat = InputShape::flat(6);
    let pooled = Layer::SumPool { window: [2, 2], stride: [2, 1], padding: Padding::Valid };
    let two = Layer::Branches {
        branches: vec![
            Branch { scale: 0.8, layers: vec![dense(width), phi(Activation::Erf), dense(width)] },
            Branch { scale: -1.1, layers: vec![dense(width)] },
        ],
    };
    let skip = Layer::residual(0.7, vec![phi(Activation::Relu), norm.clone(), convolution([1, 1])]);
    let list = vec![
        ("layer norm before", flat, vec![dense(width), norm.clone(), phi(Activation::Relu)]),
        ("layer norm after", flat, vec![dense(width), phi(Activation::Relu), norm.clone(), dense(width), norm.clone()]),
        ("rms norm after", flat, vec![dense(width), phi(Activation::Gelu), Layer::RmsNorm { epsilon: 0.0 }]),
        ("residual", flat, vec![dense(width), block(1.0), block(0.5), phi(Activation::Relu)]),
        ("branches", flat, vec![two, phi(Activation::Tanh)]),
        ("dropout", flat, vec![dense(width), phi(Activation::Relu), Layer::Dropout { keep: 0.7 }]),
        (
            "convolutions with norm, residual, sum pooling",
            image,
            vec![convolution([1, 1]), skip, phi(Activation::Relu), norm, pooled, Layer::GlobalAveragePool],
        ),
        (
            "convolutions, dropout, flatten",
            image,
            vec![convolution([2, 1]), phi(Activation::Erf), Layer::Dropout { keep: 0.6 }, Layer::Flatten],
        ),
        (
            "convolutions and pooling, explicit padding",
            image,
            vec![
                padded([3, 3], [2, 2], [1, 1]),
                phi(Activation::Erf),
                padded([3, 2], [1, 1], [2, 0]),
                phi(Activation::Tanh),
                Layer::AveragePool { window: [3, 2], stride: [2, 1], padding: Padding::Zeros([1, 1]) },
                Layer::Flatten,
            ],
        ),
    ];
    let whole = |(name, input, mut layers): (&'static str, InputShape, Vec<Layer>)| {
        layers.push(dense(2));
        (name, Architecture { input, layers, gates: None, parameterization, init_scheme: InitScheme::Gaussian })
    };
    list.into_iter().map(whole).collect()
}

/// Member `member` of `architecture` in f64 on flex.
pub(crate) fn network(architecture: &Architecture, member: usize) -> Network {
    Network::new(architecture, UpdateRule::Linear, 3, member, &Device::flex(), DType::F64).unwrap()
}
