//! The linearized network `f_0 + J (theta - theta_0)`, trained in its parameters with the Jacobian of automatic differentiation,
//! at both sides of the predicted limits of the learning rate.

use widthwise::network::NoTap;
use widthwise_probes::empirical_ntk_full;
use widthwise_tensors::{to_f64, to_matrix};
use widthwise_theory::architecture::Parameterization;
use widthwise_theory::dynamics::{KernelDynamics, Training};

use crate::bounds::relative_difference;
use crate::networks::{families, inputs, network};
use crate::structured_derivatives::jacobian;
use widthwise::observation::Observation;

const EXAMPLES: usize = 4;
const OUTPUTS: usize = 3;
const STEPS: u64 = 1500;

/// A linear model and its loss `1/2 sum (f - y)^2`.
struct Linearized {
    jacobian: Vec<Vec<f64>>,
    initial: Vec<f64>,
    targets: Vec<f64>,
}

impl Linearized {
    fn residuals(&self, moved: &[f64]) -> Vec<f64> {
        let output = |row: &Vec<f64>| row.iter().zip(moved).map(|(j, m)| j * m).sum::<f64>();
        (0..self.initial.len()).map(|i| self.initial[i] + output(&self.jacobian[i]) - self.targets[i]).collect()
    }

    /// Residuals after training in parameters; the update rules as the program has them.
    fn train(&self, training: &Training) -> Vec<f64> {
        let (rate, beta, steps, looks_ahead) = match *training {
            Training::GradientDescent { learning_rate, steps } => (learning_rate, 0.0, steps, false),
            Training::Momentum { learning_rate, beta, steps } => (learning_rate, beta, steps, false),
            Training::Nesterov { learning_rate, beta, steps } => (learning_rate, beta, steps, true),
            Training::Flow { .. } => unreachable!("no steps to take"),
        };
        let parameters = self.jacobian[0].len();
        let (mut moved, mut velocity) = (vec![0.0; parameters], vec![0.0; parameters]);
        for _ in 0..steps {
            let residuals = self.residuals(&moved);
            for p in 0..parameters {
                let gradient: f64 = self.jacobian.iter().zip(&residuals).map(|(row, r)| row[p] * r).sum();
                velocity[p] = beta * velocity[p] - rate * gradient;
                moved[p] += if looks_ahead { beta * velocity[p] - rate * gradient } else { velocity[p] };
            }
        }
        self.residuals(&moved)
    }
}

#[test]
fn training_converges_below_the_predicted_learning_rate_and_diverges_above() {
    for (name, architecture) in families(12, Parameterization::Ntk) {
        let network = network(&architecture, 2);
        let batch = network.batch(&inputs(EXAMPLES, architecture.input.features()));
        let model = Linearized {
            jacobian: jacobian(&network, &batch, OUTPUTS),
            initial: to_f64(network.forward(&batch, &mut NoTap)),
            targets: inputs(EXAMPLES, OUTPUTS),
        };
        // Theory sees the structured kernel, the model the Jacobian.
        let kernel = empirical_ntk_full(&Observation::new(&network, &batch));
        let theory = KernelDynamics::new(kernel.as_ref(), kernel.as_ref()).unwrap();
        let (rate, steps) = (1.0, STEPS);
        for training in [
            Training::GradientDescent { learning_rate: rate, steps },
            Training::Momentum { learning_rate: rate, beta: 0.6, steps },
            Training::Nesterov { learning_rate: rate, beta: 0.6, steps },
        ] {
            let limit = theory.stable_learning_rate(&training);
            let at = |factor: f64| {
                let learning_rate = factor * limit;
                match training {
                    Training::GradientDescent { steps, .. } => Training::GradientDescent { learning_rate, steps },
                    Training::Momentum { beta, steps, .. } => Training::Momentum { learning_rate, beta, steps },
                    Training::Nesterov { beta, steps, .. } => Training::Nesterov { learning_rate, beta, steps },
                    Training::Flow { .. } => unreachable!("not in the list"),
                }
            };
            let norm = |residuals: &[f64]| residuals.iter().map(|r| r * r).sum::<f64>().sqrt();
            let start = norm(&model.residuals(&vec![0.0; model.jacobian[0].len()]));
            let [below, above] = [0.98, 1.02].map(|factor| norm(&model.train(&at(factor))) / start);
            eprintln!("{name}, {training:?}: residual x {below:.2e} at 0.98 and x {above:.2e} at 1.02 of the limit");
            assert!(below < 1.0, "{name}, {training:?}: {below} at 0.98 of the limit");
            assert!(above > 1e3, "{name}, {training:?}: {above} at 1.02 of the limit");
            // Below the limit the whole path is the predicted one.
            let wanted = faer::Mat::from_fn(model.targets.len(), 1, |i, _| model.targets[i]);
            let initial = faer::Mat::from_fn(model.initial.len(), 1, |i, _| model.initial[i]);
            let predicted = theory.train_outputs(wanted.as_ref(), initial.as_ref(), &at(0.98)).unwrap() - &wanted;
            let found = model.train(&at(0.98));
            let found = faer::Mat::from_fn(found.len(), 1, |i, _| found[i]);
            let difference = (&found - &predicted).norm_max() / start;
            assert!(difference < 1e-9, "{name}, {training:?}: the path is {difference:e} off");
        }
    }
}

#[test]
fn the_jacobian_is_the_derivative_that_a_finite_step_sees() {
    for (name, architecture) in families(6, Parameterization::Ntk) {
        let network = network(&architecture, 3);
        let batch = network.batch(&inputs(EXAMPLES, architecture.input.features()));
        let rows = jacobian(&network, &batch, OUTPUTS);
        const STEP: f64 = 1e-5;
        let direction: Vec<f64> = inputs(1, rows[0].len());
        let moved = |by: f64| {
            let mut moved = network.clone();
            let mut next = direction.iter();
            for parameters in &mut moved.parameters {
                *parameters = parameters.map(|tensor| {
                    let shape = tensor.dims();
                    let values: Vec<f64> =
                        to_f64(tensor.clone()).iter().map(|v| v + by * next.next().unwrap()).collect();
                    let (device, dtype) = network.placement();
                    widthwise::network::from_f64(values, shape, device, dtype)
                });
            }
            to_matrix(moved.forward(&batch, &mut NoTap))
        };
        let difference = (moved(STEP) - moved(-STEP)) * (0.5 / STEP);
        let expected = faer::Mat::from_fn(EXAMPLES, OUTPUTS, |i, o| {
            rows[i * OUTPUTS + o].iter().zip(&direction).map(|(j, d)| j * d).sum::<f64>()
        });
        let off = relative_difference(&difference, &expected);
        // Truncation of order STEP^2 and round-off of order eps/STEP.
        assert!(off < 1e-7, "{name}: {off:e}");
    }
}
