//! A budget for the peak resident memory of the process, everything included.

use thiserror::Error;

use crate::memory::{Bytes, OutOfMemory, expect_free, free, resident};

/// What a process without inputs holds, where the system does not tell.
const PROGRAM: u64 = 48 << 20;

/// Kept free for what cannot be foreseen: pages of the program not yet touched, stacks, buffers of files.
const SLACK: u64 = 12 << 20;

/// By how much the same process may hold more the next time: pages are touched in another order, and heaps of threads that wait for
/// each other are more.
pub(crate) const VARIATION: u64 = 10 << 20;

/// Room for what heaps keep between large arrays, and for pages of the program that later work touches.
const ROOM: u64 = 16 << 20;

/// A need with what heaps keep besides arrays.
pub(crate) fn roomy(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 50).saturating_add(ROOM)
}

/// More than may be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BudgetError {
    /// A budget below the need.
    #[error("--memory {limit} is too little for {what}; at least --memory {enough} would do")]
    TooSmall {
        /// The budget.
        limit: Bytes,
        /// What needs more.
        what: String,
        /// A budget that is enough.
        enough: Bytes,
    },
    /// A machine below the need.
    #[error(transparent)]
    Machine(#[from] OutOfMemory),
}

/// The budget, what is held of it, and what is known of later needs.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    limit: Bytes,
    held: u64,
    whole: u64,
}

impl Budget {
    /// A budget of `limit`.
    pub fn new(limit: Bytes) -> Self {
        Self { limit, held: 0, whole: 0 }
    }

    /// The same next to `held` bytes of large arrays, which count where the system does not tell what the process holds.
    pub fn holding(self, held: Bytes) -> Self {
        Self { held: held.0, ..self }
    }

    /// The same, where a refusal names what does for `bytes` more, if that is more than what is refused.
    pub fn for_whole(self, bytes: u64) -> Self {
        Self { whole: bytes, ..self }
    }

    fn now(self) -> u64 {
        resident().map_or(PROGRAM + self.held, |now| now.0)
    }

    /// Bytes that may still be taken.
    pub fn left(self) -> u64 {
        let here = free().map_or(u64::MAX, |free| free.bytes.0.saturating_sub(SLACK));
        self.limit.0.saturating_sub(self.now() + SLACK).min(here)
    }

    /// Refuses if `more` bytes do not fit, here or into the budget.
    ///
    /// # Errors
    /// One sentence with the least budget that would do, or with what is free.
    pub fn require(self, more: u64, what: &str) -> Result<(), BudgetError> {
        self.require_next_to(self.now(), more, what)?;
        Ok(expect_free(Bytes(more), what, "give fewer examples, a smaller network or a machine with more memory")?)
    }

    /// Refuses if `more` bytes do not fit into the budget next to the `now` ones of the process.
    fn require_next_to(self, now: u64, more: u64, what: &str) -> Result<(), BudgetError> {
        let with = |bytes: u64| now.saturating_add(SLACK).saturating_add(bytes);
        if with(more) <= self.limit.0 {
            return Ok(());
        }
        let enough = Bytes(with(more.max(self.whole)).saturating_add(VARIATION));
        Err(BudgetError::TooSmall { limit: self.limit, what: what.to_owned(), enough })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is named to a process of 50 MiB that needs 100 MiB more.
    fn named(budget: Budget) -> String {
        budget.require_next_to(50 << 20, 100 << 20, "the inputs").unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_names_what_would_do() {
        let budget = Budget::new(Bytes(1 << 20));
        assert_eq!(budget.left(), 0);
        assert!(budget.require(100 << 20, "the inputs").is_err());
        // 12 MiB of slack, and 10 MiB by which the process may hold more the next time.
        assert_eq!(named(budget), "--memory 1MiB is too little for the inputs; at least --memory 172MiB would do");
        let roomy = Budget::new(Bytes(1 << 50));
        assert!(roomy.require(1 << 20, "the inputs").is_ok());
        assert!(roomy.left() <= free().map_or(1 << 50, |free| free.bytes.0));
    }

    #[test]
    fn a_refusal_names_what_does_for_the_whole() {
        let small = Budget::new(Bytes(1 << 20));
        assert!(named(small.for_whole(700 << 20)).contains("at least --memory 772MiB"));
        assert_eq!(named(small.for_whole(1)), named(small));
    }

    #[test]
    fn a_budget_beyond_the_machine_is_no_promise() {
        if let Some(free) = free() {
            let budget = Budget::new(Bytes(u64::MAX));
            let message = budget.require(2 * free.bytes.0, "tiles").unwrap_err().to_string();
            assert!(message.contains("of memory are needed for tiles, but only"), "{message}");
        }
    }
}
