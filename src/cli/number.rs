//! Numbers as the user types them.

/// A finite number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|x| x.is_finite() && *x > 0.0).ok_or_else(|| "expected a finite number above 0".to_owned())
}

/// A finite number of at least 0.
pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|x| x.is_finite() && *x >= 0.0).ok_or_else(|| "expected a finite number of at least 0".to_owned())
}

/// A number from 0 to below 1.
pub(super) fn below_one(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|x| (0.0..1.0).contains(x)).ok_or_else(|| "expected a number from 0 to below 1".to_owned())
}
