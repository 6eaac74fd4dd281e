//! Loops over rows of numbers, compiled for every instruction set and chosen at run time.
//!
//! Plain loops inside `with_simd`, and no closures: only what is inlined there is compiled for the instruction set.

use pulp::{Arch, Simd, WithSimd};

use super::stages::LANES;

/// `target[i] += factor * source[i]`.
pub(super) fn add_scaled(target: &mut [f64], factor: f64, source: &[f64]) {
    struct Loop<'a>(&'a mut [f64], f64, &'a [f64]);
    impl WithSimd for Loop<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            for (t, s) in self.0.iter_mut().zip(self.2) {
                *t += self.1 * s;
            }
        }
    }
    Arch::new().dispatch(Loop(target, factor, source));
}

/// Whether any `|c[i]|` is larger than `limit * (root * roots[i])`.
pub(super) fn exceeds(c: &[f64], limit: f64, root: f64, roots: &[f64]) -> bool {
    struct Loop<'a>(&'a [f64], f64, f64, &'a [f64]);
    impl WithSimd for Loop<'_> {
        type Output = bool;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> bool {
            let Loop(c, limit, root, roots) = self;
            let (rows, rest) = S::as_simd_f64s(c);
            let (others, other_rest) = S::as_simd_f64s(roots);
            let (factor, scale) = (simd.splat_f64s(limit), simd.splat_f64s(root));
            let mut most = [simd.splat_f64s(0.0); 4];
            for (c, other) in rows.chunks(4).zip(others.chunks(4)) {
                for ((most, c), other) in most.iter_mut().zip(c).zip(other) {
                    let bound = simd.mul_f64s(factor, simd.mul_f64s(scale, *other));
                    *most = simd.max_f64s(*most, simd.sub_f64s(simd.abs_f64s(*c), bound));
                }
            }
            let [a, b, c, d] = most;
            let most = simd.reduce_max_f64s(simd.max_f64s(simd.max_f64s(a, b), simd.max_f64s(c, d)));
            most > 0.0 || rest.iter().zip(other_rest).any(|(c, other)| c.abs() - limit * (root * other) > 0.0)
        }
    }
    Arch::new().dispatch(Loop(c, limit, root, roots))
}

/// `target[i] += share * x[i] * y[i]`.
pub(super) fn add_products(target: &mut [f64], share: f64, x: &[f64], y: &[f64]) {
    struct Loop<'a>(&'a mut [f64], f64, &'a [f64], &'a [f64]);
    impl WithSimd for Loop<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            for (t, (x, y)) in self.0.iter_mut().zip(self.2.iter().zip(self.3)) {
                *t += self.1 * x * y;
            }
        }
    }
    Arch::new().dispatch(Loop(target, share, x, y));
}

/// `target[i LANES + l] += share * x[i] * y[i LANES + l]`.
pub(super) fn add_lane_products(target: &mut [f64], share: f64, x: &[f64], y: &[f64]) {
    struct Loop<'a>(&'a mut [f64], f64, &'a [f64], &'a [f64]);
    impl WithSimd for Loop<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Loop(target, share, x, y) = self;
            let width = LANES / S::F64_LANES;
            let vectors = S::as_mut_simd_f64s(target).0.chunks_exact_mut(width);
            for ((target, y), x) in vectors.zip(S::as_simd_f64s(y).0.chunks_exact(width)).zip(x) {
                let x = simd.splat_f64s(share * x);
                for (t, y) in target.iter_mut().zip(y) {
                    *t = simd.mul_add_e_f64s(x, *y, *t);
                }
            }
        }
    }
    Arch::new().dispatch(Loop(target, share, x, y));
}

/// `target[i] = sum_t source[t step + i]` over `taps` shifts.
pub(super) fn sum_shifts(target: &mut [f64], source: &[f64], step: usize, taps: usize) {
    struct Loop<'a>(&'a mut [f64], &'a [f64], usize, usize);
    impl WithSimd for Loop<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let Loop(target, source, step, taps) = self;
            let count = target.len();
            let shifted = |t: usize| &source[t * step..t * step + count];
            if taps == 3 {
                let (a, b, c) = (shifted(0), shifted(1), shifted(2));
                for (t, ((a, b), c)) in target.iter_mut().zip(a.iter().zip(b).zip(c)) {
                    *t = a + b + c;
                }
                return;
            }
            target.copy_from_slice(shifted(0));
            for tap in 1..taps {
                for (t, s) in target.iter_mut().zip(shifted(tap)) {
                    *t += s;
                }
            }
        }
    }
    Arch::new().dispatch(Loop(target, source, step, taps));
}

/// `target[i] = sum_r rows[r][i]`.
pub(super) fn sum_rows(target: &mut [f64], rows: &[&[f64]]) {
    struct Loop<'a>(&'a mut [f64], &'a [&'a [f64]]);
    impl WithSimd for Loop<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let Loop(target, rows) = self;
            match rows {
                [] => target.fill(0.0),
                [a, b, c] => {
                    for (t, ((a, b), c)) in target.iter_mut().zip(a.iter().zip(*b).zip(*c)) {
                        *t = a + b + c;
                    }
                }
                [first, others @ ..] => {
                    target.copy_from_slice(first);
                    for row in others {
                        for (t, s) in target.iter_mut().zip(*row) {
                            *t += s;
                        }
                    }
                }
            }
        }
    }
    Arch::new().dispatch(Loop(target, rows));
}

/// Sum of a row, lane by lane and then over lanes.
pub(super) fn sum(row: &[f64]) -> f64 {
    struct Loop<'a>(&'a [f64]);
    impl WithSimd for Loop<'_> {
        type Output = f64;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> f64 {
            let mut sums = [0.0; LANES];
            let chunks = self.0.chunks_exact(LANES);
            let mut rest = 0.0;
            for x in chunks.remainder() {
                rest += x;
            }
            for chunk in chunks {
                for lane in 0..LANES {
                    sums[lane] += chunk[lane];
                }
            }
            let [a, b, c, d, e, f, g, h] = sums;
            ((a + b) + (c + d)) + ((e + f) + (g + h)) + rest
        }
    }
    Arch::new().dispatch(Loop(row))
}

/// Every number of a row in all lanes.
pub(super) fn broadcast(row: &[f64], into: &mut [f64]) {
    struct Loop<'a>(&'a [f64], &'a mut [f64]);
    impl WithSimd for Loop<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let width = LANES / S::F64_LANES;
            for (vectors, x) in S::as_mut_simd_f64s(self.1).0.chunks_exact_mut(width).zip(self.0) {
                let x = simd.splat_f64s(*x);
                for vector in vectors {
                    *vector = x;
                }
            }
        }
    }
    Arch::new().dispatch(Loop(row, into));
}

/// `into[i LANES + l] = row[start + i + l stride]`.
pub(super) fn spread(row: &[f64], start: usize, stride: usize, into: &mut [f64]) {
    struct Loop<'a>(&'a [f64], usize, &'a mut [f64]);
    impl WithSimd for Loop<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let Loop(row, stride, into) = self;
            if stride == 1 {
                let vectors = S::as_mut_simd_f64s(into).0.chunks_exact_mut(LANES / S::F64_LANES);
                for (vectors, window) in vectors.zip(row.windows(LANES)) {
                    vectors.copy_from_slice(S::as_simd_f64s(window).0);
                }
                return;
            }
            for (i, lanes) in into.chunks_exact_mut(LANES).enumerate() {
                for (lane, cell) in lanes.iter_mut().enumerate() {
                    *cell = row[i + lane * stride];
                }
            }
        }
    }
    Arch::new().dispatch(Loop(&row[start..], stride, into));
}

/// `into[l] = sum over terms of counts[l] row[column LANES + l]`.
pub(super) fn sum_columns(terms: &[(usize, [f64; LANES])], row: &[f64], into: &mut [f64]) {
    struct Loop<'a>(&'a [(usize, [f64; LANES])], &'a [f64], &'a mut [f64]);
    impl WithSimd for Loop<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let Loop(terms, row, into) = self;
            let mut sums = [0.0; LANES];
            for (column, counts) in terms {
                let cell = &row[column * LANES..column * LANES + LANES];
                for lane in 0..LANES {
                    sums[lane] += counts[lane] * cell[lane];
                }
            }
            into.copy_from_slice(&sums);
        }
    }
    Arch::new().dispatch(Loop(terms, row, into));
}

/// `k <- nngp k + nngp_bias` and `theta <- fed k + fed_bias + nngp theta`, of the old `k`; an empty `theta` stays empty.
pub(super) fn weigh([nngp, nngp_bias, fed, fed_bias]: [f64; 4], k: &mut [f64], theta: &mut [f64]) {
    struct Loop<'a>([f64; 4], &'a mut [f64], &'a mut [f64]);
    impl WithSimd for Loop<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let Loop([nngp, nngp_bias, fed, fed_bias], k, theta) = self;
            if !theta.is_empty() {
                for (theta, k) in theta.iter_mut().zip(&*k) {
                    *theta = fed * k + fed_bias + nngp * *theta;
                }
            }
            for k in k {
                *k = nngp * *k + nngp_bias;
            }
        }
    }
    Arch::new().dispatch(Loop([nngp, nngp_bias, fed, fed_bias], k, theta));
}
