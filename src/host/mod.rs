//! Products and convolutions on slices in host memory, for the CPU.

pub(crate) mod aligned;
pub(crate) mod lanes;
pub(crate) mod lent;
pub(crate) mod product;
pub(crate) mod raster;
pub(crate) mod scratch;
pub(crate) mod turn;
