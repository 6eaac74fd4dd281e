//! Files that are there whole or not at all: written next to their place, flushed to the disk, then renamed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use widthwise_datasets::part::PartialFile;

use super::kill_point::kill_point;

/// Replaces `path` by a file with these bytes.
///
/// # Errors
/// Any failure to write, with the path in its message; the old file is then still there and the new one removed.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    write_with(path, |file| {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        file.write_all(first)?;
        kill_point(&format!("{name}.in_write"));
        file.write_all(second)
    })
}

/// As [`write()`], with what `content` writes, for files that need not be in memory at once.
///
/// # Errors
/// As [`write()`], or an error of `content`.
pub fn write_with(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let result = (|| {
        // Dropped on any failure, the part is removed.
        let mut part = PartialFile::create(part_of(path))?;
        content(&mut part)?;
        part.sync()?;
        kill_point(&format!("{name}.before_rename"));
        part.rename(path)?;
        kill_point(&format!("{name}.after_rename"));
        sync_folder(path)
    })();
    result.map_err(|error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display())))
}

/// Where the file at `path` is while it is written.
pub fn part_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}

/// The name of the file that `name` is an unfinished write of.
pub fn whole_name(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".part")
}

/// Makes a rename survive a power cut, where the system can.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix)
        && let Some(folder) = path.parent()
    {
        // The parent of a bare name is empty.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_bare_name_lies_in_the_current_folder() {
        let name = Path::new("widthwise-atomic-test.txt");
        write(name, b"whole").unwrap();
        assert_eq!(fs::read(name).unwrap(), b"whole");
        fs::remove_file(name).unwrap();
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        let error = write(&taken, b"x").unwrap_err().to_string();
        assert!(error.contains("cannot write") && error.contains("taken"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_part_names_its_file() {
        let name = part_of(Path::new("out/table.csv"));
        assert_eq!(name, Path::new("out/.table.csv.part"));
        assert_eq!(whole_name(".table.csv.part"), Some("table.csv"));
        assert_eq!([".lock", "table.csv", "k.npy.part"].map(whole_name), [None; 3]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_under_the_name_of_the_part_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [precious, path] = ["precious", "table.csv"].map(|name| folder.path().join(name));
        fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, part_of(&path)).unwrap();
        write(&path, b"whole").unwrap();
        assert_eq!([&precious, &path].map(|path| fs::read(path).unwrap()), [b"precious".to_vec(), b"whole".to_vec()]);
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
    }
}
