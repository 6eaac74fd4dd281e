//! Ctrl-C, SIGTERM and SIGUSR1 end every command with exit code 130. Clusters send the latter two before they kill.
//!
//! A command that can stop in good order takes a [`StopFlag`] and reads it between its steps. A run is waited for until its step
//! ends in a checkpoint, and ends at once before its first; other commands are waited for no longer than [`PATIENCE`], and those
//! without a flag end at once. Ending at once loses no more than a kill does.
//! SIGXFSZ: a file beyond its size limit is an error like a full disk, told in a sentence.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;
#[cfg(unix)]
use std::time::Instant;

use signal_hook::consts::SIGINT;
#[cfg(unix)]
use signal_hook::consts::{SIGTERM, SIGUSR1};

/// How long a command may take to notice that it shall stop.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Exit code of a command that was stopped, as the shell reports a program ended by Ctrl-C.
pub const STOPPED: u8 = 130;

#[cfg(unix)]
const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGUSR1];
#[cfg(not(unix))]
const SIGNALS: [i32; 1] = [SIGINT];

/// The flag of the command that stops in good order.
static FLAG: Mutex<Option<StopFlag>> = Mutex::new(None);

/// Whether a run that gets a signal ends at once.
static ENDS_AT_ONCE: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));

/// Whether a stop was asked for.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// The flag that [`listen`] raises on a first signal; a second Ctrl-C ends the process at once.
    pub fn on_signals() -> Self {
        let flag = Self::default();
        *FLAG.lock().unwrap_or_else(PoisonError::into_inner) = Some(flag.clone());
        flag
    }

    /// The flag of a run, which has no thread but those that compute: signals raise it within a [`StepGuard`] and end the process
    /// outside of one, as a second Ctrl-C does.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub fn of_run() -> io::Result<Self> {
        let flag = Self::default();
        let code = i32::from(STOPPED);
        // Registered first, so that it sees the flag as it was before this signal.
        signal_hook::flag::register_conditional_shutdown(SIGINT, code, Arc::clone(&flag.0))?;
        for signal in SIGNALS {
            signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&ENDS_AT_ONCE))?;
            signal_hook::flag::register(signal, Arc::clone(&flag.0))?;
        }
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

/// Steps of a run, at whose end a checkpoint is written.
#[derive(Debug)]
pub struct StepGuard(());

impl StepGuard {
    /// Begins such steps; they end when the guard is dropped.
    pub fn begin() -> Self {
        ENDS_AT_ONCE.store(false, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for StepGuard {
    fn drop(&mut self) {
        ENDS_AT_ONCE.store(true, Ordering::SeqCst);
    }
}

/// Listens for the rest of the process, on a thread of its own. `tell` hears why the process ends if it ends at once; unfinished files
/// are removed then.
///
/// # Errors
/// The system refuses a handler or a thread.
#[cfg(unix)]
pub fn listen(tell: impl Fn(&str) + Send + 'static) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new(SIGNALS)?;
    let wait = move || {
        let Some(first) = signals.forever().next() else { return };
        let Some(flag) = FLAG.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            end(first, "", &tell);
        };
        flag.raise();
        let since = Instant::now();
        loop {
            if signals.pending().any(|signal| signal == SIGINT) {
                end(SIGINT, "", &tell);
            }
            if since.elapsed() > PATIENCE {
                end(first, " within a long computation; what was done before it is kept", &tell);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// The same where Ctrl-C is the only signal: it ends the process.
///
/// # Errors
/// The system refuses a handler.
#[cfg(not(unix))]
pub fn listen(_tell: impl Fn(&str) + Send + 'static) -> io::Result<()> {
    signal_hook::flag::register_conditional_shutdown(SIGINT, i32::from(STOPPED), Arc::new(AtomicBool::new(true)))
        .map(drop)
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
