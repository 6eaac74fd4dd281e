//! The training step without a graph against automatic differentiation and the update rules on tensors.

use burn::tensor::{DType, Device, Tensor};
use widthwise::config::{Anchor, L2, Loss, Optimizer};
use widthwise::network::{Network, NoTap, from_f64};
use widthwise::objective::Targets;
use widthwise::training::optimizer::{OptimizerState, Updater, update_rule};
use widthwise::training::{direct_step, generic_step};
use widthwise_tensors::{to_f64, to_matrix};
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{
    Architecture, InitScheme, InitVariance, InputShape, Layer, Padding, Parameterization, UpdateRule,
};

use crate::bounds::relative_difference;
use crate::networks::{families, inputs, layered};

const EXAMPLES: usize = 7;
const STEPS: u64 = 5;

fn chain(width: usize, activation: Activation, sigma_b2: f64, parameterization: Parameterization) -> Architecture {
    let init = InitVariance { sigma_w2: 1.7, sigma_b2 };
    let dense = |width: usize| Layer::Dense { width, init };
    let phi = Layer::Activation { function: activation };
    let layers = vec![dense(width), phi.clone(), dense(width + 3), phi, dense(3)];
    Architecture {
        input: InputShape::flat(6),
        layers,
        gates: None,
        parameterization,
        init_scheme: InitScheme::Gaussian,
    }
}

fn optimizers() -> Vec<(Optimizer, f64)> {
    Optimizer::one_of_each().into_iter().flat_map(|optimizer| [(optimizer, 0.0), (optimizer, 0.1)]).collect()
}

/// Parameters, moments and losses after a few steps on both paths: the largest relative difference.
fn both(architecture: &Architecture, dtype: DType, optimizer: Optimizer, l2: f64, kind: Loss) -> f64 {
    on_examples(EXAMPLES, architecture, dtype, optimizer, l2, kind)
}

fn on_examples(
    examples: usize,
    architecture: &Architecture,
    dtype: DType,
    optimizer: Optimizer,
    l2: f64,
    kind: Loss,
) -> f64 {
    let device = Device::flex();
    let fresh = Network::new(architecture, update_rule(optimizer), 3, 0, &device, dtype).unwrap();
    let batch = fresh.batch(&inputs(examples, architecture.input.features()));
    let outputs = architecture.outputs().unwrap();
    let classes: Vec<i64> = (0..examples as i64).map(|i| i % outputs as i64).collect();
    let targets = Targets {
        values: from_f64(inputs(examples, outputs), [examples, outputs], &device, dtype),
        classes: Tensor::from_data(classes.as_slice(), &device),
    };
    let updater =
        Updater { optimizer, learning_rate: 0.02, l2: L2 { strength: l2, toward: Anchor::Zero }, anchor: None };
    let run = |is_direct: bool| {
        let mut network = fresh.clone();
        let mut state = OptimizerState::new(optimizer, &network.parameters);
        let seen = (&batch, &targets, kind);
        let losses: Vec<f64> = (0..STEPS)
            .map(|step| {
                let step = if is_direct {
                    direct_step(&mut network, seen, &updater, step, &mut state).unwrap()
                } else {
                    generic_step(&mut network, seen, &updater, step, &mut state)
                };
                to_f64(step)[0]
            })
            .collect();
        (network.parameters, state.moments, losses)
    };
    let (direct, generic) = (run(true), run(false));
    let mut worst = direct.2.iter().zip(&generic.2).map(|(a, b)| (a - b).abs() / b.abs()).fold(0.0, f64::max);
    let sets = std::iter::once((&direct.0, &generic.0)).chain(direct.1.iter().zip(&generic.1));
    for (found, expected) in sets.flat_map(|(found, expected)| found.iter().zip(expected)) {
        worst = worst.max(relative_difference(&to_matrix(found.weight.clone()), &to_matrix(expected.weight.clone())));
        assert_eq!(found.bias.is_some(), expected.bias.is_some());
        if let (Some(found), Some(expected)) = (&found.bias, &expected.bias) {
            worst = worst.max(relative_difference(&to_matrix(found.clone()), &to_matrix(expected.clone())));
        }
    }
    worst
}

#[test]
fn a_step_without_a_graph_is_that_of_automatic_differentiation() {
    for (optimizer, l2) in optimizers() {
        for kind in [Loss::HalfSum, Loss::HalfMean, Loss::CrossEntropy] {
            for (width, sigma_b2) in [(5, 0.3), (40, 0.0)] {
                let architecture = chain(width, Activation::Gelu, sigma_b2, Parameterization::Ntk);
                let off = both(&architecture, DType::F64, optimizer, l2, kind);
                // Sums of a few dozen products in another order, divided by roots of second moments in Adam.
                assert!(off < 1e-11, "{optimizer:?}, {kind:?}, width {width}: {off:e}");
                let off = both(&architecture, DType::F32, optimizer, l2, kind);
                assert!(off < 2e-3, "f32, {optimizer:?}, {kind:?}, width {width}: {off:e}");
            }
        }
    }
}

#[test]
fn every_activation_and_parameterization_takes_the_same_step() {
    for parameterization in [
        Parameterization::Standard,
        Parameterization::StandardLayerwise,
        Parameterization::Ntk,
        Parameterization::MeanField,
        Parameterization::Mup,
    ] {
        for activation in [Activation::Relu, Activation::Erf, Activation::Tanh, Activation::Identity, Activation::Silu]
        {
            let architecture = chain(9, activation.clone(), 0.2, parameterization);
            let off = both(&architecture, DType::F64, Optimizer::Momentum { beta: 0.5 }, 0.0, Loss::HalfMean);
            assert!(off < 1e-11, "{activation:?}, {parameterization:?}: {off:e}");
        }
    }
}

#[test]
fn tiles_are_joined_where_matrices_are_larger_than_one() {
    // More rows than a band and more columns than a tile, neither a multiple of it.
    let architecture = chain(530, Activation::Relu, 0.1, Parameterization::Ntk);
    let off = both(&architecture, DType::F64, Optimizer::Nesterov { beta: 0.9 }, 0.05, Loss::HalfSum);
    assert!(off < 1e-11, "{off:e}");
}

/// Convolutions of stride 1 with every padding, filters of even and odd sides, larger than the image where it repeats, and each readout.
fn convolutional() -> Vec<(&'static str, Architecture)> {
    let init = InitVariance { sigma_w2: 1.7, sigma_b2: 0.3 };
    let layer = |width: usize, filter_size: [usize; 2], padding: Padding, sigma_b2: f64| Layer::Convolution {
        width,
        filter_size,
        stride: [1, 1],
        padding,
        init: InitVariance { sigma_b2, ..init },
    };
    let phi = |function: Activation| Layer::Activation { function };
    let dense = |width: usize| Layer::Dense { width, init };
    let image = |channels: usize, height: usize, width: usize| InputShape { channels, height, width };
    let (relu, erf) = (phi(Activation::Relu), phi(Activation::Erf));
    let list = vec![
        (
            "same, global average",
            image(3, 6, 5),
            vec![
                layer(19, [3, 3], Padding::Same, 0.3),
                relu.clone(),
                layer(35, [3, 2], Padding::Same, 0.0),
                relu.clone(),
                layer(6, [2, 4], Padding::Same, 0.2),
                erf.clone(),
                Layer::GlobalAveragePool,
            ],
        ),
        (
            "valid, flatten",
            image(2, 7, 8),
            vec![
                layer(5, [2, 3], Padding::Valid, 0.1),
                erf.clone(),
                layer(9, [3, 3], Padding::Valid, 0.1),
                relu.clone(),
                Layer::Flatten,
                dense(20),
                relu.clone(),
            ],
        ),
        (
            "explicit padding, larger and smaller than that of same",
            image(2, 5, 6),
            vec![
                layer(7, [3, 3], Padding::Zeros([2, 0]), 0.3),
                erf.clone(),
                layer(5, [2, 4], Padding::Zeros([1, 3]), 0.2),
                relu.clone(),
                Layer::Flatten,
            ],
        ),
        (
            "circular, larger than the image",
            image(2, 3, 4),
            vec![
                layer(7, [3, 3], Padding::Circular, 0.3),
                erf,
                layer(4, [5, 6], Padding::Circular, 0.3),
                relu.clone(),
                Layer::Flatten,
            ],
        ),
        (
            "positions of their own",
            image(3, 2, 5),
            vec![layer(11, [1, 1], Padding::Same, 0.3), relu.clone(), Layer::GlobalAveragePool, dense(8), relu],
        ),
        ("average of the data", image(3, 4, 4), vec![Layer::GlobalAveragePool, dense(5), phi(Activation::Tanh)]),
    ];
    let whole = |(name, input, mut layers): (&'static str, InputShape, Vec<Layer>)| {
        layers.push(dense(3));
        let (parameterization, init_scheme) = (Parameterization::Ntk, InitScheme::Gaussian);
        (name, Architecture { input, layers, gates: None, parameterization, init_scheme })
    };
    list.into_iter().map(whole).collect()
}

#[test]
fn convolutions_take_the_same_step() {
    for (name, architecture) in convolutional() {
        // One block, several of them, several groups in each.
        for examples in [1, EXAMPLES, 90] {
            for (kind, optimizer) in [
                (Loss::HalfMean, Optimizer::Momentum { beta: 0.9 }),
                (Loss::CrossEntropy, Optimizer::GradientDescent {}),
            ] {
                let off = on_examples(examples, &architecture, DType::F64, optimizer, 0.01, kind);
                assert!(off < 1e-11, "{name}, {examples} examples, {kind:?}: {off:e}");
            }
        }
        let adam = Optimizer::Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-6 };
        let off = both(&architecture, DType::F64, adam, 0.0, Loss::HalfMean);
        assert!(off < 1e-10, "{name}, Adam: {off:e}");
        let off = both(&architecture, DType::F32, Optimizer::Nesterov { beta: 0.9 }, 0.0, Loss::HalfMean);
        assert!(off < 2e-4, "{name} in f32: {off:e}");
    }
}

#[test]
fn images_without_a_graph_are_convolved_as_those_with_one() {
    for (name, architecture) in convolutional() {
        for dtype in [DType::F64, DType::F32] {
            let plain = Network::new(&architecture, UpdateRule::Linear, 3, 0, &Device::flex(), dtype).unwrap();
            let mut with_graph = plain.clone();
            with_graph.parameters.iter_mut().for_each(|p| *p = p.map(|t| t.clone().autodiff()));
            let batch = plain.batch(&inputs(EXAMPLES, architecture.input.features()));
            let outputs = |network: &Network| to_matrix(network.forward(&batch, &mut NoTap).inner());
            let off = relative_difference(&outputs(&plain), &outputs(&with_graph));
            let bound = if dtype == DType::F64 { 1e-13 } else { 1e-5 };
            assert!(off < bound, "{name}, {dtype:?}: {off:e}");
        }
    }
}

#[test]
fn gated_layers_take_the_same_step() {
    let gated = families(11, Parameterization::Mup).into_iter().filter(|(name, _)| name.starts_with("gated"));
    for (name, architecture) in gated {
        for examples in [EXAMPLES, 50] {
            let momentum = Optimizer::Momentum { beta: 0.9 };
            let off = on_examples(examples, &architecture, DType::F64, momentum, 0.1, Loss::HalfMean);
            assert!(off < 1e-11, "{name}, {examples} examples: {off:e}");
        }
    }
}

#[test]
fn a_first_layer_of_many_features_takes_the_same_step() {
    // Its product is cut by features: 6 of them, with 3 examples and with 1.
    for examples in [3, 1] {
        for sigma_b2 in [0.0, 0.3] {
            let architecture = chain(17, Activation::Relu, sigma_b2, Parameterization::Ntk);
            for optimizer in [Optimizer::GradientDescent {}, Optimizer::Momentum { beta: 0.9 }] {
                let off = on_examples(examples, &architecture, DType::F64, optimizer, 0.1, Loss::HalfMean);
                assert!(off < 1e-11, "{optimizer:?}, {examples} examples, {sigma_b2}: {off:e}");
            }
        }
    }
}

#[test]
fn a_short_layer_of_very_many_units_takes_the_same_step() {
    // One row of it has more numbers than a band.
    let mut architecture = chain(4100, Activation::Relu, 0.3, Parameterization::Ntk);
    architecture.layers.drain(2..4);
    let momentum = Optimizer::Momentum { beta: 0.9 };
    let off = both(&architecture, DType::F64, momentum, 0.1, Loss::HalfMean);
    assert!(off < 1e-11, "{off:e}");
}

#[test]
fn other_networks_and_penalties_are_left_to_the_generic_road() {
    let (device, dtype) = (Device::flex(), DType::F64);
    let optimizer = Optimizer::GradientDescent {};
    let refused = |architecture: &Architecture, l2: L2, is_centred: bool| {
        let network = Network::new(architecture, update_rule(optimizer), 3, 0, &device, dtype).unwrap();
        let mut network = if is_centred { network.centred() } else { network };
        let features = architecture.input.features();
        let batch = network.batch(&inputs(EXAMPLES, features));
        let outputs = architecture.outputs().unwrap();
        let values = from_f64(inputs(EXAMPLES, outputs), [EXAMPLES, outputs], &device, dtype);
        let targets = Targets { values, classes: Tensor::from_data([0; EXAMPLES], &device) };
        let before: Vec<_> = network.parameters.iter().map(|p| to_matrix(p.weight.clone())).collect();
        let updater = Updater { optimizer, learning_rate: 0.1, l2, anchor: Some(network.parameters.clone()) };
        let mut state = OptimizerState::new(optimizer, &network.parameters);
        let step = direct_step(&mut network, (&batch, &targets, Loss::HalfSum), &updater, 0, &mut state);
        let after: Vec<_> = network.parameters.iter().map(|p| to_matrix(p.weight.clone())).collect();
        assert_eq!(before, after);
        step.is_none()
    };
    let dense = chain(5, Activation::Relu, 0.1, Parameterization::Ntk);
    assert!(refused(&dense, L2 { strength: 0.1, toward: Anchor::Init }, false));
    assert!(refused(&dense, L2::default(), true));
    for (name, architecture) in layered(5, Parameterization::Ntk) {
        assert!(refused(&architecture, L2::default(), false), "{name}");
    }
}
