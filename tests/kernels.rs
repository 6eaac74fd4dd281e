//! Measured kernels, partial Jacobian norms and kurtosis of ensembles at initialization against infinite-width theory.
//!
//! The empirical NTK is the mean over the outputs of its diagonal blocks and the empirical NNGP kernel is conditional on the
//! hidden layers: neither changes the expectation, both remove the noise of the readout's own draw.

use faer::Mat;
use widthwise::config::{Family, GatesConfig, NetworkConfig};
use widthwise::network::{Network, build_architecture, draw_gates};
use widthwise::observation::Observation;
use widthwise_probes::{Observed, empirical_nngp, empirical_ntk, partial_jacobian_norms};
use widthwise_statistics::gaussianity::{EnsembleMean, MemberMoments, ensemble_moments};
use widthwise_tensors::to_f32;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{
    Architecture, InitScheme, InitVariance, InputShape, Layer, Padding, Parameterization,
};
use widthwise_theory::kernel::{Inputs, kernels};
use widthwise_theory::signal::layer_fluctuations;

use crate::ensembles::{Entry, assert_sampled, bootstrap_slope, ensemble, overlapping_inputs};

const WIDTHS: [usize; 5] = [64, 128, 256, 512, 1024];
const MEMBERS: usize = 200;
/// Examples, features and outputs of the dense networks. At this overlap no entry of a kernel is near zero, where no ensemble
/// would know it to a percentage.
const EXAMPLES: usize = 3;
const FEATURES: usize = 6;
const OUTPUTS: usize = 8;
const OVERLAP: f64 = 0.6;

/// A dense network with `depth` hidden layers of width `width`.
fn dense(activation: Activation, depth: usize, width: usize, sigma_w2: f64, sigma_b2: f64) -> Architecture {
    let config = NetworkConfig { depth, width, activation, sigma_w2, sigma_b2, ..NetworkConfig::default() };
    build_architecture(&config, InputShape::flat(FEATURES), OUTPUTS, None).unwrap()
}

/// A gated deep linear network with four Heaviside gates, the first draw of which every two of the examples share one that is
/// open: without one their kernel is the bias alone, with nothing to measure.
fn gated(depth: usize, width: usize) -> Architecture {
    let gates = GatesConfig { count: 4, ..GatesConfig::default() };
    let inputs = overlapping_inputs(EXAMPLES, FEATURES, OVERLAP);
    let drawn = (5..).map(|seed| draw_gates(&gates, seed, &[], FEATURES)).find(|drawn| {
        let values = drawn.evaluate(&inputs, FEATURES);
        let share = |i: usize, j: usize| (0..4).any(|m| values[4 * i + m] * values[4 * j + m] > 0.0);
        share(0, 1) && share(0, 2) && share(1, 2)
    });
    let config = NetworkConfig {
        family: Family::GatedDeepLinear,
        depth,
        width,
        sigma_w2: 2.0,
        sigma_b2: 0.1,
        gates,
        ..NetworkConfig::default()
    };
    build_architecture(&config, InputShape::flat(FEATURES), OUTPUTS, drawn).unwrap()
}

/// Row-major entries of the empirical NNGP kernel, then of the empirical NTK.
fn kernel_entries(network: &Network, inputs: &[f64]) -> Vec<f64> {
    let batch = network.batch(inputs);
    let observation = Observation::new(network, &batch);
    let (nngp, ntk) = (empirical_nngp(&observation, observation.layers()), empirical_ntk(&observation));
    row_major(&nngp).into_iter().chain(row_major(&ntk)).collect()
}

fn row_major(matrix: &Mat<f64>) -> Vec<f64> {
    matrix.row_iter().flat_map(|row| row.iter().copied().collect::<Vec<_>>()).collect()
}

/// Every distinct entry of both kernels, named.
fn kernel_comparison(architecture: &Architecture, inputs: &[f64], members: &[Vec<f64>]) -> Vec<Entry> {
    let predicted = kernels(architecture, &Inputs::new(inputs.to_vec(), architecture.input).unwrap(), None).unwrap();
    let n = predicted.ntk.nrows();
    let mut entries = Vec::new();
    for (start, name, kernel) in [(0, "K", &predicted.nngp), (n * n, "Theta", &predicted.ntk)] {
        for i in 0..n {
            for j in i..n {
                entries.push(Entry::of(format!("{name}[{i},{j}]"), members, start + i * n + j, kernel[(i, j)]));
            }
        }
    }
    entries
}

fn with_weights_scaled(mut architecture: Architecture, factor: f64) -> Architecture {
    architecture.layers.iter_mut().for_each(|layer| layer.change_variances(&mut |init| init.sigma_w2 *= factor));
    architecture
}

/// `sqrt(sum Var Theta_ij) / sqrt(sum (E Theta_ij)^2)` over members: the relative standard deviation in the Frobenius norm.
fn relative_deviation(members: &[&Vec<f64>]) -> f64 {
    let (entries, count) = (members[0].len() / 2, members.len() as f64);
    let (mut variance, mut square) = (0.0, 0.0);
    for index in entries..2 * entries {
        let mean = members.iter().map(|values| values[index]).sum::<f64>() / count;
        variance += members.iter().map(|values| (values[index] - mean).powi(2)).sum::<f64>() / (count - 1.0);
        square += mean * mean;
    }
    (variance / square).sqrt()
}

/// At n = 512 every entry within four standard errors, each at most 2 % of the entry for Theta; over the widths a relative
/// standard deviation that falls as `n^{-1/2}`.
fn kernels_converge(name: &str, architecture: impl Fn(usize) -> Architecture) {
    let inputs = overlapping_inputs(EXAMPLES, FEATURES, OVERLAP);
    let ensembles: Vec<Vec<Vec<f64>>> = WIDTHS
        .iter()
        .map(|&n| ensemble(&architecture(n), n as u64, MEMBERS, |network, _| kernel_entries(&network, &inputs)))
        .collect();
    let entries = kernel_comparison(&architecture(512), &inputs, &ensembles[3]);
    assert_sampled(&format!("{name}, n = 512, {MEMBERS} networks"), &entries);
    // The bias of order 1/n must be small against the standard error: of the diagonal of K as theory knows it, of every entry
    // as the narrowest networks show it.
    let known =
        layer_fluctuations(&architecture(512), &Inputs::new(inputs.clone(), InputShape::flat(FEATURES)).unwrap());
    for (i, layers) in known.unwrap().iter().enumerate() {
        let entry = entries.iter().find(|entry| entry.name == format!("K[{i},{i}]")).unwrap();
        let bias = layers.last().unwrap().nngp_correction / entry.standard_error;
        assert!(bias.abs() < 0.25, "{name}: {entry:?} has a bias of {bias:.2} standard errors");
    }
    let narrow = kernel_comparison(&architecture(64), &inputs, &ensembles[0]);
    for (entry, narrow) in entries.iter().zip(&narrow) {
        let resolution = entry.standard_error / entry.predicted.abs();
        assert!(
            !entry.name.starts_with("Theta") || resolution <= 0.02,
            "{name}: {entry:?} is known to {resolution:.3}"
        );
        let scaled = |number: f64| number * 64.0 / 512.0 / entry.standard_error;
        let (bias, error) = (scaled(narrow.measured - narrow.predicted), scaled(narrow.standard_error));
        eprintln!(
            "  {:<28} standard error {:.2} %, bias from n = 64: {bias:.2} +- {error:.2} standard errors",
            entry.name,
            100.0 * resolution
        );
        assert!(bias.abs() < 1.5, "{name}: {entry:?} has a bias of {bias:.2} standard errors");
    }
    // The comparison is sharp enough to notice weights 5 % too large in variance.
    let wrong = kernel_comparison(&with_weights_scaled(architecture(512), 1.05), &inputs, &ensembles[3]);
    assert!(wrong.iter().all(|entry| entry.name.starts_with('K') || entry.z().abs() > 4.0), "{name}: {wrong:?}");
    let (slope, [low, high]) = bootstrap_slope(&WIDTHS, &ensembles, relative_deviation);
    let deviations: Vec<String> = ensembles
        .iter()
        .map(|members| format!("{:.4}", relative_deviation(&members.iter().collect::<Vec<_>>())))
        .collect();
    eprintln!("{name}: relative standard deviation {deviations:?}, slope {slope:.3}, 95 % [{low:.3}, {high:.3}]");
    assert!(low <= -0.5 && -0.5 <= high, "{name}: slope {slope:.3} in [{low:.3}, {high:.3}]");
    assert!(high - low < 0.2, "{name}: interval [{low:.3}, {high:.3}] is too wide to tell");
}

#[test]
fn kernels_of_relu_networks_converge() {
    kernels_converge("ReLU, depth 3", |n| dense(Activation::Relu, 3, n, 2.0, 0.1));
}

#[test]
fn kernels_of_erf_networks_converge() {
    kernels_converge("erf, depth 3", |n| dense(Activation::Erf, 3, n, 1.5, 0.1));
}

#[test]
fn kernels_of_gated_deep_linear_networks_converge() {
    kernels_converge("gated deep linear, depth 2", |n| gated(2, n));
}

fn convolution(width: usize, filter: usize, stride: [usize; 2], padding: Padding) -> Layer {
    Layer::Convolution { width, filter_size: [filter, filter], stride, padding, init: IMAGE_INIT }
}

const IMAGE_INIT: InitVariance = InitVariance { sigma_w2: 1.8, sigma_b2: 0.1 };

/// Convolutions and pooling of `layers`, an activation after every convolution, four outputs.
fn convolutional(activation: &Activation, layers: Vec<Layer>) -> Architecture {
    let mut all = Vec::new();
    for layer in layers {
        let is_convolution = matches!(layer, Layer::Convolution { .. });
        all.push(layer);
        if is_convolution {
            all.push(Layer::Activation { function: activation.clone() });
        }
    }
    all.push(Layer::Dense { width: 4, init: IMAGE_INIT });
    Architecture {
        input: InputShape { channels: 2, height: 5, width: 4 },
        layers: all,
        gates: None,
        parameterization: Parameterization::Ntk,
        init_scheme: InitScheme::Gaussian,
    }
}

/// Networks with every kind of padding, with and without stride, flat and pooled readouts, `n` channels.
fn images(n: usize) -> Vec<(&'static str, Architecture)> {
    let same = |stride| convolution(n, 3, stride, Padding::Same);
    let circular = |stride| convolution(n, 3, stride, Padding::Circular);
    let valid = || convolution(n, 2, [1, 1], Padding::Valid);
    let pool = Layer::AveragePool { window: [2, 1], stride: [2, 1], padding: Padding::Valid };
    let whole = || Layer::GlobalAveragePool;
    vec![
        (
            "same, stride 1 and 2, flatten, erf",
            convolutional(&Activation::Erf, vec![same([1, 1]), same([2, 2]), Layer::Flatten]),
        ),
        (
            "same, stride, global average, ReLU",
            convolutional(&Activation::Relu, vec![same([2, 1]), same([1, 1]), whole()]),
        ),
        ("valid, flatten, ReLU", convolutional(&Activation::Relu, vec![valid(), valid(), Layer::Flatten])),
        ("valid, pooled, global average, erf", convolutional(&Activation::Erf, vec![valid(), pool, valid(), whole()])),
        (
            "circular, stride, flatten, ReLU",
            convolutional(&Activation::Relu, vec![circular([1, 2]), circular([1, 1]), Layer::Flatten]),
        ),
        (
            "circular, global average, erf",
            convolutional(&Activation::Erf, vec![circular([1, 1]), circular([1, 1]), whole()]),
        ),
    ]
}

#[test]
fn kernels_of_convolutional_networks_agree_with_theory() {
    const CHANNELS: usize = 256;
    const NETWORKS: usize = 80;
    for (name, architecture) in images(CHANNELS) {
        let inputs = overlapping_inputs(EXAMPLES, architecture.input.features(), OVERLAP);
        let members = ensemble(&architecture, 21, NETWORKS, |network, _| kernel_entries(&network, &inputs));
        let entries = kernel_comparison(&architecture, &inputs, &members);
        assert_sampled(&format!("{name}, {CHANNELS} channels, {NETWORKS} networks"), &entries);
    }
}

#[test]
fn partial_jacobian_norms_agree_with_theory() {
    const NETWORKS: usize = 100;
    let mut cases = vec![
        ("tanh, n = 256", dense(Activation::Tanh, 4, 256, 1.5, 0.1)),
        ("ReLU, n = 256", dense(Activation::Relu, 4, 256, 2.0, 0.1)),
        ("gated deep linear, n = 256", gated(3, 256)),
    ];
    cases.extend(images(256).into_iter().filter(|(name, _)| !name.starts_with("valid")));
    for (name, architecture) in cases {
        let inputs = overlapping_inputs(EXAMPLES, architecture.input.features(), OVERLAP);
        let predicted = widthwise_theory::signal::partial_jacobian_norms(
            &architecture,
            &Inputs::new(inputs.clone(), architecture.input).unwrap(),
        )
        .unwrap();
        let members = ensemble(&architecture, 22, NETWORKS, |network, member| {
            let batch = network.batch(&inputs);
            let mut random = widthwise_datasets::stream(22, &format!("test.vectors.{member}"));
            partial_jacobian_norms(&Observation::new(&network, &batch), 4, &mut random)
        });
        let values: Vec<Vec<f64>> = members.iter().map(|norms| norms.iter().map(|norm| norm.value).collect()).collect();
        let entry = |(index, norm): (usize, &widthwise_probes::PartialJacobianNorm)| {
            let expected = predicted[(norm.layer - 1, norm.layer_from - 1)];
            Entry::of(format!("J^({},{})", norm.layer_from, norm.layer), &values, index, expected)
        };
        let entries: Vec<Entry> = members[0].iter().enumerate().map(entry).collect();
        assert_sampled(&format!("partial Jacobian norms: {name}, {NETWORKS} networks"), &entries);
    }
}

/// Networks whose kurtosis is large enough to see; the expansion parameter stays far below 0.3.
#[test]
fn excess_kurtosis_agrees_with_the_first_correction() {
    const NETWORKS: usize = 400;
    for (name, architecture) in [
        ("ReLU, n = 256", dense(Activation::Relu, 4, 256, 2.0, 0.0)),
        ("tanh, n = 256", dense(Activation::Tanh, 4, 256, 1.0, 0.0)),
        ("gated deep linear, n = 256", gated(3, 256)),
    ] {
        let inputs = overlapping_inputs(EXAMPLES, FEATURES, OVERLAP);
        let fluctuations =
            layer_fluctuations(&architecture, &Inputs::new(inputs.clone(), architecture.input).unwrap()).unwrap();
        let depth = architecture.depth().unwrap();
        let members = ensemble(&architecture, 23, NETWORKS, |network, _| {
            let batch = network.batch(&inputs);
            let observation = Observation::new(&network, &batch);
            let of_layer = |layer| {
                let [n, _, units] = observation.preactivations(layer).dims();
                let z = observation.preactivations(layer).reshape([n, units]);
                MemberMoments::new(&to_f32(z), units).unwrap()
            };
            (1..=depth).map(of_layer).collect::<Vec<_>>()
        });
        let mut entries = Vec::new();
        for layer in 1..=depth {
            let of_layer: Vec<MemberMoments> = members.iter().map(|layers| layers[layer - 1].clone()).collect();
            let moments = ensemble_moments(&of_layer, EnsembleMean::Zero).unwrap();
            let predicted =
                fluctuations.iter().map(|layers| layers[layer - 1].excess_kurtosis()).sum::<f64>() / EXAMPLES as f64;
            let routes = [("units", Some(moments.excess_kurtosis)), ("pairs", moments.pair_excess_kurtosis)];
            for (route, moment) in routes {
                let moment = moment.unwrap();
                let entry = Entry {
                    name: format!("layer {layer}, {route}"),
                    measured: moment.unbiased(),
                    standard_error: moment.standard_error,
                    predicted,
                };
                if layer == depth && route == "pairs" {
                    let from_gaussian = entry.measured / entry.standard_error;
                    assert!(from_gaussian > 5.0, "{name}: {entry:?} cannot be told from a Gaussian");
                }
                entries.push(entry);
            }
        }
        assert_sampled(&format!("excess kurtosis: {name}, {NETWORKS} networks"), &entries);
    }
}
