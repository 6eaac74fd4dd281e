//! Generated data: each kind draws from random streams of its own, so equal seeds give equal data.

pub mod gaussian_mixture;
pub mod teacher_student;
pub mod twelve_bit;
pub mod uniform_sphere;

use crate::error::DataError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// `count` independent standard normal numbers.
pub(crate) fn standard_normal(rng: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    (0..count).map(|_| rng.sample(StandardNormal)).collect()
}

pub(crate) fn at_least(
    name: &'static str,
    parameter: &'static str,
    found: usize,
    minimum: usize,
) -> Result<(), DataError> {
    if found >= minimum {
        return Ok(());
    }
    Err(DataError::Parameter { name, parameter, found: found.to_string(), allowed: format!("at least {minimum}") })
}

pub(crate) fn not_negative(name: &'static str, parameter: &'static str, found: f64) -> Result<(), DataError> {
    if found.is_finite() && found >= 0.0 {
        return Ok(());
    }
    Err(DataError::Parameter {
        name,
        parameter,
        found: found.to_string(),
        allowed: "a finite number of at least 0".to_owned(),
    })
}
