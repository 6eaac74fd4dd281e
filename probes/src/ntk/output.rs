//! Which numbers of the kernel over examples and outputs are wanted.

/// A part of `Theta[x o, x' o']`, `N x N` examples with `O` outputs each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NtkOutput {
    /// Mean over outputs, `1/O sum_o Theta[x o, x' o]`: `N x N`.
    Trace,
    /// Everything: `N O x N O`, example-major (`x * O + o`).
    Full,
    /// One output with itself, `Theta[x o, x' o]`: `N x N`.
    Logit(usize),
    /// Every example with itself: `N x O^2`, entry `o * O + o'` of row `x` is `Theta[x o, x o']`.
    Diagonal,
}

impl NtkOutput {
    /// Rows of the kernel that one example makes, for a network of `outputs` outputs.
    pub fn per_example(self, outputs: usize) -> usize {
        match self {
            Self::Trace | Self::Logit(_) => 1,
            Self::Full | Self::Diagonal => outputs,
        }
    }
}
