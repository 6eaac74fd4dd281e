//! Tensors of a file of `torch.save` as views of storages: which numbers of which storage each of them has.

use burn::tensor::DType;

use super::pickle::{Graph, Id, Value};

/// Consecutive numbers to which tensors refer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) key: String,
    /// Name of its class, without `torch.`.
    pub(super) class: String,
    /// Bytes of a number, where the class is known.
    pub(super) item: Option<usize>,
    /// Numbers that it has, as the pickle says.
    pub(super) count: usize,
    /// Where a view of it begins.
    start: usize,
}

impl Storage {
    /// `('storage', class, key, location, count[, view])`.
    pub(super) fn of(graph: &Graph, fields: Id) -> Result<Self, String> {
        let wrong = || "it refers to a storage as PyTorch does not".to_owned();
        let [_, class, key, _, count, view @ ..] = graph.list(fields).unwrap_or_default() else { return Err(wrong()) };
        let Value::Class(class) = graph.value(*class) else { return Err(wrong()) };
        let class = class.rsplit('.').next().unwrap_or(class).to_owned();
        let start = match view.first().and_then(|view| graph.list(*view)) {
            Some([_, start, _]) => whole(graph, *start).ok_or_else(wrong)?,
            _ => 0,
        };
        Ok(Self {
            key: graph.key(*key).ok_or_else(wrong)?,
            item: item_of_class(&class),
            class,
            count: whole(graph, *count).ok_or_else(wrong)?,
            start,
        })
    }
}

/// A tensor as it lies in its storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) storage: Storage,
    /// Its type, or the name of one that is no floating-point type.
    pub(super) dtype: Result<DType, String>,
    /// Bytes of a number; `None` for types that are not known.
    pub(super) item: Option<usize>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
    /// Elements: the product of the shape.
    pub(super) elements: usize,
}

impl View {
    /// The tensor `id`, held against what its storage is said to have; what is wrong with it in words.
    pub(super) fn of(graph: &Graph, id: Id) -> Result<Self, String> {
        let Value::Tensor([storage, offset, shape, strides], dtype) = graph.value(id) else {
            return Err("no tensor".to_owned());
        };
        let Value::Persistent(fields) = graph.value(*storage) else {
            return Err("a tensor without a storage in the file".to_owned());
        };
        let storage = Storage::of(graph, *fields)?;
        let sizes = |id: Id, what: &str| {
            let items = graph.list(id).unwrap_or_default();
            let sizes: Option<Vec<usize>> = items.iter().map(|id| whole(graph, *id)).collect();
            sizes.ok_or_else(|| format!("a tensor whose {what} are not all whole numbers of at least 0"))
        };
        let (shape, strides) = (sizes(*shape, "sizes")?, sizes(*strides, "strides")?);
        let offset = whole(graph, *offset).and_then(|offset| offset.checked_add(storage.start));
        let offset = offset.ok_or("a tensor whose place in its storage is not a whole number of at least 0")?;
        let (dtype, item) = match dtype.map(|id| graph.value(id)) {
            None => (type_of_class(&storage.class), storage.item),
            Some(Value::Class(name)) => (type_of_name(name), item_of_name(name)),
            Some(_) => return Err("a tensor without a type".to_owned()),
        };
        let view = Self { elements: 0, storage, dtype, item, offset, shape, strides };
        let elements = view.shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        let elements =
            elements.ok_or_else(|| format!("a tensor of {:?}, more numbers than there can be", view.shape))?;
        let view = Self { elements, ..view };
        view.expect_room(view.storage.count)?;
        Ok(view)
    }

    /// Refuses a view that reaches beyond `count` numbers, or has more elements than they are.
    fn expect_room(&self, count: usize) -> Result<(), String> {
        if self.shape.len() != self.strides.len() {
            return Err(format!("a tensor of {:?} with the strides {:?}", self.shape, self.strides));
        }
        // Untyped storages count bytes.
        let count = if self.storage.class == "UntypedStorage" { count / self.item.unwrap_or(1) } else { count };
        if self.elements > count {
            return Err(format!(
                "an expanded tensor: {:?} with the strides {:?} has {} elements, of which the file holds {count} numbers; a layer \
                 whose weights are tied to each other is no layer here; save .clone() of it if they are not",
                self.shape, self.strides, self.elements
            ));
        }
        if self.elements > 0 && self.last().is_none_or(|last| last >= count) {
            return Err(format!(
                "a tensor of {:?} with the strides {:?} at place {} of a storage of {count} numbers, beyond which it reaches",
                self.shape, self.strides, self.offset
            ));
        }
        Ok(())
    }

    /// The last place that it reads; `None` beyond the end of all numbers.
    pub(super) fn last(&self) -> Option<usize> {
        let mut steps = self.shape.iter().zip(&self.strides);
        steps.try_fold(self.offset, |last, (size, stride)| {
            last.checked_add(size.saturating_sub(1).checked_mul(*stride)?)
        })
    }

    /// Bytes from its first number to its last, and where they begin in the storage.
    pub(super) fn window(&self, item: usize) -> Option<(usize, usize)> {
        let end = if self.elements == 0 { self.offset } else { self.last()?.checked_add(1)? };
        Some((self.offset.checked_mul(item)?, (end - self.offset).checked_mul(item)?))
    }

    /// Whether its numbers follow each other in row-major order.
    pub(super) fn is_plain(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(size, stride)| {
            let is_next = *size <= 1 || *stride == expected;
            expected *= size;
            is_next
        })
    }

    /// The places of its elements in the storage, in row-major order.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let mut index = vec![0; self.shape.len()];
        let mut place = self.offset;
        (0..self.elements).map(move |_| {
            let found = place;
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                place += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                place -= self.strides[axis] * self.shape[axis];
                index[axis] = 0;
            }
            found
        })
    }

    /// Its numbers in row-major order, from the bytes of its window.
    pub(super) fn gather(&self, window: &[u8], item: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.elements * item);
        for place in self.places() {
            bytes.extend_from_slice(&window[(place - self.offset) * item..][..item]);
        }
        bytes
    }
}

fn whole(graph: &Graph, id: Id) -> Option<usize> {
    match graph.value(id) {
        Value::Whole(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}

/// Bytes of a number of a storage class.
fn item_of_class(class: &str) -> Option<usize> {
    match class {
        "ComplexDoubleStorage" => Some(16),
        "DoubleStorage" | "LongStorage" | "ComplexFloatStorage" => Some(8),
        "FloatStorage" | "IntStorage" | "QInt32Storage" => Some(4),
        "HalfStorage" | "BFloat16Storage" | "ShortStorage" => Some(2),
        "CharStorage" | "ByteStorage" | "BoolStorage" | "UntypedStorage" | "QInt8Storage" | "QUInt8Storage" => Some(1),
        _ => None,
    }
}

fn type_of_class(class: &str) -> Result<DType, String> {
    match class {
        "DoubleStorage" => Ok(DType::F64),
        "FloatStorage" => Ok(DType::F32),
        "HalfStorage" => Ok(DType::F16),
        "BFloat16Storage" => Ok(DType::BF16),
        _ => Err(class.trim_end_matches("Storage").to_owned()),
    }
}

fn item_of_name(name: &str) -> Option<usize> {
    match name.trim_start_matches("torch.") {
        "float64" | "int64" | "uint64" => Some(8),
        "float32" | "int32" | "uint32" => Some(4),
        "float16" | "bfloat16" | "int16" | "uint16" => Some(2),
        "int8" | "uint8" | "bool" => Some(1),
        _ => None,
    }
}

fn type_of_name(name: &str) -> Result<DType, String> {
    match name.trim_start_matches("torch.") {
        "float64" => Ok(DType::F64),
        "float32" => Ok(DType::F32),
        "float16" => Ok(DType::F16),
        "bfloat16" => Ok(DType::BF16),
        other => Err(other.to_owned()),
    }
}
