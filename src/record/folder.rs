//! What the folders of runs, ladders, recipes and explanations have in common.
//!
//! - A manifest, or the settings of an explanation, comes first and says whose the folder is.
//! - Every other file is there whole or not at all; what is missing is made again.
//! - The last file says that all is done: until then the same command goes on, after a kill as after a full disk.
//! - Only files of known names are removed, and folders that are empty without them.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic::{self, whole_name};

use crate::error::{At, OrDamaged, Result, ensure};

/// Whether nothing lies in `folder`, which need not be there. Names that begin with a dot do not count: among them are the
/// lock, and what a kill before the first file leaves.
///
/// # Errors
/// A folder that cannot be read.
pub fn is_free(folder: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        entries => entries?,
    };
    for entry in entries {
        if !entry?.file_name().to_string_lossy().starts_with('.') {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Refuses a file where a folder is asked for by `option`.
pub(crate) fn expect_no_file(folder: &Path, option: &str) -> Result<()> {
    ensure!(!folder.is_file(), Folder: "the output {} is a file; give a folder with {option}", folder.display());
    Ok(())
}

/// Makes a folder that may be there.
pub(crate) fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).at("make the folder", folder)
}

/// The manifest at `path`, if there is one; `damage` says what it is if it cannot be read as one.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path, damage: &str) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .or_damaged(|| format!("{} is {damage}; choose another --out", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("read", path),
    }
}

/// Writes a manifest, whole or not at all.
///
/// # Errors
/// A failure to write.
pub(crate) fn write_json(path: &Path, manifest: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(manifest)?;
    text.push(b'\n');
    atomic::write(path, &text)
}

/// Removes the files below `folder` whose path within it, with `/` between names, is `own`, finished or not, and then every
/// folder that is empty. No link is followed.
///
/// # Errors
/// A file that cannot be removed.
pub fn remove_own(folder: &Path, own: &dyn Fn(&str) -> bool) -> io::Result<()> {
    if fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir()) { below(folder, "", own) } else { Ok(()) }
}

fn below(folder: &Path, prefix: &str, own: &dyn Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if entry.file_type()?.is_dir() {
            below(&entry.path(), &format!("{prefix}{name}/"), own)?;
        } else if own(&format!("{prefix}{}", whole_name(name).unwrap_or(name))) {
            remove_file(&entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => Err(error),
        _ => Ok(()),
    }
}

/// Removes a file that need not be there.
///
/// # Errors
/// It cannot be removed; the path is in the message.
pub fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(io::Error::new(error.kind(), format!("cannot remove {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kill_leaves_first_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("out");
        assert!(is_free(&folder).unwrap());
        fs::create_dir(&folder).unwrap();
        for name in [".lock", ".manifest.json.part"] {
            fs::write(folder.join(name), "").unwrap();
            assert!(is_free(&folder).unwrap());
        }
        fs::write(folder.join("notes.txt"), "").unwrap();
        assert!(!is_free(&folder).unwrap());
        assert!(is_free(&folder.join("notes.txt")).is_err());
    }

    #[test]
    fn only_own_files_and_empty_folders_go() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("members");
        for name in ["000/w.npy", "000/.w.npy.part", "000/notes.txt", "001/w.npy", "w.npy"] {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        remove_own(&folder, &|path| path.ends_with("/w.npy")).unwrap();
        let left = |name: &str| folder.join(name).exists();
        assert!(left("000/notes.txt") && left("w.npy"));
        assert!(!left("000/w.npy") && !left("000/.w.npy.part") && !left("001"));
        remove_own(&folder, &|_| true).unwrap();
        assert!(!folder.exists());
        remove_own(&folder, &|_| true).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_folder_is_not_entered() {
        let dir = tempfile::tempdir().unwrap();
        let [precious, members] = ["precious", "members"].map(|name| dir.path().join(name));
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("w.npy"), "").unwrap();
        std::os::unix::fs::symlink(&precious, &members).unwrap();
        remove_own(&members, &|_| true).unwrap();
        let outer = dir.path().join("outer");
        fs::create_dir(&outer).unwrap();
        std::os::unix::fs::symlink(&precious, outer.join("000")).unwrap();
        remove_own(&outer, &|path| path.ends_with("w.npy")).unwrap();
        assert!(precious.join("w.npy").is_file());
    }
}
