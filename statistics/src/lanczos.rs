//! Lanczos iteration with full reorthogonalization, for symmetric maps of vectors.
//!
//! Lanczos 1950; Golub and Van Loan, Matrix Computations, 4th edition, chapter 10; thick restarts as in Wu and Simon 2000. The
//! eigenvalues of the projected matrix lie within the spectrum: the largest converge within a few tens of steps, the smallest is
//! an upper bound that is loose where small eigenvalues crowd.
//!
//! The space that grows from one vector holds one direction of every eigenspace, however many dimensions that has, and all of
//! its residuals are small: a repeated eigenvalue is found once. [`largest_eigenpairs`] therefore goes on from fresh random
//! vectors orthogonal to what it has until one of them brings nothing larger.

use faer::{Mat, Side};

/// What is left of a vector below this share of the largest image is rounding: the basis spans an invariant space.
const ROUNDING: f64 = 1e-12;

/// Steps between two decompositions of the projected matrix, whose decomposition is not free.
const STEPS_PER_CHECK: usize = 4;

/// Products after which a search gives up, in units of the vectors that it may hold.
const PRODUCTS_PER_VECTOR: usize = 50;

/// An orthonormal basis and the matrix projected onto it.
#[derive(Debug, Clone)]
pub struct Lanczos {
    basis: Vec<Vec<f64>>,
    /// The lower triangle, row by row.
    projected: Vec<Vec<f64>>,
    /// The next vector of the basis, of length one; empty if the basis spans an invariant space.
    next: Vec<f64>,
    /// Length of the part of the last image outside the basis, along `next`.
    outside: f64,
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
        let mut lanczos = Self { basis: Vec::new(), projected: Vec::new(), next: Vec::new(), outside: 0.0, scale: 0.0 };
        lanczos.go_on_from(start);
        lanczos
    }

    /// Vectors of the basis.
    pub fn steps(&self) -> usize {
        self.basis.len()
    }

    /// Takes one step with the map `multiply`; `false` if the space is exhausted and nothing was done.
    ///
    /// # Errors
    /// Those of `multiply`.
    pub fn step<E>(&mut self, multiply: impl FnOnce(&[f64]) -> Result<Vec<f64>, E>) -> Result<bool, E> {
        if self.next.is_empty() {
            return Ok(false);
        }
        let mut image = multiply(&self.next)?;
        self.scale = self.scale.max(norm(&image));
        self.basis.push(std::mem::take(&mut self.next));
        self.projected.push(take_out(&mut image, &self.basis));
        self.outside = norm(&image);
        if self.outside > ROUNDING * self.scale && self.steps() < image.len() {
            image.iter_mut().for_each(|value| *value /= self.outside);
            self.next = image;
        }
        Ok(true)
    }

    /// Goes on from the part of `start` outside the basis, in place of the last image.
    pub fn go_on_from(&mut self, mut start: Vec<f64>) {
        (self.next, self.outside) = (Vec::new(), 0.0);
        let before = norm(&start);
        take_out(&mut start, &self.basis);
        let length = norm(&start);
        if length > ROUNDING * before && self.steps() < start.len() {
            start.iter_mut().for_each(|value| *value /= length);
            self.next = start;
        }
    }

    /// Shrinks the basis to the eigenvectors of the `keep` largest eigenvalues of the projected matrix.
    pub fn restart(&mut self, keep: usize) {
        let steps = self.steps();
        let keep = keep.min(steps);
        let Some((values, vectors)) = self.decomposed() else { return };
        let size = self.basis.first().map_or(0, Vec::len);
        let mut turned = vec![0.0; keep];
        // In place, one coordinate at a time.
        for place in 0..size {
            turned.fill(0.0);
            for (step, along) in self.basis.iter().enumerate() {
                turned
                    .iter_mut()
                    .enumerate()
                    .for_each(|(k, sum)| *sum += along[place] * vectors[(step, steps - 1 - k)]);
            }
            self.basis.iter_mut().zip(&turned).for_each(|(vector, value)| vector[place] = *value);
        }
        self.basis.truncate(keep);
        self.projected = (0..keep)
            .map(|row| (0..=row).map(|k| if k == row { values[steps - 1 - k] } else { 0.0 }).collect())
            .collect();
    }

    /// Eigenvalues of the projected matrix, ascending, and its eigenvectors.
    fn decomposed(&self) -> Option<(Vec<f64>, Mat<f64>)> {
        let found = self.matrix().self_adjoint_eigen(Side::Lower).ok()?;
        Some(((0..self.steps()).map(|k| found.S()[k]).collect(), found.U().to_owned()))
    }

    fn matrix(&self) -> Mat<f64> {
        let steps = self.steps();
        Mat::from_fn(steps, steps, |i, j| self.projected[i.max(j)][i.min(j)])
    }

    /// Smallest and largest eigenvalue of the projected matrix.
    pub fn extremes(&self) -> Option<[f64; 2]> {
        let found = self.matrix().self_adjoint_eigenvalues(Side::Lower).unwrap_or_default();
        Some([*found.first()?, *found.last()?])
    }

    /// The `count` largest eigenvalues of the projected matrix with estimates of the norms of their residuals: what `A` takes out
    /// of the basis is along the last vector of it.
    pub fn estimates(&self, count: usize) -> Vec<(f64, f64)> {
        let Some(((values, vectors), last)) = self.decomposed().zip(self.steps().checked_sub(1)) else {
            return Vec::new();
        };
        (0..count.min(last + 1)).map(|k| (values[last - k], self.outside * vectors[(last, last - k)].abs())).collect()
    }

    /// The `count` largest eigenpairs, largest first, with the estimates of their residuals.
    pub fn largest(&self, count: usize) -> Vec<Eigenpair> {
        let Some(((values, vectors), last)) = self.decomposed().zip(self.steps().checked_sub(1)) else {
            return Vec::new();
        };
        let pair = |k: usize| {
            let mut vector = vec![0.0; self.basis[0].len()];
            for (step, along) in self.basis.iter().enumerate() {
                let share = vectors[(step, last - k)];
                vector.iter_mut().zip(along).for_each(|(value, along)| *value += share * along);
            }
            let residual = self.outside * vectors[(last, last - k)].abs();
            Eigenpair { value: values[last - k], vector, residual }
        };
        (0..count.min(last + 1)).map(pair).collect()
    }
}

/// What to search for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Rows of the matrix.
    pub size: usize,
    /// Eigenpairs wanted, repeated ones each by itself; at most `size`.
    pub count: usize,
    /// Residuals that are small enough, in units of the largest image of a vector of length one.
    pub tolerance: f64,
    /// Vectors to hold while it is searched for them, where `size` or `count` do not say otherwise.
    pub vectors: usize,
}

impl Search {
    /// Eigenpairs that there are of those wanted.
    pub fn count(&self) -> usize {
        self.count.min(self.size)
    }

    /// Most vectors that are held at once, the result not counted.
    pub fn room(&self) -> usize {
        self.vectors.max(2 * self.count() + 16).min(self.size)
    }
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct LanczosResult {
    /// The pairs, largest first.
    pub pairs: Vec<Eigenpair>,
    /// Products taken.
    pub products: usize,
    /// Whether the residuals are small and a fresh vector brought nothing larger; `false` if the search gave up.
    pub is_complete: bool,
}

/// The largest eigenpairs of a symmetric map, each as often as it is repeated. `random` makes start vectors.
///
/// Once the pairs have converged, the iteration goes on from a fresh vector orthogonal to them until the largest eigenvalue that
/// is left has converged too. What that brings among the largest takes its place there, and another fresh vector follows; when one
/// brings nothing, nothing is left but what lies in directions that a random vector avoids.
///
/// # Errors
/// Those of `multiply`.
pub fn largest_eigenpairs<E>(
    search: &Search,
    mut random: impl FnMut() -> Vec<f64>,
    mut multiply: impl FnMut(&[f64]) -> Result<Vec<f64>, E>,
) -> Result<LanczosResult, E> {
    let (size, count, room) = (search.size, search.count(), search.room());
    let mut lanczos = Lanczos::new(random());
    let mut products = 0;
    // The values before the last fresh vector.
    let mut before: Option<Vec<f64>> = None;
    let is_complete = loop {
        let steps = lanczos.steps();
        if steps == size {
            break true;
        }
        let wanted = count + usize::from(before.is_some());
        let is_exhausted = lanczos.next.is_empty();
        if steps >= wanted && (is_exhausted || steps == room || steps.is_multiple_of(STEPS_PER_CHECK)) {
            let found = lanczos.estimates(wanted);
            let allowed = search.tolerance * lanczos.scale;
            if found.iter().all(|(_, residual)| *residual <= allowed) {
                let values: Vec<f64> = found.iter().take(count).map(|(value, _)| *value).collect();
                // Residuals of this size move a value by far less.
                let is_same = |(now, before): (&f64, &f64)| *now <= before + 0.1 * allowed;
                if before.is_some_and(|before| values.iter().zip(&before).all(is_same)) {
                    break true;
                }
                before = Some(values);
                lanczos.restart(count);
                lanczos.go_on_from(random());
                continue;
            }
        }
        if products >= PRODUCTS_PER_VECTOR * room {
            break false;
        }
        if steps == room {
            lanczos.restart(count + (room - count) / 3);
        }
        if lanczos.step(&mut multiply)? {
            products += 1;
            continue;
        }
        lanczos.go_on_from(random());
        if lanczos.next.is_empty() {
            break false;
        }
    };
    Ok(LanczosResult { pairs: lanczos.largest(count), products, is_complete })
}

/// Takes the parts along orthonormal vectors out of `vector`, twice against rounding; returns them.
fn take_out(vector: &mut [f64], basis: &[Vec<f64>]) -> Vec<f64> {
    let mut shares = vec![0.0; basis.len()];
    for _ in 0..2 {
        for (sum, along) in shares.iter_mut().zip(basis) {
            let share = dot(vector, along);
            *sum += share;
            vector.iter_mut().zip(along).for_each(|(value, along)| *value -= share * along);
        }
    }
    shares
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

#[cfg(test)]
mod tests;
