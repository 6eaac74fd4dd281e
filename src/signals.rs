//! Ctrl-C, SIGTERM and SIGUSR1 end every command with exit code 130. Clusters send the latter two before they kill.
//!
//! A command that can stop in good order takes a [`StopFlag`] and looks at it between its steps; it is waited for, but not longer
//! than [`PATIENCE`], or [`STEP_PATIENCE`] while it trains towards a checkpoint. All other commands end at once. Ending at once
//! loses no more than a kill does, and takes the unfinished files with it.
//! SIGXFSZ: a file beyond its size limit is an error like a full disk, told in a sentence.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
#[cfg(unix)]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
#[cfg(unix)]
use std::time::Instant;

/// How long a command may take to notice that it shall stop.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The same while a [`StepGuard`] is held.
pub const STEP_PATIENCE: Duration = Duration::from_secs(30);

/// Exit code of a command that was stopped, as the shell reports a program ended by Ctrl-C.
pub const STOPPED: u8 = 130;

/// Steps at work.
static STEPS: AtomicUsize = AtomicUsize::new(0);

/// The flag of the command that stops in good order.
#[cfg(unix)]
static FLAG: Mutex<Option<StopFlag>> = Mutex::new(None);

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
            *FLAG.lock().unwrap_or_else(PoisonError::into_inner) = Some(flag.clone());
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

/// A step at whose end a checkpoint is written, which is worth a longer wait.
#[derive(Debug)]
pub struct StepGuard(());

impl StepGuard {
    /// Begins such steps; they end when the guard is dropped.
    pub fn begin() -> Self {
        STEPS.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for StepGuard {
    fn drop(&mut self) {
        STEPS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Listens for the rest of the process. `tell` hears why it ends if it ends at once.
///
/// # Errors
/// The system refuses a handler or a thread.
#[cfg(unix)]
pub fn listen(tell: impl Fn(&str) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::iterator::Signals;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
    let wait = move || {
        let Some(first) = signals.forever().next() else { return };
        let Some(flag) = FLAG.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            end(first, "", &tell);
        };
        flag.raise();
        let since = Instant::now();
        let mut since_step = since;
        loop {
            if signals.pending().any(|signal| signal == SIGINT) {
                end(SIGINT, "", &tell);
            }
            let is_late = if STEPS.load(Ordering::SeqCst) > 0 {
                since_step = Instant::now();
                since.elapsed() > STEP_PATIENCE
            } else {
                since_step.elapsed() > PATIENCE
            };
            if is_late {
                end(first, " within a long computation; what was done before it is kept", &tell);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// Nothing to listen for: Ctrl-C ends the process.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn listen(_tell: impl Fn(&str) + Send + 'static) -> io::Result<()> {
    Ok(())
}

/// Ends the process as a kill would, but without unfinished files.
#[cfg(unix)]
fn end(signal: i32, place: &str, tell: &dyn Fn(&str)) -> ! {
    widthwise_datasets::part::abandon_all();
    let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
    tell(&format!("stopped by {name}{place}"));
    signal_hook::low_level::exit(i32::from(STOPPED))
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
