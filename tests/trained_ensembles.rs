//! Trained ensembles against the Gaussian process that theory makes of them: mean and variance of the outputs over networks,
//! on training and test images of MNIST, at five times.
//!
//! Networks of one hidden layer of 1024 units read images pooled to 14 x 14 pixels. On training images a comparison stands
//! while the predicted residual of the mean exceeds 5 % of its start: what is left later is of the order of the change of
//! the kernel at finite width.

use burn::tensor::DType;
use faer::Mat;
use widthwise::config::Optimizer;
use widthwise::network::NoTap;
use widthwise::training::optimizer::OptimizerState;
use widthwise_datasets::{Normalize, Preprocessing, TargetForm, bundled, prepare};
use widthwise_tensors::to_f64;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{
    Architecture, InitScheme, InitVariance, InputShape, Layer, Padding, Parameterization,
};
use widthwise_theory::dynamics::{KernelDynamics, Prediction, Training};
use widthwise_theory::kernel::{Inputs, kernels};

use crate::ensembles::{Entry, assert_sampled, ensemble_in};
use crate::parameterizations::{plain, regression, step};

const MEMBERS: usize = 200;
const WIDTH: usize = 1024;
const TRAIN: usize = 12;
const TEST: usize = 4;
const TIMES: [u64; 5] = [0, 4, 12, 36, 100];
/// Share of the initial residual below which a training example is no longer compared.
const RESOLVED: f64 = 0.05;

fn architecture(activation: Activation, init: InitVariance) -> Architecture {
    Architecture {
        input: InputShape { channels: 1, height: 28, width: 28 },
        layers: vec![
            Layer::AveragePool { window: [2, 2], stride: [2, 2], padding: Padding::Valid },
            Layer::Flatten,
            Layer::Dense { width: WIDTH, init },
            Layer::Activation { function: activation },
            Layer::Dense { width: 1, init },
        ],
        gates: None,
        parameterization: Parameterization::Ntk,
        init_scheme: InitScheme::Gaussian,
    }
}

/// What the two sides agree on: images, targets and kernel.
struct Problem {
    architecture: Architecture,
    train: Vec<f64>,
    test: Vec<f64>,
    targets: Vec<f64>,
    theory: KernelDynamics,
}

fn problem(activation: Activation, init: InitVariance) -> Problem {
    let options = Preprocessing {
        train: Some(TRAIN),
        test: Some(TEST),
        normalize: Normalize::SqrtDim,
        targets: TargetForm::Binary,
        positive: Some(vec![1, 3, 5, 7, 9]),
        ..Preprocessing::default()
    };
    let prepared = prepare(&bundled::mnist().unwrap(), &options, 1).unwrap();
    let architecture = architecture(activation, init);
    let wrap = |values: &[f64]| Inputs::new(values.to_vec(), architecture.input).unwrap();
    let (train, test) = (wrap(&prepared.train.inputs), wrap(&prepared.test.inputs));
    let on_train = kernels(&architecture, &train, None).unwrap();
    let cross = kernels(&architecture, &test, Some(&train)).unwrap();
    let on_test = kernels(&architecture, &test, None).unwrap();
    let theory = KernelDynamics::new(on_train.ntk.as_ref(), on_train.nngp.as_ref()).unwrap();
    let theory = theory.with_test(cross.ntk.as_ref(), cross.nngp.as_ref(), on_test.nngp.as_ref()).unwrap();
    Problem { architecture, train: train.values, test: test.values, targets: prepared.train.targets.clone(), theory }
}

/// Outputs of every member at every time: training examples, then test examples.
fn trained(problem: &Problem, optimizer: Optimizer, learning_rate: f64, seed: u64) -> Vec<Vec<Vec<f64>>> {
    ensemble_in(DType::F32, &problem.architecture, seed, MEMBERS, |mut network, _| {
        let (batch, test) = (network.batch(&problem.train), network.batch(&problem.test));
        let targets = regression(&network, problem.targets.clone(), 1);
        let updater = plain(optimizer, learning_rate);
        let mut state = OptimizerState::new(optimizer, &network.parameters);
        let mut number = 0;
        TIMES
            .iter()
            .map(|&time| {
                while number < time {
                    number += 1;
                    step(&mut network, &batch, &targets, &updater, &mut state, number);
                }
                [&batch, &test].into_iter().flat_map(|batch| to_f64(network.forward(batch, &mut NoTap))).collect()
            })
            .collect()
    })
}

/// Mean and variance of every output at every time next to the prediction.
fn comparisons(
    problem: &Problem,
    members: &[Vec<Vec<f64>>],
    training: impl Fn(u64) -> Training,
    kernel: &KernelDynamics,
) -> Vec<Entry> {
    let targets = Mat::from_fn(TRAIN, 1, |i, _| problem.targets[i]);
    let mut entries = Vec::new();
    for (index, &time) in TIMES.iter().enumerate() {
        let on_train = kernel.train_prediction(targets.as_ref(), &training(time)).unwrap();
        let on_test = kernel.test_prediction(targets.as_ref(), &training(time)).unwrap();
        let mut compare = |what: &str, first: usize, count: usize, prediction: &Prediction| {
            for i in 0..count {
                let left = (prediction.mean[(i, 0)] - problem.targets.get(i).copied().unwrap_or(0.0)).abs();
                if what == "train" && left < RESOLVED * problem.targets[i].abs() {
                    continue;
                }
                let (mean, variance) = (prediction.mean[(i, 0)], prediction.covariance[(i, i)]);
                let values: Vec<Vec<f64>> =
                    members.iter().map(|times| times[index][first + i]).map(|f| vec![f, (f - mean).powi(2)]).collect();
                entries.push(Entry::of(format!("mean, {what} {i}, step {time}"), &values, 0, mean));
                entries.push(Entry::of(format!("variance, {what} {i}, step {time}"), &values, 1, variance));
            }
        };
        compare("train", 0, TRAIN, &on_train);
        compare("test", TRAIN, TEST, &on_test);
    }
    entries
}

/// Both optimizers on one architecture; then the same numbers against a theory that forgets the kernel's derivative part.
fn ensembles_follow_theory(name: &str, activation: Activation, init: InitVariance, seed: u64) {
    let problem = problem(activation, init);
    for (label, optimizer, beta) in
        [("GD", Optimizer::GradientDescent {}, None), ("momentum", Optimizer::Momentum { beta: 0.6 }, Some(0.6))]
    {
        let learning_rate =
            0.5 * problem.theory.stable_learning_rate(&Training::GradientDescent { learning_rate: 1.0, steps: 1 });
        let training = |steps| match beta {
            None => Training::GradientDescent { learning_rate, steps },
            Some(beta) => Training::Momentum { learning_rate, beta, steps },
        };
        let members = trained(&problem, optimizer, learning_rate, seed);
        let entries = comparisons(&problem, &members, training, &problem.theory);
        for time in TIMES {
            let at = entries.iter().filter(|entry| entry.name.ends_with(&format!("step {time}"))).count();
            assert!(at >= 2 * TEST, "{name}, {label}: only {at} numbers at step {time}");
        }
        assert_sampled(&format!("{name}, {label}, n = {WIDTH}, {MEMBERS} networks"), &entries);
        // A rate 25 % too large would be noticed.
        let wrong = comparisons(&problem, &members, |steps| training(steps + steps / 4), &problem.theory);
        let worst = wrong.iter().map(|entry| entry.z().abs()).fold(0.0, f64::max);
        eprintln!("{name}, {label}: a clock 25 % too fast is {worst:.1} standard errors off");
        assert!(worst > 4.0, "{name}, {label}: a clock 25 % too fast passes");
    }
}

#[test]
fn trained_relu_networks_are_the_predicted_gaussian_process() {
    let init = InitVariance { sigma_w2: 2.0, sigma_b2: 0.1 };
    ensembles_follow_theory("ReLU", Activation::Relu, init, 61);
}

#[test]
fn trained_erf_networks_are_the_predicted_gaussian_process() {
    let init = InitVariance { sigma_w2: 2.25, sigma_b2: 0.1 };
    ensembles_follow_theory("erf", Activation::Erf, init, 62);
}
