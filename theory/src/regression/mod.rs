//! Kernel (ridge) regression on tens of thousands of examples: `(K + ridge) alpha = Y` without a second copy of `K`.
//!
//! One `N x N` buffer of `f32` holds everything: the kernel in its strictly upper triangle, and a Cholesky factor
//! of `K + jitter` in its lower triangle ([`KernelStore`]). The factor is only a preconditioner: conjugate gradients
//! in `f64`, all outputs together, solve the system with the ridge that was asked for ([`FactoredKernel::solve`]), however much
//! jitter the factorization needed. 60,000 examples take 14.4 GB.
//!
//! Three residuals are told apart: what conjugate gradients recur, the residual against the kernel as stored, and
//! the residual against the exact kernel, if the caller can multiply by it ([`KernelOperator`]); the last can be refined.
//!
//! The sums are ordered by fixed tiles, so that the number of threads changes no bit of a result.
//!
//! ```
//! use faer::Mat;
//! use widthwise_theory::regression::{JitterSearch, KernelStore, RidgeOptions};
//!
//! # fn main() -> Result<(), widthwise_theory::regression::RegressionError> {
//! let kernel = |i: usize, j: usize| (-(i as f64 - j as f64).abs()).exp();
//! let mut store = KernelStore::new(50)?;
//! store.fill(16, |rows, columns, mut tile| {
//!     for (c, column) in columns.enumerate() {
//!         for (r, row) in rows.clone().enumerate() {
//!             tile[(r, c)] = kernel(row, column);
//!         }
//!     }
//!     Ok(())
//! })?;
//! let targets = Mat::from_fn(50, 1, |i, _| (i as f64).sin());
//! let factored = store.factor(&JitterSearch { start: 1e-6, tries: 3 })?;
//! let solution = factored.solve(targets.as_ref(), &RidgeOptions { ridge: 1e-3, ..RidgeOptions::default() }, None)?;
//! assert!(solution.residuals[0] <= 1e-6);
//! # Ok(())
//! # }
//! ```

mod cholesky;
mod conjugate_gradients;
mod direct;
mod error;
mod ridge;
mod spectrum;
mod store;
mod triangles;

pub use cholesky::{FactoredKernel, JitterSearch, JitterTry};
pub use conjugate_gradients::StopReason;
pub use direct::{DirectSolution, solve_directly};
pub use error::RegressionError;
pub use ridge::{KernelOperator, PhaseTimes, RidgeOptions, RidgeSolution};
pub use spectrum::SpectrumEstimate;
pub use store::KernelStore;
