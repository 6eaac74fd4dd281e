//! Numbers as the user types them.

use widthwise_theory::architecture::InputShape;

/// A finite number above 0.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|x| x.is_finite() && *x > 0.0).ok_or_else(|| "expected a finite number above 0".to_owned())
}

/// A finite number of at least 0.
pub(crate) fn not_negative(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|x| x.is_finite() && *x >= 0.0).ok_or_else(|| "expected a finite number of at least 0".to_owned())
}

/// A number from 0 to below 1.
pub(crate) fn below_one(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|x| (0.0..1.0).contains(x)).ok_or_else(|| "expected a number from 0 to below 1".to_owned())
}

/// `C,H,W` as a shape.
pub(crate) fn parse_shape(text: &str) -> Result<InputShape, String> {
    let sizes: Option<Vec<usize>> = text.split(',').map(|size| size.trim().parse().ok().filter(|n| *n > 0)).collect();
    match sizes.as_deref() {
        Some(&[channels, height, width])
            if channels.checked_mul(height).and_then(|n| n.checked_mul(width)).is_some() =>
        {
            Ok(InputShape { channels, height, width })
        }
        _ => Err("expected channels, height and width, each above 0, for instance 3,32,32".to_owned()),
    }
}

/// `0,10,inf` as times, ascending.
pub(crate) fn parse_time(text: &str) -> Result<f64, String> {
    let time: Option<f64> = text.trim().parse().ok();
    time.filter(|time| *time >= 0.0).ok_or_else(|| "expected a number of at least 0, or inf".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_three_sizes() {
        assert_eq!(parse_shape("3, 32,32"), Ok(InputShape { channels: 3, height: 32, width: 32 }));
        for wrong in ["", "3", "3,32", "3,0,32", "3,32,32,1", "a,b,c", "9999999999,9999999999,9"] {
            assert!(parse_shape(wrong).unwrap_err().contains("3,32,32"), "{wrong}");
        }
    }
}
