//! Files on their way: written next to their place, and renamed once they are whole.
//!
//! A part belongs to whoever holds its lock. One without a holder is what a writer that was killed left, and makes way for the next.
//! No link is followed: what stands under the name of a part is removed, never written through.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Parts that this process is writing.
static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn open_parts() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that is not whole yet; dropped before [`PartialFile::rename`], it is removed.
#[derive(Debug)]
pub struct PartialFile {
    file: File,
    path: PathBuf,
    is_renamed: bool,
}

impl PartialFile {
    /// Begins an empty file at `path`. Another process that writes it is waited for; what a killed one left is removed.
    ///
    /// # Errors
    /// The folder takes no file, or something else than a file lies there.
    pub fn create(path: PathBuf) -> io::Result<Self> {
        loop {
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    lock(&file)?;
                    // Between its making and its lock another writer may have taken it for left over.
                    if leads_to(&path, &file)? {
                        open_parts().insert(path.clone());
                        return Ok(Self { file, path, is_renamed: false });
                    }
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => make_way(&path)?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Flushes to the disk.
    ///
    /// # Errors
    /// A failure to write.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives the file its name, replacing what has it.
    ///
    /// # Errors
    /// The part was taken away meanwhile, or cannot be renamed; it is removed then.
    pub fn rename(mut self, to: &Path) -> io::Result<()> {
        if !leads_to(&self.path, &self.file)? {
            return Err(io::Error::other("its unfinished file was removed or replaced by another process"));
        }
        fs::rename(&self.path, to)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        let mut open = open_parts();
        // Of another writer, it is left to it. A part that cannot be removed is told by the error that led here.
        if !self.is_renamed && leads_to(&self.path, &self.file).unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
        open.remove(&self.path);
    }
}

/// Removes all parts that this process is writing: it is about to end.
pub fn abandon_all() {
    for path in std::mem::take(&mut *open_parts()) {
        let _ = fs::remove_file(path);
    }
}

/// Removes what stands where a part shall be, after whoever writes it is done.
fn make_way(path: &Path) -> io::Result<()> {
    let removed = (|| {
        if fs::symlink_metadata(path)?.is_file() {
            let file = open_own(OpenOptions::new().read(true), path)?;
            lock(&file)?;
            if !leads_to(path, &file)? {
                return Ok(());
            }
        }
        fs::remove_file(path)
    })();
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Opens a file of the program's own, which is never a link: what a link leads to is somebody else's.
///
/// # Errors
/// A link, or whatever the system answers.
pub fn open_own(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NOFOLLOW);
    options.open(path).map_err(|error| {
        if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
            io::Error::new(error.kind(), "it is a link, which is not followed; remove it")
        } else {
            error
        }
    })
}

/// Waits for the lock; a file system without locks has none to wait for.
fn lock(file: &File) -> io::Result<()> {
    match file.lock() {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        result => result,
    }
}

/// Whether `file` is what lies at `path`.
fn leads_to(path: &Path, file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let own = file.metadata()?;
        match fs::symlink_metadata(path) {
            Ok(found) => Ok((found.dev(), found.ino()) == (own.dev(), own.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(path.is_file())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_part_gets_its_name_or_goes() {
        let folder = tempfile::tempdir().unwrap();
        let [part, whole] = ["x.part", "x"].map(|name| folder.path().join(name));
        let mut file = PartialFile::create(part.clone()).unwrap();
        file.write_all(b"new").unwrap();
        file.sync().unwrap();
        file.rename(&whole).unwrap();
        assert_eq!((fs::read(&whole).unwrap(), part.exists()), (b"new".to_vec(), false));
        drop(PartialFile::create(part.clone()).unwrap());
        assert!(!part.exists());
    }

    #[test]
    fn what_was_left_over_makes_way() {
        let folder = tempfile::tempdir().unwrap();
        let [part, whole] = ["x.part", "x"].map(|name| folder.path().join(name));
        fs::write(&part, "a longer text that a killed writer left").unwrap();
        let mut file = PartialFile::create(part.clone()).unwrap();
        file.write_all(b"new").unwrap();
        file.rename(&whole).unwrap();
        assert_eq!(fs::read(&whole).unwrap(), b"new");
        // A folder is none of ours.
        fs::create_dir(&part).unwrap();
        assert!(PartialFile::create(part.clone()).is_err() && part.is_dir());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_removed_and_not_followed() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let [part, precious, absent] = ["x.part", "precious", "absent"].map(|name| folder.path().join(name));
        fs::write(&precious, "precious").unwrap();
        for target in [&precious, &absent] {
            symlink(target, &part).unwrap();
            let mut file = PartialFile::create(part.clone()).unwrap();
            file.write_all(b"new").unwrap();
            assert!(fs::symlink_metadata(&part).unwrap().is_file());
            drop(file);
            symlink(target, &part).unwrap();
            let refusal = open_own(OpenOptions::new().write(true).create(true), &part).unwrap_err().to_string();
            assert!(refusal.contains("is a link"), "{refusal}");
            fs::remove_file(&part).unwrap();
        }
        assert_eq!(fs::read(&precious).unwrap(), b"precious");
        assert!(!absent.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_second_writer_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let [part, whole] = ["x.part", "x"].map(|name| folder.path().join(name));
        let mut first = PartialFile::create(part.clone()).unwrap();
        let (sender, receiver) = mpsc::channel();
        let second = {
            let (part, whole) = (part.clone(), whole.clone());
            thread::spawn(move || {
                let mut file = PartialFile::create(part).unwrap();
                sender.send(()).unwrap();
                file.write_all(b"second").unwrap();
                file.rename(&whole).unwrap();
            })
        };
        assert!(receiver.recv_timeout(Duration::from_millis(100)).is_err(), "two writers at once");
        first.write_all(b"first").unwrap();
        first.rename(&whole).unwrap();
        second.join().unwrap();
        assert_eq!(fs::read(&whole).unwrap(), b"second");
        // A part that was taken away is never taken for the one that stands there now.
        let taken = PartialFile::create(part.clone()).unwrap();
        fs::remove_file(&part).unwrap();
        fs::write(&part, "another's").unwrap();
        assert!(taken.rename(&whole).is_err());
        assert_eq!(fs::read(&part).unwrap(), b"another's");
    }
}
