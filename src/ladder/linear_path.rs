//! The path of a network under a constant kernel, on the very batches that the network sees.
//!
//! The kernel of a finite network couples outputs, so that every output of an example counts as an example of its own:
//! index `x O + o`.

use faer::{Mat, MatRef};
use widthwise_theory::TheoryError;
use widthwise_theory::dynamics::{BatchLoss, MinibatchRun, MinibatchTraining, StepRule};

use crate::training::batches::Batches;

/// What all paths of a ladder share.
#[derive(Debug, Clone)]
pub(super) struct LinearProblem {
    /// Step size, in units of the loss.
    pub(super) learning_rate: f64,
    pub(super) rule: StepRule,
    /// Factor of `1/2 sum` over the batch in the loss of a batch.
    pub(super) loss_factor: f64,
    /// Penalty toward the initial weights.
    pub(super) ridge: f64,
    /// Training targets, `N x O`.
    pub(super) targets: Mat<f64>,
}

/// `N x O` as `N O x 1`, example-major.
fn flat(matrix: MatRef<'_, f64>) -> Mat<f64> {
    let outputs = matrix.ncols();
    Mat::from_fn(matrix.nrows() * outputs, 1, |i, _| matrix[(i / outputs, i % outputs)])
}

/// A path on its way.
pub(super) struct LinearPath<'a> {
    run: MinibatchRun<'a>,
    batches: Batches,
    outputs: usize,
}

impl<'a> LinearPath<'a> {
    /// Before the first step.
    ///
    /// # Shapes
    /// `kernel`: `M O x M O` on training examples followed by others; `initial`: `M x O`.
    ///
    /// # Errors
    /// A shape mismatch.
    pub(super) fn new(
        problem: &LinearProblem,
        kernel: MatRef<'a, f64>,
        initial: MatRef<'_, f64>,
        batches: Batches,
    ) -> Result<Self, TheoryError> {
        let outputs = initial.ncols();
        let rows = problem.targets.nrows() * outputs;
        let training = MinibatchTraining {
            learning_rate: problem.learning_rate,
            rule: problem.rule,
            loss: BatchLoss::Scaled(problem.loss_factor),
            ridge: problem.ridge,
        };
        let initial = flat(initial);
        let run = MinibatchRun::new(
            training,
            kernel.get(..rows, ..rows),
            kernel.get(rows.., ..rows),
            flat(problem.targets.as_ref()).as_ref(),
            initial.as_ref().get(..rows, ..),
            initial.as_ref().get(rows.., ..),
        )?;
        Ok(Self { run, batches, outputs })
    }

    /// Takes all steps up to `step`.
    ///
    /// # Errors
    /// None that a checked experiment can have.
    pub(super) fn advance(&mut self, step: u64) -> Result<(), TheoryError> {
        let outputs = self.outputs;
        while self.run.steps() < step {
            let examples = self.batches.indices(self.run.steps());
            let batch: Vec<usize> =
                examples.iter().flat_map(|&x| (0..outputs).map(move |o| x as usize * outputs + o)).collect();
            self.run.step(&batch)?;
        }
        Ok(())
    }

    /// Outputs on training examples and the others, `M x O`.
    pub(super) fn outputs(&self) -> Mat<f64> {
        let (train, others) = (self.run.train_outputs(), self.run.test_outputs());
        let examples = (train.nrows() + others.nrows()) / self.outputs;
        Mat::from_fn(examples, self.outputs, |x, o| {
            let row = x * self.outputs + o;
            if row < train.nrows() { train[(row, 0)] } else { others[(row - train.nrows(), 0)] }
        })
    }
}

/// A kernel that is the same for all outputs and couples none, `M x M`, as `M O x M O`.
pub(super) fn for_outputs(kernel: &Mat<f64>, outputs: usize) -> Mat<f64> {
    let rows = kernel.nrows() * outputs;
    Mat::from_fn(rows, rows, |i, j| match i % outputs == j % outputs {
        true => kernel[(i / outputs, j / outputs)],
        false => 0.0,
    })
}

/// Root mean square of the entries of `a - b`.
pub(super) fn rms_distance(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    let difference = a - b;
    difference.norm_l2() / ((a.nrows() * a.ncols()) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use widthwise_theory::dynamics::{KernelDynamics, Training};

    /// Positive definite, and different for the two outputs, which it couples.
    fn kernel(rows: usize) -> Mat<f64> {
        let root = Mat::from_fn(rows, rows, |i, j| ((3 * i + 5 * j) as f64).sin() + if i == j { 2.0 } else { 0.0 });
        &root * root.transpose()
    }

    fn problem(learning_rate: f64) -> LinearProblem {
        let targets = Mat::from_fn(4, 2, |i, o| ((i + 2 * o) as f64).cos());
        LinearProblem { learning_rate, rule: StepRule::GradientDescent, loss_factor: 0.25, ridge: 0.0, targets }
    }

    #[test]
    fn a_kernel_that_couples_outputs_follows_the_closed_form() {
        let kernel = kernel(10);
        let initial = Mat::from_fn(5, 2, |i, o| (i as f64 - 1.5 * o as f64) / 3.0);
        let problem = problem(0.05);
        let mut path =
            LinearPath::new(&problem, kernel.as_ref(), initial.as_ref(), Batches::new(1, 0, 4, None)).unwrap();
        path.advance(30).unwrap();
        let train = kernel.as_ref().get(..8, ..8);
        let closed = KernelDynamics::new(train, train)
            .unwrap()
            .with_test(kernel.as_ref().get(8.., ..8), kernel.as_ref().get(8.., ..8), kernel.as_ref().get(8.., 8..))
            .unwrap();
        let training = Training::GradientDescent { learning_rate: 0.05 * 0.25, steps: 30 };
        let (targets, initial) = (flat(problem.targets.as_ref()), flat(initial.as_ref()));
        let (start, start_test) = (initial.as_ref().get(..8, ..), initial.as_ref().get(8.., ..));
        let expected_train = closed.train_outputs(targets.as_ref(), start, &training).unwrap();
        let expected_test = closed.test_outputs(targets.as_ref(), start, start_test, &training).unwrap();
        let found = flat(path.outputs().as_ref());
        for row in 0..10 {
            let expected = if row < 8 { expected_train[(row, 0)] } else { expected_test[(row - 8, 0)] };
            // Thirty steps of sums of eight terms below ten.
            assert!((found[(row, 0)] - expected).abs() < 30.0 * 80.0 * f64::EPSILON, "{row}: {found:?}");
        }
    }

    #[test]
    fn equal_outputs_do_not_meet() {
        let single = kernel(5);
        let initial = Mat::from_fn(5, 2, |i, o| (i as f64 - 1.5 * o as f64) / 3.0);
        let problem = problem(0.03);
        let both = for_outputs(&single, 2);
        let mut path =
            LinearPath::new(&problem, both.as_ref(), initial.as_ref(), Batches::new(1, 0, 4, Some(2))).unwrap();
        path.advance(6).unwrap();
        for output in 0..2 {
            let column = |matrix: &Mat<f64>| Mat::from_fn(matrix.nrows(), 1, |i, _| matrix[(i, output)]);
            let alone = LinearProblem { targets: column(&problem.targets), ..problem.clone() };
            let start = column(&initial);
            let batches = Batches::new(1, 0, 4, Some(2));
            let mut path_alone = LinearPath::new(&alone, single.as_ref(), start.as_ref(), batches).unwrap();
            path_alone.advance(6).unwrap();
            assert!(rms_distance(&column(&path.outputs()), &path_alone.outputs()) < 100.0 * f64::EPSILON);
        }
    }

    #[test]
    fn distance_by_hand() {
        let ones = Mat::from_fn(2, 2, |_, _| 1.0);
        let mut others = ones.clone();
        others[(0, 1)] = 4.0;
        assert_eq!(rms_distance(&ones, &others), 1.5);
    }
}
