//! Closed forms over rows of pairs, in place: `c <- V(a, c, b)`, `t <- Vd(a, c, b) t`.
//!
//! The loops are plain; [`pulp`] compiles them once for every instruction set and picks one at run time.

use pulp::{Arch, Simd, WithSimd};

use super::closed_form::{ClosedForm, GaussianPair, Visitor};
use super::real::{Lane, Real};
use crate::activation::Activation;

/// Variances of many Gaussians and their square roots, which are taken once an input and used once a pair.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variances<'a, A> {
    /// The variances, not negative.
    pub(crate) variances: &'a [A],
    /// Their square roots.
    pub(crate) roots: &'a [A],
}

/// The first Gaussians of the pairs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FirstGaussians<'a, A> {
    /// One for all pairs.
    One {
        /// Its variance.
        variance: A,
        /// The square root.
        root: A,
    },
    /// One a pair.
    Each(Variances<'a, A>),
}

/// A number in memory on which arithmetic in `A` is done.
pub(crate) trait Stored<A>: Copy {
    /// From memory.
    fn load(self) -> A;
    /// To memory, rounded.
    fn store(x: A) -> Self;
}

impl Stored<f64> for f32 {
    #[inline(always)]
    fn load(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn store(x: f64) -> Self {
        x as f32
    }
}

struct PairRows<'a, A, S> {
    first: FirstGaussians<'a, A>,
    second: Variances<'a, A>,
    covariance: &'a mut [S],
    tangent: &'a mut [S],
}

struct Map<'a, A, S, F> {
    rows: PairRows<'a, A, S>,
    form: F,
}

/// A floating-point type with its vector lanes.
pub(crate) trait Arithmetic: Copy + 'static {
    /// Lanes with a fused multiply-add.
    type Fused: Real + From<Self> + Into<Self>;
    /// Lanes without.
    type Split: Real + From<Self> + Into<Self>;
}

macro_rules! arithmetic {
    ($float:ty) => {
        impl Stored<$float> for $float {
            #[inline(always)]
            fn load(self) -> $float {
                self
            }
            #[inline(always)]
            fn store(x: $float) -> Self {
                x
            }
        }

        impl<const FUSED: bool> From<Lane<$float, FUSED>> for $float {
            #[inline(always)]
            fn from(lane: Lane<$float, FUSED>) -> Self {
                lane.0
            }
        }

        impl Arithmetic for $float {
            type Fused = Lane<$float, true>;
            type Split = Lane<$float, false>;
        }
    };
}

arithmetic!(f64);
arithmetic!(f32);

#[inline(always)]
fn map<T, A, S, F>(rows: PairRows<'_, A, S>, form: F)
where
    T: Real + From<A> + Into<A>,
    A: Copy,
    S: Stored<A>,
    F: ClosedForm,
{
    let PairRows { first, second, covariance, tangent } = rows;
    let pairs = covariance.iter_mut().zip(tangent).zip(second.variances.iter().zip(second.roots));
    // Loops and no closures: only what is inlined here is compiled for the instruction set.
    match first {
        FirstGaussians::One { variance, root } => {
            let (a, root_a) = (T::from(variance), T::from(root));
            for ((c, t), (b, root_b)) in pairs {
                map_one(form, c, t, a, T::from(*b), root_a * T::from(*root_b));
            }
        }
        FirstGaussians::Each(first) => {
            for (((c, t), (b, root_b)), (a, root_a)) in pairs.zip(first.variances.iter().zip(first.roots)) {
                map_one(form, c, t, T::from(*a), T::from(*b), T::from(*root_a) * T::from(*root_b));
            }
        }
    }
}

#[inline(always)]
fn map_one<T, A, S, F>(form: F, covariance: &mut S, tangent: &mut S, a: T, b: T, root: T)
where
    T: Real + From<A> + Into<A>,
    S: Stored<A>,
    F: ClosedForm,
{
    let [value, derivative] = form.dual(GaussianPair { a, c: T::from((*covariance).load()), b, root });
    let passed_on = derivative * T::from((*tangent).load());
    *covariance = S::store(value.into());
    *tangent = S::store(passed_on.into());
}

impl<A: Arithmetic, S: Stored<A>, F: ClosedForm> WithSimd for Map<'_, A, S, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<I: Simd>(self, _instructions: I) {
        if I::IS_SCALAR {
            map::<A::Split, A, S, F>(self.rows, self.form);
        } else {
            map::<A::Fused, A, S, F>(self.rows, self.form);
        }
    }
}

impl<A: Arithmetic, S: Stored<A>> Visitor for PairRows<'_, A, S> {
    type Output = ();

    fn visit(self, form: impl ClosedForm) {
        Arch::new().dispatch(Map { rows: self, form });
    }
}

impl Activation {
    /// Both duals of many pairs in place: `covariance[i] <- V(a_i, c_i, b_i)` and `tangent[i] <- Vd(a_i, c_i, b_i) tangent[i]`.
    ///
    /// `false`, with nothing changed, for a function without a closed form. Arithmetic is that of the variances; the
    /// covariances may be stored in fewer digits.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub(crate) fn dual_slice<A: Arithmetic, S: Stored<A>>(
        &self,
        first: FirstGaussians<'_, A>,
        second: Variances<'_, A>,
        covariance: &mut [S],
        tangent: &mut [S],
    ) -> bool {
        let count = covariance.len();
        assert_eq!(tangent.len(), count, "one tangent a pair");
        assert_eq!([second.variances.len(), second.roots.len()], [count; 2], "one second Gaussian a pair");
        if let FirstGaussians::Each(first) = first {
            assert_eq!([first.variances.len(), first.roots.len()], [count; 2], "one first Gaussian a pair");
        }
        self.visit(PairRows { first, second, covariance, tangent }).is_some()
    }
}
