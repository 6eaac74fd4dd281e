//! Training on batches under a constant kernel, against closed forms and against a linear model in parameter space.

use faer::{Mat, MatRef};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use widthwise_testing::{assert_relative, assert_within, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::dynamics::{
    BatchLoss, KernelDynamics, LinearResponse, MinibatchRun, MinibatchTraining, StepRule, Training,
};

const EXAMPLES: usize = 7;
const TESTS: usize = 3;
const PARAMETERS: usize = 12;
const RULES: [StepRule; 3] =
    [StepRule::GradientDescent, StepRule::Momentum { beta: 0.7 }, StepRule::Nesterov { beta: 0.7 }];

/// Features of a linear model `f(theta) = f_0 + J (theta - theta_0)`, training examples first.
fn features() -> Mat<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    Mat::from_fn(EXAMPLES + TESTS, PARAMETERS, |_, _| {
        let entry: f64 = StandardNormal.sample(&mut rng);
        entry / (PARAMETERS as f64).sqrt()
    })
}

fn targets() -> Mat<f64> {
    Mat::from_fn(EXAMPLES, 2, |i, o| ((3 * i + 5 * o) as f64).sin())
}

fn initial() -> Mat<f64> {
    Mat::from_fn(EXAMPLES + TESTS, 2, |i, o| ((2 * i + 7 * o) as f64).cos())
}

/// Batches of different sizes, one with an example twice.
fn batches() -> Vec<Vec<usize>> {
    let mut batches = Vec::new();
    for _ in 0..12 {
        batches.extend([vec![0, 3], vec![1, 2, 4, 6], vec![5], vec![3, 3, 0], vec![6, 5, 4, 3, 2, 1, 0]]);
    }
    batches
}

fn settings(rule: StepRule, loss: BatchLoss, ridge: f64) -> MinibatchTraining {
    MinibatchTraining { learning_rate: 0.15, rule, loss, ridge }
}

struct Kernels {
    train: Mat<f64>,
    cross: Mat<f64>,
}

fn tangent_kernels(features: &Mat<f64>) -> Kernels {
    let (train, test) = features.as_ref().split_at_row(EXAMPLES);
    Kernels { train: train * train.transpose(), cross: test * train.transpose() }
}

/// Trains the parameters themselves, with the definition of each optimizer, and returns all outputs.
fn in_parameter_space(
    training: &MinibatchTraining,
    features: &Mat<f64>,
    targets: &Mat<f64>,
    initial: &Mat<f64>,
    batches: &[Vec<usize>],
) -> Mat<f64> {
    let zeros = Mat::<f64>::zeros(PARAMETERS, targets.ncols());
    in_parameter_space_from(training, features, targets, initial, batches, [&zeros, &zeros, &zeros])
}

/// From displaced parameters, with a velocity, the penalty pulling to an anchor.
fn in_parameter_space_from(
    training: &MinibatchTraining,
    features: &Mat<f64>,
    targets: &Mat<f64>,
    initial: &Mat<f64>,
    batches: &[Vec<usize>],
    [start, velocity, anchor]: [&Mat<f64>; 3],
) -> Mat<f64> {
    let outputs = targets.ncols();
    let (mut moved, mut velocity) = (start.clone(), velocity.clone());
    for batch in batches {
        let factor = match training.loss {
            BatchLoss::Sum => 1.0,
            BatchLoss::Mean => 1.0 / batch.len() as f64,
            BatchLoss::Scaled(factor) => factor,
        };
        let now = initial + features * &moved;
        let mut gradient = (&moved - anchor) * training.ridge;
        for &i in batch {
            for o in 0..outputs {
                for p in 0..PARAMETERS {
                    gradient[(p, o)] += factor * (now[(i, o)] - targets[(i, o)]) * features[(i, p)];
                }
            }
        }
        moved -= match training.rule {
            StepRule::GradientDescent => &gradient * training.learning_rate,
            StepRule::Momentum { beta } => {
                velocity = &velocity * beta + &gradient;
                &velocity * training.learning_rate
            }
            StepRule::Nesterov { beta } => {
                velocity = &velocity * beta + &gradient;
                (&gradient + &velocity * beta) * training.learning_rate
            }
        };
    }
    initial + features * moved
}

fn rows(matrix: &Mat<f64>, train: bool) -> MatRef<'_, f64> {
    if train { matrix.as_ref().get(..EXAMPLES, ..) } else { matrix.as_ref().get(EXAMPLES.., ..) }
}

#[test]
fn batches_equal_a_linear_model_in_parameter_space() -> Result<(), TheoryError> {
    let (features, targets, initial) = (features(), targets(), initial());
    let kernels = tangent_kernels(&features);
    for rule in RULES {
        for loss in [BatchLoss::Sum, BatchLoss::Mean, BatchLoss::Scaled(0.4)] {
            for ridge in [0.0, 0.3] {
                let training = settings(rule, loss, ridge);
                let mut run = MinibatchRun::new(
                    training,
                    kernels.train.as_ref(),
                    kernels.cross.as_ref(),
                    targets.as_ref(),
                    rows(&initial, true),
                    rows(&initial, false),
                )?;
                for (index, batch) in batches().iter().enumerate() {
                    run.step(batch)?;
                    assert_eq!(run.steps(), index as u64 + 1);
                }
                let expected = in_parameter_space(&training, &features, &targets, &initial, &batches());
                let bound = round_off(60 * 100);
                let distance = (run.train_outputs() - rows(&expected, true)).norm_max();
                assert_within(distance, 0.0, bound, &format!("training outputs, {training:?}"));
                let distance = (run.test_outputs() - rows(&expected, false)).norm_max();
                assert_within(distance, 0.0, bound, &format!("test outputs, {training:?}"));
                let from_coefficients = rows(&initial, false) + &kernels.cross * run.coefficients();
                assert_within((from_coefficients - run.test_outputs()).norm_max(), 0.0, bound, "coefficients");
                // The targets were worth training for.
                assert!((run.train_outputs() - rows(&initial, true)).norm_max() > 0.1);
            }
        }
    }
    Ok(())
}

#[test]
fn a_run_starts_with_a_velocity_and_is_pulled_to_an_anchor() -> Result<(), TheoryError> {
    let (features, targets, initial) = (features(), targets(), initial());
    let kernels = tangent_kernels(&features);
    let parameters = |seed: usize| {
        Mat::from_fn(PARAMETERS, targets.ncols(), |p, o| (1.0 + (seed * 31 + p * 7 + o * 3) as f64).sin() * 0.3)
    };
    let (start, velocity, anchor) = (parameters(1), parameters(2), parameters(3));
    for rule in RULES {
        let training = settings(rule, BatchLoss::Mean, 0.3);
        let outputs = &initial + &features * &start;
        let (pulled, pushed) = (&features * (&start - &anchor), &features * &velocity);
        let mut run = MinibatchRun::new(
            training,
            kernels.train.as_ref(),
            kernels.cross.as_ref(),
            targets.as_ref(),
            rows(&outputs, true),
            rows(&outputs, false),
        )?
        .with_anchor(rows(&pulled, true), rows(&pulled, false))?
        .with_velocity(rows(&pushed, true), rows(&pushed, false))?;
        for batch in &batches() {
            run.step(batch)?;
        }
        let from = [&start, &velocity, &anchor];
        let expected = in_parameter_space_from(&training, &features, &targets, &initial, &batches(), from);
        let bound = round_off(60 * 100);
        assert_within((run.train_outputs() - rows(&expected, true)).norm_max(), 0.0, bound, &format!("{training:?}"));
        assert_within((run.test_outputs() - rows(&expected, false)).norm_max(), 0.0, bound, &format!("{training:?}"));
        let wrong = Mat::zeros(EXAMPLES + 1, targets.ncols());
        assert!(run.clone().with_anchor(wrong.as_ref(), rows(&pulled, false)).is_err());
        assert!(run.with_velocity(wrong.as_ref(), rows(&pushed, false)).is_err());
    }
    Ok(())
}

#[test]
fn full_batches_are_the_closed_forms() -> Result<(), TheoryError> {
    let (features, targets, initial) = (features(), targets(), initial());
    let kernels = tangent_kernels(&features);
    let all: Vec<usize> = (0..EXAMPLES).collect();
    let (learning_rate, steps) = (0.15, 40);
    for ridge in [0.0, 0.3] {
        // An NNGP kernel that is not the tangent kernel.
        let prior = Mat::from_fn(EXAMPLES, EXAMPLES, |i, j| (-0.3 * (i as f64 - j as f64).powi(2)).exp());
        let dynamics = KernelDynamics::new(kernels.train.as_ref(), prior.as_ref())?.with_ridge(ridge);
        for rule in RULES {
            let closed = match rule {
                StepRule::GradientDescent => Training::GradientDescent { learning_rate, steps },
                StepRule::Momentum { beta } => Training::Momentum { learning_rate, beta, steps },
                StepRule::Nesterov { beta } => Training::Nesterov { learning_rate, beta, steps },
            };
            // The mean loss at a learning rate N times as large is the same training, if the ridge is an N-th.
            let by_mean = MinibatchTraining {
                learning_rate: learning_rate * EXAMPLES as f64,
                ridge: ridge / EXAMPLES as f64,
                ..settings(rule, BatchLoss::Mean, 0.0)
            };
            for training in [settings(rule, BatchLoss::Sum, ridge), by_mean] {
                let mut run = MinibatchRun::new(
                    training,
                    kernels.train.as_ref(),
                    kernels.cross.as_ref(),
                    targets.as_ref(),
                    rows(&initial, true),
                    rows(&initial, false),
                )?;
                let mut response = LinearResponse::new(training, kernels.train.as_ref())?;
                for _ in 0..steps {
                    run.step(&all)?;
                    response.step(&all)?;
                }
                let bound = round_off(40 * 100);
                let expected = dynamics.train_outputs(targets.as_ref(), rows(&initial, true), &closed)?;
                assert_within((run.train_outputs() - expected).norm_max(), 0.0, bound, &format!("{training:?}"));
                let expected = dynamics.train_prediction(targets.as_ref(), &closed)?;
                let found = response.train_prediction(prior.as_ref(), targets.as_ref())?;
                assert_within((found.mean - expected.mean).norm_max(), 0.0, bound, "mean");
                assert_within((found.covariance - expected.covariance).norm_max(), 0.0, bound, "covariance");
            }
        }
    }
    Ok(())
}

#[test]
fn response_gives_the_statistics_of_the_ensemble() -> Result<(), TheoryError> {
    let (features, targets) = (features(), targets());
    let kernels = tangent_kernels(&features);
    let count = EXAMPLES + TESTS;
    let prior = Mat::from_fn(count, count, |i, j| (-0.2 * (i as f64 - j as f64).powi(2)).exp());
    let part = |row: usize, rows: usize, column: usize, columns: usize| prior.submatrix(row, column, rows, columns);
    for rule in RULES {
        let training = settings(rule, BatchLoss::Mean, 0.1);
        let mut response = LinearResponse::new(training, kernels.train.as_ref())?;
        for batch in &batches() {
            response.step(batch)?;
        }
        assert_eq!(response.steps(), batches().len() as u64);
        let found = [
            response.train_prediction(part(0, EXAMPLES, 0, EXAMPLES), targets.as_ref())?,
            response.test_prediction(
                kernels.cross.as_ref(),
                part(0, EXAMPLES, 0, EXAMPLES),
                part(EXAMPLES, TESTS, 0, EXAMPLES),
                part(EXAMPLES, TESTS, EXAMPLES, TESTS),
                targets.as_ref(),
            )?,
        ];
        // Outputs are affine in the initial ones: the map of unit initial outputs carries the prior along.
        let none = Mat::zeros(EXAMPLES, count);
        let units = Mat::identity(count, count);
        let map = in_parameter_space(&training, &features, &none, &units, &batches());
        let no_outputs = Mat::zeros(count, 2);
        let mean = in_parameter_space(&training, &features, &targets, &no_outputs, &batches());
        let covariance = &map * &prior * map.transpose();
        for (train, found) in [true, false].into_iter().zip(found) {
            let bound = round_off(60 * 100);
            assert_within((found.mean - rows(&mean, train)).norm_max(), 0.0, bound, "mean");
            let (first, size) = if train { (0, EXAMPLES) } else { (EXAMPLES, TESTS) };
            let expected = covariance.submatrix(first, first, size, size);
            assert_within((&found.covariance - expected).norm_max(), 0.0, bound, "covariance");
        }
        // A training example taken for a test example.
        let again = response.test_prediction(
            kernels.train.as_ref(),
            part(0, EXAMPLES, 0, EXAMPLES),
            part(0, EXAMPLES, 0, EXAMPLES),
            part(0, EXAMPLES, 0, EXAMPLES),
            targets.as_ref(),
        )?;
        let train = response.train_prediction(part(0, EXAMPLES, 0, EXAMPLES), targets.as_ref())?;
        assert_within((again.covariance - train.covariance).norm_max(), 0.0, round_off(6000), "one formula");
    }
    Ok(())
}

#[test]
fn order_of_the_batches_matters_and_the_response_is_not_symmetric() -> Result<(), TheoryError> {
    let kernels = tangent_kernels(&features());
    let response = |batches: &[[usize; 1]]| -> Result<Mat<f64>, TheoryError> {
        let training = settings(StepRule::GradientDescent, BatchLoss::Sum, 0.0);
        let mut response = LinearResponse::new(training, kernels.train.as_ref())?;
        batches.iter().try_for_each(|batch| response.step(batch))?;
        Ok(response.matrix().to_owned())
    };
    let (forth, back) = (response(&[[0], [1]])?, response(&[[1], [0]])?);
    // Two steps by hand: u_0 = eta r_0, then u_1 = eta (r_1 - Theta_10 u_0).
    let expected = -0.15 * 0.15 * kernels.train[(1, 0)];
    assert_relative(forth[(1, 0)] / expected, 1.0, round_off(20), "second step");
    assert_eq!((forth[(0, 1)], back[(1, 0)]), (0.0, 0.0));
    assert_within((forth.transpose() - &back).norm_max(), 0.0, round_off(20), "reversed order is the transpose");
    Ok(())
}

#[test]
fn batches_that_cannot_be_are_refused() -> Result<(), TheoryError> {
    let kernels = tangent_kernels(&features());
    let mut response =
        LinearResponse::new(settings(StepRule::GradientDescent, BatchLoss::Mean, 0.0), kernels.train.as_ref())?;
    assert!(response.step(&[]).is_err());
    let error = response.step(&[0, EXAMPLES]).unwrap_err();
    assert!(error.to_string().contains("indices below 7"), "{error}");
    assert_eq!(response.steps(), 0);
    assert_eq!(response.matrix().norm_max(), 0.0);
    Ok(())
}
