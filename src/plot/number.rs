//! Numbers as text: rounded to what their error allows for tables and axes, exact for tooltips.

/// Typographic minus, so that signs line up with the plus of an error.
const MINUS: &str = "\u{2212}";

/// The shortest text that reads back as the same number; this is how the number stands in the CSV.
pub(crate) fn exact(value: f64) -> String {
    format!("{value:?}")
}

/// `value` with `digits` significant digits.
pub(crate) fn significant(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return not_finite(value);
    }
    let exponent = exponent_of(value);
    if (-4..6).contains(&exponent) {
        fixed(value, digits - 1 - exponent)
    } else {
        format!("{}{}", fixed(in_powers(value, exponent), digits - 1), times_power(exponent))
    }
}

/// `value` with at most five significant digits, zeros at the end left out.
pub(crate) fn plain(value: f64) -> String {
    let text = significant(value, 5);
    let (digits, power) = text.split_at(text.find('×').unwrap_or(text.len()));
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    format!("{digits}{power}")
}

/// `value ± error`, both rounded to two significant digits of the error.
pub(crate) fn with_error(value: f64, error: f64) -> String {
    // An error at round-off has no digits to give.
    if !value.is_finite() || !error.is_finite() || error <= 1e-9 * value.abs() {
        return format!("{} ± {}", plain(value), if error == 0.0 { plain(error) } else { significant(error, 2) });
    }
    let exponent = exponent_of(value).max(exponent_of(error));
    if (-4..6).contains(&exponent) {
        let decimals = 1 - exponent_of(error);
        return format!("{} ± {}", fixed(value, decimals), fixed(error, decimals));
    }
    let [value, error] = [value, error].map(|number| in_powers(number, exponent));
    let decimals = 1 - exponent_of(error);
    format!("({} ± {}){}", fixed(value, decimals), fixed(error, decimals), times_power(exponent))
}

/// `value` with `decimals` digits after the point (none if negative) and a typographic minus.
pub(crate) fn fixed(value: f64, decimals: i32) -> String {
    let decimals = usize::try_from(decimals.clamp(0, 12)).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|b| b == b'0' || b == b'.') => rest.to_owned(),
        Some(rest) => format!("{MINUS}{rest}"),
        None => text,
    }
}

/// `10` to the power of `exponent`, in raised digits.
pub(crate) fn power_of_ten(exponent: i32) -> String {
    let raised = |c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        _ => '⁰',
    };
    format!("10{}", exponent.to_string().chars().map(raised).collect::<String>())
}

/// Exponent of the leading decimal digit; 0 for zero.
pub(crate) fn exponent_of(value: f64) -> i32 {
    if value == 0.0 || !value.is_finite() { 0 } else { value.abs().log10().floor() as i32 }
}

/// `value` in units of a power of ten, which need not be a number of its own: `10^-310` is none.
fn in_powers(value: f64, exponent: i32) -> f64 {
    let unit = 10f64.powi(exponent);
    if unit.is_normal() { value / unit } else { value / 10f64.powi(exponent / 2) / 10f64.powi(exponent - exponent / 2) }
}

fn times_power(exponent: i32) -> String {
    format!("×{}", power_of_ten(exponent))
}

fn not_finite(value: f64) -> String {
    if value.is_nan() {
        "undefined".to_owned()
    } else if value > 0.0 {
        "∞".to_owned()
    } else {
        format!("{MINUS}∞")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_decides_the_digits() {
        assert_eq!(with_error(3.014159, 0.00449), "3.0142 ± 0.0045");
        assert_eq!(with_error(-1234.6, 12.3), "\u{2212}1235 ± 12");
        assert_eq!(with_error(1.2341e-7, 3.2e-9), "(1.234 ± 0.032)×10⁻⁷");
        assert_eq!(with_error(7.625, 4e-16), "7.625 ± 4.0×10⁻¹⁶");
        assert_eq!(with_error(2.0, 0.0), "2 ± 0");
    }

    #[test]
    fn extreme_numbers_take_a_power_of_ten() {
        assert_eq!(significant(1.5e12, 3), "1.50×10¹²");
        assert_eq!(significant(0.25, 2), "0.25");
        assert_eq!(significant(f64::NAN, 2), "undefined");
        assert_eq!(significant(1.25e-310, 3), "1.25×10⁻³¹⁰");
        assert_eq!(significant(f64::MAX, 3), "1.80×10³⁰⁸");
        assert_eq!(with_error(1.234e-315, 3.2e-317), "(1.234 ± 0.032)×10⁻³¹⁵");
        assert_eq!(fixed(-0.0001, 2), "0.00");
        assert_eq!([0.0, 610.0, 0.93, -1.5e-7].map(plain), ["0", "610", "0.93", "\u{2212}1.5×10⁻⁷"]);
    }

    #[test]
    fn exact_text_reads_back() {
        for value in [0.1 + 0.2, 1e-300, -7.25, 123456789.0] {
            assert_eq!(exact(value).parse::<f64>().unwrap(), value);
        }
    }
}
