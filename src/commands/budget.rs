//! A budget for the peak resident memory of the process, everything included.

use anyhow::{Result, ensure};
use widthwise::memory::{Bytes, resident};

/// What a process without inputs holds, where the system does not tell.
const PROGRAM: u64 = 48 << 20;

/// Kept free for what cannot be foreseen: pages of the program not yet touched, stacks, buffers of files.
const SLACK: u64 = 12 << 20;

/// By how much the same process may hold more the next time: pages are touched in another order.
const VARIATION: u64 = 2 << 20;

/// The budget and what is known to be held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    limit: Bytes,
}

impl Budget {
    /// A budget of `limit`.
    pub(super) fn new(limit: Bytes) -> Self {
        Self { limit }
    }

    /// Bytes that may still be taken, beside the `held` ones of large arrays.
    pub(super) fn left(self, held: Bytes) -> u64 {
        let now = resident().map_or(PROGRAM + held.0, |now| now.0);
        self.limit.0.saturating_sub(now + SLACK)
    }

    /// Refuses if `more` bytes do not fit.
    ///
    /// # Errors
    /// One sentence with the least budget that would do.
    pub(super) fn expect(self, more: u64, held: Bytes, what: &str) -> Result<()> {
        let now = resident().map_or(PROGRAM + held.0, |now| now.0);
        let needed = now.saturating_add(SLACK).saturating_add(more);
        ensure!(
            needed <= self.limit.0,
            "--memory {} is too little for {what}; at least --memory {} would do",
            self.limit,
            Bytes(needed.saturating_add(VARIATION))
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_would_do() {
        let budget = Budget::new(Bytes(1 << 20));
        assert_eq!(budget.left(Bytes(0)), 0);
        let message = budget.expect(100 << 20, Bytes(0), "the inputs").unwrap_err().to_string();
        assert!(message.contains("--memory 1MiB is too little for the inputs; at least --memory 1"), "{message}");
        let roomy = Budget::new(Bytes(1 << 50));
        assert!(roomy.expect(100 << 20, Bytes(0), "the inputs").is_ok());
        assert!(roomy.left(Bytes(0)) > 1 << 49);
    }
}
