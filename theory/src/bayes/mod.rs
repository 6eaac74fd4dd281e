//! Bayesian inference with networks: posteriors over functions.

mod posterior;
mod student_t;

pub use posterior::{Posterior, Regularization, gaussian_process_posterior};
pub use student_t::{InverseGamma, StudentPosterior, student_t_posterior};
