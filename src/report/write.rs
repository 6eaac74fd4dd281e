//! Files that are either the old or the new one, never half of a new one.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::error::ReportError;

/// Writes `text` to `path`: first under another name in the same directory, then renamed.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), ReportError> {
    let failed = |action| move |source| ReportError::Io { path: path.to_owned(), action, source };
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    let partial = Path::new(&name);
    let mut file = File::create(partial).map_err(failed("create"))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write"))?;
    fs::rename(partial, path).map_err(failed("replace"))
}

/// Removes `path` if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), ReportError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(ReportError::Io { path: path.to_owned(), action: "remove", source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_file_is_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.svg");
        replace(&path, "old").unwrap();
        replace(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_impossible_path_is_named() {
        let message = replace(Path::new("/nowhere-at-all/a.svg"), "").unwrap_err().to_string();
        assert!(message.contains("/nowhere-at-all/a.svg: could not create"), "{message}");
    }
}
