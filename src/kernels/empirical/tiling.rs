//! How large tiles and how many blocks fit the budget, and the numbers of a tile.

use std::ops::Range;

use widthwise_probes::ntk::{BlockPlan, NtkOutput, block_diagonal, block_kernel};
use widthwise_tensors::Number;

use super::super::job::{TileSource, largest};
use super::super::{Budget, JobOptions, KernelError};
use super::source::BlockSource;
use crate::record::tiles::{Grid, StoredNumber, TileBlock};

/// Examples of a tile to choose from, best first.
const SIZES: [usize; 14] = [1024, 768, 512, 384, 256, 192, 128, 96, 64, 32, 16, 8, 4, 2];
/// Rows of a tile at most: a stop waits for its end.
const MOST_ROWS: usize = 5120;
/// Bytes that a thread needs besides the result: tiles that it works on and what products pack.
const THREAD: usize = 12 << 20;

/// Everything that tiles are made of.
pub(super) struct NtkTiling<'a, T> {
    blocks: BlockSource<'a, T>,
    matrices: usize,
    storage: StoredNumber,
    budget: Budget,
    per_example: usize,
    /// Bytes of one example's block, and at work while it is made.
    example: [usize; 2],
    /// Inputs that are zero if the kernel is.
    inputs: &'a [f64],
}

impl<'a, T: Number> NtkTiling<'a, T> {
    pub(super) fn new(blocks: BlockSource<'a, T>, matrices: usize, storage: StoredNumber, budget: Budget) -> Self {
        let plan = blocks.plan();
        let per_example = plan.output.per_example(plan.outputs);
        let example = blocks.bytes_per_example();
        let inputs = if blocks.may_vanish(storage) { &[] } else { blocks.rows() };
        Self { blocks, matrices, storage, budget, per_example, example, inputs }
    }

    fn is_diagonal(&self) -> bool {
        self.blocks.plan().output == NtkOutput::Diagonal
    }

    /// Bytes at work on tiles of `examples` examples besides the blocks.
    fn work(&self, examples: usize) -> usize {
        let tiles = tile_bytes(self.blocks.plan(), self.matrices, self.storage, examples);
        tiles as usize + examples * self.example[1]
    }

    /// The least that tiles of `examples` examples take.
    fn bytes(&self, examples: usize) -> u64 {
        (self.work(examples) + self.least_blocks() * examples * self.example[0]) as u64
    }

    /// Blocks without which there is no tile.
    fn least_blocks(&self) -> usize {
        if self.is_diagonal() { 1 } else { 2 }
    }

    /// Examples of a tile of so many rows.
    fn examples(&self, tile: usize) -> usize {
        if self.is_diagonal() { tile } else { tile / self.per_example }
    }

    fn of_examples(&self, rows: &Range<usize>) -> Range<usize> {
        rows.start / self.per_example..rows.end / self.per_example
    }
}

/// Bytes of the numbers of tiles of `examples` examples, and of what threads need.
pub(super) fn tile_bytes(plan: &BlockPlan, matrices: usize, storage: StoredNumber, examples: usize) -> u64 {
    let is_diagonal = plan.output == NtkOutput::Diagonal;
    let per_example = plan.output.per_example(plan.outputs);
    let rows = examples * per_example;
    let entries = if is_diagonal { rows * per_example } else { rows * rows };
    // One more matrix of rows than is stored while a diagonal is taken apart.
    let numbers = (matrices + usize::from(is_diagonal)) * entries * size_of::<f64>();
    (numbers + 2 * entries * storage.bytes() + rayon::current_num_threads() * THREAD) as u64
}

impl<T: Number> TileSource for NtkTiling<'_, T> {
    fn grid(&self, options: &JobOptions) -> Grid {
        let plan = *self.blocks.plan();
        let (most, own) = (plan.rows.max(plan.columns), self.per_example);
        let found = || {
            let room = self.budget.left();
            let sizes: Vec<usize> = SIZES.into_iter().filter(|size| size * own <= MOST_ROWS).collect();
            largest(&sizes, most, |size| self.bytes(size) <= room).unwrap_or(1)
        };
        let examples = options.tile.unwrap_or_else(found).min(most).max(1);
        if self.is_diagonal() {
            return Grid { rows: plan.rows, columns: own * own, tile: examples.max(own * own), is_symmetric: false };
        }
        let is_symmetric = self.blocks.is_symmetric();
        Grid { rows: plan.rows * own, columns: plan.columns * own, tile: examples * own, is_symmetric }
    }

    fn require(&mut self, tile: usize) -> Result<(), KernelError> {
        let examples = self.examples(tile);
        self.budget.require(self.bytes(examples), &format!("tiles of {examples} examples besides the inputs"))?;
        let block = (examples * self.example[0]).max(1) as u64;
        let room = self.budget.left().saturating_sub(self.work(examples) as u64);
        self.blocks.keep(usize::try_from(room / block).unwrap_or(usize::MAX));
        Ok(())
    }

    fn name(&self, matrix: usize) -> String {
        if matrix + 1 == self.matrices {
            "the tangent kernel".to_owned()
        } else {
            format!("the share of layer {} in the tangent kernel", matrix + 1)
        }
    }

    fn inputs(&self, matrix: usize) -> &[f64] {
        // Below a readout of zeros no layer has a share.
        if matrix + 1 == self.matrices { self.inputs } else { &[] }
    }

    fn compute(&mut self, block: &TileBlock, out: &mut [Vec<f64>]) -> Result<(), KernelError> {
        if self.is_diagonal() {
            let found = block_diagonal(&*self.blocks.block(false, block.rows.clone(), block.rows.start), out.len() > 1);
            for (out, found) in out.iter_mut().zip(found) {
                let width = found.len() / block.rows.len();
                out.clear();
                found.chunks_exact(width).for_each(|row| out.extend_from_slice(&row[block.columns.clone()]));
            }
            return Ok(());
        }
        let (rows, columns) = (self.of_examples(&block.rows), self.of_examples(&block.columns));
        let left = self.blocks.block(false, rows.clone(), rows.start);
        if self.blocks.is_symmetric() && rows == columns {
            block_kernel(&*left, None, out);
        } else {
            let right = self.blocks.block(true, columns, rows.start);
            block_kernel(&*left, Some(&*right), out);
        }
        Ok(())
    }
}
