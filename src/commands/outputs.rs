//! Places to write, tried before any work is done.

use std::fs::{self, OpenOptions};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Sees to it that `path` can be written: its folder is there and takes a file.
///
/// # Errors
/// What stands in the way, and what to do.
pub(super) fn try_out(path: &Path) -> Result<()> {
    let Some(name) = path.file_name() else { bail!("{} is no name of a file; add one", path.display()) };
    if path.is_dir() {
        bail!("{} is a folder; give the name of a file", path.display());
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        bail!("cannot write {}: the folder {} does not exist; make it first", path.display(), folder.display());
    }
    let probe = folder.join(format!(".{}.{}.try", name.to_string_lossy(), std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&probe);
    made.with_context(|| format!("cannot write into the folder {}", folder.display()))?;
    fs::remove_file(&probe).with_context(|| format!("cannot remove {} again", probe.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_tried_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        try_out(&folder.path().join("all.csv")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = try_out(&folder.path().join("no/all.csv")).unwrap_err().to_string();
        assert!(missing.contains("does not exist; make it first"), "{missing}");
        let is_folder = try_out(folder.path()).unwrap_err().to_string();
        assert!(is_folder.contains("is a folder"), "{is_folder}");
    }
}
