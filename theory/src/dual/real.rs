//! The arithmetic in which closed forms are written: once, for one pair with the functions of libm, and for many with
//! branch-free polynomials that the compiler turns into vector instructions.
//!
//! | function | reduction | polynomial (Remez, relative) | largest error found |
//! |---|---|---|---|
//! | `angle`, f64 | half the angle, then `u = (y - x)/(y + x)` above `tan(pi/8)` | degree 21, 0.011 ulp | 3 ulp |
//! | `angle`, f32 | the same | degree 9, 0.011 ulp | 2.6 ulp |
//! | `slope_angle`, f64 | `u` alone | the same | 2 ulp |
//! | `slope_angle`, f32 | `u` alone | the same | 2.1 ulp |
//! | `exp`, f64 | `x = n ln 2 + r` | degree 11, 0.031 ulp | 1 ulp |
//! | `exp`, f32 | the same | degree 6, 0.053 ulp | 1.1 ulp |
//!
//! The errors are against libm over dense sweeps, the rounding of libm included; a test holds them.
//!
//! Numbers in the middle of a block and at its end go through the same operations, so that the result of a pair does not
//! depend on where it stands. Processors without fused multiplication round once more.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A real number as a closed form sees it.
pub(crate) trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// Distance from 1 to the next larger number.
    const EPSILON: f64;
    /// The root of the smallest normal number.
    const LEAST_ROOT: f64;

    /// The nearest number.
    fn of(x: f64) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// `self * factor + summand`, rounded once where the processor can.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    /// The angle of the point `(x, self)` with `self >= 0` at distance `radius` from the origin, in `[0, pi]`; 0 at the origin.
    fn angle(self, x: Self, radius: Self) -> Self;
    /// `atan(self / x)` for `x > 0`.
    fn slope_angle(self, x: Self) -> Self;
    /// `e^self`.
    fn exp(self) -> Self;
    /// `1 / self`.
    fn recip(self) -> Self {
        Self::of(1.0) / self
    }
}

impl Real for f64 {
    const EPSILON: f64 = f64::EPSILON;
    const LEAST_ROOT: f64 = 1.5e-154;

    fn of(x: f64) -> Self {
        x
    }
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        self * factor + summand
    }
    fn angle(self, x: Self, _radius: Self) -> Self {
        // At the origin atan2 would ask for the sign of zero.
        self.atan2(x + 0.0)
    }
    fn slope_angle(self, x: Self) -> Self {
        self.atan2(x)
    }
    fn exp(self) -> Self {
        f64::exp(self)
    }
}

/// A number of a vector; `FUSED` where the processor multiplies and adds in one instruction.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Lane<T, const FUSED: bool>(pub(crate) T);

macro_rules! operators {
    ($float:ty, $($operator:ident $method:ident),*) => {
        $(impl<const FUSED: bool> $operator for Lane<$float, FUSED> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self($operator::$method(self.0, other.0))
            }
        })*
        impl<const FUSED: bool> Neg for Lane<$float, FUSED> {
            type Output = Self;

            #[inline(always)]
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }
    };
}

operators!(f64, Add add, Sub sub, Mul mul, Div div);
operators!(f32, Add add, Sub sub, Mul mul, Div div);

/// What differs between the two precisions.
struct Constants<T, const ATAN: usize, const EXP: usize> {
    /// `(atan(u)/u - 1)/u^2` in powers of `u^2`, even and odd ones in turn, `|u| <= tan(pi/8)`.
    atan: [[T; 2]; ATAN],
    /// `(exp(r) - 1 - r)/r^2` in powers of `r`, the same, `|r| <= ln(2)/2`.
    exp: [[T; 2]; EXP],
    /// `pi/4` less its rounding.
    quarter_turn_rest: T,
    /// `ln 2` in few digits, so that small multiples are exact, and the rest.
    ln_2: [T; 2],
    /// `1.5 * 2^digits`: adding it rounds to whole numbers.
    round: T,
    /// Where `exp` leaves the normal numbers.
    range: [T; 2],
}

#[expect(clippy::excessive_precision, reason = "coefficients as derived")]
const DOUBLE: Constants<f64, 6, 5> = Constants {
    atan: [
        [-0.33333333333333199093, 0.1999999999995407997],
        [-0.14285714280248411514, 0.1111111078613593436],
        [-0.090908978364412965799, 0.076920616374184484357],
        [-0.066631203897232456707, 0.058480089654382816093],
        [-0.050398457378697539317, 0.038078326507158491135],
        [-0.017922284985448658535, 0.0],
    ],
    exp: [
        [0.50000000000000127403, 0.16666666666666699142],
        [0.041666666666515420705, 0.0083333333333071470871],
        [0.0013888888947016198373, 0.00019841269917509537124],
        [0.00002480148994142491897, 2.755721619302808383e-6],
        [2.7631280723962852587e-7, 2.5117893222151120537e-8],
    ],
    quarter_turn_rest: 3.0616169978683829431e-17,
    ln_2: [0.6931471803691238, 1.9082149292705878161e-10],
    round: 6755399441055744.0,
    range: [-708.0, 709.7],
};

#[expect(clippy::excessive_precision, reason = "coefficients as derived")]
const SINGLE: Constants<f32, 3, 3> = Constants {
    atan: [
        [-0.3333331550489660135, 0.19998489450237333909],
        [-0.14243849204981589033, 0.10596005023436143307],
        [-0.060834607350151472965, 0.0],
    ],
    exp: [
        [0.50000000957894849614, 0.16666518837043137991],
        [0.041666204105224558979, 0.008368889730488958867],
        [0.0013950590536723395256, 0.0],
    ],
    quarter_turn_rest: -2.1855694143368964788e-8,
    ln_2: [0.693359375, -0.000212194440054690583],
    round: 12582912.0,
    range: [-86.9, 88.7],
};

const TAN_PI_8: f64 = 0.41421356237309503;

macro_rules! lane {
    ($float:ident, $bits:ty, $constants:ident) => {
        impl<const FUSED: bool> Lane<$float, FUSED> {
            /// `atan(low/high)` by the polynomial, as multiples of `pi/4` and a rest.
            #[inline(always)]
            fn octant(low: Self, high: Self) -> (Self, Self) {
                let far = low > Self::of(TAN_PI_8) * high;
                let numerator = if far { low - high } else { low };
                let denominator = if far { low + high } else { high };
                // Keeps the origin from being 0/0.
                let denominator =
                    if denominator.0 > $float::MIN_POSITIVE { denominator } else { Self($float::MIN_POSITIVE) };
                let u = numerator / denominator;
                let s = u * u;
                let rest = (u * s).mul_add(polynomial(&$constants.atan, s), u);
                (if far { Self(1.0) } else { Self(0.0) }, rest)
            }

            #[inline(always)]
            fn quarter_turns(turns: Self, rest: Self) -> Self {
                let low = turns.mul_add(Self($constants.quarter_turn_rest), rest);
                turns.mul_add(Self(std::$float::consts::FRAC_PI_4), low)
            }
        }

        impl<const FUSED: bool> Real for Lane<$float, FUSED> {
            const EPSILON: f64 = $float::EPSILON as f64;
            const LEAST_ROOT: f64 = if size_of::<$float>() == 8 { 1.5e-154 } else { 1.1e-19 };

            #[inline(always)]
            fn of(x: f64) -> Self {
                Self(x as $float)
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(self.0.sqrt())
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, summand: Self) -> Self {
                Self(if FUSED { self.0.mul_add(factor.0, summand.0) } else { self.0 * factor.0 + summand.0 })
            }

            #[inline(always)]
            fn angle(self, x: Self, radius: Self) -> Self {
                // Half the angle from the nearer axis is at most pi/4: tan(angle/2) = y/(radius + |x|).
                let (turns, rest) = Self::octant(self, radius + Self(x.0.abs()));
                let rest = rest + rest;
                let (turns, rest) = if x.0 < 0.0 { (Self(2.0) - turns, -rest) } else { (turns, rest) };
                let turns = turns + turns;
                Self::quarter_turns(turns, rest)
            }

            #[inline(always)]
            fn slope_angle(self, x: Self) -> Self {
                let size = Self(self.0.abs());
                let steep = size > x;
                let (low, high) = if steep { (x, size) } else { (size, x) };
                let (turns, rest) = Self::octant(low, high);
                let (turns, rest) = if steep { (Self(2.0) - turns, -rest) } else { (turns, rest) };
                Self(Self::quarter_turns(turns, rest).0.copysign(self.0))
            }

            #[inline(always)]
            fn exp(self) -> Self {
                const DIGITS: u32 = $float::MANTISSA_DIGITS - 1;
                let [least, most] = $constants.range;
                let x = Self(if self.0 < least { least } else { self.0 });
                let x = Self(if x.0 > most { most } else { x.0 });
                let rounded = x.mul_add(Self(std::$float::consts::LOG2_E), Self($constants.round));
                let n = rounded - Self($constants.round);
                let [high, low] = $constants.ln_2;
                let r = n.mul_add(Self(-low), n.mul_add(Self(-high), x));
                let power = (r * r).mul_add(polynomial(&$constants.exp, r), r) + Self(1.0);
                // Half of 2^n, which stays finite.
                let exponent = rounded.0.to_bits().wrapping_add($float::MAX_EXP as $bits - 2);
                let half = Self($float::from_bits(exponent << DIGITS));
                let value = (power * half).0 * 2.0;
                let value = if self.0 < least { 0.0 } else { value };
                Self(if self.0 > most { $float::INFINITY } else { value })
            }
        }

        impl<const FUSED: bool> From<$float> for Lane<$float, FUSED> {
            #[inline(always)]
            fn from(x: $float) -> Self {
                Self(x)
            }
        }
    };
}

/// The polynomial with these coefficients, constant first: even and odd powers apart, because a processor waits for one
/// long chain.
#[inline(always)]
fn polynomial<T: Copy, const FUSED: bool, const N: usize>(c: &[[T; 2]; N], x: Lane<T, FUSED>) -> Lane<T, FUSED>
where
    Lane<T, FUSED>: Real,
{
    let square = x * x;
    let [mut even, mut odd] = c[N - 1].map(Lane);
    for c in c[..N - 1].iter().rev() {
        even = even.mul_add(square, Lane(c[0]));
        odd = odd.mul_add(square, Lane(c[1]));
    }
    odd.mul_add(x, even)
}

lane!(f64, u64, DOUBLE);
lane!(f32, u32, SINGLE);
