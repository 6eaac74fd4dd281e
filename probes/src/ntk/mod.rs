//! The empirical neural tangent kernel without a Jacobian.
//!
//! With `a_p(x)` the input row of a weight layer at position `p` and `d_p^o(x)` the derivative of output `o` with respect to
//! its pre-activation there,
//!
//! ```text
//! Theta[x o, x' o'] = sum_l  g_l sum_{p p'} (a_p(x) . a_p'(x')) (d_p^o(x) . d_p'^o'(x'))  +  h_l (sum_p d_p^o(x)) . (sum_p' d_p'^o'(x'))
//! ```
//!
//! where `g_l`, `h_l` are squared gains times the learning-rate factors of weights and biases: the kernel that moves the
//! function per unit of the base learning rate. Jacot, Gabriel and Hongler 2018 (1806.07572); the structured form is that
//! of Novak, Sohl-Dickstein and Schoenholz 2022 (2206.08720).
//!
//! Two implementations compute it. `tensors` stays on the device of the network. The others take what the formula is made of to the
//! host once ([`ExampleBlock`]) and multiply it there in tiles that stay in cache; they serve CPU devices and kernels larger
//! than memory.

mod block;
mod columns;
mod gather;
mod output;
mod products;
mod tensors;
mod tile;

pub use block::{ExampleBlock, Grouping, LayerShare, LayerTerm, whole_registers};
pub use columns::{AxisOrder, Columns};
pub use gather::{BlockPlan, Contraction, contraction, gather};
pub use output::NtkOutput;
pub use products::NtkOperator;
pub use tensors::{empirical_ntk, empirical_ntk_by_layer, empirical_ntk_full};
pub use tile::{block_diagonal, block_kernel};
