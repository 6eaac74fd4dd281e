//! The mean of kernels of finite networks next to a prediction.

use faer::Mat;
use serde::Serialize;

use crate::monte_carlo::Sampled;

/// One kernel next to its prediction.
#[derive(Debug, Serialize)]
pub struct SampledComparison {
    /// Its name.
    pub kernel: &'static str,
    /// Networks drawn.
    pub members: usize,
    /// Mean of the diagonal.
    pub mean_diagonal: f64,
    /// Mean of the standard errors of the diagonal.
    pub std_error_of_mean_diagonal_entries: f64,
    /// Mean of the diagonal as predicted.
    pub predicted_mean_diagonal: Option<f64>,
    /// Largest `|mean - predicted| / std_error` over distinct entries.
    pub largest_z: Option<f64>,
    /// Distinct entries.
    pub entries: usize,
}

impl SampledComparison {
    /// Of a kernel sampled over `members` networks, and what is predicted for it.
    pub fn new(kernel: &'static str, members: usize, found: &Sampled, predicted: Option<&Mat<f64>>) -> Self {
        let n = found.mean.nrows();
        let mean_diagonal = |matrix: &Mat<f64>| (0..n).map(|i| matrix[(i, i)]).sum::<f64>() / n as f64;
        let distinct = || (0..n).flat_map(|j| (0..=j).map(move |i| (i, j)));
        let largest_z = predicted.map(|predicted| {
            distinct().fold(0.0_f64, |largest, entry| {
                // A normalized state does not fluctuate: what differs there is round-off.
                let error = found.standard_error[entry].hypot(16.0 * f64::EPSILON * predicted[entry]);
                largest.max((found.mean[entry] - predicted[entry]).abs() / error)
            })
        });
        Self {
            kernel,
            members,
            mean_diagonal: mean_diagonal(&found.mean),
            std_error_of_mean_diagonal_entries: mean_diagonal(&found.standard_error),
            predicted_mean_diagonal: predicted.map(mean_diagonal),
            largest_z,
            entries: distinct().count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_compared_entry_by_entry() {
        let found = Sampled {
            mean: Mat::from_fn(2, 2, |i, j| if i == j { 2.0 } else { 1.3 }),
            standard_error: Mat::from_fn(2, 2, |_, _| 0.1),
        };
        let predicted = Mat::from_fn(2, 2, |i, j| if i == j { 2.1 } else { 1.0 });
        let compared = SampledComparison::new("ntk", 9, &found, Some(&predicted));
        assert!((compared.largest_z.unwrap() - 3.0).abs() < 1e-12, "{compared:?}");
        assert_eq!((compared.entries, compared.members, compared.mean_diagonal), (3, 9, 2.0));
        assert_eq!(SampledComparison::new("ntk", 9, &found, None).largest_z, None);
    }
}
