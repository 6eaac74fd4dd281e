//! Memory for numbers that live for part of a step. It goes back to the thread that took it, to be taken again as it is: nothing is zeroed
//! twice, and what a core wrote last time is still in its cache.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use aligned_vec::{AVec, ConstAlign};
use bytemuck::{Pod, cast_slice, cast_slice_mut};

/// A buffer begins with a line of the cache, as registers do.
type Buffer = AVec<u64, ConstAlign<64>>;

/// Threads with buffers of their own; more of them share.
const HOMES: usize = 64;
/// Bytes that are kept for a thread.
const KEPT: usize = 4 << 20;

static FREE: [Mutex<VecDeque<Buffer>>; HOMES] = [const { Mutex::new(VecDeque::new()) }; HOMES];

/// Numbers in such memory.
pub(crate) struct Scratch<T> {
    buffer: Buffer,
    count: usize,
    /// Where the buffer came from.
    home: usize,
    numbers: PhantomData<T>,
}

impl<T: Pod> Scratch<T> {
    /// `count` numbers that mean nothing yet.
    pub(crate) fn new(count: usize) -> Self {
        let home = rayon::current_thread_index().unwrap_or_default() % HOMES;
        let words = (count * size_of::<T>()).div_ceil(size_of::<u64>());
        let mut free = FREE[home].lock().unwrap_or_else(PoisonError::into_inner);
        // The one that was given back last is nearest.
        let kept = free.iter().rposition(|buffer| buffer.len() == words).and_then(|at| free.remove(at));
        drop(free);
        let buffer = kept.unwrap_or_else(|| aligned_vec::avec![[64]| 0; words]);
        Self { buffer, count, home, numbers: PhantomData }
    }

    /// `count` zeros.
    pub(crate) fn zeros(count: usize) -> Self {
        let mut numbers = Self::new(count);
        numbers.fill(T::zeroed());
        numbers
    }

    /// A copy.
    pub(crate) fn of(values: &[T]) -> Self {
        let mut numbers = Self::new(values.len());
        numbers.copy_from_slice(values);
        numbers
    }
}

impl<T: Pod> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &cast_slice(&self.buffer)[..self.count]
    }
}

impl<T: Pod> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut cast_slice_mut(&mut self.buffer)[..self.count]
    }
}

impl<T> Drop for Scratch<T> {
    fn drop(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let buffer = std::mem::replace(&mut self.buffer, AVec::new(0));
        let mut free = FREE[self.home].lock().unwrap_or_else(PoisonError::into_inner);
        free.push_back(buffer);
        let bytes = |free: &VecDeque<Buffer>| free.iter().map(|buffer| size_of::<u64>() * buffer.len()).sum::<usize>();
        while bytes(&free) > KEPT {
            free.pop_front();
        }
    }
}

/// Borrowed numbers, or numbers in scratch memory.
pub(crate) enum StateBuffer<'a, T: Pod> {
    /// Somebody else's.
    Borrowed(&'a [T]),
    /// Own ones.
    Own(Scratch<T>),
}

impl<T: Pod> StateBuffer<'_, T> {
    /// Owned numbers; a copy of borrowed ones.
    pub(crate) fn own(self) -> Scratch<T> {
        match self {
            StateBuffer::Borrowed(numbers) => Scratch::of(numbers),
            StateBuffer::Own(numbers) => numbers,
        }
    }
}

impl<T: Pod> Deref for StateBuffer<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            StateBuffer::Borrowed(numbers) => numbers,
            StateBuffer::Own(numbers) => numbers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does `work` where no other test takes memory from.
    fn alone(work: impl Fn() + Sync) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(HOMES).build().unwrap();
        pool.broadcast(|context| {
            if context.index() == HOMES - 1 {
                work();
            }
        });
    }

    #[test]
    fn memory_is_taken_again_as_it_is_and_begins_with_a_line() {
        alone(|| {
            let mut numbers = Scratch::<f32>::of(&[1.0, 2.0, 3.0]);
            assert_eq!((numbers.as_ptr().align_offset(64), numbers.len()), (0, 3));
            numbers[1] = 5.0;
            let at = numbers.as_ptr();
            // Given back by another thread.
            std::thread::scope(|scope| scope.spawn(move || drop(numbers)).join().unwrap());
            let again = Scratch::<f32>::new(4);
            assert_eq!((again.as_ptr(), &again[..3]), (at, &[1.0, 5.0, 3.0][..]));
            let other = Scratch::<f32>::new(4);
            assert_ne!(other.as_ptr(), at);
            drop(again);
            assert_eq!(*Scratch::<f64>::zeros(2), [0.0; 2]);
            assert_eq!(Scratch::<f64>::new(0).len(), 0);
            assert_eq!(*StateBuffer::Borrowed(&[7.0_f64, 8.0]).own(), [7.0, 8.0]);
        });
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        alone(|| {
            let quarter = KEPT / size_of::<u64>() / 4;
            let all: Vec<_> = (0..6).map(|i| Scratch::<f64>::new(quarter - i)).collect();
            drop(all);
            let free = FREE[HOMES - 1].lock().unwrap();
            let lengths: Vec<usize> = free.iter().map(|buffer| buffer.len()).collect();
            assert_eq!(lengths, [quarter - 2, quarter - 3, quarter - 4, quarter - 5]);
        });
    }
}
