//! `widthwise bundle`: a run in one file, for others to judge.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use widthwise::memory::Bytes;
use widthwise::run::{BundleOptions, BundledData, OpenedRun, bundle, registered};

use super::Exit;
use crate::cli::BundleArguments;
use crate::terminal::console::Console;

#[derive(Serialize)]
struct BundleLine<'a> {
    event: &'static str,
    file: &'a Path,
    sha256: &'a str,
    bytes: u64,
    files: usize,
    has_data: bool,
}

#[derive(Serialize)]
struct RegistrationLine<'a> {
    event: &'static str,
    sha256: Option<&'a str>,
}

/// Packs the run and says what is in the archive.
///
/// # Errors
/// No finished run in the folder, data that are not found, or an archive that cannot be written.
pub(crate) fn execute(arguments: &BundleArguments, console: &Console) -> Result<Exit> {
    let BundleArguments { folder, out, data_dir, without_data } = arguments;
    let options = BundleOptions { out: out.clone(), data_dir: data_dir.clone(), without_data: *without_data };
    let made = bundle(folder, &options)?;
    let without = "whoever judges the run again gives them with `widthwise check ... --control ... --data-dir DIR`";
    match made.data {
        BundledData::Included => {}
        BundledData::LeftOut => console.note(format_args!("the data are left out; {without}")),
        BundledData::TooLarge(size) => console.note(format_args!("the data take {size} and are left out; {without}")),
    }
    let (file, sha256, bytes, files) = (made.file.as_path(), made.sha256.as_str(), made.bytes, made.files);
    let has_data = made.data == BundledData::Included;
    console.json(&BundleLine { event: "bundle", file, sha256, bytes, files, has_data })?;
    console.line(format_args!("{files} files in {} ({}), SHA-256 {sha256}", file.display(), Bytes(bytes)))?;
    Ok(Exit::Done)
}

/// Says whether and as what a run was registered before it was trained.
///
/// # Errors
/// Standard output refuses, or a registration that is not the one the manifest names.
pub(super) fn tell_registration(folder: &Path, console: &Console) -> Result<()> {
    let registered = registered(folder)?;
    let sha256 = registered.as_ref().map(|(_, sha256)| sha256.as_str());
    console.json(&RegistrationLine { event: "registration", sha256 })?;
    match sha256 {
        Some(sha256) => console.detail(format_args!("registered before training: SHA-256 {sha256}")),
        None => console.detail("not registered: what is judged was not written down before training"),
    }
}

/// Says that a bundle was judged again, or why it was not.
///
/// # Errors
/// Standard output refuses.
pub(super) fn tell_bundle(run: &OpenedRun, is_judged_again: bool, console: &Console) -> Result<()> {
    if !run.is_bundle() {
        return Ok(());
    }
    if is_judged_again {
        console.detail("bundle: every checksum holds; judged again from what the members measured")
    } else {
        console.detail("bundle: every checksum holds; it has no data, so the verdicts are those recorded")
    }
}
