//! The hyperbolic tangent of many numbers at once.
//!
//! ```text
//! tanh x = x + x^3 P(x^2)            below 0.625
//!        = 1 - 2 / (exp(2 x) + 1)    above
//! exp z  = 2^n exp r,   n = round(z / ln 2),   exp r = 1 + r + r^2 Q(r)
//! ```
//!
//! `P` and `Q` are least in the largest relative error (Remez). Only additions, multiplications, one division and bits, each rounded by
//! itself: numbers depend neither on the instruction set nor on their place.

use pulp::Arch;

/// `tanh` in the place of each number. In f32 the error is at most 1.34 units in the last place; `tanh(-x) = -tanh(x)` to the last bit;
/// zeros, infinities and what is no number are as in the standard library.
pub(crate) fn tanh_each(numbers: &mut [f32]) {
    Arch::new().dispatch(|| each(numbers));
}

#[inline(always)]
fn each(numbers: &mut [f32]) {
    for x in numbers {
        *x = tanh(*x);
    }
}

/// Both branches, and a choice at the end, so that a loop of it is made of vector instructions.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    const P: [f32; 5] = [-0.333_332_8, 0.133_314_42, -0.053_739_715, 0.020_639_086, -0.005_704_988];
    const Q: [f32; 5] = [0.499_999_94, 0.166_665_15, 0.041_668_456, 0.008_369_418, 0.001_381_318_3];
    /// Added and taken away again, it leaves the nearest whole number, which stands in the last bits in between.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 as ten bits, of which every multiple here is exact, and the rest.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    /// From here on `tanh` is 1.
    const LAST: f32 = 10.0;
    let size = x.abs();
    let square = x * x;
    let near = size + size * (square * horner(P, square));
    let z = 2.0 * if size > LAST { LAST } else { size };
    let shifted = z * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (z - n * LN_2[0]) - n * LN_2[1];
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let exp = (1.0 + (r + r * r * horner(Q, r))) * power;
    let far = 1.0 - 2.0 / (exp + 1.0);
    (if size < 0.625 { near } else { far }).copysign(x)
}

/// `c_0 + c_1 x + ...`
#[inline(always)]
fn horner([c0, c1, c2, c3, c4]: [f32; 5], x: f32) -> f32 {
    (((c4 * x + c3) * x + c2) * x + c1) * x + c0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every exponent, and 4,098 numbers from each.
    fn positive() -> Vec<f32> {
        let of_exponent = |exponent: u32| (0..4098_u32).map(move |i| (exponent << 23) | (i * 2047));
        (0..255).flat_map(of_exponent).map(f32::from_bits).collect()
    }

    #[test]
    fn numbers_are_within_four_thirds_of_a_last_place() {
        let points = positive();
        let mut found = points.clone();
        tanh_each(&mut found);
        for (&x, &found) in points.iter().zip(&found) {
            let expected = f64::from(x).tanh();
            let rounded = expected as f32;
            let place = f64::from(f32::from_bits(rounded.to_bits() + 1)) - f64::from(rounded);
            let error = (f64::from(found) - expected).abs() / place;
            // 1.332 at 0.631, the largest over all numbers from 1e-4 to 12.
            assert!(error <= 1.34 && found <= 1.0, "{x:e}: {found:e} instead of {expected:e}, {error} places");
        }
    }

    #[test]
    fn the_function_is_odd_and_keeps_zeros_infinities_and_what_is_no_number() {
        let points = positive();
        let [mut above, mut below] = [points.clone(), points.iter().map(|x| -x).collect()];
        tanh_each(&mut above);
        tanh_each(&mut below);
        assert!(above.iter().zip(&below).all(|(above, below)| (-above).to_bits() == below.to_bits()));
        let mut ends = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-45, -1e-45, f32::MIN_POSITIVE];
        tanh_each(&mut ends);
        let expected = [0.0, -0.0, 1.0, -1.0, 1.0, 1e-45, -1e-45, f32::MIN_POSITIVE];
        assert_eq!(ends.map(f32::to_bits), expected.map(f32::to_bits));
        let mut none = [f32::NAN, -f32::NAN];
        tanh_each(&mut none);
        assert!(none.iter().all(|x| x.is_nan()));
    }

    #[test]
    fn bits_depend_neither_on_the_place_nor_on_the_instructions() {
        let points: Vec<f32> = (0..300).map(|i| 0.061 * (i as f32 - 150.0)).collect();
        // One by one, without vectors.
        let expected: Vec<u32> =
            points.iter().map(|&x| std::hint::black_box(tanh(std::hint::black_box(x))).to_bits()).collect();
        for start in 0..40 {
            for length in [1, 3, 7, 8, 15, 16, 17, 31, 64, 260] {
                let mut found = points[start..start + length].to_vec();
                tanh_each(&mut found);
                assert!(found.iter().zip(&expected[start..]).all(|(x, &expected)| x.to_bits() == expected));
            }
        }
    }
}
