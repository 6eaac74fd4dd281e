//! Losses without closed forms: flows, steps and sampled ensembles.

use faer::{Mat, MatRef, mat};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use widthwise_testing::{assert_relative, assert_within, reference, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::dynamics::{
    FlowSteps, GeneralLossFlow, GeneralLossProblem, KernelDynamics, OutputLoss, PriorSampler, SampledMoments, StepRule,
    Training, descend_general_loss, flow_general_loss, train_sampled_ensemble,
};

const LOSSES: [OutputLoss; 5] = [
    OutputLoss::Squared,
    OutputLoss::Logistic,
    OutputLoss::SoftmaxCrossEntropy,
    OutputLoss::Huber { delta: 0.6 },
    OutputLoss::SquaredHinge,
];
const TIGHT: FlowSteps = FlowSteps::Adaptive { absolute: 1e-13, relative: 0.0 };

/// Four training and two test examples with two outputs; targets that every loss allows.
struct Case {
    ntk: Mat<f64>,
    ntk_test: Mat<f64>,
    initial: Mat<f64>,
    initial_test: Mat<f64>,
    targets: Mat<f64>,
}

fn case(loss: OutputLoss) -> Case {
    let kernel = Mat::from_fn(6, 6, |i, j| 1.5 * (-0.4 * (i as f64 - j as f64).abs()).exp());
    let initial = Mat::from_fn(6, 2, |i, o| ((2 * i + 3 * o) as f64).cos());
    let targets = Mat::from_fn(4, 2, |i, o| match loss {
        OutputLoss::Logistic | OutputLoss::SoftmaxCrossEntropy => ((i + o) % 2) as f64,
        OutputLoss::SquaredHinge => 1.0 - 2.0 * ((i / 2 + o) % 2) as f64,
        _ => ((3 * i + o) as f64).sin(),
    });
    Case {
        ntk: kernel.submatrix(0, 0, 4, 4).to_owned(),
        ntk_test: kernel.submatrix(4, 0, 2, 4).to_owned(),
        initial: initial.submatrix(0, 0, 4, 2).to_owned(),
        initial_test: initial.submatrix(4, 0, 2, 2).to_owned(),
        targets,
    }
}

impl Case {
    fn problem(&self) -> GeneralLossProblem<'_> {
        GeneralLossProblem {
            ntk: self.ntk.as_ref(),
            ntk_test: self.ntk_test.as_ref(),
            initial: self.initial.as_ref(),
            initial_test: self.initial_test.as_ref(),
        }
    }

    fn flow(&self, loss: OutputLoss, times: &[f64], control: FlowSteps) -> Result<GeneralLossFlow, TheoryError> {
        flow_general_loss(&self.problem(), times, control, |f| loss.gradient(f, self.targets.as_ref()))
    }
}

#[test]
fn logistic_flow_matches_its_reference() -> Result<(), TheoryError> {
    let theta = mat![[2.0, 0.5], [0.5, 1.0]];
    let (initial, labels) = (mat![[0.2], [0.1]], mat![[1.0], [0.0]]);
    let problem = GeneralLossProblem::training_only(theta.as_ref(), initial.as_ref());
    let flow = flow_general_loss(&problem, &[5.0], TIGHT, |f| OutputLoss::Logistic.gradient(f, labels.as_ref()))?;
    assert_within(flow.states[0].train_outputs[(0, 0)], 1.7647831580, reference(10), "logistic");
    assert_within(flow.states[0].train_outputs[(1, 0)], -1.1113335383, reference(10), "logistic");
    assert_eq!(flow.states[0].test_outputs.nrows(), 0);
    Ok(())
}

#[test]
fn gradients_are_derivatives_of_the_losses() {
    for loss in LOSSES {
        let case = case(loss);
        // Away from the kinks: the second derivatives of Huber and hinge jump there.
        let outputs = Mat::from_fn(4, 2, |i, o| 1.37 * ((5 * i + 2 * o) as f64).sin());
        let gradient = loss.gradient(outputs.as_ref(), case.targets.as_ref());
        let step = 1e-5;
        for i in 0..4 {
            for o in 0..2 {
                let value = |sign: f64| {
                    let mut moved = outputs.clone();
                    moved[(i, o)] += sign * step;
                    loss.value(moved.as_ref(), case.targets.as_ref())
                };
                let slope = (value(1.0) - value(-1.0)) / (2.0 * step);
                // Third derivatives of order one, and rounding of a sum of order ten.
                assert_within(gradient[(i, o)], slope, step * step + round_off(20) / step, &format!("{loss:?}"));
            }
        }
    }
    // Nothing overflows.
    let far = mat![[800.0, -800.0], [-800.0, 800.0]];
    let targets = mat![[0.0, 1.0], [0.0, 1.0]];
    assert_eq!(OutputLoss::SoftmaxCrossEntropy.value(far.as_ref(), targets.as_ref()), 1600.0);
    assert_eq!(OutputLoss::SoftmaxCrossEntropy.gradient(far.as_ref(), targets.as_ref())[(0, 0)], 1.0);
    assert_eq!(OutputLoss::Logistic.value(far.as_ref(), targets.as_ref()), 2400.0 - 800.0);
    assert_eq!(OutputLoss::Logistic.gradient(far.as_ref(), targets.as_ref())[(1, 0)], 0.0);
}

#[test]
fn softmax_of_two_outputs_is_logistic_of_their_difference() -> Result<(), TheoryError> {
    let case = case(OutputLoss::SoftmaxCrossEntropy);
    let flow = case.flow(OutputLoss::SoftmaxCrossEntropy, &[3.0], TIGHT)?;
    let outputs = &flow.states[0].train_outputs;
    let column = |matrix: &Mat<f64>, sign: f64| Mat::from_fn(4, 1, |i, _| matrix[(i, 0)] + sign * matrix[(i, 1)]);
    // d(f_1 - f_2) feels the gradient of both outputs, and f_1 + f_2 none.
    assert_within((column(outputs, 1.0) - column(&case.initial, 1.0)).norm_max(), 0.0, round_off(1000), "sum");
    let (doubled, initial) = (&case.ntk * 2.0, column(&case.initial, -1.0));
    let labels = case.targets.submatrix(0, 0, 4, 1).to_owned();
    let problem = GeneralLossProblem::training_only(doubled.as_ref(), initial.as_ref());
    let logistic = flow_general_loss(&problem, &[3.0], TIGHT, |f| OutputLoss::Logistic.gradient(f, labels.as_ref()))?;
    let difference = column(outputs, -1.0) - &logistic.states[0].train_outputs;
    let bound = 1e-13 * (flow.accepted + 2 * logistic.accepted) as f64;
    assert_within(difference.norm_max(), 0.0, bound, "difference");
    Ok(())
}

#[test]
fn squared_loss_flows_and_steps_as_its_closed_form() -> Result<(), TheoryError> {
    let case = case(OutputLoss::Squared);
    let dynamics = KernelDynamics::new(case.ntk.as_ref(), case.ntk.as_ref())?.with_test(
        case.ntk_test.as_ref(),
        case.ntk_test.as_ref(),
        Mat::identity(2, 2).as_ref(),
    )?;
    let closed = |training: Training| -> Result<[Mat<f64>; 2], TheoryError> {
        let (targets, initial) = (case.targets.as_ref(), case.initial.as_ref());
        Ok([
            dynamics.train_outputs(targets, initial, &training)?,
            dynamics.test_outputs(targets, initial, case.initial_test.as_ref(), &training)?,
        ])
    };
    let times = [0.0, 0.1, 0.1, 1.7, 6.0];
    let flow = case.flow(OutputLoss::Squared, &times, TIGHT)?;
    assert_eq!(flow.states.len(), times.len());
    let bound = 1e-13 * flow.accepted as f64;
    for (&flow_time, state) in times.iter().zip(&flow.states) {
        let [train, test] = closed(Training::Flow { flow_time })?;
        assert_within((&state.train_outputs - train).norm_max(), 0.0, bound, "training outputs");
        assert_within((&state.test_outputs - test).norm_max(), 0.0, bound, "test outputs");
        let from_impulse = &case.initial_test + &case.ntk_test * &state.impulse;
        assert_eq!(from_impulse, state.test_outputs);
    }
    let learning_rate = 0.2;
    for (rule, training) in [
        (
            StepRule::GradientDescent,
            (|steps| Training::GradientDescent { learning_rate: 0.2, steps }) as fn(u64) -> Training,
        ),
        (StepRule::Momentum { beta: 0.5 }, |steps| Training::Momentum { learning_rate: 0.2, beta: 0.5, steps }),
        (StepRule::Nesterov { beta: 0.5 }, |steps| Training::Nesterov { learning_rate: 0.2, beta: 0.5, steps }),
    ] {
        let steps = [0, 1, 5, 30];
        let gradient = |f: MatRef<'_, f64>| OutputLoss::Squared.gradient(f, case.targets.as_ref());
        let states = descend_general_loss(&case.problem(), learning_rate, rule, &steps, gradient)?;
        for (steps, state) in steps.into_iter().zip(states) {
            let [train, test] = closed(training(steps))?;
            assert_within((state.train_outputs - train).norm_max(), 0.0, round_off(1000), "training outputs");
            assert_within((state.test_outputs - test).norm_max(), 0.0, round_off(1000), "test outputs");
        }
    }
    Ok(())
}

#[test]
fn pair_has_the_orders_that_it_declares() -> Result<(), TheoryError> {
    let case = case(OutputLoss::SoftmaxCrossEntropy);
    let at = |step: f64| case.flow(OutputLoss::SoftmaxCrossEntropy, &[1.6], FlowSteps::Fixed { step });
    let exact = &case.flow(OutputLoss::SoftmaxCrossEntropy, &[1.6], TIGHT)?.states[0].train_outputs.clone();
    let halvings: Vec<(f64, f64)> = [0.1, 0.05, 0.025]
        .into_iter()
        .map(|step| {
            let flow = at(step)?;
            assert_eq!((flow.accepted, flow.rejected), ((1.6 / step).round() as u64, 0));
            Ok(((&flow.states[0].train_outputs - exact).norm_max(), flow.largest_error))
        })
        .collect::<Result<_, TheoryError>>()?;
    for pair in halvings.windows(2) {
        let order = (pair[0].0 / pair[1].0).log2();
        let estimate = (pair[0].1 / pair[1].1).log2();
        // The next term of the error, relative h, moves the fitted order by a few tenths.
        assert!((order - 5.0).abs() < 0.35, "order of the solution: {order}");
        assert!((estimate - 5.0).abs() < 0.35, "order of the error estimate of a step: {estimate}");
    }
    Ok(())
}

#[test]
fn error_control_keeps_its_word_and_costs_what_it_must() -> Result<(), TheoryError> {
    for loss in LOSSES {
        let case = case(loss);
        let exact = case.flow(loss, &[2.0, 4.0], TIGHT)?;
        let mut before = 0;
        for tolerance in [1e-4, 1e-7, 1e-10] {
            let flow = case.flow(loss, &[2.0, 4.0], FlowSteps::Adaptive { absolute: tolerance, relative: 0.0 })?;
            assert!(flow.largest_error <= tolerance);
            for (found, exact) in flow.states.iter().zip(&exact.states) {
                // All five losses are convex: errors of steps add up at most (in the norm of the kernel, whose root of the condition
                // number is 5 here).
                let bound = 5.0 * tolerance * flow.accepted as f64;
                assert_within((&found.train_outputs - &exact.train_outputs).norm_max(), 0.0, bound, "training");
                assert_within((&found.test_outputs - &exact.test_outputs).norm_max(), 0.0, bound, "test");
            }
            assert!(flow.accepted > before, "{loss:?}");
            before = flow.accepted;
        }
        // The flow descends.
        let value = |state: usize| loss.value(exact.states[state].train_outputs.as_ref(), case.targets.as_ref());
        assert!(value(1) < value(0) && value(0) < loss.value(case.initial.as_ref(), case.targets.as_ref()));
    }
    // A relative tolerance only: errors in proportion to the outputs.
    let case = case(OutputLoss::Squared);
    let relative = case.flow(OutputLoss::Squared, &[2.0], FlowSteps::Adaptive { absolute: 1e-12, relative: 1e-3 })?;
    let absolute = case.flow(OutputLoss::Squared, &[2.0], FlowSteps::Adaptive { absolute: 1e-12, relative: 0.0 })?;
    assert!(relative.accepted < absolute.accepted);
    Ok(())
}

#[test]
fn steps_equal_a_linear_model_in_parameter_space() -> Result<(), TheoryError> {
    let features = Mat::from_fn(6, 5, |i, p| ((3 * i + 7 * p) as f64).sin());
    let (train, test) = features.as_ref().split_at_row(4);
    let (ntk, ntk_test) = (train * train.transpose(), test * train.transpose());
    for loss in LOSSES {
        let case = case(loss);
        let problem = GeneralLossProblem { ntk: ntk.as_ref(), ntk_test: ntk_test.as_ref(), ..case.problem() };
        for rule in [StepRule::GradientDescent, StepRule::Momentum { beta: 0.6 }, StepRule::Nesterov { beta: 0.6 }] {
            let gradient = |f: MatRef<'_, f64>| loss.gradient(f, case.targets.as_ref());
            let states = descend_general_loss(&problem, 0.05, rule, &[25], gradient)?;
            let (mut moved, mut velocity) = (Mat::<f64>::zeros(5, 2), Mat::<f64>::zeros(5, 2));
            for _ in 0..25 {
                let slope = train.transpose() * gradient((&case.initial + train * &moved).as_ref());
                moved -= match rule {
                    StepRule::GradientDescent => &slope * 0.05,
                    StepRule::Momentum { beta } => {
                        velocity = &velocity * beta + &slope;
                        &velocity * 0.05
                    }
                    StepRule::Nesterov { beta } => {
                        velocity = &velocity * beta + &slope;
                        (&slope + &velocity * beta) * 0.05
                    }
                };
            }
            let (expected, expected_test) = (&case.initial + train * &moved, &case.initial_test + test * &moved);
            let bound = round_off(25 * 100);
            assert_within((&states[0].train_outputs - expected).norm_max(), 0.0, bound, &format!("{loss:?} {rule:?}"));
            assert_within((&states[0].test_outputs - expected_test).norm_max(), 0.0, bound, "test outputs");
        }
    }
    Ok(())
}

#[test]
fn small_steps_approach_the_flow_in_proportion() -> Result<(), TheoryError> {
    let loss = OutputLoss::SoftmaxCrossEntropy;
    let case = case(loss);
    let flow = case.flow(loss, &[1.0], TIGHT)?;
    let distance = |steps: u64| -> Result<f64, TheoryError> {
        let gradient = |f: MatRef<'_, f64>| loss.gradient(f, case.targets.as_ref());
        let rate = 1.0 / steps as f64;
        let states = descend_general_loss(&case.problem(), rate, StepRule::GradientDescent, &[steps], gradient)?;
        Ok((&states[0].train_outputs - &flow.states[0].train_outputs).norm_max())
    };
    let order = (distance(1000)? / distance(2000)?).log2();
    // The next order is relative eta = 1e-3.
    assert_within(order, 1.0, 5e-3, "order of Euler's method");
    Ok(())
}

#[test]
fn sampled_ensemble_meets_the_closed_form() -> Result<(), TheoryError> {
    let case = case(OutputLoss::Squared);
    let prior = Mat::from_fn(6, 6, |i, j| (-0.3 * (i as f64 - j as f64).powi(2)).exp());
    let part = |row: usize, rows: usize, column: usize, columns: usize| prior.submatrix(row, column, rows, columns);
    let dynamics = KernelDynamics::new(case.ntk.as_ref(), part(0, 4, 0, 4))?.with_test(
        case.ntk_test.as_ref(),
        part(4, 2, 0, 4),
        part(4, 2, 4, 2),
    )?;
    let sampler = PriorSampler::new(prior.as_ref())?;
    let mut rng = ChaCha8Rng::seed_from_u64(31);
    let initial: Vec<Mat<f64>> = (0..2000).map(|_| sampler.sample(2, || StandardNormal.sample(&mut rng))).collect();
    let times = [0.0, 0.8];
    let moments = train_sampled_ensemble(case.ntk.as_ref(), case.ntk_test.as_ref(), &initial, |problem| {
        let control = FlowSteps::Adaptive { absolute: 1e-6, relative: 0.0 };
        let gradient = |f: MatRef<'_, f64>| OutputLoss::Squared.gradient(f, case.targets.as_ref());
        let flow = flow_general_loss(problem, &times, control, gradient)?;
        let stacked = |train: &Mat<f64>, test: &Mat<f64>| {
            Mat::from_fn(6, 2, |i, o| if i < 4 { train[(i, o)] } else { test[(i - 4, o)] })
        };
        Ok(flow.states.iter().map(|state| stacked(&state.train_outputs, &state.test_outputs)).collect())
    })?;
    for (&flow_time, moments) in times.iter().zip(&moments) {
        let training = Training::Flow { flow_time };
        let train = dynamics.train_prediction(case.targets.as_ref(), &training)?;
        let test = dynamics.test_prediction(case.targets.as_ref(), &training)?;
        assert_eq!(moments.members, 2000);
        for o in 0..2 {
            for i in 0..6 {
                let (mean, variance) = match i {
                    0..4 => (train.mean[(i, o)], train.covariance[(i, i)]),
                    _ => (test.mean[(i - 4, o)], test.covariance[(i - 4, i - 4)]),
                };
                // Four and a half standard errors: the largest of 24 numbers is examined.
                let error = moments.mean_standard_error[(i, o)];
                assert_within(moments.mean[(i, o)], mean, 4.5 * error, "mean");
                assert_relative(error / (variance / 2000.0).sqrt(), 1.0, 4.5 / (2.0 * 2000_f64).sqrt(), "its error");
                let error = moments.variance_standard_error[(i, o)];
                assert_within(moments.variance[(i, o)], variance, 4.5 * error, "variance");
                // A Gaussian: sqrt(2/S) sigma^2, itself known to about sqrt(96/24/S), fourth moments being noisy.
                let expected = (2.0 / 2000_f64).sqrt() * variance;
                assert_relative(error / expected, 1.0, 4.5 * (4.0 / 2000_f64).sqrt(), "its error");
            }
        }
    }
    Ok(())
}

#[test]
fn sampled_moments_are_those_of_the_sample() -> Result<(), TheoryError> {
    let members: Vec<Mat<f64>> = [1.0, 2.0, 4.0, 9.0].map(|f| mat![[f]]).to_vec();
    let moments = SampledMoments::of(&members)?;
    // Deviations -3, -2, 0, 5: sum of squares 38, of fourth powers 722.
    assert_eq!(moments.mean[(0, 0)], 4.0);
    assert_within(moments.variance[(0, 0)], 38.0 / 3.0, round_off(10), "variance");
    assert_within(moments.mean_standard_error[(0, 0)], (38.0_f64 / 12.0).sqrt(), round_off(10), "error of the mean");
    let expected = ((722.0 / 4.0 - (38.0_f64 / 4.0).powi(2) / 3.0) / 4.0).sqrt();
    assert_within(moments.variance_standard_error[(0, 0)], expected, round_off(100), "error of the variance");
    assert!(SampledMoments::of(&members[..3]).is_err());
    assert!(matches!(PriorSampler::new(mat![[1.0, 2.0], [2.0, 1.0]].as_ref()), Err(TheoryError::Solve { .. })));
    // A singular prior draws equal outputs for equal examples.
    let draw = PriorSampler::new(mat![[2.0, 2.0], [2.0, 2.0]].as_ref())?.sample(1, || 1.0);
    assert_within(draw[(0, 0)], draw[(1, 0)], round_off(10) + 1e-7, "equal examples, to the root of rounding");
    Ok(())
}

#[test]
fn impossible_integrations_are_refused() -> Result<(), TheoryError> {
    let case = case(OutputLoss::Squared);
    let adaptive = FlowSteps::Adaptive { absolute: 1e-6, relative: 0.0 };
    assert!(case.flow(OutputLoss::Squared, &[1.0, 0.5], adaptive).is_err());
    assert!(case.flow(OutputLoss::Squared, &[-1.0], adaptive).is_err());
    assert!(case.flow(OutputLoss::Squared, &[f64::INFINITY], adaptive).is_err());
    assert!(case.flow(OutputLoss::Squared, &[1.0], FlowSteps::Adaptive { absolute: 0.0, relative: 0.1 }).is_err());
    assert!(case.flow(OutputLoss::Squared, &[1.0], FlowSteps::Fixed { step: -1.0 }).is_err());
    assert!(case.flow(OutputLoss::Squared, &[], adaptive)?.states.is_empty());
    // Explosive: du/dt = u^2 reaches infinity in finite time.
    let one = mat![[1.0]];
    let problem = GeneralLossProblem::training_only(one.as_ref(), one.as_ref());
    let explosion = |control: FlowSteps| {
        flow_general_loss(&problem, &[3.0], control, |f| Mat::from_fn(1, 1, |_, _| -f[(0, 0)].powi(2)))
    };
    assert!(matches!(explosion(adaptive), Err(TheoryError::NoPrediction { .. })));
    assert!(matches!(explosion(FlowSteps::Fixed { step: 0.1 }), Err(TheoryError::NoPrediction { .. })));
    let gradient = |f: MatRef<'_, f64>| OutputLoss::Squared.gradient(f, case.targets.as_ref());
    assert!(descend_general_loss(&case.problem(), 0.1, StepRule::GradientDescent, &[3, 2], gradient).is_err());
    let problem = GeneralLossProblem { initial_test: case.initial.as_ref(), ..case.problem() };
    assert!(flow_general_loss(&problem, &[1.0], adaptive, gradient).is_err());
    Ok(())
}
