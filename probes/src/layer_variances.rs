//! The variances of a layer's weights and biases, as its pre-activations show them.
//!
//! Before training, and given the inputs `X` of a layer, one row of `F` numbers an example, its units are independent Gaussian vectors over
//! the examples, of covariance `s_w X X^T + s_b 1 1^T` (Lee et al. 2018, 1711.00165, before any limit is taken): `s_w` and `s_b` are the variances of its
//! weights and biases, gains included. That holds at every width and depth, and for every network in front of the layer. So
//!
//! - with `P` the projection off the constant vector (the identity without biases) and `P X X^T P = U diag(lambda) U^T`, the numbers `u_k . z / sqrt(lambda_k)`
//!   are independent of variance `s_w`: the mean of their squares over the `K` positive `lambda_k` and all `n` units is `s_w` times a
//!   chi-squared number of `n K` degrees of freedom over that number;
//! - with `a` in the direction of `(s_w X X^T + s_b 1 1^T)^-1 1` and `a . 1 = 1`, the numbers `a . z` are independent of all those, of variance
//!   `s_b + s_w a^T X X^T a`: less its second part, the mean of their squares is `s_b`, and its law is that of `n` degrees of freedom.

use burn::tensor::Tensor;
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use widthwise_tensors::to_f64;

use crate::observed::{LayerGeometry, Observed};

/// Input rows that are read: enough degrees of freedom for any width, at the cost of a decomposition of that size.
const ROWS: usize = 64;

/// Numbers in the input rows of a layer at all positions up to which examples are worth their memory.
const NUMBERS: usize = 1 << 22;

/// Smallest eigenvalue that counts, in units of the largest: below, pre-activations in `f32` are round-off.
const SMALLEST: f64 = 1e-6;

/// Shift of the system for the direction of the biases, in units of its mean diagonal entry. Any direction serves; this one has to be solved for.
const RIDGE: f64 = 1e-10;

/// A variance found from Gaussian numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VarianceEstimate {
    /// The variance; an unbiased estimate, which may be negative for a bias.
    pub value: f64,
    /// Its standard deviation over the layer's weights, if their variances are those that the network was drawn with.
    pub std_error: f64,
    /// Degrees of freedom of the chi-squared law whose shape it has.
    pub freedom: f64,
}

/// What the pre-activations of one layer say about its weights.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LayerVariances {
    /// `F s_w`, F the numbers in an input row; `None` where all inputs are zero, or all are the same and there are biases.
    pub weight: Option<VarianceEstimate>,
    /// `s_b`; `None` also in a layer without biases.
    pub bias: Option<VarianceEstimate>,
}

/// How many examples [`layer_variances`] has use for in this layer: one at least, and few of large images.
pub fn examples_for_variances(geometry: &LayerGeometry) -> usize {
    (NUMBERS / (geometry.positions * geometry.fan_in).max(1)).clamp(1, ROWS)
}

/// The variances of the weights and biases of `layer`, from input rows spread evenly over all examples and positions: a convolution has the
/// same weights at each.
///
/// The standard errors are those of independent Gaussian weights before training.
pub fn layer_variances(network: &impl Observed, layer: usize) -> LayerVariances {
    let geometry = network.geometry(layer);
    let all = network.examples() * geometry.positions;
    let count = all.min(ROWS);
    let read = |tensor: Tensor<3>, columns: usize| {
        let tensor = tensor.reshape([all, columns]);
        let chosen = (0..count).map(|i| tensor.clone().narrow(0, i * all / count, 1)).collect();
        let numbers = to_f64(Tensor::cat(chosen, 0));
        Mat::from_fn(count, columns, |i, j| numbers[i * columns + j])
    };
    let rows = read(network.rows(layer), geometry.fan_in);
    let z = read(network.preactivations(layer), geometry.units);
    of_rows(&rows, &z, [geometry.weight_signal, geometry.bias_signal])
}

/// From input rows `N x F` and pre-activations `N x n`; `signals` are the variances that the layer was drawn with, gains included, by which errors and
/// the direction of the biases are chosen, but not what is found.
fn of_rows(rows: &Mat<f64>, z: &Mat<f64>, [s_w, s_b]: [f64; 2]) -> LayerVariances {
    let (examples, units, fan_in) = (z.nrows(), z.ncols() as f64, rows.ncols() as f64);
    let gram = rows * rows.transpose();
    let (centred_gram, centred) = if s_b > 0.0 {
        (centred_columns(&centred_columns(&gram).transpose().to_owned()), centred_columns(z))
    } else {
        (gram.clone(), z.clone())
    };
    let Ok(decomposed) = centred_gram.self_adjoint_eigen(Side::Lower) else { return LayerVariances::default() };
    let largest = decomposed.S()[examples - 1];
    let kept: Vec<usize> =
        (0..examples).filter(|&k| decomposed.S()[k] > SMALLEST * largest.max(f64::MIN_POSITIVE)).collect();
    if kept.is_empty() {
        return LayerVariances::default();
    }
    let projected = decomposed.U().transpose() * &centred;
    let squares = |k: usize| projected.row(k).iter().map(|entry| entry * entry).sum::<f64>() / decomposed.S()[k];
    let freedom = units * kept.len() as f64;
    let found = kept.iter().map(|&k| squares(k)).sum::<f64>() / freedom;
    let error = s_w * (2.0 / freedom).sqrt();
    let weight = VarianceEstimate { value: fan_in * found, std_error: fan_in * error, freedom };
    let bias = (s_b > 0.0).then(|| {
        let direction = bias_direction(&gram, [s_w, s_b]);
        let along = direction.transpose() * z;
        let of_weights = (direction.transpose() * &gram * &direction)[(0, 0)];
        let mean_square = along.row(0).iter().map(|entry| entry * entry).sum::<f64>() / units;
        VarianceEstimate {
            value: mean_square - of_weights * found,
            std_error: ((s_b + s_w * of_weights) * (2.0 / units).sqrt()).hypot(of_weights * error),
            freedom: units,
        }
    });
    LayerVariances { weight: Some(weight), bias }
}

/// `a` with `a . 1 = 1` that makes the variance of `a . z` smallest.
fn bias_direction(gram: &Mat<f64>, [s_w, s_b]: [f64; 2]) -> Mat<f64> {
    let examples = gram.nrows();
    let mean = (0..examples).map(|i| s_w * gram[(i, i)] + s_b).sum::<f64>() / examples as f64;
    let covariance =
        Mat::from_fn(examples, examples, |i, j| s_w * gram[(i, j)] + s_b + if i == j { RIDGE * mean } else { 0.0 });
    let solved = covariance.partial_piv_lu().solve(Mat::<f64>::from_fn(examples, 1, |_, _| 1.0));
    let sum: f64 = solved.col(0).iter().sum();
    Mat::from_fn(examples, 1, |i, _| solved[(i, 0)] / sum)
}

/// Every column less its mean.
fn centred_columns(matrix: &Mat<f64>) -> Mat<f64> {
    let means: Vec<f64> =
        (0..matrix.ncols()).map(|j| matrix.col(j).iter().sum::<f64>() / matrix.nrows() as f64).collect();
    Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| matrix[(i, j)] - means[j])
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// Pre-activations of a layer with these variances on `rows`.
    fn drawn(rows: &Mat<f64>, units: usize, [s_w, s_b]: [f64; 2], random: &mut ChaCha8Rng) -> Mat<f64> {
        let mut normal = |variance: f64| {
            let value: f64 = StandardNormal.sample(random);
            variance.sqrt() * value
        };
        let weights = Mat::from_fn(rows.ncols(), units, |_, _| normal(s_w));
        let biases: Vec<f64> = (0..units).map(|_| normal(s_b)).collect();
        let product = rows * &weights;
        Mat::from_fn(rows.nrows(), units, |i, j| product[(i, j)] + biases[j])
    }

    fn inputs(examples: usize, fan_in: usize, random: &mut ChaCha8Rng) -> Mat<f64> {
        // As images are: far from centred, and correlated.
        Mat::from_fn(examples, fan_in, |i, j| {
            let value: f64 = StandardNormal.sample(random);
            1.0 + (j % 3) as f64 + 0.5 * value + 0.1 * i as f64
        })
    }

    /// Over many draws the mean is the variance and the spread the standard error that is stated, with more examples than inputs and with fewer, and
    /// whatever variances the errors are chosen by.
    #[test]
    fn means_and_errors_are_those_of_many_layers() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        for (examples, fan_in, units) in [(12, 30, 5), (30, 12, 5), (2, 3, 40)] {
            let rows = inputs(examples, fan_in, &mut random);
            let (truth, draws) = ([0.2, 0.7], 3000);
            let found: Vec<LayerVariances> =
                (0..draws).map(|_| of_rows(&rows, &drawn(&rows, units, truth, &mut random), truth)).collect();
            for (of, expected) in [
                (|found: &LayerVariances| found.weight.unwrap(), 0.2 * fan_in as f64),
                (|found: &LayerVariances| found.bias.unwrap(), 0.7),
            ] as [(fn(&LayerVariances) -> VarianceEstimate, f64); 2]
            {
                let values: Vec<f64> = found.iter().map(|found| of(found).value).collect();
                let mean = values.iter().sum::<f64>() / draws as f64;
                let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (draws - 1) as f64;
                let VarianceEstimate { std_error, freedom, .. } = of(&found[0]);
                let z = (mean - expected) / (std_error / (draws as f64).sqrt());
                assert!(z.abs() < 4.0, "{examples} examples of {fan_in}: {mean} for {expected}, {z} errors off");
                // A sample variance of a number with the kurtosis 3 + 12 / freedom.
                let of_variance = ((2.0 + 12.0 / freedom) / draws as f64).sqrt();
                let z = (variance / std_error.powi(2) - 1.0) / of_variance;
                assert!(z.abs() < 4.0, "{examples} examples of {fan_in}: the spread is {z} errors off");
            }
        }
    }

    /// Chosen by other variances the estimates stay unbiased: what is measured is the network's, not what was expected of it.
    #[test]
    fn expected_variances_do_not_leak_into_what_is_found() {
        let mut random = ChaCha8Rng::seed_from_u64(6);
        let rows = inputs(10, 20, &mut random);
        let draws = 2000;
        let found: Vec<[f64; 2]> = (0..draws)
            .map(|_| {
                let z = drawn(&rows, 8, [0.3, 0.5], &mut random);
                let found = of_rows(&rows, &z, [0.1, 2.0]);
                [found.weight.unwrap().value / 20.0, found.bias.unwrap().value]
            })
            .collect();
        for (index, expected) in [0.3, 0.5].into_iter().enumerate() {
            let mean = found.iter().map(|found| found[index]).sum::<f64>() / draws as f64;
            let squares = found.iter().map(|found| (found[index] - mean).powi(2)).sum::<f64>();
            let error = squares.sqrt() / draws as f64;
            assert!((mean - expected).abs() < 4.0 * error, "{mean} for {expected} with an error of {error}");
        }
    }

    #[test]
    fn degrees_of_freedom_are_units_times_directions() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        for (examples, fan_in, s_b, directions) in [(6, 9, 0.0, 6), (6, 9, 0.5, 5), (9, 4, 0.0, 4), (9, 4, 0.5, 4)] {
            let rows = inputs(examples, fan_in, &mut random);
            let z = drawn(&rows, 7, [0.2, s_b], &mut random);
            let found = of_rows(&rows, &z, [0.2, s_b]);
            assert_eq!(found.weight.unwrap().freedom, 7.0 * f64::from(directions), "{examples} x {fan_in}, {s_b}");
            assert_eq!(found.bias.map(|bias| bias.freedom), (s_b > 0.0).then_some(7.0));
        }
    }

    #[test]
    fn inputs_that_say_nothing_have_no_variance() {
        let z = Mat::from_fn(4, 3, |i, j| (i + j) as f64);
        let zero = Mat::<f64>::zeros(4, 5);
        assert_eq!(of_rows(&zero, &z, [0.2, 0.0]), LayerVariances::default());
        let same = Mat::from_fn(4, 5, |_, j| j as f64);
        assert_eq!(of_rows(&same, &z, [0.2, 0.5]), LayerVariances::default());
        assert_eq!(of_rows(&zero, &z, [0.2, 0.5]), LayerVariances::default());
    }

    /// By hand: one example `x = (3, 4)`, no bias, `z = (10, 5)`: `s_w = (10^2 + 5^2) / 25 / 2`, and the layer's `F s_w` twice that.
    #[test]
    fn one_example_is_a_mean_of_squares() {
        let found = of_rows(&faer::mat![[3.0, 4.0]], &faer::mat![[10.0, 5.0]], [1.0, 0.0]).weight.unwrap();
        assert!((found.value - 5.0).abs() < 64.0 * f64::EPSILON, "{found:?}");
        assert_eq!(found.freedom, 2.0);
    }
}
