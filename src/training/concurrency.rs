//! How many networks train side by side on the threads of the pool: each is then cut up among its share of the threads only. No number
//! depends on it.

use std::cell::Cell;

thread_local! {
    static NETWORKS: Cell<usize> = const { Cell::new(1) };
}

/// Does `work` for one of `count` networks that are trained side by side.
pub fn sharing_threads<R>(count: usize, work: impl FnOnce() -> R) -> R {
    let before = NETWORKS.replace(count);
    let result = work();
    NETWORKS.set(before);
    result
}

/// Threads for the network that this thread works for.
pub(super) fn threads() -> usize {
    (rayon::current_num_threads() / NETWORKS.get().max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_share_the_threads_while_they_have_company() {
        // On one processor there is nothing to share; a pool of its own has something everywhere.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        pool.install(shares);
    }

    fn shares() {
        let all = 4;
        assert_eq!(threads(), all);
        sharing_threads(all, || {
            assert_eq!(threads(), 1);
            assert_eq!(sharing_threads(3 * all, threads), 1);
            assert_eq!(sharing_threads(1, threads), all);
            assert_eq!(threads(), 1);
        });
        assert_eq!(threads(), all);
    }
}
