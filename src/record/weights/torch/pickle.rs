//! Pickles as a graph of plain values. Nothing in them is run: a class is its name, and a call that is not one of the few by which
//! PyTorch writes tensors is an object of which nothing is known.
//!
//! Values lie in one list and refer to each other by place, as often as the pickle does: what it shares is shared here, no value is
//! ever copied, and neither depth nor repetition costs more than the bytes that describe them.

use thiserror::Error;

use super::machine::Machine;

/// Values that a pickle may hold; a state dict has about ten a tensor.
pub(super) const MOST_VALUES: usize = 4_000_000;

/// The place of a value.
pub(super) type Id = usize;

/// What is wrong with a pickle.
#[derive(Debug, Error)]
pub(super) enum PickleError {
    /// The end comes too early.
    #[error("its pickle is cut off")]
    CutOff,
    /// A byte that is no instruction, or an instruction that does not fit what comes before it.
    #[error("its pickle is damaged at byte {at}: {what}")]
    Damaged {
        /// Where.
        at: usize,
        /// What is wrong there.
        what: String,
    },
    /// More values than a state dict can have.
    #[error("its pickle holds more than {MOST_VALUES} values, and a state dict does not")]
    TooMany,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// `None`, a number that is no integer, bytes: of no use here.
    Other,
    /// A truth value.
    Switch(bool),
    /// An integer.
    Whole(i64),
    /// A string.
    Text(String),
    /// A tuple, list or set.
    List(Vec<Id>),
    /// A dict in its order; also a subclass of it.
    Dict(Vec<(Id, Id)>),
    /// The full name of a class or function.
    Class(String),
    /// What a persistent id stands for, its fields.
    Persistent(Id),
    /// A tensor: storage, offset, shape, strides, and the type where the storage has none.
    Tensor([Id; 4], Option<Id>),
    /// Any other object: its class, arguments and state.
    Object {
        /// Its class or the function that makes it, a [`Value::Class`].
        class: Id,
        /// What that is called with.
        arguments: Id,
        /// What its attributes are set to.
        state: Option<Id>,
    },
}

impl Value {
    /// A number in two's complement, the lowest byte first.
    pub(super) fn signed(bytes: &[u8]) -> Self {
        let filling = if bytes.last().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 };
        let (low, high) = bytes.split_at(bytes.len().min(8));
        let mut whole = [filling; 8];
        whole[..low.len()].copy_from_slice(low);
        let number = i64::from_le_bytes(whole);
        let fits = high.iter().all(|byte| *byte == filling) && (number < 0) == (filling == 0xff);
        if fits { Value::Whole(number) } else { Value::Other }
    }
}

/// The values of one pickle.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) values: Vec<Value>,
    /// The value of the pickle.
    pub(super) root: Id,
    /// Bytes read.
    pub(super) length: usize,
}

impl Graph {
    /// Reads the pickle at the beginning of `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, PickleError> {
        Machine::new(bytes).run()
    }

    /// A value.
    pub(super) fn value(&self, id: Id) -> &Value {
        &self.values[id]
    }

    /// The items of a list or tuple.
    pub(super) fn list(&self, id: Id) -> Option<&[Id]> {
        match self.value(id) {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a dict.
    pub(super) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.value(id) {
            Value::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// A string, or a whole number as one, as keys are written.
    pub(super) fn key(&self, id: Id) -> Option<String> {
        match self.value(id) {
            Value::Text(text) => Some(text.clone()),
            Value::Whole(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The value that a dict has under `key`, the last one if there are several.
    pub(super) fn entry(&self, dict: Id, key: &str) -> Option<Id> {
        let entries = self.dict(dict)?.iter().rev();
        entries
            .clone()
            .find(|(name, _)| matches!(self.value(*name), Value::Text(text) if text == key))
            .map(|entry| entry.1)
    }
}
