//! Where kernels are written: matrices of the caller, in double or single precision.

use faer::MatMut;

/// A number that a kernel may be stored as. Everything is computed in `f64`; `f32` rounds once, on writing.
pub trait KernelNumber: Copy + Send + Sync + sealed::Sealed + 'static {
    /// The nearest number of this type.
    fn nearest(value: f64) -> Self;
}

impl KernelNumber for f64 {
    fn nearest(value: f64) -> Self {
        value
    }
}

impl KernelNumber for f32 {
    fn nearest(value: f64) -> Self {
        value as f32
    }
}

mod sealed {
    /// Closed to other crates: the two precisions are all there are.
    pub trait Sealed {}
    impl Sealed for f64 {}
    impl Sealed for f32 {}
}

/// The parts of both kernels that a request wants, left examples in rows, right examples in columns; any strides.
///
/// A part that is `None` is not computed where that saves work: without `ntk` no tangent kernel is propagated.
#[derive(Debug)]
pub struct KernelTile<'a, T> {
    /// Where `K` goes.
    pub nngp: Option<MatMut<'a, T>>,
    /// Where `Theta` goes.
    pub ntk: Option<MatMut<'a, T>>,
}

impl<'a, T> KernelTile<'a, T> {
    /// Both kernels.
    pub fn both(nngp: MatMut<'a, T>, ntk: MatMut<'a, T>) -> Self {
        Self { nngp: Some(nngp), ntk: Some(ntk) }
    }

    /// `K` alone.
    pub fn nngp(nngp: MatMut<'a, T>) -> Self {
        Self { nngp: Some(nngp), ntk: None }
    }

    /// `Theta` alone.
    pub fn ntk(ntk: MatMut<'a, T>) -> Self {
        Self { nngp: None, ntk: Some(ntk) }
    }
}
