//! Making room for a file of a data set without destroying what lies under its name.

use crate::catalog::DataFile;
use crate::locate::files_in;
use crate::verify::verify;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Gives every file in `folder` that has a name of `file` but is not it another name; old and new names.
///
/// Such a file may be of another data set, and the only copy of it.
pub(crate) fn set_aside(file: &DataFile, folder: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let mut moved = Vec::new();
    for path in files_in(folder, file.name) {
        if !verify(file, &path).is_ok_and(|verdict| verdict.is_accepted()) {
            let to = free_name(&path);
            fs::rename(&path, &to)?;
            moved.push((path, to));
        }
    }
    Ok(moved)
}

/// The path with `.other` after it, and a number if there is such a file already.
fn free_name(path: &Path) -> PathBuf {
    let named = |ending: String| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let endings = std::iter::once(".other".to_owned()).chain((2..).map(|number| format!(".other{number}")));
    let mut names = endings.map(named);
    // There are more numbers than files.
    names.find(|name| !name.exists()).unwrap_or_else(|| named(".other".to_owned()))
}
