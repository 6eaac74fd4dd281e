//! What `torch.save` writes, read without running anything in it: a pickle that says what there is (`pickle`, `machine`), where the
//! numbers lie (`container`), what of them each tensor has (`storage`), and which part of a checkpoint is the model (`parts`).
//!
//! What tensors have in common is known from their storages before any number is read: a network whose layers share weights is
//! refused by the names of the modules, and what is read takes no more memory than the file has bytes.

mod container;
mod machine;
mod parts;
mod pickle;
mod storage;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::WeightsError;
use super::tensors::{Raw, TensorFile};
use container::Container;
use storage::View;

/// How the pickles of a file begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A zip archive.
    Zip,
    /// One pickle after another, before PyTorch 1.6.
    Stream,
    /// A pickle that `torch.save` did not write.
    Pickle,
}

/// Reads the state dict in a file.
///
/// # Errors
/// What is wrong with the file, or what else it is; a tensor that does not fit its storage; layers that share weights.
pub(super) fn read(path: &Path, form: Form) -> Result<TensorFile, WeightsError> {
    let unreadable = |reason: String| WeightsError::Unreadable {
        path: path.to_owned(),
        reason: format!("{reason}; expected what torch.save(net.state_dict(), ...) writes"),
    };
    let bytes = || fs::read(path).map_err(|source| WeightsError::Read { path: path.to_owned(), source });
    let mut container = match form {
        Form::Zip => Container::open_zip(path).map_err(unreadable)?,
        Form::Stream => Container::of_stream(bytes()?).map_err(unreadable)?,
        Form::Pickle => return Err(unreadable(plain_pickle(&bytes()?))),
    };
    let part = parts::part(&container.graph).map_err(unreadable)?;
    let refused =
        |name: &str, reason: String| WeightsError::Refused { path: path.to_owned(), name: name.to_owned(), reason };
    let mut views = Vec::with_capacity(part.tensors.len());
    for (name, id) in part.tensors {
        let view = View::of(&container.graph, id).map_err(|reason| refused(&name, reason))?;
        views.push((name, view));
    }
    expect_sizes(&mut container, &views).map_err(|(name, reason)| refused(name, reason))?;
    expect_apart(path, &views)?;
    let mut file = TensorFile::new(path);
    for (name, view) in views {
        let bytes = match view.item.zip(view.item.and_then(|item| view.window(item))) {
            // Of a type that no weight has nothing is read.
            _ if view.dtype.is_err() => Vec::new(),
            Some((item, (start, length))) => {
                let window =
                    container.read(&view.storage.key, start, length).map_err(|reason| refused(&name, reason))?;
                if view.is_plain() { window } else { view.gather(&window, item) }
            }
            None => Vec::new(),
        };
        file.order.push(name.clone());
        file.tensors.insert(name, Raw { shape: view.shape, dtype: view.dtype, bytes });
    }
    file.keeps_order = true;
    file.remarks = part.remarks;
    Ok(file)
}

/// Holds the windows of all tensors against the bytes that the file really has.
fn expect_sizes<'a>(container: &mut Container, views: &'a [(String, View)]) -> Result<(), (&'a str, String)> {
    let mut sizes: HashMap<&str, usize> = HashMap::new();
    for (name, view) in views {
        let Some(item) = view.item else { continue };
        let key = view.storage.key.as_str();
        let known = match sizes.get(key) {
            Some(size) => *size,
            None => container.size(key).map_err(|reason| (name.as_str(), reason))?,
        };
        sizes.insert(key, known);
        let needed = view.window(item).and_then(|(start, length)| start.checked_add(length));
        if needed.is_none_or(|needed| needed > known) {
            let reason =
                format!("a tensor of {:?} for which the file has too few bytes: {known} in its storage", view.shape);
            return Err((name, reason));
        }
    }
    Ok(())
}

/// Refuses tensors that have numbers in common, or repeat their own.
fn expect_apart(path: &Path, views: &[(String, View)]) -> Result<(), WeightsError> {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut storages: Vec<Vec<&(String, View)>> = Vec::new();
    for view in views.iter().filter(|(_, view)| view.elements > 0) {
        let number = *numbers.entry(view.1.storage.key.as_str()).or_insert(storages.len());
        storages.resize_with(storages.len().max(number + 1), Vec::new);
        storages[number].push(view);
    }
    for views in storages.iter().filter(|views| views.len() > 1 || !views[0].1.is_plain()) {
        // Which tensor has each number, from 1; places of unlike types are bytes.
        let same_type = views.windows(2).all(|pair| pair[0].1.item == pair[1].1.item);
        let width = |view: &View| if same_type { 1 } else { view.item.unwrap_or(1) };
        let end = |view: &View| view.last().unwrap_or(0).saturating_add(1).saturating_mul(width(view));
        let mut owners = vec![0_u32; views.iter().map(|(_, view)| end(view)).max().unwrap_or(0)];
        for (number, (name, view)) in (1..).zip(views.iter()) {
            for place in view.places().flat_map(|place| place * width(view)..(place + 1) * width(view)) {
                match std::mem::replace(&mut owners[place], number) {
                    0 => {}
                    other if other == number => {
                        let reason = format!(
                            "{:?} with the strides {:?} repeats numbers of its own; a layer whose weights are tied to each other is \
                             no layer here",
                            view.shape, view.strides
                        );
                        return Err(WeightsError::Refused { path: path.to_owned(), name: name.clone(), reason });
                    }
                    other => {
                        let first = views[other as usize - 1].0.clone();
                        let how = "share their numbers in memory".to_owned();
                        return Err(WeightsError::Tied { path: path.to_owned(), first, second: name.clone(), how });
                    }
                }
            }
        }
    }
    Ok(())
}

/// What a pickle is that has no storages next to it.
fn plain_pickle(bytes: &[u8]) -> String {
    let graph = match pickle::Graph::read(bytes) {
        Ok(graph) => graph,
        Err(error) => return error.to_string(),
    };
    let classes = || {
        graph.values.iter().filter_map(|value| match value {
            pickle::Value::Class(name) => Some(name.as_str()),
            _ => None,
        })
    };
    if classes().any(|name| name.starts_with("numpy")) {
        return "it is a pickle of NumPy arrays, not a state dict; write them with safetensors.numpy.save_file, each weight as \
                outputs x inputs and called <module>.weight"
            .to_owned();
    }
    if classes().any(|name| name.starts_with("torch.storage")) {
        return "it was written with pickle.dump; load it with pickle.load and write it with torch.save".to_owned();
    }
    "it is a pickle without tensors".to_owned()
}
