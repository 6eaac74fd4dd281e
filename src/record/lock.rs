//! One writer a folder: an advisory lock that the system releases when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use widthwise_datasets::part::open_own;

/// Name of the lock of a folder.
pub const NAME: &str = ".lock";
/// Name of the lock that those who share a folder take in turn.
const TURN: &str = ".lock.turn";

/// Held while a process writes a folder.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks `folder` for a process that works there alone, or for one of those that share the work.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn take(folder: &Path, is_alone: bool) -> io::Result<Self> {
        if is_alone { Self::acquire(folder) } else { Self::share(folder) }
    }

    /// Locks `folder` against all others.
    ///
    /// # Errors
    /// Another process holds the lock, or the lock file cannot be made.
    pub fn acquire(folder: &Path) -> io::Result<Self> {
        let file = open(folder, NAME)?;
        Self::held(file.try_lock(), file, folder)
    }

    /// Locks `folder` against all but those that share it.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn share(folder: &Path) -> io::Result<Self> {
        let file = open(folder, NAME)?;
        Self::held(file.try_lock_shared(), file, folder)
    }

    /// Waits for the turn among those that share `folder`.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn turn(folder: &Path) -> io::Result<Self> {
        let file = open(folder, TURN)?;
        file.lock()?;
        Ok(Self { _file: file })
    }

    /// Locks `folder`, or says that another process has it.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn try_acquire(folder: &Path) -> io::Result<Option<Self>> {
        let file = open(folder, NAME)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn held(result: Result<(), TryLockError>, file: File, folder: &Path) -> io::Result<Self> {
        match result {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("another process is writing {}; wait for it or choose another --output", folder.display()),
            )),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn open(folder: &Path, name: &str) -> io::Result<File> {
    let path = folder.join(name);
    let opened = open_own(OpenOptions::new().create(true).write(true).truncate(false), &path);
    opened
        .map_err(|error| io::Error::new(error.kind(), format!("cannot make the lock file {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_by_one_or_shared_by_many() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let alone = Lock::acquire(path).unwrap();
        let refused = Lock::share(path).unwrap_err().to_string();
        assert!(refused.contains("another process is writing"), "{refused}");
        assert!(Lock::try_acquire(path).unwrap().is_none());
        drop(alone);
        let shared = [Lock::share(path).unwrap(), Lock::share(path).unwrap()];
        assert!(Lock::acquire(path).is_err());
        let turn = Lock::turn(path).unwrap();
        drop((shared, turn));
        assert!(Lock::try_acquire(path).unwrap().is_some());
    }
}
