//! The state dict among all that a checkpoint holds, and its tensors by name.

use std::collections::{HashMap, HashSet};

use super::pickle::{Graph, Id, Value};

/// Dicts inside each other that are entered.
const DEEPEST: usize = 64;

/// Entries that are examined.
const MOST_ENTRIES: usize = 1_000_000;

/// What a checkpoint calls its weights, most telling first; taken where there are other tensors next to them.
const KNOWN: [&str; 6] = ["state_dict", "model_state_dict", "model", "net", "network", "module"];

/// What is said of a file without a model.
const ONLY_OPTIMIZER: &str = "it holds the state of an optimizer, and no weights next to it";

/// The tensors of a state dict.
#[derive(Debug, Default)]
pub(super) struct StateDictPart {
    /// Names and places of the tensors, in the order of the state dict.
    pub(super) tensors: Vec<(String, Id)>,
    /// What the user should know.
    pub(super) remarks: Vec<String>,
}

/// The tensors of the model in the checkpoint.
///
/// # Errors
/// In words, what the file holds instead.
pub(super) fn part(graph: &Graph) -> Result<StateDictPart, String> {
    let mut part = StateDictPart::default();
    let (mut root, mut keys) = (graph.root, Vec::new());
    let mut omitted = Vec::new();
    for _ in 0..DEEPEST {
        let Some(entries) = contents(graph, root) else { return Err(no_dict(graph, root, &keys)) };
        if is_optimizer(graph, root) {
            return Err(ONLY_OPTIMIZER.to_owned());
        }
        if entries.iter().any(|(key, value)| is_tensor(graph, *value) && is_parameter(key)) {
            break;
        }
        let holding: Vec<&(String, Id)> = entries.iter().filter(|(_, value)| holds_tensors(graph, *value)).collect();
        let models: Vec<&(String, Id)> = holding
            .iter()
            .copied()
            .filter(|(_, id)| contents(graph, *id).is_some() && !is_optimizer(graph, *id))
            .collect();
        let known: Vec<&(String, Id)> =
            models.iter().copied().filter(|(key, _)| KNOWN.contains(&key.as_str())).collect();
        let chosen = match (models.as_slice(), known.as_slice()) {
            ([only], _) | (_, [only]) => *only,
            _ => break,
        };
        // A dict in a dict that is nothing but the one layer of a network is a state dict still.
        if holding.len() == 1 && !KNOWN.contains(&chosen.0.as_str()) {
            break;
        }
        omitted.extend(holding.iter().filter(|(key, _)| *key != chosen.0).map(|(key, id)| described(graph, key, *id)));
        keys.push(chosen.0.clone());
        root = chosen.1;
    }
    let mut walk = Walk { graph, seen: HashSet::new(), entries: 0, part: &mut part, omitted: &mut omitted };
    walk.tensors(root, "", DEEPEST)?;
    if part.tensors.is_empty() && omitted.is_empty() {
        return Err(no_tensors(graph, root));
    }
    if part.tensors.is_empty() {
        return Err(ONLY_OPTIMIZER.to_owned());
    }
    let place = (!keys.is_empty()).then(|| format!("the weights are those under {}", keys.join(".")));
    let omitted = (!omitted.is_empty()).then(|| format!("left out: {}", omitted.join(", ")));
    let remark: Vec<String> = place.into_iter().chain(omitted).collect();
    if !remark.is_empty() {
        part.remarks.push(remark.join("; "));
    }
    Ok(part)
}

struct Walk<'a> {
    graph: &'a Graph,
    seen: HashSet<String>,
    entries: usize,
    part: &'a mut StateDictPart,
    omitted: &'a mut Vec<String>,
}

impl Walk<'_> {
    fn tensors(&mut self, id: Id, path: &str, depth: usize) -> Result<(), String> {
        for (key, value) in contents(self.graph, id).unwrap_or_default() {
            self.entries += 1;
            if depth == 0 || self.entries > MOST_ENTRIES {
                return Err("it has more dicts inside each other than a state dict".to_owned());
            }
            let name = if path.is_empty() { key } else { format!("{path}.{key}") };
            match self.graph.value(value) {
                Value::Tensor(..) => {
                    if !self.seen.insert(name.clone()) {
                        return Err(format!("two of its tensors are called {name}"));
                    }
                    self.part.tensors.push((name, value));
                }
                Value::Object { class, .. } if contents(self.graph, value).is_none() => {
                    if let Some(what) = other_tensor(self.graph, *class) {
                        return Err(format!("{name} is {what}, which cannot be read; save it as a dense tensor"));
                    }
                }
                _ if is_optimizer(self.graph, value) => self.omitted.push(described(self.graph, &name, value)),
                _ => self.tensors(value, &name, depth - 1)?,
            }
        }
        Ok(())
    }
}

/// The entries of a dict, or those that the state dict of a pickled module has: parameters, buffers that are kept, and modules.
/// Of several entries under one key the last one counts, in the place of the first.
fn contents(graph: &Graph, id: Id) -> Option<Vec<(String, Id)>> {
    let named = |dict: Id| -> Vec<(String, Id)> {
        let entries = graph.dict(dict).unwrap_or_default().iter();
        let mut found: Vec<(String, Id)> =
            entries.filter_map(|(key, value)| Some((graph.key(*key)?, *value))).collect();
        let mut last: HashMap<String, Id> = found.iter().cloned().collect();
        found.retain_mut(|(key, value)| last.remove(key).map(|id| *value = id).is_some());
        found
    };
    match graph.value(id) {
        Value::Dict(_) => Some(named(id)),
        Value::Object { state: Some(state), .. } => {
            let table = |name: &str| graph.entry(*state, name);
            let (parameters, buffers, modules) = (table("_parameters")?, table("_buffers")?, table("_modules")?);
            let left_out = table("_non_persistent_buffers_set").and_then(|id| graph.list(id)).unwrap_or_default();
            let left_out: Vec<String> = left_out.iter().filter_map(|id| graph.key(*id)).collect();
            let mut found = named(parameters);
            found.extend(named(buffers).into_iter().filter(|(key, _)| !left_out.contains(key)));
            found.extend(named(modules));
            Some(found)
        }
        _ => None,
    }
}

fn is_tensor(graph: &Graph, id: Id) -> bool {
    matches!(graph.value(id), Value::Tensor(..))
}

fn is_parameter(key: &str) -> bool {
    matches!(key.rsplit('.').next(), Some("weight" | "bias"))
}

/// The state dict of an optimizer, or a list of some.
fn is_optimizer(graph: &Graph, id: Id) -> bool {
    match graph.list(id) {
        Some(items) => items.first().is_some_and(|first| graph.entry(*first, "param_groups").is_some()),
        None => graph.entry(id, "param_groups").is_some(),
    }
}

/// Whether there is a tensor among the values inside.
fn holds_tensors(graph: &Graph, id: Id) -> bool {
    let (mut open, mut seen) = (vec![id], HashSet::new());
    while let Some(id) = open.pop() {
        if is_tensor(graph, id) {
            return true;
        }
        if !seen.insert(id) {
            continue;
        }
        match graph.value(id) {
            Value::List(items) => open.extend(items),
            Value::Dict(entries) => open.extend(entries.iter().map(|entry| entry.1)),
            Value::Object { .. } => open.extend(contents(graph, id).unwrap_or_default().iter().map(|entry| entry.1)),
            _ => {}
        }
    }
    false
}

fn described(graph: &Graph, key: &str, id: Id) -> String {
    let what = if is_optimizer(graph, id) { " (the state of an optimizer)" } else { "" };
    format!("{key}{what}")
}

/// What an object is that holds numbers as no tensor of PyTorch does.
fn other_tensor(graph: &Graph, class: Id) -> Option<String> {
    let Value::Class(name) = graph.value(class) else { return None };
    let is_array = name.starts_with("numpy") && name.ends_with("_reconstruct");
    if is_array {
        return Some("a NumPy array".to_owned());
    }
    if name == "torch.storage._load_from_bytes" {
        return Some("written with pickle.dump and not with torch.save".to_owned());
    }
    name.starts_with("torch._utils._rebuild").then(|| format!("made by {name} (sparse, quantized or the like)"))
}

/// What is said of a value that is no dict.
fn no_dict(graph: &Graph, id: Id, keys: &[String]) -> String {
    let at = if keys.is_empty() { "it holds".to_owned() } else { format!("its {} is", keys.join(".")) };
    let what = match graph.value(id) {
        Value::Tensor(..) => "a single tensor without a name".to_owned(),
        Value::List(items) => format!("a list of {} values", items.len()),
        Value::Object { class, .. } => match (other_tensor(graph, *class), graph.value(*class)) {
            (Some(what), _) => what,
            (None, Value::Class(name)) if name.starts_with("__torch__.") => "a TorchScript module".to_owned(),
            (None, Value::Class(name)) => format!("an object of {name}"),
            _ => "an object".to_owned(),
        },
        Value::Persistent(_) => "numbers without a shape".to_owned(),
        _ => "no dict".to_owned(),
    };
    format!("{at} {what}, where a state dict is a dict of named tensors")
}

fn no_tensors(graph: &Graph, id: Id) -> String {
    let keys = contents(graph, id).unwrap_or_default().into_iter().map(|entry| entry.0);
    let keys: Vec<String> = keys.take(8).collect();
    if keys.is_empty() {
        "it holds an empty dict".to_owned()
    } else {
        format!("it holds a dict without tensors ({})", keys.join(", "))
    }
}
