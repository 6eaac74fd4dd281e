//! The outputs of a linear model along training, on the very batches that a network sees.
//!
//! The kernel of a finite network couples outputs, so that every output of an example counts as an example of its own:
//! index `x O + o`.

use faer::{Mat, MatRef};
use widthwise_theory::TheoryError;
use widthwise_theory::dynamics::{MinibatchRun, MinibatchTraining};

use crate::training::batches::Batches;

/// A path on its way.
pub(crate) struct LinearPath<'a> {
    run: MinibatchRun<'a>,
    batches: Option<(Batches, u64)>,
    outputs: usize,
}

impl<'a> LinearPath<'a> {
    /// Before its first step, which is on the batch of that number; without batches every step is on all examples in their order.
    ///
    /// # Shapes
    /// `kernels`: `N O x N O` on training examples and `T O x N O` of others against them; `targets`: `N x O`; `initial`: the outputs
    /// of both, `N x O` and `T x O`.
    ///
    /// # Errors
    /// A shape mismatch.
    pub(crate) fn new(
        training: MinibatchTraining,
        kernels: [MatRef<'a, f64>; 2],
        targets: MatRef<'_, f64>,
        initial: [MatRef<'_, f64>; 2],
        batches: Option<(Batches, u64)>,
    ) -> Result<Self, TheoryError> {
        let outputs = targets.ncols();
        let [targets, train, others] = [targets, initial[0], initial[1]].map(column);
        let [kernel, cross] = kernels;
        let run = MinibatchRun::new(training, kernel, cross, targets.as_ref(), train.as_ref(), others.as_ref())?;
        Ok(Self { run, batches, outputs })
    }

    /// Lets the penalty pull to other parameters than the first: see [`MinibatchRun::with_anchor`].
    pub(crate) fn with_anchor(mut self, pulled: [&Mat<f64>; 2]) -> Result<Self, TheoryError> {
        let [train, others] = pulled.map(|outputs| column(outputs.as_ref()));
        self.run = self.run.with_anchor(train.as_ref(), others.as_ref())?;
        Ok(self)
    }

    /// Starts with a velocity: see [`MinibatchRun::with_velocity`].
    pub(crate) fn with_velocity(mut self, pushed: [&Mat<f64>; 2], scale: f64) -> Result<Self, TheoryError> {
        let [train, others] = pushed.map(|outputs| column(outputs.as_ref()) * scale);
        self.run = self.run.with_velocity(train.as_ref(), others.as_ref())?;
        Ok(self)
    }

    /// Goes on until so many steps are taken.
    ///
    /// # Errors
    /// None that a checked experiment can have.
    pub(crate) fn advance(&mut self, steps: u64) -> Result<(), TheoryError> {
        let outputs = self.outputs;
        while self.run.steps() < steps {
            let batch: Vec<usize> = match &mut self.batches {
                None => (0..self.run.train_outputs().nrows()).collect(),
                Some((batches, first)) => {
                    let examples = batches.indices(*first + self.run.steps());
                    examples.iter().flat_map(|&x| (0..outputs).map(move |o| x as usize * outputs + o)).collect()
                }
            };
            self.run.step(&batch)?;
        }
        Ok(())
    }

    /// Outputs on training examples and the others, `(N + T) x O`.
    pub(crate) fn outputs(&self) -> Mat<f64> {
        let (train, others) = (self.run.train_outputs(), self.run.test_outputs());
        let n = train.nrows() / self.outputs;
        let [train, others] = [train, others].map(|column| rows(column, self.outputs));
        Mat::from_fn(n + others.nrows(), self.outputs, |x, o| if x < n { train[(x, o)] } else { others[(x - n, o)] })
    }
}

/// `N x O` as `N O x 1`, example-major.
pub(crate) fn column(outputs: MatRef<'_, f64>) -> Mat<f64> {
    let width = outputs.ncols();
    Mat::from_fn(outputs.nrows() * width, 1, |row, _| outputs[(row / width, row % width)])
}

/// The way back from [`column`].
pub(crate) fn rows(column: MatRef<'_, f64>, width: usize) -> Mat<f64> {
    Mat::from_fn(column.nrows() / width, width, |i, o| column[(i * width + o, 0)])
}

/// A kernel that is the same for all outputs and couples none, `M x M`, as `M O x M O`.
pub(crate) fn for_outputs(kernel: &Mat<f64>, outputs: usize) -> Mat<f64> {
    let rows = kernel.nrows() * outputs;
    Mat::from_fn(rows, rows, |i, j| match i % outputs == j % outputs {
        true => kernel[(i / outputs, j / outputs)],
        false => 0.0,
    })
}

/// Root mean square of the entries of `a - b`.
pub(crate) fn rms_distance(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    let difference = a - b;
    difference.norm_l2() / ((a.nrows() * a.ncols()) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use widthwise_theory::dynamics::{BatchLoss, KernelDynamics, StepRule, Training};

    /// Positive definite, and different for the two outputs, which it couples.
    fn kernel(rows: usize) -> Mat<f64> {
        let root = Mat::from_fn(rows, rows, |i, j| ((3 * i + 5 * j) as f64).sin() + if i == j { 2.0 } else { 0.0 });
        &root * root.transpose()
    }

    fn targets() -> Mat<f64> {
        Mat::from_fn(4, 2, |i, o| ((i + 2 * o) as f64).cos())
    }

    /// On four training examples and others.
    fn path<'a>(
        learning_rate: f64,
        kernel: &'a Mat<f64>,
        targets: &Mat<f64>,
        initial: &Mat<f64>,
        size: Option<usize>,
    ) -> LinearPath<'a> {
        let (loss, side) = (BatchLoss::Scaled(0.25), 4 * targets.ncols());
        let training = MinibatchTraining { learning_rate, rule: StepRule::GradientDescent, loss, ridge: 0.0 };
        let kernels = [kernel.get(..side, ..side), kernel.get(side.., ..side)];
        let initial = [initial.get(..4, ..), initial.get(4.., ..)];
        let batches = Batches::new(1, 0, 4, size);
        LinearPath::new(training, kernels, targets.as_ref(), initial, Some((batches, 0))).unwrap()
    }

    #[test]
    fn a_kernel_that_couples_outputs_follows_the_closed_form() {
        let kernel = kernel(10);
        let initial = Mat::from_fn(5, 2, |i, o| (i as f64 - 1.5 * o as f64) / 3.0);
        let mut path = path(0.05, &kernel, &targets(), &initial, None);
        path.advance(30).unwrap();
        let train = kernel.as_ref().get(..8, ..8);
        let closed = KernelDynamics::new(train, train)
            .unwrap()
            .with_test(kernel.as_ref().get(8.., ..8), kernel.as_ref().get(8.., ..8), kernel.as_ref().get(8.., 8..))
            .unwrap();
        let training = Training::GradientDescent { learning_rate: 0.05 * 0.25, steps: 30 };
        let (targets, initial) = (column(targets().as_ref()), column(initial.as_ref()));
        let (start, start_test) = (initial.as_ref().get(..8, ..), initial.as_ref().get(8.., ..));
        let expected_train = closed.train_outputs(targets.as_ref(), start, &training).unwrap();
        let expected_test = closed.test_outputs(targets.as_ref(), start, start_test, &training).unwrap();
        let found = column(path.outputs().as_ref());
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
        let both = for_outputs(&single, 2);
        let mut together = path(0.03, &both, &targets(), &initial, Some(2));
        together.advance(6).unwrap();
        for output in 0..2 {
            let column = |matrix: &Mat<f64>| Mat::from_fn(matrix.nrows(), 1, |i, _| matrix[(i, output)]);
            let mut alone = path(0.03, &single, &column(&targets()), &column(&initial), Some(2));
            alone.advance(6).unwrap();
            assert!(rms_distance(&column(&together.outputs()), &alone.outputs()) < 100.0 * f64::EPSILON);
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
