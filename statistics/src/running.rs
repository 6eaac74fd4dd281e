//! Means of matrices that come one after the other and are not kept.

use faer::Mat;

/// A mean with its standard error, entry by entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// `N x N` (or `left x right`).
    pub mean: Mat<f64>,
    /// Of the mean; the same shape.
    pub standard_error: Mat<f64>,
}

/// Running mean and sum of squared deviations, entry by entry (Welford 1962). In the last place it differs from [`Deviations`](crate::Deviations),
/// which goes through the numbers twice.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningMean {
    count: f64,
    mean: Mat<f64>,
    squares: Mat<f64>,
}

impl RunningMean {
    /// Of no matrix yet, each `rows x columns`.
    pub fn new(rows: usize, columns: usize) -> Self {
        Self { count: 0.0, mean: Mat::zeros(rows, columns), squares: Mat::zeros(rows, columns) }
    }

    /// Takes one more.
    pub fn add(&mut self, value: &Mat<f64>) {
        self.count += 1.0;
        for j in 0..value.ncols() {
            for i in 0..value.nrows() {
                let before = value[(i, j)] - self.mean[(i, j)];
                self.mean[(i, j)] += before / self.count;
                self.squares[(i, j)] += before * (value[(i, j)] - self.mean[(i, j)]);
            }
        }
    }

    /// The mean of all; of fewer than two there is no standard error, and it is NaN.
    pub fn finish(self) -> Sampled {
        let scale = 1.0 / (self.count * (self.count - 1.0));
        let (rows, columns) = (self.mean.nrows(), self.mean.ncols());
        let standard_error = Mat::from_fn(rows, columns, |i, j| (self.squares[(i, j)] * scale).sqrt());
        Sampled { mean: self.mean, standard_error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_moments_are_those_of_the_values() {
        let values = [1.0, 4.0, -2.5, 7.0];
        let mut running = RunningMean::new(1, 1);
        values.iter().for_each(|&v| running.add(&Mat::from_fn(1, 1, |_, _| v)));
        let found = running.finish();
        let mean = values.iter().sum::<f64>() / 4.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 3.0;
        assert!((found.mean[(0, 0)] - mean).abs() < 1e-14);
        assert!((found.standard_error[(0, 0)] - (variance / 4.0).sqrt()).abs() < 1e-14);
    }
}
