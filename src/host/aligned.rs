//! Numbers of a tensor on flex, written where they lie.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Element, Tensor, TensorData};
use bytemuck::Pod;
use widthwise_tensors::Number;

/// Bytes of a line of the cache.
const LINE: usize = 64;
/// Bytes of numbers that are moved to the beginning of a line, at most: more than that come from memory, where it matters less.
const MOVED: usize = 4 << 20;

/// Row-major numbers that nothing else holds. Few enough, they begin with a line of the cache, as registers do.
pub(crate) struct Aligned<T> {
    tensor: FlexTensor,
    start: usize,
    count: usize,
    numbers: PhantomData<T>,
}

impl<T: Number + Element + Pod> Aligned<T> {
    /// Those of `tensor`, without a copy where it is theirs alone and they lie well.
    pub(crate) fn of(tensor: Tensor<2>) -> Self {
        let shape = tensor.dims();
        let there = tensor.cast(T::DTYPE).try_into_primitive::<Flex>();
        let Ok(there) = there else { unreachable!("a tensor on flex, without a graph") };
        match there.layout().contiguous_offsets() {
            Some((start, end)) if there.is_unique() => {
                let numbers = &there.storage::<T>()[start..end];
                if numbers.as_ptr().align_offset(LINE) == 0 || size_of_val(numbers) > MOVED {
                    return Self { tensor: there, start, count: end - start, numbers: PhantomData };
                }
                Self::copied(numbers, shape)
            }
            _ => Self::copied(&T::pull(Tensor::<2>::from_primitive::<Flex>(there)), shape),
        }
    }

    /// A copy of `numbers`, that many rows and columns.
    pub(crate) fn copied(numbers: &[T], shape: [usize; 2]) -> Self {
        let count = numbers.len();
        let mut room = vec![T::default(); count + LINE / size_of::<T>() - 1];
        let start = room.as_ptr().align_offset(LINE).min(room.len() - count);
        room[start..start + count].copy_from_slice(numbers);
        let length = room.len();
        let tensor = Tensor::<1>::from_data(TensorData::new(room, [length]), (&Device::flex(), T::DTYPE));
        let tensor = tensor.narrow(0, start, count).reshape(shape).try_into_primitive::<Flex>();
        let Ok(tensor) = tensor else { unreachable!("a tensor on flex") };
        Self { tensor, start, count, numbers: PhantomData }
    }

    /// The tensor.
    pub(crate) fn give(self) -> Tensor<2> {
        Tensor::from_primitive::<Flex>(self.tensor)
    }
}

impl<T: Element + Pod> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.tensor.storage()[self.start..self.start + self.count]
    }
}

impl<T: Element + Pod> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.tensor.storage_mut()[self.start..self.start + self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_tensor_and_what_is_written_stays() {
        let values: Vec<f32> = (0..21 * 10).map(|i| i as f32).collect();
        let rows = Tensor::<2>::from_data(TensorData::new(values.clone(), [21, 10]), &Device::flex());
        let columns: Vec<f32> = (0..210).map(|i| values[i % 21 * 10 + i / 21]).collect();
        let part = rows.clone().narrow(0, 3, 16);
        let transposed = rows.clone().transpose();
        for (tensor, expected) in [(rows.clone(), &values[..]), (transposed, &columns), (part, &values[30..190])] {
            let shape = tensor.dims();
            let mut found = Aligned::<f32>::of(tensor);
            assert_eq!(&*found, expected);
            assert_eq!(found.as_ptr().align_offset(LINE), 0);
            found[7] = -1.0;
            let at = found.as_ptr();
            let again = Aligned::<f32>::of(found.give());
            assert_eq!((again.as_ptr(), again[7], again[8]), (at, -1.0, expected[8]));
            assert_eq!(again.give().dims(), shape);
        }
        // Nothing else's numbers are written to.
        assert_eq!(f32::pull(rows), values);
    }

    #[test]
    fn many_numbers_stay_where_they_are() {
        let count = MOVED / size_of::<f64>() + 1;
        let tensor = Tensor::<2>::from_data(TensorData::new(vec![1.0_f64; count], [1, count]), &Device::flex());
        let there = Aligned::<f64>::of(tensor);
        let at = there.as_ptr();
        assert_eq!(Aligned::<f64>::of(there.give()).as_ptr(), at);
    }
}
