//! The training step without a graph against automatic differentiation and the update rules on tensors.

use burn::tensor::{DType, Device, Tensor};
use widthwise::config::{Anchor, L2, Loss, Optimizer};
use widthwise::network::{Network, from_f64};
use widthwise::training::loss::Targets;
use widthwise::training::optimizer::{OptimizerState, Updater, update_rule};
use widthwise::training::{direct_step, generic_step};
use widthwise_probes::{to_f64, to_matrix};
use widthwise_theory::{Activation, Architecture, InitScheme, InitVariance, InputShape, Layer, Parameterization};

use crate::bounds::relative_difference;
use crate::networks::{inputs, layered};

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
    let (beta1, beta2, epsilon) = (0.9, 0.99, 1e-6);
    vec![
        (Optimizer::GradientDescent {}, 0.0),
        (Optimizer::GradientDescent {}, 0.1),
        (Optimizer::Momentum { beta: 0.8 }, 0.0),
        (Optimizer::Momentum { beta: 0.8 }, 0.2),
        (Optimizer::Nesterov { beta: 0.7 }, 0.1),
        (Optimizer::Adam { beta1, beta2, epsilon }, 0.0),
        (Optimizer::AdamW { beta1, beta2, epsilon, weight_decay: 0.1 }, 0.1),
    ]
}

/// Parameters and losses after a few steps on both roads.
fn both(architecture: &Architecture, dtype: DType, optimizer: Optimizer, l2: f64, kind: Loss) -> f64 {
    let device = Device::flex();
    let fresh = Network::new(architecture, update_rule(optimizer), 3, 0, &device, dtype).unwrap();
    let batch = fresh.batch(&inputs(EXAMPLES, 6));
    let targets = Targets {
        values: from_f64(inputs(EXAMPLES, 3), [EXAMPLES, 3], &device, dtype),
        classes: Tensor::from_data([0, 1, 2, 0, 1, 2, 0], &device),
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
