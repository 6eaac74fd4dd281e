//! Least squares through independent means, with errors that come from the spread of members and not from distances to the curve.
//!
//! With regressors `X`, weights `Omega` and values `y` the coefficients are `W y`, `W = (X^T Omega X)^-1 X^T Omega`. Since `W` is a fixed map, coefficient
//! `k` has the variance `sum_i W_ki^2 s_i^2` whatever the weights are, and its degrees of freedom are those of Satterthwaite 1946 and Welch 1947,
//!
//! ```text
//! f = (sum_i W_ki^2 s_i^2)^2 / sum_i (W_ki^2 s_i^2)^2 / f_i
//! ```
//!
//! That holds for weights that do not know the values. The inverse `s_i^2` of few members do: where members happen to be close the mean is far off as
//! often, and is weighed more. Weights here are counts of members over a variance that all widths share in.

use faer::Mat;
use faer::linalg::solvers::Solve;

use crate::{Estimate, StudentEstimate};

/// An equation `sum_k regressors_k coefficient_k = value`.
#[derive(Debug, Clone)]
pub(crate) struct Equation<const TERMS: usize> {
    pub(crate) regressors: [f64; TERMS],
    pub(crate) value: f64,
    /// `s_i^2`, the variance of the value.
    pub(crate) variance: f64,
    /// `f_i`, the degrees of freedom of that variance; infinite where it is known.
    pub(crate) freedom: f64,
    pub(crate) weight: f64,
}

/// The coefficients. `None` where the equations do not determine them.
pub(crate) fn solve<const TERMS: usize>(equations: &[Equation<TERMS>]) -> Option<[StudentEstimate; TERMS]> {
    let root = |i: usize| equations[i].weight.sqrt();
    let weighted = Mat::from_fn(equations.len(), TERMS, |i, k| root(i) * equations[i].regressors[k]);
    let normal = weighted.transpose() * &weighted;
    let map = normal.partial_piv_lu().solve(weighted.transpose());
    let coefficient = |k: usize| {
        let (mut value, mut variance, mut spread) = (0.0, 0.0, 0.0);
        for (i, equation) in equations.iter().enumerate() {
            let factor = map[(k, i)] * root(i);
            let share = factor * factor * equation.variance;
            value += factor * equation.value;
            variance += share;
            spread += share * share / equation.freedom;
        }
        let estimate = Estimate { value, std_error: variance.sqrt() };
        StudentEstimate { estimate, freedom: if spread > 0.0 { variance * variance / spread } else { f64::INFINITY } }
    };
    let found = std::array::from_fn(coefficient);
    let is_finite = |found: &StudentEstimate| found.estimate.value.is_finite() && found.estimate.std_error.is_finite();
    found.iter().all(is_finite).then_some(found)
}

#[cfg(test)]
mod tests {
    use widthwise_testing::{assert_near, round_off};

    use super::*;

    fn equation(x: f64, value: f64, variance: f64, freedom: f64, weight: f64) -> Equation<2> {
        Equation { regressors: [1.0, x], value, variance, freedom, weight }
    }

    #[test]
    fn the_line_is_that_of_the_normal_equations() {
        // By hand: x = 0, 1, 3, y = 1, 0, 4 of equal weights; slope 8/7, intercept 1/7.
        let points = [(0.0, 1.0), (1.0, 0.0), (3.0, 4.0)].map(|(x, y)| equation(x, y, 1.0, 9.0, 2.5));
        let [intercept, slope] = solve(&points).unwrap();
        assert_near(slope.estimate.value, 8.0 / 7.0, round_off(16));
        assert_near(intercept.estimate.value, 1.0 / 7.0, round_off(16));
        // Slope: factors (x - 4/3) / (14/3), of which the squares add up to 3/14.
        assert_near(slope.estimate.std_error, (3.0_f64 / 14.0).sqrt(), round_off(16));
    }

    #[test]
    fn degrees_of_freedom_are_welchs() {
        // Two points: the slope is a difference, and Welch's formula for two means applies.
        let points = [equation(0.0, 1.0, 0.5, 9.0, 1.0), equation(1.0, 3.0, 2.0, 4.0, 7.0)];
        let [_, slope] = solve(&points).unwrap();
        assert_near(slope.estimate.std_error, 2.5_f64.sqrt(), round_off(32));
        assert_near(slope.freedom, 2.5 * 2.5 / (0.25 / 9.0 + 4.0 / 4.0), 10.0 * round_off(32));
        // A variance that is known adds to the error and takes nothing from the degrees of freedom.
        let known = [equation(0.0, 1.0, 0.5, f64::INFINITY, 1.0), points[1].clone()];
        assert_near(solve(&known).unwrap()[1].freedom, 2.5 * 2.5 / (4.0 / 4.0), 10.0 * round_off(32));
        let exact = points.map(|point| Equation { variance: 0.0, ..point });
        assert_eq!(solve(&exact).unwrap()[1].freedom, f64::INFINITY);
    }

    #[test]
    fn weights_move_the_line_and_too_few_points_give_none() {
        // The outer two weigh a million times more than the middle: the line is theirs.
        let weights = [1e6, 1.0, 1e6];
        let points: Vec<_> = [(0.0, 1.0), (1.0, 9.0), (2.0, 3.0)]
            .iter()
            .zip(weights)
            .map(|(&(x, y), w)| equation(x, y, 1.0, 9.0, w))
            .collect();
        assert_near(solve(&points).unwrap()[0].estimate.value, 1.0, 1e-5);
        assert!(solve(&points[..1]).is_none());
    }
}
