//! Weights in the orders that products read. Each layer's are turned once a step, by the thread that comes to them first.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fused::UpdateNumber;
use super::host_parameters::HostParameters;
use super::links::Link;
use crate::host::scratch::Scratch;
use crate::host::transpose::transposed;

/// The turned weights of a network, as far as they are made.
pub(super) struct TransposedWeights<'a, T: UpdateNumber> {
    /// Weight layers.
    links: &'a [&'a Link],
    layers: &'a [HostParameters<T>],
    done: Vec<OnceLock<TransposedLayer<T>>>,
    /// Layers that some thread has begun with.
    begun: AtomicUsize,
}

/// Weights of one layer.
pub(super) struct TransposedLayer<T: UpdateNumber> {
    /// Filters, position by position; empty for a dense layer, whose weights are read where they are.
    pub(super) forward: Scratch<T>,
    /// For cotangents; empty where nothing lies below.
    pub(super) backward: Scratch<T>,
}

impl<'a, T: UpdateNumber> TransposedWeights<'a, T> {
    /// Nothing turned yet.
    pub(super) fn new(links: &'a [&'a Link], layers: &'a [HostParameters<T>]) -> Self {
        Self { links, layers, done: links.iter().map(|_| OnceLock::new()).collect(), begun: AtomicUsize::new(0) }
    }

    /// Turns layers that no thread has begun with, until there is none.
    pub(super) fn help(&self) {
        loop {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            if number >= self.done.len() {
                return;
            }
            self.of(number);
        }
    }

    /// The weights of a layer: turned here if no thread has come to them, else when the one at work has finished.
    pub(super) fn of(&self, number: usize) -> &TransposedLayer<T> {
        self.done[number].get_or_init(|| turn_weights(self.links[number], &self.layers[number]))
    }
}

fn turn_weights<T: UpdateNumber>(link: &Link, layer: &HostParameters<T>) -> TransposedLayer<T> {
    match link {
        Link::Convolution(number, shifted_gemm) => {
            let [units, _] = layer.shape;
            let backward = if *number > 0 { shifted_gemm.pack_adjoint(&layer.weight, units) } else { Scratch::new(0) };
            TransposedLayer { forward: shifted_gemm.pack(&layer.weight, units), backward }
        }
        Link::Dense(number) | Link::Gated(number) if *number > 0 => {
            let [rows, columns] = layer.shape;
            TransposedLayer { forward: Scratch::new(0), backward: transposed(&layer.weight, rows * columns, columns) }
        }
        _ => TransposedLayer { forward: Scratch::new(0), backward: Scratch::new(0) },
    }
}
