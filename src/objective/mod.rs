//! What training goes down: targets, losses, and how well a network does.

mod evaluation;
mod loss;

pub use evaluation::Evaluation;
pub use loss::{Targets, examples_per_unit, loss, output_gradients};
