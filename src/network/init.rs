//! Initial weights of one layer.

use faer::Mat;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use widthwise_theory::architecture::{InitScheme, Scaling, WeightLayer};

/// Whether biases are drawn.
pub(super) fn has_bias(scheme: InitScheme, scaling: &Scaling) -> bool {
    scheme == InitScheme::Pytorch || scaling.bias_variance > 0.0
}

/// Weights, inputs times gates in rows and output units in columns, and biases.
pub(super) fn draw(
    scheme: InitScheme,
    layer: &WeightLayer,
    scaling: &Scaling,
    random: &mut impl Rng,
) -> (Vec<f64>, Option<Vec<f64>>) {
    let fan_in = layer.fan_in * layer.branches;
    let count = fan_in * layer.width;
    let has_bias = has_bias(scheme, scaling);
    let mut normal = |count: usize, variance: f64| -> Vec<f64> {
        let sigma = variance.sqrt();
        (0..count)
            .map(|_| {
                let draw: f64 = StandardNormal.sample(random);
                sigma * draw
            })
            .collect()
    };
    match scheme {
        InitScheme::Gaussian => {
            let weight = normal(count, scaling.weight_variance);
            let bias = has_bias.then(|| normal(layer.width, scaling.bias_variance));
            (weight, bias)
        }
        InitScheme::Orthogonal => {
            let gaussian = normal(count, 1.0);
            let bias = has_bias.then(|| normal(layer.width, scaling.bias_variance));
            let entry = (scaling.weight_variance * fan_in.max(layer.width) as f64).sqrt();
            (semi_orthogonal(gaussian, fan_in, layer.width).into_iter().map(|w| entry * w).collect(), bias)
        }
        InitScheme::Pytorch => {
            let bound = 1.0 / (fan_in as f64).sqrt();
            let mut uniform =
                |count: usize| -> Vec<f64> { (0..count).map(|_| random.random_range(-bound..bound)).collect() };
            let weight = uniform(count);
            (weight, Some(uniform(layer.width)))
        }
    }
}

/// Haar-distributed `rows x columns` matrix with orthonormal rows or columns, whichever are fewer: the Q of a Gaussian
/// matrix with the signs of R's diagonal taken out (Mezzadri 2007, math-ph/0609050).
fn semi_orthogonal(gaussian: Vec<f64>, rows: usize, columns: usize) -> Vec<f64> {
    let (tall, wide) = (rows.max(columns), rows.min(columns));
    let matrix = Mat::from_fn(tall, wide, |i, j| gaussian[i * wide + j]);
    let qr = matrix.qr();
    let (q, r) = (qr.compute_thin_Q(), qr.thin_R());
    let signed = |i: usize, j: usize| if r[(j, j)] < 0.0 { -q[(i, j)] } else { q[(i, j)] };
    let entry = |i: usize, j: usize| if rows >= columns { signed(i, j) } else { signed(j, i) };
    (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))).map(|(i, j)| entry(i, j)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semi_orthogonal_matrices_have_orthonormal_short_sides() {
        let mut random = widthwise_datasets::stream(3, "test");
        for (rows, columns) in [(5, 5), (7, 3), (3, 7)] {
            let gaussian = (0..rows * columns).map(|_| StandardNormal.sample(&mut random)).collect();
            let w = semi_orthogonal(gaussian, rows, columns);
            let w = Mat::from_fn(rows, columns, |i, j| w[i * columns + j]);
            let gram = if rows >= columns { w.transpose() * &w } else { &w * w.transpose() };
            for i in 0..gram.nrows() {
                for j in 0..gram.ncols() {
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((gram[(i, j)] - expected).abs() < 100.0 * f64::EPSILON, "{rows}x{columns}");
                }
            }
        }
    }
}
