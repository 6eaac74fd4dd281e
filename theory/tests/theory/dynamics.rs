use faer::{Mat, mat};
use widthwise_testing::{assert_relative, assert_within, reference, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::InputShape;
use widthwise_theory::bayes::{Regularization, gaussian_process_posterior};
use widthwise_theory::dynamics::{KernelDynamics, Training};
use widthwise_theory::kernel::{Inputs, TrainedLayers, kernels, kernels_when_training};

use crate::networks::{mlp, numbers, variance};

const FLOW: Training = Training::Flow { flow_time: 0.6 };
const LIMIT: Training = Training::Flow { flow_time: f64::INFINITY };

fn two_by_two() -> Result<(KernelDynamics, Mat<f64>, Mat<f64>), TheoryError> {
    let theta = mat![[2.0, 0.5], [0.5, 1.0]];
    let dynamics = KernelDynamics::new(theta.as_ref(), theta.as_ref())?;
    Ok((dynamics, mat![[1.0], [-1.0]], mat![[0.2], [0.1]]))
}

#[test]
fn outputs_match_reference_values() -> Result<(), TheoryError> {
    let (dynamics, targets, initial) = two_by_two()?;
    let rows = [
        (Training::GradientDescent { learning_rate: 0.3, steps: 10 }, [0.9665355807, -0.9192258613]),
        (Training::Momentum { learning_rate: 0.3, beta: 0.5, steps: 10 }, [1.0162487451, -1.0130771173]),
        (FLOW, [0.6073305889, -0.2731557007]),
    ];
    for (training, expected) in rows {
        let outputs = dynamics.train_outputs(targets.as_ref(), initial.as_ref(), &training)?;
        for (i, expected) in expected.into_iter().enumerate() {
            assert_within(outputs[(i, 0)], expected, reference(10), "output");
        }
    }
    Ok(())
}

/// A direct simulation of linear models trained in function space.
fn simulate(theta: &Mat<f64>, ridge: f64, targets: &Mat<f64>, initial: &Mat<f64>, training: &Training) -> Mat<f64> {
    let (learning_rate, beta, steps, nesterov) = match *training {
        Training::GradientDescent { learning_rate, steps } => (learning_rate, 0.0, steps, false),
        Training::Momentum { learning_rate, beta, steps } => (learning_rate, beta, steps, false),
        Training::Nesterov { learning_rate, beta, steps } => (learning_rate, beta, steps, true),
        Training::Flow { .. } => unreachable!("flows are not simulated by steps"),
    };
    let mut outputs = initial.clone();
    let mut velocity = Mat::zeros(initial.nrows(), initial.ncols());
    for _ in 0..steps {
        let gradient = theta * (&outputs - targets) + (&outputs - initial) * ridge;
        velocity = &velocity * beta + &gradient;
        let step = if nesterov { gradient + &velocity * beta } else { velocity.clone() };
        outputs -= step * learning_rate;
    }
    outputs
}

#[test]
fn modes_equal_a_simulation_of_the_optimizer() -> Result<(), TheoryError> {
    let theta = mat![[2.0, 0.5, 0.1], [0.5, 1.0, 0.3], [0.1, 0.3, 0.8]];
    let targets = mat![[1.0, 0.3], [-1.0, 0.2], [0.4, -0.9]];
    let initial = mat![[0.2, 0.0], [0.1, -0.5], [0.0, 0.7]];
    for ridge in [0.0, 0.3] {
        let dynamics = KernelDynamics::new(theta.as_ref(), theta.as_ref())?.with_ridge(ridge);
        for steps in [0, 1, 2, 7, 40] {
            for training in [
                Training::GradientDescent { learning_rate: 0.3, steps },
                Training::GradientDescent { learning_rate: 0.75, steps },
                Training::Momentum { learning_rate: 0.4, beta: 0.7, steps },
                Training::Nesterov { learning_rate: 0.4, beta: 0.7, steps },
            ] {
                let outputs = dynamics.train_outputs(targets.as_ref(), initial.as_ref(), &training)?;
                let expected = simulate(&theta, ridge, &targets, &initial, &training);
                let distance = (&outputs - &expected).norm_max();
                assert_within(distance, 0.0, round_off(2000), &format!("{training:?}"));
            }
        }
    }
    Ok(())
}

#[test]
fn responses_are_exact_for_flat_modes_and_small_times() {
    let trainings = [
        Training::Flow { flow_time: 3.0 },
        Training::GradientDescent { learning_rate: 0.1, steps: 30 },
        Training::Momentum { learning_rate: 0.1, beta: 0.0, steps: 30 },
    ];
    for training in trainings {
        assert_within(training.response(0.0), 3.0, round_off(100), "s = eta t");
        assert_relative(training.response(1e-14), 3.0, round_off(200), "s near zero");
        assert_eq!(training.residual_factor(0.0), 1.0);
        let (s, r) = (training.response(0.4), training.residual_factor(0.4));
        assert_within(r, 1.0 - 0.4 * s, round_off(100), "r = 1 - lambda s");
    }
    let (descent, still) =
        (Training::GradientDescent { learning_rate: 0.1, steps: 100_000 }, Training::Flow { flow_time: 1e4 });
    assert_relative(descent.residual_factor(0.01), (1e5 * (-0.001_f64).ln_1p()).exp(), round_off(100), "slow mode");
    assert_relative(still.response(1e-3), (1.0 - (-10_f64).exp()) * 1e3, round_off(100), "late flow");
}

#[test]
fn stability_limits_separate_growth_from_decay() {
    for training in [
        |learning_rate| Training::GradientDescent { learning_rate, steps: 4000 },
        |learning_rate| Training::Momentum { learning_rate, beta: 0.6, steps: 4000 },
        |learning_rate| Training::Nesterov { learning_rate, beta: 0.6, steps: 4000 },
    ] {
        let limit = training(0.1).stable_learning_rate(2.0);
        assert!(training(0.98 * limit).residual_factor(2.0).abs() < 1e-3);
        assert!(training(1.02 * limit).residual_factor(2.0).abs() > 1e3);
    }
    assert_within(
        Training::Momentum { learning_rate: 0.1, beta: 0.6, steps: 1 }.stable_learning_rate(1.0),
        3.2,
        round_off(4),
        "heavy ball",
    );
}

struct Problem {
    train: Inputs,
    test: Inputs,
    targets: Mat<f64>,
}

fn problem() -> Result<Problem, TheoryError> {
    let shape = InputShape::flat(4);
    let values = numbers(44);
    Ok(Problem {
        train: Inputs::new(values[..28].to_vec(), shape)?,
        test: Inputs::new(values[28..].to_vec(), shape)?,
        targets: Mat::from_fn(7, 2, |i, o| ((3 * i + 5 * o) as f64).sin()),
    })
}

fn dynamics_of(problem: &Problem, trained: TrainedLayers) -> Result<KernelDynamics, TheoryError> {
    let net = mlp(4, &[64], &Activation::Erf, variance(2.25, 0.09));
    let train = kernels_when_training(&net, &problem.train, None, trained)?;
    let cross = kernels_when_training(&net, &problem.test, Some(&problem.train), trained)?;
    let test = kernels(&net, &problem.test, None)?;
    KernelDynamics::new(train.ntk.as_ref(), train.nngp.as_ref())?.with_test(
        cross.ntk.as_ref(),
        cross.nngp.as_ref(),
        test.nngp.as_ref(),
    )
}

#[test]
fn training_the_readout_to_the_end_is_bayesian() -> Result<(), TheoryError> {
    let problem = problem()?;
    let net = mlp(4, &[64], &Activation::Erf, variance(2.25, 0.09));
    let train = kernels(&net, &problem.train, None)?;
    let cross = kernels(&net, &problem.test, Some(&problem.train))?;
    let test = kernels(&net, &problem.test, None)?;
    let posterior = gaussian_process_posterior(
        train.nngp.as_ref(),
        cross.nngp.as_ref(),
        test.nngp.as_ref(),
        problem.targets.as_ref(),
        Regularization::default(),
    )?;
    let dynamics = dynamics_of(&problem, TrainedLayers::ReadoutOnly)?;
    let trained = dynamics.test_prediction(problem.targets.as_ref(), &LIMIT)?;
    let bound = round_off(100) * dynamics.spectrum().condition_number();
    assert_within((&trained.mean - &posterior.prediction.mean).norm_max(), 0.0, bound, "mean");
    assert_within((&trained.covariance - &posterior.prediction.covariance).norm_max(), 0.0, bound, "covariance");
    // No linear smoother has less variance than the posterior of the prior it was drawn from.
    let all = dynamics_of(&problem, TrainedLayers::All)?.test_prediction(problem.targets.as_ref(), &LIMIT)?;
    for (ensemble, bayes) in all.variances().iter().zip(posterior.prediction.variances()) {
        assert!(*ensemble >= bayes - bound);
    }
    Ok(())
}

#[test]
fn test_examples_that_repeat_training_examples_follow_them() -> Result<(), TheoryError> {
    let mut problem = problem()?;
    problem.test = problem.train.clone();
    let dynamics = dynamics_of(&problem, TrainedLayers::All)?;
    let rate = 0.5
        * Training::GradientDescent { learning_rate: 1.0, steps: 1 }
            .stable_learning_rate(dynamics.spectrum().largest());
    for training in [
        Training::Flow { flow_time: 5.0 },
        Training::GradientDescent { learning_rate: rate, steps: 50 },
        Training::Nesterov { learning_rate: rate, beta: 0.5, steps: 20 },
    ] {
        let targets = problem.targets.as_ref();
        let (train, test) =
            (dynamics.train_prediction(targets, &training)?, dynamics.test_prediction(targets, &training)?);
        assert_within((&train.mean - &test.mean).norm_max(), 0.0, round_off(1000), "mean");
        assert_within((&train.covariance - &test.covariance).norm_max(), 0.0, round_off(1000), "covariance");
        let loss = dynamics.expected_train_losses(targets, &[training])?[0];
        assert_relative(train.expected_loss(targets)?, loss, round_off(1000), "expected loss");
    }
    Ok(())
}

#[test]
fn single_networks_average_to_the_ensemble() -> Result<(), TheoryError> {
    // f_t is affine in f_0: the response to unit initial outputs must reproduce the covariance.
    let problem = problem()?;
    let dynamics = dynamics_of(&problem, TrainedLayers::All)?;
    let training = Training::Flow { flow_time: 2.0 };
    let net = mlp(4, &[64], &Activation::Erf, variance(2.25, 0.09));
    let together =
        Inputs::new([problem.train.values.clone(), problem.test.values.clone()].concat(), problem.train.shape)?;
    let prior = kernels(&net, &together, None)?.nngp;
    let zero = Mat::zeros(7, 11);
    let unit = |offset: usize, rows: usize| Mat::from_fn(rows, 11, |i, j| if i + offset == j { 1.0 } else { 0.0 });
    let map = dynamics.test_outputs(zero.as_ref(), unit(0, 7).as_ref(), unit(7, 4).as_ref(), &training)?;
    let covariance = &map * prior * map.transpose();
    let prediction = dynamics.test_prediction(problem.targets.as_ref(), &training)?;
    assert_within((covariance - prediction.covariance).norm_max(), 0.0, round_off(1000), "covariance");
    Ok(())
}

#[test]
fn ridge_gives_the_regularized_solution() -> Result<(), TheoryError> {
    let problem = problem()?;
    let dynamics = dynamics_of(&problem, TrainedLayers::All)?.with_ridge(0.2);
    let found = dynamics.test_prediction(problem.targets.as_ref(), &LIMIT)?;
    let net = mlp(4, &[64], &Activation::Erf, variance(2.25, 0.09));
    let train = kernels(&net, &problem.train, None)?;
    let cross = kernels(&net, &problem.test, Some(&problem.train))?;
    let test = kernels(&net, &problem.test, None)?;
    let posterior = gaussian_process_posterior(
        train.ntk.as_ref(),
        cross.ntk.as_ref(),
        test.ntk.as_ref(),
        problem.targets.as_ref(),
        Regularization::noise(0.2),
    )?;
    assert_within((found.mean - posterior.prediction.mean).norm_max(), 0.0, round_off(5000), "mean");
    Ok(())
}

#[test]
fn repeated_examples_leave_a_flat_mode_in_place() -> Result<(), TheoryError> {
    let theta = mat![[1.0, 1.0], [1.0, 1.0]];
    let dynamics = KernelDynamics::new(theta.as_ref(), theta.as_ref())?;
    assert_eq!(dynamics.spectrum().rank(), 1);
    assert!(dynamics.spectrum().condition_number().is_infinite());
    let outputs = dynamics.train_outputs(mat![[1.0], [0.0]].as_ref(), mat![[0.0], [0.0]].as_ref(), &LIMIT)?;
    assert_within(outputs[(0, 0)], 0.5, round_off(10), "mean of the labels");
    assert_within(outputs[(1, 0)], 0.5, round_off(10), "mean of the labels");
    let indefinite = mat![[1.0, 2.0], [2.0, 1.0]];
    assert!(matches!(KernelDynamics::new(indefinite.as_ref(), theta.as_ref()), Err(TheoryError::Solve { .. })));
    let error = gaussian_process_posterior(
        indefinite.as_ref(),
        theta.as_ref(),
        theta.as_ref(),
        theta.as_ref(),
        Regularization::default(),
    );
    assert!(matches!(error, Err(TheoryError::Solve { smallest, .. }) if smallest < 0.0));
    Ok(())
}

#[test]
fn evidence_is_a_gaussian_density() -> Result<(), TheoryError> {
    let kernel = mat![[2.0]];
    let posterior = gaussian_process_posterior(
        kernel.as_ref(),
        kernel.as_ref(),
        kernel.as_ref(),
        mat![[1.5]].as_ref(),
        Regularization::noise(0.5),
    )?;
    let expected = -0.5 * (1.5 * 1.5 / 2.5 + (2.0 * std::f64::consts::PI * 2.5_f64).ln());
    assert_within(posterior.log_evidence, expected, round_off(10), "log evidence");
    assert_within(posterior.prediction.mean[(0, 0)], 1.2, round_off(10), "mean");
    assert_within(posterior.prediction.covariance[(0, 0)], 0.4, round_off(10), "variance");
    Ok(())
}
