//! One writer a folder: an advisory lock that the system releases when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use widthwise_datasets::part::open_own;

/// Held while a run writes its folder.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks `folder`.
    ///
    /// # Errors
    /// Another process holds the lock, or the lock file cannot be made.
    pub fn acquire(folder: &Path) -> io::Result<Self> {
        let path = folder.join(".lock");
        let opened = open_own(OpenOptions::new().create(true).write(true).truncate(false), &path);
        let file = opened.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot make the lock file {}: {error}", path.display()))
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("another process is writing {}; wait for it or choose another --output", folder.display()),
            )),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
