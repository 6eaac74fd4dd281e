//! Places at which a test may kill the process, as the machine might: `WIDTHWISE_KILL_AT=name:n` ends it at the n-th pass
//! of the place of that name, without unwinding and without flushing anything.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Environment variable that arms a place.
pub const VARIABLE: &str = "WIDTHWISE_KILL_AT";

struct Armed {
    name: String,
    pass: u64,
}

fn armed() -> Option<&'static Armed> {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    let parse = || {
        let value = std::env::var(VARIABLE).ok()?;
        let (name, pass) = value.rsplit_once(':')?;
        Some(Armed { name: name.to_owned(), pass: pass.parse().ok()? })
    };
    ARMED.get_or_init(parse).as_ref()
}

/// Whether the process is to be killed at this pass of `name`.
fn is_due(name: &str) -> bool {
    static PASSES: OnceLock<Mutex<HashMap<String, u64>>> = OnceLock::new();
    let Some(armed) = armed().filter(|armed| armed.name == name) else { return false };
    let mut passes = PASSES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let pass = passes.entry(name.to_owned()).or_default();
    *pass += 1;
    *pass == armed.pass
}

/// Ends the process here if this place is armed and due.
pub fn kill_point(name: &str) {
    if is_due(name) {
        kill();
    }
}

/// Runs `before` and ends the process if this place is armed and due: for a write that stops half-way.
pub fn kill_point_after(name: &str, before: impl FnOnce()) {
    if is_due(name) {
        before();
        kill();
    }
}

fn kill() -> ! {
    // An abort: no destructor and no buffered writer gets a chance, as under SIGKILL.
    std::process::abort()
}
