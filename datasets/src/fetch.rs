//! Downloading the original files: progress, resumption, checksums, and one mirror after the other.
//!
//! A file arrives under its name with `.part` appended, which a later call continues with an HTTP range request. It gets its
//! own name only after its checksum was found right, so a file without `.part` is always whole.

use crate::aside::set_aside;
use crate::catalog::{CatalogEntry, DataFile, DownloadFile};
use crate::checksum::checksum_of;
use crate::fetch_error::{FetchError, MirrorFailure};
use crate::http::{Attempt, Client};
use crate::locate::{file_in, files_in};
use crate::part::open_own;
use crate::unpack::unpack;
use crate::verify::verify;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Seek;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// How to download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOptions {
    /// Addresses of folders to use instead of the catalog's, each ending in `/`.
    pub mirrors: Option<Vec<String>>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest silence of a server before it counts as stalled.
    pub stall_timeout: Duration,
    /// Least bytes a second, on average over `stall_timeout`, before an address counts as too slow.
    pub least_rate: u64,
    /// Tries at one address without as many new bytes as the least rate brings in one `stall_timeout`, before the next
    /// address is tried; at least 1.
    pub attempts: u32,
    /// Pause before another try at the same address.
    pub pause: Duration,
    /// Whether the proxies named in the environment are used.
    pub use_proxy: bool,
}

impl FetchOptions {
    /// Bytes that an address must bring in one stall timeout.
    pub(crate) fn least_bytes(&self) -> u64 {
        (self.least_rate as f64 * self.stall_timeout.as_secs_f64()) as u64
    }
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            mirrors: None,
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(30),
            least_rate: 1 << 10,
            attempts: 3,
            pause: Duration::from_secs(2),
            use_proxy: true,
        }
    }
}

/// What a download is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The file is there already and has the right checksum.
    Present {
        /// File name.
        file: &'a str,
    },
    /// An address answered.
    Started {
        /// File name.
        file: &'a str,
        /// Address.
        url: &'a str,
        /// Bytes kept from an earlier try.
        resumed_from: u64,
        /// Size of the file in bytes, where the server or the catalog states it.
        total: Option<u64>,
    },
    /// Bytes arrived.
    Advanced {
        /// File name.
        file: &'a str,
        /// Bytes there now, those of earlier tries included.
        done: u64,
        /// Size of the file in bytes, where known.
        total: Option<u64>,
    },
    /// A try failed; the same address or the next one follows.
    Failed {
        /// File name.
        file: &'a str,
        /// Address.
        url: &'a str,
        /// What happened.
        reason: &'a str,
    },
    /// The whole file is there.
    Finished {
        /// File name.
        file: &'a str,
        /// Whether it had a published checksum to compare with.
        verified: bool,
    },
    /// A file that had the name of one to come, and was not it, got another name.
    SetAside {
        /// Old path.
        from: &'a Path,
        /// New path.
        to: &'a Path,
    },
    /// A file was taken from an archive.
    Unpacked {
        /// File name.
        file: &'a str,
    },
}

/// Downloads what is missing of a data set into `into_dir/<id>` and returns the paths of its files.
///
/// # Errors
/// [`FetchError`] when no address delivers a file with the right checksum, or the disk refuses.
pub fn fetch(
    entry: &CatalogEntry,
    into_dir: &Path,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<PathBuf>, FetchError> {
    let folder = into_dir.join(entry.id);
    fs::create_dir_all(&folder).map_err(|source| FetchError::io(&folder, source))?;
    let client = Client::new(options);
    for download in entry.downloads {
        if is_present(entry, download, &folder) {
            // What is right may stand behind a damaged twin.
            make_room(entry, download, &folder, progress)?;
            progress(Progress::Present { file: download.name });
            continue;
        }
        let path = download_one(entry, download, &folder, &client, options, progress)?;
        if download.archive {
            make_room(entry, download, &folder, progress)?;
            let unpacked = unpack(entry, &path, &folder, &mut |file| progress(Progress::Unpacked { file }));
            fs::remove_file(&path).map_err(|source| FetchError::io(&path, source))?;
            unpacked?;
        }
    }
    Ok(entry.files.iter().filter_map(|file| file_in(&folder, file.name)).collect())
}

/// The files that a download brings.
fn files_of<'a>(entry: &'a CatalogEntry, download: &'a DownloadFile) -> impl Iterator<Item = &'a DataFile> {
    let stem = download.name.trim_end_matches(".gz");
    entry.files.iter().filter(move |file| download.archive || file.name == stem)
}

/// Whether the files that a download brings are there and in order.
fn is_present(entry: &CatalogEntry, download: &DownloadFile, folder: &Path) -> bool {
    let is_right = |file: &DataFile, path: PathBuf| verify(file, &path).is_ok_and(|verdict| verdict.is_accepted());
    files_of(entry, download).all(|file| files_in(folder, file.name).any(|path| is_right(file, path)))
}

/// Gives other names to files that would be written over, or read instead of what a download brings.
fn make_room(
    entry: &CatalogEntry,
    download: &DownloadFile,
    folder: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), FetchError> {
    for file in files_of(entry, download) {
        let moved = set_aside(file, folder).map_err(|source| FetchError::io(folder, source))?;
        moved.iter().for_each(|(from, to)| progress(Progress::SetAside { from, to }));
    }
    Ok(())
}

fn download_one(
    entry: &CatalogEntry,
    download: &DownloadFile,
    folder: &Path,
    client: &Client,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, FetchError> {
    let path = folder.join(download.name);
    let part = folder.join(format!("{}.part", download.name));
    let io = |source| FetchError::io(&part, source);
    let mut file =
        open_own(OpenOptions::new().read(true).write(true).create(true).truncate(false), &part).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(FetchError::Busy { path: part }),
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }

    let mirrors: Vec<&str> = match &options.mirrors {
        Some(mirrors) => mirrors.iter().map(String::as_str).collect(),
        None => download.mirrors.to_vec(),
    };
    let mut failures = Vec::new();
    for mirror in mirrors {
        let url = format!("{mirror}{}", download.name);
        match from_mirror(download, &url, &mut file, client, options, progress) {
            Ok(()) => {
                file.sync_all().map_err(io)?;
                drop(file);
                if !download.archive {
                    make_room(entry, download, folder, progress)?;
                }
                fs::rename(&part, &path).map_err(io)?;
                progress(Progress::Finished { file: download.name, verified: download.checksum.is_some() });
                return Ok(path);
            }
            Err(Attempt::Local(source)) => return Err(io(source)),
            Err(Attempt::Again(reason) | Attempt::TooSlow(reason) | Attempt::Elsewhere(reason)) => {
                failures.push(MirrorFailure { url, reason });
            }
        }
    }
    let kept = file.metadata().map_err(io)?.len();
    Err(FetchError::AllMirrorsFailed { id: entry.id, file: download.name, failures, kept })
}

/// Tries one address until the file is whole and right, or the address gets nowhere.
fn from_mirror(
    download: &DownloadFile,
    url: &str,
    file: &mut File,
    client: &Client,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Attempt> {
    let mut furthest = file.metadata()?.len();
    let mut resumed = furthest > 0;
    let mut failed = 0;
    loop {
        let result = client.download(download, url, file, progress).and_then(|()| check(download, file));
        let mut wait = options.pause;
        let attempt = match result {
            Ok(()) => return Ok(()),
            // The bytes kept from before may be the wrong ones; one try from the start tells.
            Err(Attempt::Elsewhere(reason)) if resumed => {
                file.set_len(0)?;
                (resumed, furthest, wait) = (false, 0, Duration::ZERO);
                Attempt::Again(reason)
            }
            Err(attempt) => {
                failed += 1;
                attempt
            }
        };
        if let Attempt::Again(reason) | Attempt::TooSlow(reason) | Attempt::Elsewhere(reason) = &attempt {
            progress(Progress::Failed { file: download.name, url, reason });
        }
        let Attempt::Again(_) = &attempt else { return Err(attempt) };
        // A byte at a time would never end.
        let length = file.metadata()?.len();
        if length > furthest.saturating_add(options.least_bytes()) {
            (furthest, failed) = (length, 0);
        }
        if failed >= options.attempts.max(1) {
            return Err(attempt);
        }
        thread::sleep(wait);
    }
}

/// Compares the checksum; a wrong file is emptied so that nothing continues from it.
fn check(download: &DownloadFile, file: &mut File) -> Result<(), Attempt> {
    let Some(expected) = download.checksum else { return Ok(()) };
    file.rewind()?;
    let found = checksum_of(&mut *file, expected)?;
    if found == expected.hex() {
        return Ok(());
    }
    file.set_len(0)?;
    Err(Attempt::Elsewhere(format!("the file has the checksum {found} instead of {expected}")))
}
