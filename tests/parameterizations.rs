//! Parameterizations against one another: the same trajectory in two coordinates, and what one step does at large width.

use burn::tensor::{DType, Device, Int, Tensor};
use widthwise::config::{L2, Loss, NetworkConfig, Optimizer};
use widthwise::network::{Batch, Network, NoTap, build_architecture, from_f64};
use widthwise::objective::Targets;
use widthwise::observation::Observation;
use widthwise::training::gradient::gradient;
use widthwise::training::optimizer::{OptimizerState, Updater, update_rule};
use widthwise_probes::Observed;
use widthwise_tensors::to_f64;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, InputShape, Parameterization};

use crate::ensembles::{bootstrap_slope, ensemble};
use crate::networks::{inputs, network};

const STEPS: u64 = 200;

/// Targets `n x outputs` for a regression of `network`.
pub(crate) fn regression(network: &Network, values: Vec<f64>, outputs: usize) -> Targets {
    let (device, dtype) = network.placement();
    let n = values.len() / outputs;
    Targets {
        values: from_f64(values, [n, outputs], device, dtype),
        classes: Tensor::<1, Int>::from_data(vec![0_i64; n].as_slice(), device),
    }
}

/// Updates of `optimizer` without a penalty.
pub(crate) fn plain(optimizer: Optimizer, learning_rate: f64) -> Updater {
    Updater { optimizer, learning_rate, l2: L2::default(), anchor: None }
}

/// Takes one step on the loss `1/2 sum`.
pub(crate) fn step(
    network: &mut Network,
    batch: &Batch,
    targets: &Targets,
    updater: &Updater,
    state: &mut OptimizerState,
    number: u64,
) {
    let (_, gradients) = gradient(network, batch, targets, Loss::HalfSum);
    let scalings = network.scalings().to_vec();
    updater.update(number, &mut network.parameters, gradients, &scalings, state);
}

fn architecture(widths: Vec<usize>, parameterization: Parameterization) -> Architecture {
    let config = NetworkConfig {
        widths: Some(widths),
        activation: Activation::Tanh,
        sigma_w2: 1.69,
        sigma_b2: 0.16,
        parameterization,
        ..NetworkConfig::default()
    };
    build_architecture(&config, InputShape::flat(5), 1, None).unwrap()
}

fn outputs(network: &Network, batch: &Batch) -> Vec<f64> {
    to_f64(network.forward(batch, &mut NoTap))
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

const TARGETS: [f64; 7] = [1.0, -1.0, 0.5, 0.2, -0.7, 1.3, -0.4];

/// Mean-field and muP are one network in two coordinates, and so are NTK and standard with layerwise rates.
#[test]
fn two_coordinates_of_one_network_take_the_same_trajectory() {
    let pairs = [
        [Parameterization::MeanField, Parameterization::Mup],
        [Parameterization::Ntk, Parameterization::StandardLayerwise],
    ];
    let adam = Optimizer::Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-300 };
    let optimizers =
        [Optimizer::GradientDescent {}, Optimizer::Momentum { beta: 0.8 }, Optimizer::Nesterov { beta: 0.8 }];
    let linear = optimizers.into_iter().flat_map(|optimizer| pairs.map(|pair| (optimizer, pair)));
    // Adam is invariant to the scale of a gradient while its epsilon is negligible.
    for (optimizer, pair) in linear.chain([(adam, pairs[1])]) {
        let rule = update_rule(optimizer);
        let mut pair = pair.map(|parameterization| {
            let architecture = architecture(vec![40, 60], parameterization);
            let network = Network::new(&architecture, rule, 3, 0, &Device::flex(), DType::F64).unwrap();
            let state = OptimizerState::new(optimizer, &network.parameters);
            (network, state)
        });
        let batch = pair[0].0.batch(&inputs(7, 5));
        let targets = regression(&pair[0].0, TARGETS.to_vec(), 1);
        let updater = plain(optimizer, 0.02);
        let start = outputs(&pair[0].0, &batch);
        let mut largest = 0.0_f64;
        for number in 1..=STEPS {
            let [a, b] = pair.each_ref().map(|(network, _)| outputs(network, &batch));
            largest = largest.max(largest_difference(&a, &b));
            for (network, state) in &mut pair {
                step(network, &batch, &targets, &updater, state, number);
            }
        }
        let [a, b] = pair.each_ref().map(|(network, _)| outputs(network, &batch));
        largest = largest.max(largest_difference(&a, &b));
        let moved = largest_difference(&a, &start);
        let names = pair.each_ref().map(|(network, _)| network.architecture().parameterization);
        eprintln!("{names:?}, {optimizer:?}: {largest:e} apart in {STEPS} steps, outputs moved by {moved:.2}");
        assert!(largest < 1e-12 && moved > 0.1, "{names:?}, {optimizer:?}: {largest:e} apart, moved {moved}");
    }
}

/// For `W = s omega` a rate `eta` on `omega` is the rate `eta s^2` on `W`.
#[test]
fn ntk_and_standard_with_equivalent_rates_take_the_same_trajectory() {
    let rate = 0.05;
    let mut ntk = network(&architecture(vec![40, 60], Parameterization::Ntk), 0);
    let mut standard = network(&architecture(vec![40, 60], Parameterization::Standard), 0);
    let batch = ntk.batch(&inputs(7, 5));
    let targets = regression(&ntk, TARGETS.to_vec(), 1);
    let gains = ntk.scalings().to_vec();
    let updater = plain(Optimizer::GradientDescent {}, rate);
    let mut state = OptimizerState::new(updater.optimizer, &ntk.parameters);
    let start = outputs(&ntk, &batch);
    let mut largest = 0.0_f64;
    for number in 1..=STEPS {
        largest = largest.max(largest_difference(&outputs(&ntk, &batch), &outputs(&standard, &batch)));
        step(&mut ntk, &batch, &targets, &updater, &mut state, number);
        let (_, gradients) = gradient(&mut standard, &batch, &targets, Loss::HalfSum);
        for ((parameters, gradient), gain) in standard.parameters.iter_mut().zip(gradients).zip(&gains) {
            let by =
                |tensor: &Tensor<2>, push: Tensor<2>, gain: f64| tensor.clone() - push.mul_scalar(rate * gain.powi(2));
            parameters.weight = by(&parameters.weight, gradient.weight, gain.weight_gain);
            parameters.bias = parameters.bias.as_ref().map(|bias| by(bias, gradient.bias.unwrap(), gain.bias_gain));
        }
    }
    let end = outputs(&ntk, &batch);
    largest = largest.max(largest_difference(&end, &outputs(&standard, &batch)));
    let moved = largest_difference(&end, &start);
    eprintln!("NTK and standard: {largest:e} apart in {STEPS} steps, outputs moved by {moved:.2}");
    assert!(largest < 1e-12 && moved > 0.1, "{largest:e} apart, moved {moved}");
}

/// Root mean square of a difference.
fn rms(a: &[f64], b: &[f64]) -> f64 {
    (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64).sqrt()
}

/// Changes of the last hidden pre-activations and of the outputs by one step of gradient descent.
fn one_step(mut network: Network) -> [f64; 2] {
    let batch = network.batch(&inputs(7, 5));
    let targets = regression(&network, TARGETS.to_vec(), 1);
    let seen = |network: &Network| {
        let observation = Observation::new(network, &batch);
        let layer = observation.layers() - 1;
        [to_f64(observation.preactivations(layer).flatten::<1>(0, 2)), to_f64(observation.outputs().flatten::<1>(0, 1))]
    };
    let before = seen(&network);
    let updater = plain(Optimizer::GradientDescent {}, 0.05);
    let mut state = OptimizerState::new(updater.optimizer, &network.parameters);
    step(&mut network, &batch, &targets, &updater, &mut state, 1);
    let after = seen(&network);
    std::array::from_fn(|i| rms(&after[i], &before[i]))
}

/// In one step features move by `n^{-1/2}` in the NTK parameterization and by `n^0` where features are learned; outputs move
/// by `n^0` in all.
#[test]
fn one_step_changes_features_at_the_rate_of_the_parameterization() {
    const WIDTHS: [usize; 5] = [64, 128, 256, 512, 1024];
    const SEEDS: usize = 40;
    for (parameterization, expected) in
        [(Parameterization::Ntk, -0.5), (Parameterization::Mup, 0.0), (Parameterization::MeanField, 0.0)]
    {
        let changes: Vec<Vec<[f64; 2]>> = WIDTHS
            .iter()
            .map(|&n| {
                let architecture = architecture(vec![n, n], parameterization);
                ensemble(&architecture, 30 + n as u64, SEEDS, |network, _| one_step(network))
            })
            .collect();
        for (index, what, expected) in [(0, "features", expected), (1, "outputs", 0.0)] {
            let mean = |members: &[&[f64; 2]]| members.iter().map(|m| m[index]).sum::<f64>() / members.len() as f64;
            let (slope, [low, high]) = bootstrap_slope(&WIDTHS, &changes, mean);
            let means: Vec<String> =
                changes.iter().map(|m| format!("{:.4}", mean(&m.iter().collect::<Vec<_>>()))).collect();
            eprintln!("{parameterization:?}, {what}: {means:?}, slope {slope:.3}, 95 % [{low:.3}, {high:.3}]");
            assert!((slope - expected).abs() < 0.15, "{parameterization:?}, {what}: slope {slope:.3} for {expected}");
        }
    }
}
