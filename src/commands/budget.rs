//! A budget for the peak resident memory of the process, everything included.

use anyhow::{Result, ensure};
use widthwise::memory::{Bytes, expect_free, free, resident};

/// What a process without inputs holds, where the system does not tell.
const PROGRAM: u64 = 48 << 20;

/// Kept free for what cannot be foreseen: pages of the program not yet touched, stacks, buffers of files.
const SLACK: u64 = 12 << 20;

/// By how much the same process may hold more the next time: pages are touched in another order, and heaps of threads that wait for
/// each other are more.
pub(super) const VARIATION: u64 = 10 << 20;

/// Room for what heaps keep between large arrays, and for pages of the program that later work touches.
const ROOM: u64 = 16 << 20;

/// A need with what heaps keep besides arrays.
pub(super) fn roomy(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 50).saturating_add(ROOM)
}

/// The budget and what is known of later needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    limit: Bytes,
    whole: u64,
}

impl Budget {
    /// A budget of `limit`.
    pub(super) fn new(limit: Bytes) -> Self {
        Self { limit, whole: 0 }
    }

    /// The same, where a refusal names what does for `bytes` more, if that is more than what is refused.
    pub(super) fn for_whole(self, bytes: u64) -> Self {
        Self { whole: bytes, ..self }
    }

    /// Bytes that may still be taken, next to the `held` ones of large arrays.
    pub(super) fn left(self, held: Bytes) -> u64 {
        let now = resident().map_or(PROGRAM + held.0, |now| now.0);
        let here = free().map_or(u64::MAX, |free| free.bytes.0.saturating_sub(SLACK));
        self.limit.0.saturating_sub(now + SLACK).min(here)
    }

    /// Refuses if `more` bytes do not fit, here or into the budget.
    ///
    /// # Errors
    /// One sentence with the least budget that would do, or with what is free.
    pub(super) fn expect(self, more: u64, held: Bytes, what: &str) -> Result<()> {
        let now = resident().map_or(PROGRAM + held.0, |now| now.0);
        let with = |bytes: u64| now.saturating_add(SLACK).saturating_add(bytes);
        ensure!(
            with(more) <= self.limit.0,
            "--memory {} is too little for {what}; at least --memory {} would do",
            self.limit,
            Bytes(with(more.max(self.whole)).saturating_add(VARIATION))
        );
        expect_free(Bytes(more), what, "give fewer examples, a smaller network or a machine with more memory")?;
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
        assert!(roomy.expect(1 << 20, Bytes(0), "the inputs").is_ok());
        assert!(roomy.left(Bytes(0)) <= free().map_or(1 << 50, |free| free.bytes.0));
    }

    #[test]
    fn a_refusal_names_what_does_for_the_whole() {
        let named = |budget: Budget| {
            let message = budget.expect(100 << 20, Bytes(0), "the inputs").unwrap_err().to_string();
            let (_, named) = message.rsplit_once("--memory ").unwrap();
            named.split(' ').next().unwrap().parse::<Bytes>().unwrap().0 >> 20
        };
        let small = Budget::new(Bytes(1 << 20));
        let [alone, whole] = [named(small), named(small.for_whole(700 << 20))];
        // The process itself may grow between the two.
        assert!((590..=620).contains(&(whole - alone)), "{alone} and {whole}");
        assert!(named(small.for_whole(1)) - alone <= 10);
    }

    #[test]
    fn a_budget_beyond_the_machine_is_no_promise() {
        if let Some(free) = free() {
            let budget = Budget::new(Bytes(u64::MAX));
            let message = budget.expect(2 * free.bytes.0, Bytes(0), "tiles").unwrap_err().to_string();
            assert!(message.contains("of memory are needed for tiles, but only"), "{message}");
        }
    }
}
