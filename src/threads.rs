//! The threads that compute: one pool for all libraries.
//!
//! Tensors (flex), products (gemm, faer) and loops of this project all run on the global pool of rayon. faer cuts some work, the
//! reduction of a symmetric matrix to tridiagonal form among it, into as many parts as it is told there are threads, and adds the parts
//! up; here it is told a fixed number, so that no number depends on the threads that are there.

use faer::Par;
use rayon::ThreadPoolBuilder;

use crate::error::{Error, Result};

/// Parts into which faer cuts its work, and with it the most threads that one decomposition uses.
const PARTS: usize = 16;

/// Makes the pool of the process: `threads` threads, of which the calling one is the first. `None` stands for the environment variable
/// `RAYON_NUM_THREADS` and, without it, for as many as the process may run on by its affinity mask and its control group.
///
/// # Errors
/// A pool that is there already, or threads that the system refuses.
pub fn start(threads: Option<usize>) -> Result<()> {
    faer::set_global_parallelism(Par::rayon(PARTS));
    let pool = ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).use_current_thread();
    let asked = threads.map_or_else(String::new, |threads| format!("--threads {threads}: "));
    pool.build_global().map_err(|error| Error::Threads {
        sentence: format!("{asked}the threads cannot be started; ask for fewer"),
        source: error.into(),
    })
}
