//! Weights in the orders that products read. Each layer's are turned once a step, by the thread that comes to them first.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fused::Real;
use super::held::Held;
use super::links::Link;
use crate::host::scratch::Scratch;
use crate::host::turn::turned;

/// The turned weights of a network, as far as they are made.
pub(super) struct Turning<'a, T: Real> {
    /// Weight layers.
    links: &'a [&'a Link],
    layers: &'a [Held<T>],
    done: Vec<OnceLock<Turned<T>>>,
    /// Layers that some thread has begun with.
    begun: AtomicUsize,
}

/// Weights of one layer.
pub(super) struct Turned<T: Real> {
    /// Filters, position by position; empty for a dense layer, whose weights are read where they are.
    pub(super) forward: Scratch<T>,
    /// For cotangents; empty where nothing lies below.
    pub(super) backward: Scratch<T>,
}

impl<'a, T: Real> Turning<'a, T> {
    /// Nothing turned yet.
    pub(super) fn new(links: &'a [&'a Link], layers: &'a [Held<T>]) -> Self {
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
    pub(super) fn of(&self, number: usize) -> &Turned<T> {
        self.done[number].get_or_init(|| turn_weights(self.links[number], &self.layers[number]))
    }
}

fn turn_weights<T: Real>(link: &Link, layer: &Held<T>) -> Turned<T> {
    match link {
        Link::Convolution(number, raster) => {
            let [units, _] = layer.shape;
            let backward = if *number > 0 { raster.pack_adjoint(&layer.weight, units) } else { Scratch::new(0) };
            Turned { forward: raster.pack(&layer.weight, units), backward }
        }
        Link::Dense(number) | Link::Gated(number) if *number > 0 => {
            let [rows, columns] = layer.shape;
            Turned { forward: Scratch::new(0), backward: turned(&layer.weight, rows * columns, columns) }
        }
        _ => Turned { forward: Scratch::new(0), backward: Scratch::new(0) },
    }
}
