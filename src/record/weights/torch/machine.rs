//! The stack machine of CPython, as far as state dicts need it: instructions make values and put them together.

use std::collections::HashMap;

use super::pickle::{Graph, Id, MOST_VALUES, PickleError, Value};

/// Bytes of the name of a class with its module.
const LONGEST_NAME: usize = 512;

/// CPython's stack machine.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    /// Items that were copied from one list to another, which a pickle may ask for again and again.
    copied: usize,
}

impl<'a> Machine<'a> {
    /// At the beginning of a pickle.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), copied: 0 }
    }

    /// The values up to the end of the pickle.
    pub(super) fn run(mut self) -> Result<Graph, PickleError> {
        loop {
            let code = self.byte()?;
            if code == b'.' {
                let root = self.pop()?;
                return Ok(Graph { values: self.values, root, length: self.at });
            }
            self.step(code)?;
        }
    }

    fn damaged<T>(&self, what: impl Into<String>) -> Result<T, PickleError> {
        Err(PickleError::Damaged { at: self.at.saturating_sub(1), what: what.into() })
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], PickleError> {
        let rest = &self.bytes[self.at..];
        let count = usize::try_from(count).ok().filter(|count| *count <= rest.len()).ok_or(PickleError::CutOff)?;
        self.at += count;
        Ok(&rest[..count])
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned number of `count` bytes, at most 8, the lowest first.
    fn number(&mut self, count: u64) -> Result<u64, PickleError> {
        Ok(self.take(count)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Up to the end of the line, which is taken too.
    fn line(&mut self) -> Result<String, PickleError> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or(PickleError::CutOff)?;
        self.at += length + 1;
        Ok(String::from_utf8_lossy(&rest[..length]).trim_end_matches('\r').to_owned())
    }

    fn add(&mut self, value: Value) -> Result<Id, PickleError> {
        if self.values.len() >= MOST_VALUES {
            return Err(PickleError::TooMany);
        }
        self.values.push(value);
        Ok(self.values.len() - 1)
    }

    fn push(&mut self, value: Value) -> Result<(), PickleError> {
        let id = self.add(value)?;
        self.stack.push(id);
        Ok(())
    }

    fn push_text(&mut self, count: u64) -> Result<(), PickleError> {
        let text = String::from_utf8_lossy(self.take(count)?).into_owned();
        self.push(Value::Text(text))
    }

    fn pop(&mut self) -> Result<Id, PickleError> {
        if self.marks.last().is_some_and(|mark| *mark == self.stack.len()) {
            return self.damaged("a value is missing");
        }
        match self.stack.pop() {
            Some(id) => Ok(id),
            None => self.damaged("a value is missing"),
        }
    }

    fn top(&mut self) -> Result<Id, PickleError> {
        let id = self.pop()?;
        self.stack.push(id);
        Ok(id)
    }

    /// All values above the last mark.
    fn pop_marked(&mut self) -> Result<Vec<Id>, PickleError> {
        match self.marks.pop().filter(|mark| *mark <= self.stack.len()) {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => self.damaged("a mark is missing"),
        }
    }

    fn pop_several<const N: usize>(&mut self) -> Result<[Id; N], PickleError> {
        let mut ids = [0; N];
        for id in ids.iter_mut().rev() {
            *id = self.pop()?;
        }
        Ok(ids)
    }

    fn step(&mut self, code: u8) -> Result<(), PickleError> {
        match code {
            // Protocol, frame.
            0x80 => self.take(1).map(drop),
            0x95 => self.take(8).map(drop),
            // None, floating-point numbers, bytes, buffers.
            b'N' => self.push(Value::Other),
            b'G' => self.take(8).and_then(|_| self.push(Value::Other)),
            b'F' => self.line().and_then(|_| self.push(Value::Other)),
            b'C' => self.skip(1),
            b'B' => self.skip(4),
            0x8e | 0x96 => self.skip(8),
            0x88 | 0x89 => self.push(Value::Switch(code == 0x88)),
            // Whole numbers.
            b'K' => self.whole(1),
            b'M' => self.whole(2),
            b'J' => {
                let number = self.number(4)? as u32 as i32;
                self.push(Value::Whole(i64::from(number)))
            }
            0x8a | 0x8b => {
                let count = self.number(if code == 0x8a { 1 } else { 4 })?;
                let number = Value::signed(self.take(count)?);
                self.push(number)
            }
            b'I' | b'L' => {
                let line = self.line()?;
                match line.as_str() {
                    "00" | "01" => self.push(Value::Switch(line == "01")),
                    _ => self.push(line.trim_end_matches('L').parse().map_or(Value::Other, Value::Whole)),
                }
            }
            // Strings.
            b'X' | b'T' => self.text(4),
            b'U' | 0x8c => self.text(1),
            0x8d => self.text(8),
            b'V' => {
                let line = self.line()?;
                self.push(Value::Text(line))
            }
            b'S' => {
                let line = self.line()?;
                self.push(Value::Text(line.trim_matches(['\'', '"']).to_owned()))
            }
            // Containers.
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b')' | b']' | 0x8f => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b't' | b'l' | 0x91 => {
                let items = self.pop_marked()?;
                self.push(Value::List(items))
            }
            0x85..=0x87 => {
                let mut items = (0x84..code).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                self.push(Value::List(items))
            }
            b'd' => {
                let items = self.pop_marked()?;
                self.push(Value::Dict(pairs(&items)))
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])
            }
            b'e' | 0x90 => {
                let items = self.pop_marked()?;
                self.append(&items)
            }
            b's' => {
                let items = self.pop_several::<2>()?;
                self.set_items(&items)
            }
            b'u' => {
                let items = self.pop_marked()?;
                self.set_items(&items)
            }
            // The stack and the memo.
            b'0' => match self.marks.last().is_some_and(|mark| *mark == self.stack.len()) {
                true => self.pop_marked().map(drop),
                false => self.pop().map(drop),
            },
            b'1' => self.pop_marked().map(drop),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            b'p' => self.line_number().and_then(|index| self.remember(index)),
            b'q' => self.number(1).and_then(|index| self.remember(index)),
            b'r' => self.number(4).and_then(|index| self.remember(index)),
            0x94 => self.remember(self.memo.len() as u64),
            b'g' => self.line_number().and_then(|index| self.recall(index)),
            b'h' => self.number(1).and_then(|index| self.recall(index)),
            b'j' => self.number(4).and_then(|index| self.recall(index)),
            // Classes, objects, persistent ids.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.class(format!("{module}.{name}"))
            }
            0x93 => {
                let [module, name] = self.pop_several()?;
                match (&self.values[module], &self.values[name]) {
                    (Value::Text(module), Value::Text(name)) if module.len().max(name.len()) <= LONGEST_NAME => {
                        let name = format!("{module}.{name}");
                        self.class(name)
                    }
                    _ => self.damaged("a class without a name"),
                }
            }
            b'R' | 0x81 => {
                let [class, arguments] = self.pop_several()?;
                self.call(class, arguments)
            }
            0x92 => {
                let [class, arguments, _] = self.pop_several()?;
                self.call(class, arguments)
            }
            b'b' => {
                let [object, with] = self.pop_several()?;
                if let Value::Object { state, .. } = &mut self.values[object] {
                    *state = Some(with);
                }
                self.stack.push(object);
                Ok(())
            }
            b'Q' => {
                let fields = self.pop()?;
                // Before PyTorch 1.6 a class comes with its source text: ('module', class, file, text).
                match &self.values[fields] {
                    Value::List(items) if items.len() == 4 && matches!(self.values[items[1]], Value::Class(_)) => {
                        self.stack.push(items[1]);
                        Ok(())
                    }
                    _ => self.push(Value::Persistent(fields)),
                }
            }
            b'P' => {
                let line = self.line()?;
                let fields = self.add(Value::Text(line))?;
                self.push(Value::Persistent(fields))
            }
            _ => self.damaged(format!("0x{code:02x} is no instruction of a pickle that can be read")),
        }
    }

    fn class(&mut self, name: String) -> Result<(), PickleError> {
        if name.len() > LONGEST_NAME {
            return self.damaged("the name of a class has no end");
        }
        self.push(Value::Class(name))
    }

    fn skip(&mut self, width: u64) -> Result<(), PickleError> {
        let count = self.number(width)?;
        self.take(count)?;
        self.push(Value::Other)
    }

    fn whole(&mut self, width: u64) -> Result<(), PickleError> {
        let number = self.number(width)?;
        self.push(Value::Whole(number as i64))
    }

    fn text(&mut self, width: u64) -> Result<(), PickleError> {
        let count = self.number(width)?;
        self.push_text(count)
    }

    fn line_number(&mut self) -> Result<u64, PickleError> {
        let line = self.line()?;
        line.parse().or_else(|_| self.damaged("a place in the memo that is no number"))
    }

    fn remember(&mut self, index: u64) -> Result<(), PickleError> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u64) -> Result<(), PickleError> {
        match self.memo.get(&index) {
            Some(id) => {
                self.stack.push(*id);
                Ok(())
            }
            None => self.damaged(format!("nothing is at place {index} of the memo")),
        }
    }

    fn append(&mut self, items: &[Id]) -> Result<(), PickleError> {
        let list = self.top()?;
        match &mut self.values[list] {
            Value::List(known) => known.extend(items),
            Value::Object { .. } => {}
            _ => return self.damaged("items for what is no list"),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), PickleError> {
        let dict = self.top()?;
        match &mut self.values[dict] {
            Value::Dict(entries) => entries.extend(pairs(items)),
            // An instance of a subclass of dict.
            object @ Value::Object { .. } => *object = Value::Dict(pairs(items)),
            _ => return self.damaged("entries for what is no dict"),
        }
        Ok(())
    }

    /// A call, without making it.
    fn call(&mut self, callable: Id, arguments: Id) -> Result<(), PickleError> {
        let Value::Class(class) = &self.values[callable] else { return self.push(Value::Other) };
        let class = class.clone();
        let given: Vec<Id> = match &self.values[arguments] {
            Value::List(items) => items.iter().take(8).copied().collect(),
            _ => Vec::new(),
        };
        let name = class.strip_prefix("torch._utils.").unwrap_or(&class);
        match (name, given.as_slice()) {
            ("collections.OrderedDict", []) => self.push(Value::Dict(Vec::new())),
            ("collections.OrderedDict", [items]) => {
                let Value::List(items) = &self.values[*items] else { return self.damaged("a dict of what is no list") };
                let pair = |item: &Id| match &self.values[*item] {
                    Value::List(pair) if pair.len() == 2 => Some((pair[0], pair[1])),
                    _ => None,
                };
                self.copied += items.len();
                if self.copied > MOST_VALUES {
                    return Err(PickleError::TooMany);
                }
                let Some(entries) = items.iter().map(pair).collect() else {
                    return self.damaged("a dict of what are no pairs");
                };
                self.push(Value::Dict(entries))
            }
            ("builtins.set" | "builtins.frozenset" | "__builtin__.set" | "__builtin__.frozenset", [items]) => {
                self.stack.push(*items);
                Ok(())
            }
            ("_rebuild_tensor" | "_rebuild_tensor_v2", [storage, offset, shape, strides, ..]) => {
                self.push(Value::Tensor([*storage, *offset, *shape, *strides], None))
            }
            ("_rebuild_tensor_v3", [storage, offset, shape, strides, _, _, dtype, ..]) => {
                self.push(Value::Tensor([*storage, *offset, *shape, *strides], Some(*dtype)))
            }
            ("_rebuild_parameter" | "_rebuild_parameter_with_state", [tensor, ..]) => {
                self.stack.push(*tensor);
                Ok(())
            }
            // A subclass of tensor: the function that makes the tensor in it, the class, and what the function is called with. It may
            // be such a call again, and is not followed there.
            ("torch._tensor._rebuild_from_type_v2", [function, _, of, ..])
                if self.values[*function] != self.values[callable] =>
            {
                self.call(*function, *of)
            }
            _ => self.push(Value::Object { class: callable, arguments, state: None }),
        }
    }
}

/// Keys and values in turn; a key without a value is left out.
fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
    items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

#[cfg(test)]
mod tests;
