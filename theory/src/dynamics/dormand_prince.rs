//! One step of the embedded pair RK5(4)7M of Dormand and Prince 1980 ("A family of embedded Runge-Kutta formulae", J. Comput. Appl.
//! Math. 6, 19-26): seven stages, the last of which is the first of the next step, so six evaluations a step.
//!
//! For the autonomous `u' = F(u)`; the rows are the `a_ij` of the paper, `B` the weights of order five, which carry the solution on,
//! and `E` the difference to those of order four, which estimates its error.

use faer::Mat;

/// Order of the solution that is carried on: errors at a fixed time are `O(h^5)`. The error estimate of a step is `O(h^5)` too.
pub(super) const ORDER: i32 = 5;

const A2: [f64; 1] = [1.0 / 5.0];
const A3: [f64; 2] = [3.0 / 40.0, 9.0 / 40.0];
const A4: [f64; 3] = [44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0];
const A5: [f64; 4] = [19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0];
const A6: [f64; 5] = [9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0];
const B: [f64; 6] = [35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0];
const E: [f64; 7] =
    [71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339200.0, 22.0 / 525.0, -1.0 / 40.0];

/// Where a step leads.
pub(super) struct IntegratorStep {
    /// `u` after the step.
    pub(super) end: Mat<f64>,
    /// `F` there.
    pub(super) force: Mat<f64>,
    /// Estimate of the error of `u` of order four.
    pub(super) error: Mat<f64>,
}

/// A step of length `h` from `start`, where `force` is `first`.
pub(super) fn step(
    start: &Mat<f64>,
    first: &Mat<f64>,
    h: f64,
    force: impl Fn(&Mat<f64>) -> Mat<f64>,
) -> IntegratorStep {
    let mut stages = vec![first.clone()];
    for row in [&A2[..], &A3, &A4, &A5, &A6] {
        let stage = force(&(start + combination(&stages, row, h)));
        stages.push(stage);
    }
    let end = start + combination(&stages, &B, h);
    let last = force(&end);
    stages.push(last.clone());
    IntegratorStep { end, force: last, error: combination(&stages, &E, h) }
}

fn combination(stages: &[Mat<f64>], weights: &[f64], h: f64) -> Mat<f64> {
    let terms = stages.iter().zip(weights).filter(|(_, weight)| **weight != 0.0);
    let mut sum = Mat::zeros(stages[0].nrows(), stages[0].ncols());
    terms.for_each(|(stage, weight)| sum += stage * (weight * h));
    sum
}
