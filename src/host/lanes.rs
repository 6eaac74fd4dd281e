//! Numbers in vector registers, whatever their precision and the processor.

use pulp::Simd;

/// A number in vector registers.
pub(crate) trait Lanes: Copy + Send + Sync + 'static {
    /// Zero.
    const ZERO: Self;
    /// A register.
    type Vector<S: Simd>: Copy;

    /// The same number in every lane.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;

    /// `a b + c`.
    fn mul_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;

    /// `a + b`.
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// `a - b`.
    fn minus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// `a b`.
    fn times<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// `a / b`.
    fn over<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// The square root.
    fn root<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;

    /// Whole registers of `values`, whose count is a multiple of the lanes.
    fn vectors<S: Simd>(values: &[Self]) -> &[Self::Vector<S>];

    /// Whole registers of `values`, whose count is a multiple of the lanes.
    fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [Self::Vector<S>];

    /// A register that is filled in part.
    fn load_part<S: Simd>(simd: S, values: &[Self]) -> Self::Vector<S>;

    /// The first numbers of a register.
    fn store_part<S: Simd>(simd: S, values: &mut [Self], vector: Self::Vector<S>);
}

macro_rules! lanes {
    ($number:ty, $vector:ident, $splat:ident, $mul_add:ident, [$($of_two:ident $in_pulp:ident),*], $root:ident,
     $vectors:ident, $vectors_mut:ident, $load:ident, $store:ident) => {
        impl Lanes for $number {
            const ZERO: Self = 0.0;
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }

            $(
                #[inline(always)]
                fn $of_two<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                    simd.$in_pulp(a, b)
                }
            )*

            #[inline(always)]
            fn root<S: Simd>(simd: S, a: S::$vector) -> S::$vector {
                simd.$root(a)
            }

            #[inline(always)]
            fn vectors<S: Simd>(values: &[Self]) -> &[S::$vector] {
                S::$vectors(values).0
            }

            #[inline(always)]
            fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [S::$vector] {
                S::$vectors_mut(values).0
            }

            #[inline(always)]
            fn load_part<S: Simd>(simd: S, values: &[Self]) -> S::$vector {
                simd.$load(values)
            }

            #[inline(always)]
            fn store_part<S: Simd>(simd: S, values: &mut [Self], vector: S::$vector) {
                simd.$store(values, vector);
            }
        }
    };
}

lanes!(
    f32,
    f32s,
    splat_f32s,
    mul_add_e_f32s,
    [plus add_f32s, minus sub_f32s, times mul_f32s, over div_f32s],
    sqrt_f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    partial_load_f32s,
    partial_store_f32s
);
lanes!(
    f64,
    f64s,
    splat_f64s,
    mul_add_e_f64s,
    [plus add_f64s, minus sub_f64s, times mul_f64s, over div_f64s],
    sqrt_f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    partial_load_f64s,
    partial_store_f64s
);

/// Registers of a row, the last one filled in part where `part` says so. A loop to a constant, no copy of a slice and no closure:
/// those may be compiled apart, in memory and without the processor's vectors.
#[inline(always)]
#[expect(clippy::manual_memcpy, reason = "a copy of a slice keeps registers in memory")]
pub(crate) fn load<T: Lanes, S: Simd, const VECTORS: usize>(
    simd: S,
    row: &[T],
    part: Option<usize>,
) -> [T::Vector<S>; VECTORS] {
    let mut registers = [T::splat(simd, T::ZERO); VECTORS];
    match part {
        None => {
            let vectors = &T::vectors::<S>(row)[..VECTORS];
            for v in 0..VECTORS {
                registers[v] = vectors[v];
            }
        }
        Some(_) => registers[0] = T::load_part(simd, row),
    }
    registers
}

/// Writes the registers of a row, the last one in part where `part` says so.
#[inline(always)]
#[expect(clippy::manual_memcpy, reason = "a copy of a slice keeps registers in memory")]
pub(crate) fn store<T: Lanes, S: Simd, const VECTORS: usize>(
    simd: S,
    row: &mut [T],
    part: Option<usize>,
    registers: [T::Vector<S>; VECTORS],
) {
    match part {
        None => {
            let vectors = &mut T::vectors_mut::<S>(row)[..VECTORS];
            for v in 0..VECTORS {
                vectors[v] = registers[v];
            }
        }
        Some(_) => T::store_part(simd, row, registers[0]),
    }
}
