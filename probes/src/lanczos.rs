//! Lanczos iteration with full reorthogonalization, for symmetric maps of vectors.
//!
//! Lanczos 1950; Golub and Van Loan, Matrix Computations, 4th edition, chapter 10. The eigenvalues of the projected
//! matrix lie within the spectrum: the largest converge within a few tens of steps, the smallest is an upper bound that
//! is loose where small eigenvalues crowd.

use faer::{Mat, Side};

/// What is left of a vector below this share of the largest image is rounding: the basis spans an invariant space.
const ROUNDING: f64 = 1e-12;

/// A Krylov basis and the matrix projected onto it.
#[derive(Debug, Clone)]
pub struct Lanczos {
    basis: Vec<Vec<f64>>,
    diagonal: Vec<f64>,
    beside: Vec<f64>,
    next: Vec<f64>,
    scale: f64,
}

/// An eigenvalue with its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigenpair {
    /// The eigenvalue.
    pub value: f64,
    /// The eigenvector, of length one.
    pub vector: Vec<f64>,
    /// `|A v - value v|`, an upper bound of the distance to the nearest eigenvalue.
    pub residual: f64,
}

impl Lanczos {
    /// Starts from a vector, which should have a part along every eigenvector.
    pub fn new(start: Vec<f64>) -> Self {
        Self { basis: Vec::new(), diagonal: Vec::new(), beside: Vec::new(), next: start, scale: 0.0 }
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.diagonal.len()
    }

    /// Takes one step with the map `multiply`; `false` if the space is exhausted and nothing was done.
    ///
    /// # Errors
    /// Those of `multiply`.
    pub fn step<E>(&mut self, multiply: impl FnOnce(&[f64]) -> Result<Vec<f64>, E>) -> Result<bool, E> {
        let length = norm(&self.next);
        if self.steps() == self.next.len() || length <= ROUNDING * self.scale || length == 0.0 {
            return Ok(false);
        }
        let vector: Vec<f64> = self.next.iter().map(|value| value / length).collect();
        let mut image = multiply(&vector)?;
        if !self.basis.is_empty() {
            self.beside.push(length);
        }
        self.diagonal.push(dot(&image, &vector));
        self.scale = self.scale.max(norm(&image));
        self.basis.push(vector);
        for _ in 0..2 {
            for vector in &self.basis {
                let share = dot(&image, vector);
                image.iter_mut().zip(vector).for_each(|(value, along)| *value -= share * along);
            }
        }
        self.next = image;
        Ok(true)
    }

    fn projected(&self) -> Mat<f64> {
        let steps = self.steps();
        Mat::from_fn(steps, steps, |i, j| match i.abs_diff(j) {
            0 => self.diagonal[i],
            1 => self.beside[i.min(j)],
            _ => 0.0,
        })
    }

    /// Smallest and largest eigenvalue of the projected matrix.
    pub fn extremes(&self) -> Option<[f64; 2]> {
        let found = self.projected().self_adjoint_eigenvalues(Side::Lower).unwrap_or_default();
        Some([*found.first()?, *found.last()?])
    }

    /// Estimates of the residual norms of the `count` largest eigenpairs: `|beta e_m . y|`.
    pub fn residuals(&self, count: usize) -> Vec<f64> {
        let Ok(found) = self.projected().self_adjoint_eigen(Side::Lower) else { return Vec::new() };
        let (steps, last) = (self.steps(), norm(&self.next));
        (0..count.min(steps)).map(|k| last * found.U()[(steps - 1, steps - 1 - k)].abs()).collect()
    }

    /// The `count` largest eigenpairs, largest first, with the estimates of their residuals.
    pub fn largest(&self, count: usize) -> Vec<Eigenpair> {
        let Ok(found) = self.projected().self_adjoint_eigen(Side::Lower) else { return Vec::new() };
        let (steps, last) = (self.steps(), norm(&self.next));
        let pair = |k: usize| {
            let column = steps - 1 - k;
            let mut vector = vec![0.0; self.next.len()];
            for (step, along) in self.basis.iter().enumerate() {
                let share = found.U()[(step, column)];
                vector.iter_mut().zip(along).for_each(|(value, along)| *value += share * along);
            }
            let residual = last * found.U()[(steps - 1, column)].abs();
            Eigenpair { value: found.S()[column], vector, residual }
        };
        (0..count.min(steps)).map(pair).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn matrix() -> Mat<f64> {
        Mat::from_fn(60, 60, |i, j| {
            (-((i as f64 - j as f64) / 8.0).powi(2)).exp() * (1.0 + i as f64) * (1.0 + j as f64)
        })
    }

    fn image(matrix: &Mat<f64>, vector: &[f64]) -> Vec<f64> {
        (0..matrix.nrows()).map(|i| (0..matrix.ncols()).map(|j| matrix[(i, j)] * vector[j]).sum()).collect()
    }

    #[test]
    fn eigenpairs_are_those_of_the_dense_decomposition() {
        let matrix = matrix();
        let mut lanczos = Lanczos::new((0..60).map(|i| 1.0 + (i as f64).sin()).collect());
        while lanczos.steps() < 45 && lanczos.step(|v| Ok::<_, Infallible>(image(&matrix, v))).unwrap() {}
        let all = matrix.self_adjoint_eigen(Side::Lower).unwrap();
        let largest = all.S()[59];
        // The round-off of sixty additions at the size of the largest eigenvalue.
        let bound = 60.0 * 4.0 * f64::EPSILON * largest;
        for (k, pair) in lanczos.largest(5).iter().enumerate() {
            assert!((pair.value - all.S()[59 - k]).abs() <= bound, "{k}: {} against {}", pair.value, all.S()[59 - k]);
            let defect: f64 = image(&matrix, &pair.vector)
                .iter()
                .zip(&pair.vector)
                .map(|(image, v)| (image - pair.value * v).powi(2))
                .sum::<f64>()
                .sqrt();
            assert!((defect - pair.residual).abs() <= bound, "{k}: {defect:e} against {:e}", pair.residual);
            assert_eq!(lanczos.residuals(5)[k], pair.residual);
        }
    }

    #[test]
    fn an_invariant_space_ends_the_iteration() {
        let mut lanczos = Lanczos::new(vec![1.0, 1.0, 0.0]);
        let twice = |v: &[f64]| Ok::<_, Infallible>(v.iter().map(|x| 2.0 * x).collect());
        assert!(lanczos.step(twice).unwrap());
        assert!(!lanczos.step(twice).unwrap());
        let [smallest, largest] = lanczos.extremes().unwrap();
        assert!((smallest - 2.0).abs() < 8.0 * f64::EPSILON && smallest == largest);
    }
}
