//! What is read off a symmetric kernel.

use faer::{Mat, Side};

/// Mean of the diagonal of a square matrix, and mean of what is off it; not a number where there is nothing.
pub fn mean_entries(kernel: &Mat<f64>) -> [f64; 2] {
    let n = kernel.nrows();
    let diagonal: f64 = (0..n).map(|i| kernel[(i, i)]).sum();
    let total: f64 = (0..n).flat_map(|j| (0..n).map(move |i| (i, j))).map(|(i, j)| kernel[(i, j)]).sum();
    [diagonal / n as f64, if n > 1 { (total - diagonal) / (n * (n - 1)) as f64 } else { f64::NAN }]
}

/// Scalars of one symmetric positive semi-definite kernel matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelSummary {
    /// Mean of the diagonal.
    pub mean_diagonal: f64,
    /// Mean of the entries off the diagonal.
    pub mean_off_diagonal: f64,
    /// Eigenvalues in descending order; empty if the decomposition failed.
    pub eigenvalues: Vec<f64>,
}

impl KernelSummary {
    /// Reads the summary off a kernel.
    pub fn new(kernel: &Mat<f64>) -> Self {
        let [mean_diagonal, mean_off_diagonal] = mean_entries(kernel);
        let mut eigenvalues = kernel.self_adjoint_eigenvalues(Side::Lower).unwrap_or_default();
        eigenvalues.reverse();
        Self { mean_diagonal, mean_off_diagonal, eigenvalues }
    }

    /// The same, and the `leading` eigenvectors of the largest eigenvalues, `N x leading`, from one decomposition; `None` if it failed.
    pub fn with_leading(kernel: &Mat<f64>, leading: usize) -> (Self, Option<Mat<f64>>) {
        let [mean_diagonal, mean_off_diagonal] = mean_entries(kernel);
        let (mut eigenvalues, mut vectors) = (Vec::new(), None);
        if let Ok(decomposed) = kernel.self_adjoint_eigen(Side::Lower) {
            // They ascend.
            let n = kernel.nrows();
            eigenvalues = (0..n).rev().map(|i| decomposed.S()[i]).collect();
            vectors = Some(decomposed.U().subcols(n - leading.min(n), leading.min(n)).to_owned());
        }
        (Self { mean_diagonal, mean_off_diagonal, eigenvalues }, vectors)
    }

    /// Largest over smallest eigenvalue; `None` when the smallest is lost in the round-off `N epsilon` of the largest, with
    /// `epsilon` that of the arithmetic which made the kernel.
    pub fn condition_number(&self, epsilon: f64) -> Option<f64> {
        let (first, last) = (self.eigenvalues.first()?, self.eigenvalues.last()?);
        (*last > epsilon * self.eigenvalues.len() as f64 * first).then(|| first / last)
    }
}

/// `<A, B>` over the entries.
pub fn inner_product(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    (0..a.ncols()).flat_map(|j| (0..a.nrows()).map(move |i| (i, j))).map(|(i, j)| a[(i, j)] * b[(i, j)]).sum()
}

/// `|A - B|_F / |B|_F`.
pub fn relative_distance(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    let difference = a - b;
    (inner_product(&difference, &difference) / inner_product(b, b)).sqrt()
}

/// Alignment of a kernel with the Gram of targets `Y`, `N x O`: `<Theta, Y Y^T> / (|Theta| |Y Y^T|)`
/// (Cristianini et al. 2001).
pub fn target_alignment(kernel: &Mat<f64>, targets: &Mat<f64>) -> f64 {
    let gram = targets * targets.transpose();
    inner_product(kernel, &gram) / (inner_product(kernel, kernel) * inner_product(&gram, &gram)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eigenvalues 3 and 1.
    fn kernel() -> Mat<f64> {
        Mat::from_fn(2, 2, |i, j| if i == j { 2.0 } else { 1.0 })
    }

    #[test]
    fn a_summary_is_that_of_the_matrix() {
        let summary = KernelSummary::new(&kernel());
        assert_eq!((summary.mean_diagonal, summary.mean_off_diagonal), (2.0, 1.0));
        for (found, expected) in summary.eigenvalues.iter().zip([3.0, 1.0]) {
            assert!((found - expected).abs() < 16.0 * f64::EPSILON);
        }
        assert!((summary.condition_number(f64::EPSILON).unwrap() - 3.0).abs() < 64.0 * f64::EPSILON);
    }

    #[test]
    fn leading_eigenvectors_belong_to_the_largest_eigenvalues() {
        let (summary, vectors) = KernelSummary::with_leading(&kernel(), 1);
        let vectors = vectors.unwrap();
        assert_eq!((summary.mean_diagonal, summary.mean_off_diagonal), (2.0, 1.0));
        for (found, expected) in summary.eigenvalues.iter().zip([3.0, 1.0]) {
            assert!((found - expected).abs() < 16.0 * f64::EPSILON);
        }
        let image = kernel() * &vectors;
        for i in 0..2 {
            assert!((image[(i, 0)] - 3.0 * vectors[(i, 0)]).abs() < 16.0 * f64::EPSILON);
        }
        assert!((inner_product(&vectors, &vectors) - 1.0).abs() < 16.0 * f64::EPSILON);
    }

    #[test]
    fn a_smallest_eigenvalue_below_round_off_gives_no_condition_number() {
        let nearly_singular = Mat::from_fn(2, 2, |i, j| if i == j { 1.0 + 1e-8 } else { 1.0 });
        let summary = KernelSummary::new(&nearly_singular);
        assert_eq!(summary.condition_number(f64::from(f32::EPSILON)), None);
        assert!(summary.condition_number(f64::EPSILON).is_some());
    }

    #[test]
    fn distance_and_alignment_by_hand() {
        let zero = Mat::zeros(2, 2);
        assert_eq!(relative_distance(&zero, &kernel()), 1.0);
        assert_eq!(inner_product(&kernel(), &kernel()), 10.0);
        // Y = (1, -1): <K, Y Y^T> = 2, |K| = sqrt 10, |Y Y^T| = 2.
        let targets = Mat::from_fn(2, 1, |i, _| if i == 0 { 1.0 } else { -1.0 });
        assert!((target_alignment(&kernel(), &targets) - 0.1_f64.sqrt()).abs() < 8.0 * f64::EPSILON);
    }
}
