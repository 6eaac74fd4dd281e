//! How large tiles may be within the budget.

use super::super::job::{TileSource, largest};
use super::super::{Blocks, Budget, JobOptions, KernelError, VARIATION, WantedKernels};
use crate::record::tiles::{Grid, StoredNumber, TileBlock};

/// Sizes to choose from, best first.
const SIZES: [usize; 10] = [1024, 768, 512, 384, 256, 192, 128, 96, 64, 32];

/// The smallest of them.
pub(super) const SMALLEST: usize = SIZES[SIZES.len() - 1];

/// Convolutional networks take long for a pair of examples, and a stop waits for the end of a tile.
const LARGEST_OF_IMAGES: usize = 32;

/// All that the size of a tile depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct KernelTiling<'a> {
    pub(super) blocks: &'a Blocks<'a>,
    pub(super) wanted: WantedKernels,
    pub(super) storage: StoredNumber,
    pub(super) budget: Budget,
    /// Inputs that are zero if a kernel is.
    pub(super) inputs: &'a [f64],
}

/// Bytes at work on tiles of `tile` rows: their numbers, the bytes of one and of its mirror, and what threads need.
pub(super) fn bytes(blocks: &Blocks<'_>, wanted: WantedKernels, storage: StoredNumber, tile: usize) -> u64 {
    let entries = tile * tile;
    let numbers = wanted.count() * entries * size_of::<f64>();
    (numbers + 2 * entries * storage.bytes() + blocks.scratch_bytes()) as u64
}

impl KernelTiling<'_> {
    /// As [`bytes`] of this job.
    fn bytes(&self, tile: usize) -> u64 {
        bytes(self.blocks, self.wanted, self.storage, tile)
    }
}

impl TileSource for KernelTiling<'_> {
    fn grid(&self, options: &JobOptions) -> Grid {
        let (rows, columns) = self.blocks.size();
        let most = rows.max(columns);
        let found = || {
            let most = if self.blocks.is_image() { most.min(LARGEST_OF_IMAGES) } else { most };
            // The process may hold a little more once the first tile is made.
            let room = self.budget.left().saturating_sub(VARIATION);
            largest(&SIZES, most, |size| self.bytes(size) <= room).unwrap_or(SMALLEST)
        };
        let tile = options.tile.unwrap_or_else(found).min(most).max(1);
        Grid { rows, columns, tile, is_symmetric: self.blocks.is_symmetric() }
    }

    fn require(&mut self, tile: usize) -> Result<(), KernelError> {
        Ok(self.budget.require(self.bytes(tile), &format!("tiles of {tile} rows besides the inputs"))?)
    }

    fn name(&self, matrix: usize) -> String {
        format!("the {} kernel", self.wanted.names().nth(matrix).unwrap_or_default())
    }

    fn inputs(&self, _matrix: usize) -> &[f64] {
        self.inputs
    }

    fn compute(&mut self, block: &TileBlock, out: &mut [Vec<f64>]) -> Result<(), KernelError> {
        Ok(self.blocks.compute(block.rows.clone(), block.columns.clone(), self.wanted, out)?)
    }
}
