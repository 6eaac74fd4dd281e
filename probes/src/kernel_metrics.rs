//! Numbers read off kernel matrices along training: alignment of two kernels, effective rank, overlap with targets, velocity.

use faer::Mat;

use crate::matrix::{inner_product, relative_distance};

/// Centred kernel alignment `<H A H, H B H> / (|H A H| |H B H|)`, `H = I - 1 1^T / N`: 1 for kernels that are equal up to a
/// factor and to functions of one example alone (Cortes, Mohri and Rostamizadeh 2012, 1203.0550; as CKA, Kornblith et al. 2019,
/// 1905.00414). Not a number if a centred kernel vanishes.
///
/// # Shapes
/// `a`, `b`: `N x N`, symmetric.
pub fn centred_alignment(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    let (a, b) = (centred(a), centred(b));
    inner_product(&a, &b) / (inner_product(&a, &a) * inner_product(&b, &b)).sqrt()
}

/// `H K H`.
fn centred(kernel: &Mat<f64>) -> Mat<f64> {
    let n = kernel.nrows();
    let means: Vec<f64> = (0..n).map(|j| (0..n).map(|i| kernel[(i, j)]).sum::<f64>() / n as f64).collect();
    let mean = means.iter().sum::<f64>() / n as f64;
    Mat::from_fn(n, n, |i, j| kernel[(i, j)] - means[i] - means[j] + mean)
}

/// Effective rank: `exp(-sum_i p_i ln p_i)` with `p_i` the eigenvalues over their sum, from 1 to N (Roy and Vetterli 2007).
/// Eigenvalues below zero, which are round-off in a positive semi-definite kernel, count as zero. Not a number without a
/// positive one.
pub fn effective_rank(eigenvalues: &[f64]) -> f64 {
    let positive = || eigenvalues.iter().copied().filter(|value| *value > 0.0);
    let total: f64 = positive().sum();
    let entropy: f64 = positive().map(|value| value / total).map(|p| -p * p.ln()).sum();
    if total > 0.0 { entropy.exp() } else { f64::NAN }
}

/// Share of the targets that lies in the span of the O leading eigenvectors of the kernel, `sum_{k <= O} |v_k^T Y|^2 / |Y|^2`,
/// with O the number of outputs, the columns of Y: from 0 to 1, and 1 where the leading eigenvectors span the targets. Not a
/// number if all targets are 0.
///
/// # Shapes
/// `leading`: `N x O`, the eigenvectors of the largest eigenvalues, as [`KernelSummary::with_leading`](crate::KernelSummary::with_leading)
/// has them; `targets`: `N x O`.
pub fn label_overlap(leading: &Mat<f64>, targets: &Mat<f64>) -> f64 {
    let projected = leading.transpose() * targets;
    inner_product(&projected, &projected) / inner_product(targets, targets)
}

/// The share of every layer in the trace of the empirical NTK, from the layers' kernels; the shares add up to 1.
///
/// # Shapes
/// `by_layer`: one `N x N` a layer.
pub fn trace_shares(by_layer: &[Mat<f64>]) -> Vec<f64> {
    let trace = |kernel: &Mat<f64>| (0..kernel.nrows()).map(|i| kernel[(i, i)]).sum::<f64>();
    let traces: Vec<f64> = by_layer.iter().map(trace).collect();
    let total: f64 = traces.iter().sum();
    traces.into_iter().map(|trace| trace / total).collect()
}

/// Relative change of the kernel in one step, on average over the `steps` steps from `earlier` to `kernel`:
/// `|Theta_t - Theta_s| / |Theta_s| / (t - s)`, Frobenius norms.
pub fn velocity(kernel: &Mat<f64>, earlier: &Mat<f64>, steps: u64) -> f64 {
    relative_distance(kernel, earlier) / steps as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::KernelSummary;

    /// Symmetric, positive definite, of no particular structure.
    fn kernel(shift: f64) -> Mat<f64> {
        let factor = Mat::from_fn(5, 5, |i, j| ((i * 7 + j * 3) as f64 * 1.3 + shift).sin());
        &factor * factor.transpose()
    }

    #[test]
    fn alignment_is_that_of_the_kernels_multiplied_by_the_projector() {
        let (a, b) = (kernel(0.0), kernel(1.0));
        let projector = Mat::from_fn(5, 5, |i, j| f64::from(u8::from(i == j)) - 0.2);
        let (ca, cb) = (&projector * &a * &projector, &projector * &b * &projector);
        let trace = |x: &Mat<f64>, y: &Mat<f64>| {
            let product = x * y;
            (0..5).map(|i| product[(i, i)]).sum::<f64>()
        };
        let expected = trace(&ca, &cb) / (trace(&ca, &ca) * trace(&cb, &cb)).sqrt();
        assert!((centred_alignment(&a, &b) - expected).abs() < 100.0 * f64::EPSILON);
        assert!(expected < 0.99, "kernels that differ");
        // A factor, and what depends on one example alone, do not matter.
        let shifted = Mat::from_fn(5, 5, |i, j| 3.0 * a[(i, j)] + (i as f64).cos() + (j as f64).cos());
        assert!((centred_alignment(&a, &shifted) - 1.0).abs() < 1e3 * f64::EPSILON);
        assert!(centred_alignment(&a, &Mat::from_fn(5, 5, |_, _| 0.0)).is_nan());
    }

    #[test]
    fn effective_rank_of_known_spectra() {
        assert!((effective_rank(&[2.0; 4]) - 4.0).abs() < 16.0 * f64::EPSILON);
        assert_eq!(effective_rank(&[5.0, 0.0, -1e-18]), 1.0);
        // p = 1/2, 1/4, 1/4: entropy 3/2 ln 2.
        assert!((effective_rank(&[2.0, 1.0, 1.0]) - 8.0_f64.sqrt()).abs() < 16.0 * f64::EPSILON);
        assert!(effective_rank(&[0.0]).is_nan());
    }

    #[test]
    fn label_overlap_is_the_norm_of_a_projection() {
        // Eigenvectors (1, 1, 0), (1, -1, 0), (0, 0, 1) over their norms, eigenvalues 3, 1, 2.
        let kernel = Mat::from_fn(3, 3, |i, j| [[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 2.0]][i][j]);
        let one = Mat::from_fn(3, 1, |i, _| [3.0, 1.0, 2.0][i]);
        // (3 + 1)^2 / 2 of 14.
        let label_overlap = |targets: &Mat<f64>| {
            let (_, leading) = KernelSummary::with_leading(&kernel, targets.ncols());
            label_overlap(&leading.unwrap(), targets)
        };
        assert!((label_overlap(&one) - 8.0 / 14.0).abs() < 32.0 * f64::EPSILON);
        // Two outputs: only the part along (1, -1, 0) is left out, (3 - 1)^2 / 2 of 14 + 4.
        let two = Mat::from_fn(3, 2, |i, o| if o == 0 { one[(i, 0)] } else { [0.0, 0.0, 2.0][i] });
        assert!((label_overlap(&two) - 16.0 / 18.0).abs() < 32.0 * f64::EPSILON);
        assert!(label_overlap(&Mat::zeros(3, 1)).is_nan());
    }

    #[test]
    fn velocity_is_a_change_per_step() {
        let (before, after) =
            (Mat::from_fn(2, 2, |i, j| (i + j) as f64), Mat::from_fn(2, 2, |i, j| 1.5 * (i + j) as f64));
        assert_eq!(velocity(&after, &before, 4), 0.125);
    }
}
