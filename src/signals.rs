//! Ctrl-C, SIGTERM and SIGUSR1: finish the step, write a checkpoint, stop. Clusters send the latter two before they kill.
//! SIGXFSZ: a file beyond its size limit is an error like a full disk, told in a sentence.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a stop was asked for.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Raises the flag on a first signal; a second Ctrl-C ends the process at once.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub fn on_signals() -> io::Result<Self> {
        let flag = Self::default();
        #[cfg(unix)]
        {
            use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
            // Registered first, so that it sees the flag as it was before this signal.
            signal_hook::flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&flag.0))?;
            for signal in [SIGINT, SIGTERM, SIGUSR1] {
                signal_hook::flag::register(signal, Arc::clone(&flag.0))?;
            }
        }
        #[cfg(not(unix))]
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&flag.0))?;
        Ok(flag)
    }

    /// Raises the flag.
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the flag is up.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Lets a write beyond the file-size limit of the process (`ulimit -f`) fail instead of killing the process.
///
/// # Errors
/// The system refuses a handler.
pub fn survive_size_limits() -> io::Result<()> {
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
    Ok(())
}
