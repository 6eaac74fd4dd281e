//! Blocks of examples, kept or made again as the budget allows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use widthwise_probes::ntk::{BlockPlan, ExampleBlock, NtkOperator, block_kernel};
use widthwise_tensors::Number;

use super::super::SAMPLE;
use crate::network::{Batch, Network};
use crate::ntk::BlockMaker;
use crate::record::tiles::StoredNumber;

/// One set of examples.
pub(super) struct Side<'a> {
    pub(super) values: &'a [f64],
    pub(super) features: usize,
}

impl Side<'_> {
    /// Number of examples.
    pub(super) fn examples(&self) -> usize {
        self.values.len() / self.features
    }

    /// Some of them on the device.
    fn batch(&self, network: &Network, range: Range<usize>) -> Batch {
        network.batch(&self.values[range.start * self.features..range.end * self.features])
    }
}

/// Where a block is from: the rows or the columns, and its first example.
type BlockKey = (bool, usize);

/// Makes blocks, and keeps as many as there is room for.
pub(super) struct BlockSource<'a, T> {
    maker: BlockMaker<'a, T>,
    network: &'a Network,
    sides: [Side<'a>; 2],
    is_symmetric: bool,
    /// Blocks with the time of their last use.
    kept: BTreeMap<BlockKey, (u64, Rc<ExampleBlock<T>>)>,
    time: u64,
    /// Blocks that may be kept at the same time, at least two.
    room: usize,
}

impl<'a, T: Number> BlockSource<'a, T> {
    pub(super) fn new(network: &'a Network, plan: BlockPlan, sides: [Side<'a>; 2], is_symmetric: bool) -> Self {
        let maker = BlockMaker::new(network, plan);
        Self { maker, network, sides, is_symmetric, kept: BTreeMap::new(), time: 0, room: 2 }
    }

    /// The kernel of the first few examples with themselves; nothing is kept.
    pub(super) fn first_block(&self) -> ExampleBlock<T> {
        let count = self.sides[0].examples().min(SAMPLE);
        self.maker.block(&self.sides[0].batch(self.network, 0..count))
    }

    /// Bytes that the block of one example takes, and that are at work while it is made, from a few of them.
    pub(super) fn bytes_per_example(&self) -> [usize; 2] {
        let count = self.sides[0].examples().min(SAMPLE);
        let block = self.first_block().bytes() / count;
        // States of the forward pass, slopes and their copies on the host; through tensors also all derivatives, twice.
        let states: usize = self.network.nodes().iter().map(|node| node.shape.features()).sum();
        let number = size_of::<T>();
        let at_work = 4 * states * number + self.pulled() * number;
        [block, at_work]
    }

    /// Numbers of an example that are pulled back at once besides those that stay.
    fn pulled(&self) -> usize {
        let layers = self.network.weight_layers();
        let outputs = self.maker.plan().wanted().len();
        let sizes = layers.iter().map(|layer| layer.width * layer.positions * outputs);
        if self.maker.is_direct() {
            // One image and output at a time, and one layer's columns.
            layers.iter().filter(|layer| layer.positions == 1).map(|layer| layer.width * outputs).max().unwrap_or(0)
        } else {
            let rows: usize = layers.iter().map(|layer| layer.fan_in * layer.branches * layer.positions).sum();
            3 * sizes.sum::<usize>() + 2 * rows
        }
    }

    /// The examples of the rows.
    pub(super) fn rows(&self) -> &'a [f64] {
        self.sides[0].values
    }

    /// Whether the whole kernel may be zero without numbers being lost: different examples may have orthogonal gradients where
    /// the kernel of the first few with themselves is not zero as it is stored.
    pub(super) fn may_vanish(&self, storage: StoredNumber) -> bool {
        if self.is_symmetric {
            return false;
        }
        let mut kernel = [Vec::new()];
        block_kernel(&self.first_block(), None, &mut kernel);
        let mut bytes = Vec::new();
        storage.encode(kernel.concat().into_iter(), &mut bytes);
        storage.decode(&bytes).any(|value| value != 0.0)
    }

    /// Bytes of the gradient of all outputs that a product with a vector adds up.
    pub(super) fn gradient_bytes(&self) -> usize {
        let weights = self.network.parameter_count() * size_of::<T>();
        weights * self.plan().wanted().len()
    }

    pub(super) fn plan(&self) -> &BlockPlan {
        self.maker.plan()
    }

    /// Whether columns are the examples of the rows.
    pub(super) fn is_symmetric(&self) -> bool {
        self.is_symmetric
    }

    /// The kernel of the rows with themselves times a vector, `examples` of them at a time.
    pub(super) fn multiply(&mut self, vector: &[f64], examples: usize) -> Vec<f64> {
        let all = self.sides[0].examples();
        let ranges: Vec<Range<usize>> =
            (0..all).step_by(examples).map(|start| start..(start + examples).min(all)).collect();
        // There and back again, so that what was used last is used first.
        let operator = NtkOperator::new(ranges.iter().map(|range| self.block(false, range.clone(), 0)), vector);
        let mut parts = Vec::new();
        for range in ranges.iter().rev() {
            parts.push(operator.apply(&*self.block(false, range.clone(), 0)));
        }
        parts.reverse();
        parts.concat()
    }

    /// Keeps this many blocks.
    pub(super) fn keep(&mut self, blocks: usize) {
        self.room = blocks.max(2);
    }

    /// The block of `range` among the rows or the columns. `rows` is where the rows stand that are at work: tiles are computed
    /// row by row from the first to the last.
    pub(super) fn block(&mut self, is_column: bool, range: Range<usize>, rows: usize) -> Rc<ExampleBlock<T>> {
        let is_column = is_column && !self.is_symmetric;
        let key = (is_column, range.start);
        self.time += 1;
        if let Some((used, block)) = self.kept.get_mut(&key) {
            *used = self.time;
            return Rc::clone(block);
        }
        while self.kept.len() >= self.room {
            let Some(least) = self.least(rows) else { break };
            self.kept.remove(&least);
        }
        let batch = self.sides[usize::from(is_column)].batch(self.network, range);
        let block = Rc::new(self.maker.block(&batch));
        self.kept.insert(key, (self.time, Rc::clone(&block)));
        block
    }

    /// The kept block whose next use is farthest away: rows that are done, or else what was used last, which comes again only
    /// with the next rows.
    fn least(&self, rows: usize) -> Option<BlockKey> {
        let done = self.kept.keys().find(|(is_column, start)| !is_column && *start < rows);
        let others = self.kept.iter().filter(|(key, _)| **key != (false, rows));
        done.or_else(|| others.max_by_key(|(_, (used, _))| *used).map(|(key, _)| key)).copied()
    }
}
