//! Products and convolutions on slices in host memory, for the CPU.

pub(crate) mod aligned;
pub(crate) mod host_view;
pub(crate) mod lanes;
pub(crate) mod product;
pub(crate) mod scratch;
pub(crate) mod shifted_gemm;
pub(crate) mod tanh;
pub(crate) mod transpose;
