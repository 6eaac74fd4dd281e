//! Placeholder.
pub mod batches;
pub mod gradient;
pub mod loss;
pub mod optimizer;
pub mod schedule;
