//! Optimizers against hand recursions, gradients against differences, and trained networks against kernel dynamics.
//! The file is long because all optimizers share one recursion in plain numbers.

use burn::tensor::{Int, Tensor};
use faer::Mat;
use widthwise::config::{Anchor, L2, Loss, NetworkConfig, Optimizer};
use widthwise::network::{Batch, LayerParameters, Network, NoTap, build_architecture, from_f64};
use widthwise::objective::{Targets, loss};
use widthwise::training::gradient::gradient;
use widthwise::training::optimizer::{OptimizerState, Updater, update_rule};
use widthwise_tensors::{to_f64, to_matrix};
use widthwise_testing::{assert_near, round_off};
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, InitScheme, InitVariance, InputShape, Layer, Parameterization};
use widthwise_theory::dynamics::{KernelDynamics, Training};
use widthwise_theory::kernel::{Inputs, kernels};

use crate::ensembles::{Entry, assert_sampled, bootstrap_slope, ensemble, overlapping_inputs};
use crate::networks::{inputs, network};
use crate::parameterizations::{plain, regression, step};

const FEATURES: usize = 3;
const EXAMPLES: usize = 5;
const OUTPUTS: usize = 2;

/// One dense layer with biases: a linear model, whose tangent kernel never moves.
fn linear_model(parameterization: Parameterization) -> Architecture {
    Architecture {
        input: InputShape::flat(FEATURES),
        layers: vec![Layer::Dense { width: OUTPUTS, init: InitVariance { sigma_w2: 1.7, sigma_b2: 0.3 } }],
        gates: None,
        parameterization,
        init_scheme: InitScheme::Gaussian,
    }
}

fn targets() -> Vec<f64> {
    vec![0.9, -0.3, -1.1, 0.4, 0.2, 1.6, -0.5, -0.8, 1.2, 0.1]
}

/// Weights `features x outputs` row-major, then biases.
fn flat(parameters: &LayerParameters) -> Vec<f64> {
    let mut values = to_f64(parameters.weight.clone());
    values.extend(to_f64(parameters.bias.clone().unwrap()));
    values
}

/// The gradient of `1/2 sum |gain_w W x + gain_b b - y|^2`, written out.
fn linear_gradient(parameters: &[f64], inputs: &[f64], targets: &[f64], gains: [f64; 2]) -> Vec<f64> {
    let mut gradient = vec![0.0; parameters.len()];
    for (x, y) in inputs.chunks_exact(FEATURES).zip(targets.chunks_exact(OUTPUTS)) {
        for (o, y) in y.iter().enumerate() {
            let weighted: f64 = x.iter().enumerate().map(|(j, x)| x * parameters[j * OUTPUTS + o]).sum();
            let residual = gains[0] * weighted + gains[1] * parameters[FEATURES * OUTPUTS + o] - y;
            for (j, x) in x.iter().enumerate() {
                gradient[j * OUTPUTS + o] += gains[0] * residual * x;
            }
            gradient[FEATURES * OUTPUTS + o] += gains[1] * residual;
        }
    }
    gradient
}

/// One parameter under one optimizer, in plain f64.
#[derive(Default, Clone)]
struct Recursion {
    velocity: f64,
    first: f64,
    second: f64,
}

impl Recursion {
    fn step(&mut self, optimizer: Optimizer, t: i32, rate: f64, theta: f64, gradient: f64) -> f64 {
        match optimizer {
            Optimizer::GradientDescent {} => theta - rate * gradient,
            Optimizer::Momentum { beta } => {
                self.velocity = beta * self.velocity - rate * gradient;
                theta + self.velocity
            }
            Optimizer::Nesterov { beta } => {
                self.velocity = beta * self.velocity - rate * gradient;
                theta + beta * self.velocity - rate * gradient
            }
            Optimizer::Adam { beta1, beta2, epsilon } => {
                self.first = beta1 * self.first + (1.0 - beta1) * gradient;
                self.second = beta2 * self.second + (1.0 - beta2) * gradient * gradient;
                let first = self.first / (1.0 - beta1.powi(t));
                let second = self.second / (1.0 - beta2.powi(t));
                theta - rate * first / (second.sqrt() + epsilon)
            }
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                let adam = Optimizer::Adam { beta1, beta2, epsilon };
                self.step(adam, t, rate, theta, gradient) - rate * weight_decay * theta
            }
        }
    }
}

/// Every optimizer with every penalty, at the layer's own rates, on a linear model.
#[test]
fn optimizers_follow_their_recursions() {
    const STEPS: u64 = 60;
    let optimizers = [
        Optimizer::GradientDescent {},
        Optimizer::Momentum { beta: 0.7 },
        Optimizer::Nesterov { beta: 0.7 },
        Optimizer::Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-3 },
        Optimizer::AdamW { beta1: 0.8, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.3 },
    ];
    let penalties =
        [L2::default(), L2 { strength: 0.4, toward: Anchor::Zero }, L2 { strength: 0.4, toward: Anchor::Init }];
    let x = inputs(EXAMPLES, FEATURES);
    for optimizer in optimizers {
        let mut ends: Vec<Vec<f64>> = Vec::new();
        for l2 in penalties {
            let architecture = linear_model(Parameterization::Mup);
            let mut network = network(&architecture, 0);
            let scalings = architecture.scalings(update_rule(optimizer)).unwrap();
            let batch = network.batch(&x);
            let desired = regression(&network, targets(), OUTPUTS);
            let anchor = (l2.toward == Anchor::Init).then(|| network.parameters.clone());
            let updater = Updater { optimizer, learning_rate: 0.05, l2, anchor };
            let mut state = OptimizerState::new(optimizer, &network.parameters);

            let start = flat(&network.parameters[0]);
            let mut theta = start.clone();
            let mut recursions = vec![Recursion::default(); theta.len()];
            for number in 1..=STEPS {
                let (_, gradients) = gradient(&mut network, &batch, &desired, Loss::HalfSum);
                updater.update(number, &mut network.parameters, gradients, &scalings, &mut state);

                let gains = [scalings[0].weight_gain, scalings[0].bias_gain];
                let plain = linear_gradient(&theta, &x, &targets(), gains);
                for (index, recursion) in recursions.iter_mut().enumerate() {
                    let is_weight = index < FEATURES * OUTPUTS;
                    let rate = 0.05 * if is_weight { scalings[0].weight_rate } else { scalings[0].bias_rate };
                    let centre = if l2.toward == Anchor::Init { start[index] } else { 0.0 };
                    let penalized = plain[index] + l2.strength * (theta[index] - centre);
                    theta[index] = recursion.step(optimizer, number as i32, rate, theta[index], penalized);
                }
                for (found, expected) in flat(&network.parameters[0]).iter().zip(&theta) {
                    // A step adds about thirty operations on numbers of order one, each of which is allowed four epsilons.
                    assert_near(*found, *expected, round_off(4 * 30 * number as usize));
                }
            }
            let moved = theta.iter().zip(&start).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(moved > 0.05, "{optimizer:?}, {l2:?}: parameters moved by {moved} only");
            ends.push(theta);
        }
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let apart = ends[a].iter().zip(&ends[b]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart > 1e-3, "{optimizer:?}: penalties {a} and {b} end {apart:e} apart");
        }
    }
}

fn matrix(values: &[f64], columns: usize) -> Mat<f64> {
    Mat::from_fn(values.len() / columns, columns, |i, o| values[i * columns + o])
}

/// Kernels on training examples, and between test and training examples, as the dynamics take them.
fn dynamics(architecture: &Architecture, train: &[f64], test: &[f64]) -> KernelDynamics {
    let place = |values: &[f64]| Inputs::new(values.to_vec(), architecture.input).unwrap();
    let (train, test) = (place(train), place(test));
    let on_train = kernels(architecture, &train, None).unwrap();
    let cross = kernels(architecture, &test, Some(&train)).unwrap();
    let on_test = kernels(architecture, &test, None).unwrap();
    KernelDynamics::new(on_train.ntk.as_ref(), on_train.nngp.as_ref())
        .unwrap()
        .with_test(cross.ntk.as_ref(), cross.nngp.as_ref(), on_test.nngp.as_ref())
        .unwrap()
}

/// On a linear model the constant kernel is exact: the optimizers of networks are those of theory to round-off. Five examples
/// of rank four leave one mode that must not move.
#[test]
fn optimizers_are_those_of_kernel_dynamics_where_the_kernel_is_constant() {
    let architecture = linear_model(Parameterization::Ntk);
    let all = inputs(EXAMPLES + 3, FEATURES);
    let (train, test) = all.split_at(EXAMPLES * FEATURES);
    let bare = dynamics(&architecture, train, test);
    assert_eq!(bare.spectrum().rank(), 4);
    let beta = 0.8;
    let desired = matrix(&targets(), OUTPUTS);
    let mut largest = 0.0_f64;
    for ridge in [0.0, 0.5] {
        let theory = bare.clone().with_ridge(ridge);
        for (kind, examples) in [(Loss::HalfSum, 1.0), (Loss::HalfMean, EXAMPLES as f64)] {
            for optimizer in [Optimizer::GradientDescent {}, Optimizer::Momentum { beta }, Optimizer::Nesterov { beta }]
            {
                let training = |learning_rate: f64, steps: u64| match optimizer {
                    Optimizer::Momentum { beta } => Training::Momentum { learning_rate, beta, steps },
                    Optimizer::Nesterov { beta } => Training::Nesterov { learning_rate, beta, steps },
                    _ => Training::GradientDescent { learning_rate, steps },
                };
                let learning_rate = 0.4 * theory.stable_learning_rate(&training(1.0, 0));
                let mut network = network(&architecture, 1);
                let (batch, test_batch) = (network.batch(train), network.batch(test));
                let initial = to_matrix(network.forward(&batch, &mut NoTap));
                let initial_test = to_matrix(network.forward(&test_batch, &mut NoTap));
                let values = regression(&network, targets(), OUTPUTS);
                let updater = Updater {
                    optimizer,
                    learning_rate: learning_rate * examples,
                    l2: L2 { strength: ridge / examples, toward: Anchor::Init },
                    anchor: Some(network.parameters.clone()),
                };
                let mut state = OptimizerState::new(optimizer, &network.parameters);
                let scalings = network.scalings().to_vec();
                for number in 1..=40 {
                    let (_, gradients) = gradient(&mut network, &batch, &values, kind);
                    updater.update(number, &mut network.parameters, gradients, &scalings, &mut state);
                    if ![1, 2, 3, 10, 40].contains(&number) {
                        continue;
                    }
                    let training = training(learning_rate, number);
                    let expected = theory.train_outputs(desired.as_ref(), initial.as_ref(), &training).unwrap();
                    let expected_test = theory
                        .test_outputs(desired.as_ref(), initial.as_ref(), initial_test.as_ref(), &training)
                        .unwrap();
                    for (batch, expected) in [(&batch, expected), (&test_batch, expected_test)] {
                        let difference = (to_matrix(network.forward(batch, &mut NoTap)) - expected).norm_max();
                        largest = largest.max(difference);
                        assert!(
                            difference < 1e-10,
                            "{optimizer:?}, {kind:?}, ridge {ridge}, step {number}: {difference:e} apart"
                        );
                    }
                }
            }
        }
    }
    eprintln!("networks and kernel dynamics on a linear model: {largest:e} apart");
}

/// Central differences of every loss in every direction of a parameter, on a network with all that a gradient passes through.
#[test]
fn loss_gradients_equal_finite_differences() {
    const STEP: f64 = 1e-5;
    let config = NetworkConfig {
        widths: Some(vec![5, 4]),
        activation: Activation::Tanh,
        sigma_w2: 1.5,
        sigma_b2: 0.2,
        ..NetworkConfig::default()
    };
    let architecture = build_architecture(&config, InputShape::flat(FEATURES), 3, None).unwrap();
    let start = network(&architecture, 2);
    let batch = start.batch(&inputs(4, FEATURES));
    let (device, dtype) = start.placement();
    let values = from_f64(inputs(4, 3).iter().map(|y| 0.7 - y).collect(), [4, 3], device, dtype);
    let classes = Tensor::<1, Int>::from_data([2_i64, 0, 1, 2].as_slice(), device);
    let targets = Targets { values, classes };
    let value = |network: &Network, kind| to_f64(loss(kind, network.forward(&batch, &mut NoTap), &targets))[0];
    for kind in [Loss::HalfSum, Loss::HalfMean, Loss::CrossEntropy] {
        let (found_loss, gradients) = gradient(&mut start.clone(), &batch, &targets, kind);
        assert_eq!(to_f64(found_loss)[0], value(&start, kind), "{kind:?}: the loss next to its gradient");
        let mut largest = 0.0_f64;
        for (layer, gradients) in gradients.iter().enumerate() {
            let found = flat(gradients);
            let scale = found.iter().map(|g| g.abs()).fold(0.0, f64::max);
            assert!(scale > 1e-3, "{kind:?}, layer {}: no gradient", layer + 1);
            for (index, found) in found.iter().enumerate() {
                let moved = |by: f64| {
                    let mut network = start.clone();
                    let old = &start.parameters[layer];
                    let shape = old.weight.dims();
                    let mut all = flat(old);
                    all[index] += by;
                    let bias = all.split_off(shape[0] * shape[1]);
                    network.parameters[layer] = LayerParameters {
                        weight: from_f64(all, shape, device, dtype),
                        bias: Some(from_f64(bias, [1, shape[1]], device, dtype)),
                    };
                    value(&network, kind)
                };
                let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                let difference = (found - expected).abs();
                largest = largest.max(difference);
                // Truncation of order STEP^2 and round-off of order eps/STEP, both about 1e-10 at losses of order one.
                assert!(
                    difference < 2e-9 * scale.max(1.0),
                    "{kind:?}, layer {}, {index}: {found} {expected}",
                    layer + 1
                );
            }
        }
        eprintln!("{kind:?}: gradient and differences {largest:e} apart");
    }
}

/// Half the squared distance of outputs from their targets.
fn half_sum(outputs: &Mat<f64>, targets: &Mat<f64>) -> f64 {
    0.5 * (outputs - targets).squared_norm_l2()
}

/// What training showed: step, share of the residual norm that theory has left of a network with zero output, and for every
/// member measured and predicted losses on the training and the test set and, as a control, on the training set under a
/// theory with the rate 10 % too large.
struct Paths {
    steps: Vec<(u64, f64)>,
    members: Vec<Vec<[(f64, f64); 3]>>,
}

/// Trains `members` networks with one hidden layer of `width` until 5 % of the residual norm is left, each next to the
/// constant-kernel path from its own initial outputs.
fn train(activation: Activation, sigma_w2: f64, width: usize, members: usize) -> Paths {
    let (features, train_examples, test_examples) = (4, 6, 3);
    let config = NetworkConfig { depth: 1, width, activation, sigma_w2, sigma_b2: 0.1, ..NetworkConfig::default() };
    let architecture = build_architecture(&config, InputShape::flat(features), 1, None).unwrap();
    let all = overlapping_inputs(train_examples + test_examples, features, 0.2);
    let (train, test) = all.split_at(train_examples * features);
    let (y, y_test) = ([1.0, -1.0, 0.6, 1.2, -0.8, -0.4], [0.7, -0.9, 0.3]);
    let (desired, desired_test) = (matrix(&y, 1), matrix(&y_test, 1));
    let theory = dynamics(&architecture, train, test);
    let optimizer = Optimizer::GradientDescent {};
    let learning_rate = 0.5 * theory.stable_learning_rate(&Training::GradientDescent { learning_rate: 1.0, steps: 0 });
    let training = |steps| Training::GradientDescent { learning_rate, steps };
    let residual = |steps| {
        let left = theory.train_prediction(desired.as_ref(), &training(steps)).unwrap().mean;
        (half_sum(&left, &desired) / half_sum(&Mat::zeros(train_examples, 1), &desired)).sqrt()
    };
    let looks = [0, 1, 2, 4, 8, 16, 32, 64, 128].into_iter().map(|step| (step, residual(step)));
    let steps: Vec<(u64, f64)> = looks.take_while(|(_, left)| *left > 0.05).collect();

    let members = ensemble(&architecture, 41, members, |mut network, _| {
        let (batch, test_batch): (Batch, Batch) = (network.batch(train), network.batch(test));
        let values = regression(&network, y.to_vec(), 1);
        let now = |network: &Network, batch: &Batch| to_matrix(network.forward(batch, &mut NoTap));
        let (initial, initial_test) = (now(&network, &batch), now(&network, &test_batch));
        let updater = plain(optimizer, learning_rate);
        let mut state = OptimizerState::new(optimizer, &network.parameters);
        let mut seen = Vec::new();
        let mut number = 0;
        for (look, _) in &steps {
            while number < *look {
                number += 1;
                step(&mut network, &batch, &values, &updater, &mut state, number);
            }
            let path = |training| theory.train_outputs(desired.as_ref(), initial.as_ref(), &training).unwrap();
            let fast = Training::GradientDescent { learning_rate: 1.1 * learning_rate, steps: number };
            let test_path = theory
                .test_outputs(desired.as_ref(), initial.as_ref(), initial_test.as_ref(), &training(number))
                .unwrap();
            let measured = half_sum(&now(&network, &batch), &desired);
            seen.push([
                (measured, half_sum(&path(training(number)), &desired)),
                (half_sum(&now(&network, &test_batch), &desired_test), half_sum(&test_path, &desired_test)),
                (measured, half_sum(&path(fast), &desired)),
            ]);
        }
        seen
    });
    Paths { steps, members }
}

/// Every mean loss within four standard errors of its prediction, and not of that of the wrong rate.
fn losses_follow_kernel_dynamics(name: &str, activation: Activation, sigma_w2: f64) {
    let (width, count) = (512, 24);
    let Paths { steps, members } = train(activation, sigma_w2, width, count);
    assert!(steps.len() >= 5, "{name}: the residual falls too fast to examine: {steps:?}");
    for (measured, predicted) in members.iter().flat_map(|member| &member[0][..2]) {
        assert_near(*measured, *predicted, measured.abs() * round_off(40));
    }
    let (mut entries, mut control) = (Vec::new(), Vec::new());
    for (index, (number, left)) in steps.iter().enumerate().skip(1) {
        for (set, what) in ["train", "test", "wrong rate"].into_iter().enumerate() {
            let pairs: Vec<(f64, f64)> = members.iter().map(|member| member[index][set]).collect();
            let entry = Entry::paired(format!("{what} loss, step {number}, {left:.2} left"), &pairs);
            if set == 2 { control.push(entry) } else { entries.push(entry) }
        }
    }
    assert_sampled(&format!("{name}, n = {width}, {count} networks"), &entries);
    let largest = control.iter().map(|entry| entry.z().abs()).fold(0.0, f64::max);
    eprintln!("{name}: a rate 10 % too large is {largest:.1} standard errors off");
    assert!(largest > 4.0, "{name}: a rate 10 % too large passes: {control:?}");
}

#[test]
fn losses_of_erf_networks_follow_kernel_dynamics() {
    losses_follow_kernel_dynamics("erf", Activation::Erf, 2.25);
}

#[test]
fn losses_of_relu_networks_follow_kernel_dynamics() {
    losses_follow_kernel_dynamics("ReLU", Activation::Relu, 2.0);
}

/// What is left of the loss late in the training of ReLU networks exceeds its prediction at every finite width. It must be the
/// width that causes it: the relative excess falls as a power of the width, no slower than `n^{-0.3}`.
#[test]
fn the_late_excess_of_the_loss_falls_with_the_width() {
    const WIDTHS: [usize; 4] = [128, 512, 2048, 8192];
    let late: Vec<Vec<(f64, f64)>> = WIDTHS
        .iter()
        .map(|&n| {
            let paths = train(Activation::Relu, 2.0, n, 200);
            paths.members.iter().map(|member| member[paths.steps.len() - 1][0]).collect()
        })
        .collect();
    let excess = |members: &[&(f64, f64)]| {
        let sum = |which: fn(&(f64, f64)) -> f64| members.iter().map(|member| which(member)).sum::<f64>();
        (sum(|m| m.0) / sum(|m| m.1) - 1.0).max(f64::MIN_POSITIVE)
    };
    let (slope, [low, high]) = bootstrap_slope(&WIDTHS, &late, excess);
    let values: Vec<String> =
        late.iter().map(|members| format!("{:.3}", excess(&members.iter().collect::<Vec<_>>()))).collect();
    eprintln!("relative excess of the late loss {values:?}, slope {slope:.3}, 95 % [{low:.3}, {high:.3}]");
    assert!(-1.2 < low && high < -0.3, "slope {slope:.3} in [{low:.3}, {high:.3}]");
}
