//! Where the pickle and the numbers of a file of `torch.save` lie: entries of a zip archive, or, before PyTorch 1.6, one after the other.
//!
//! No length in a file is believed before it was held against the bytes that are there, and no more is taken at once than a
//! fixed multiple of them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zip::ZipArchive;
use zip::read::ZipReadOptions;

use super::pickle::{Graph, Value};
use super::storage::Storage;

/// The largest pickle that is read.
const LARGEST_PICKLE: u64 = 64 << 20;

/// How far an entry may unpack: `torch.save` packs nothing, so that this concerns archives that someone packed again.
const LARGEST_UNPACKING: u64 = 4;

/// A file of `torch.save`.
pub(super) struct Container {
    /// What it holds.
    pub(super) graph: Graph,
    numbers: Numbers,
}

enum Numbers {
    /// Entries `<root>data/<key>`.
    Zip { archive: ZipArchive<File>, root: String },
    /// Places in the file, by key.
    Stream { bytes: Vec<u8>, places: HashMap<String, (usize, usize)> },
}

impl Container {
    /// Opens a zip archive.
    ///
    /// # Errors
    /// In words, what is wrong with it or what else it is.
    pub(super) fn open_zip(path: &Path) -> Result<Self, String> {
        let damaged = |error: &dyn std::fmt::Display| format!("its zip archive is damaged ({error})");
        let file = File::open(path).map_err(|error| error.to_string())?;
        let mut archive = ZipArchive::new(file).map_err(|error| damaged(&error))?;
        let names: Vec<String> = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
        if let Some(kind) = other_archive(&names) {
            return Err(kind);
        }
        let Some(pickle) = names.iter().find(|name| *name == "data.pkl" || name.ends_with("/data.pkl")) else {
            return Err("it is a zip archive without the data.pkl that torch.save writes".to_owned());
        };
        let root = pickle.trim_end_matches("data.pkl").to_owned();
        if let Ok(order) = entry(&mut archive, &format!("{root}byteorder"), 16)
            && order != b"little"
        {
            return Err("it was written on a big-endian machine; load and save it again on another".to_owned());
        }
        let bytes = entry(&mut archive, pickle, LARGEST_PICKLE).map_err(|error| damaged(&error))?;
        let graph = Graph::read(&bytes).map_err(|error| error.to_string())?;
        Ok(Self { graph, numbers: Numbers::Zip { archive, root } })
    }

    /// Reads a file of PyTorch before 1.6: pickles of a number, a version, the system and the object, a list of keys, and the numbers
    /// of each, after how many they are.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub(super) fn of_stream(bytes: Vec<u8>) -> Result<Self, String> {
        let mut at = 0;
        let mut next = || {
            let graph = Graph::read(&bytes[at..]).map_err(|error| error.to_string())?;
            at += graph.length;
            Ok::<_, String>(graph)
        };
        let (_, _, system) = (next()?, next()?, next()?);
        let order = system.entry(system.root, "little_endian").map(|id| system.value(id));
        if order != Some(&Value::Switch(true)) {
            return Err("it was not written on a little-endian machine; load and save it again on one".to_owned());
        }
        let (graph, keys) = (next()?, next()?);
        // How long the numbers of a key are is said where they are referred to.
        let mut sizes: HashMap<String, usize> = HashMap::new();
        for value in &graph.values {
            let Value::Persistent(fields) = value else { continue };
            let storage = Storage::of(&graph, *fields)?;
            let item =
                storage.item.ok_or_else(|| format!("its storages hold {}, which cannot be read", storage.class))?;
            sizes.insert(storage.key, item);
        }
        let mut places = HashMap::new();
        for key in keys.list(keys.root).unwrap_or_default() {
            let cut = || "it is cut off, or damaged where its numbers begin".to_owned();
            let key = keys.key(*key).ok_or_else(cut)?;
            let item = *sizes.get(&key).ok_or_else(cut)?;
            let count = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()).ok_or_else(cut)?;
            let length = usize::try_from(u64::from_le_bytes(*count)).ok().and_then(|count| count.checked_mul(item));
            let length = length.filter(|length| *length <= bytes.len() - at - 8).ok_or_else(cut)?;
            places.insert(key, (at + 8, length));
            at += 8 + length;
        }
        Ok(Self { graph, numbers: Numbers::Stream { bytes, places } })
    }

    /// Bytes of the storage `key` that the file really has.
    ///
    /// # Errors
    /// In words, why there are none.
    pub(super) fn size(&mut self, key: &str) -> Result<usize, String> {
        match &mut self.numbers {
            Numbers::Zip { archive, root } => {
                let name = format!("{root}data/{key}");
                let index = archive.index_for_name(&name).ok_or_else(|| format!("it lacks {name}, its numbers"))?;
                let entry = archive.by_index_raw(index).map_err(|error| format!("{name} is damaged ({error})"))?;
                let (size, packed) = (entry.size(), entry.compressed_size());
                let is_sound = size <= packed.saturating_mul(LARGEST_UNPACKING).saturating_add(LARGEST_PICKLE);
                usize::try_from(size).ok().filter(|_| is_sound).ok_or_else(|| {
                    format!("{name} would unpack from {packed} to {size} bytes; torch.save does not pack its numbers: save it again")
                })
            }
            Numbers::Stream { places, .. } => {
                places.get(key).map(|place| place.1).ok_or_else(|| format!("it lacks storage {key}"))
            }
        }
    }

    /// `length` bytes of the storage `key` from `start` on, which [`Container::size`] said are there.
    ///
    /// # Errors
    /// In words, why they cannot be read.
    pub(super) fn read(&mut self, key: &str, start: usize, length: usize) -> Result<Vec<u8>, String> {
        match &mut self.numbers {
            Numbers::Zip { archive, root } => {
                let name = format!("{root}data/{key}");
                let damaged = |error: io::Error| format!("{name} is damaged ({error})");
                let mut entry = opened(archive, &name).map_err(damaged)?;
                let skipped = io::copy(&mut (&mut entry).take(start as u64), &mut io::sink()).map_err(damaged)?;
                let mut bytes = Vec::new();
                (&mut entry).take(length as u64).read_to_end(&mut bytes).map_err(damaged)?;
                if skipped != start as u64 || bytes.len() != length {
                    return Err(format!("{name} ends too early"));
                }
                // Its checksum is examined when its end is reached.
                if start == 0 {
                    (&mut entry).take(1).read(&mut [0]).map_err(damaged)?;
                }
                Ok(bytes)
            }
            Numbers::Stream { bytes, places } => {
                let place = places.get(key).ok_or_else(|| format!("it lacks storage {key}"))?;
                let found = bytes.get(place.0 + start..).and_then(|rest| rest.get(..length));
                found.map(<[u8]>::to_vec).ok_or_else(|| format!("storage {key} ends too early"))
            }
        }
    }
}

/// What a zip archive is that `torch.save` did not write.
fn other_archive(names: &[String]) -> Option<String> {
    let ends = |ending: &str| names.iter().any(|name| name.ends_with(ending));
    if !names.is_empty() && names.iter().all(|name| name.ends_with(".npy")) {
        let arrays = names.iter().take(8).map(|name| name.trim_end_matches(".npy")).collect::<Vec<_>>().join(", ");
        let more = if names.len() > 8 { ", ..." } else { "" };
        return Some(format!(
            "it is an .npz archive of NumPy arrays ({arrays}{more}), not a state dict; write them with \
             safetensors.numpy.save_file, each weight as outputs x inputs and called <module>.weight"
        ));
    }
    if ends("constants.pkl") || names.iter().any(|name| name.starts_with("code/") || name.contains("/code/")) {
        return Some(
            "it is a TorchScript archive, of torch.jit.save; save torch.jit.load(FILE).state_dict() with torch.save"
                .to_owned(),
        );
    }
    if ends("serialized_exported_program.json") || ends("archive_format") {
        return Some("it is an exported program, of torch.export.save; save the state_dict of its module".to_owned());
    }
    if ends("model.weights.h5") || ends("config.json") {
        return Some("it is an archive of Keras; only state dicts of PyTorch can be read".to_owned());
    }
    None
}

fn opened<'a>(archive: &'a mut ZipArchive<File>, name: &str) -> io::Result<zip::read::ZipFile<'a, File>> {
    let index = archive.index_for_name(name).ok_or_else(|| io::Error::other("it is not there"))?;
    // torch.save without checksums writes zeros for them.
    let is_unchecked = archive.by_index_raw(index).map_err(io::Error::other)?.crc32() == 0;
    let options = ZipReadOptions::new().ignore_crc32(is_unchecked);
    archive.by_index_with_options(index, options).map_err(io::Error::other)
}

/// A whole entry of at most so many bytes.
fn entry(archive: &mut ZipArchive<File>, name: &str, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    opened(archive, name)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("{name} has more than {most} bytes")));
    }
    Ok(bytes)
}
