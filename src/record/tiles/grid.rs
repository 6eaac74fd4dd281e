//! A matrix cut into square tiles, row of tiles by row of tiles.

use std::ops::Range;

/// How a matrix is cut; of a symmetric one only tiles that meet the diagonal or lie above it are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Rows of the matrix.
    pub rows: usize,
    /// Columns of the matrix.
    pub columns: usize,
    /// Rows and columns of a tile; those at the ends may have fewer.
    pub tile: usize,
    /// Whether entry `(i, j)` is entry `(j, i)`.
    pub is_symmetric: bool,
}

/// The place of a tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileBlock {
    /// Rows of the matrix.
    pub rows: Range<usize>,
    /// Columns of the matrix.
    pub columns: Range<usize>,
    /// Whether its transpose stands below the diagonal.
    pub is_mirrored: bool,
}

impl TileBlock {
    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// The place below the diagonal.
    pub fn mirror(&self) -> Self {
        Self { rows: self.columns.clone(), columns: self.rows.clone(), is_mirrored: self.is_mirrored }
    }
}

impl Grid {
    /// All tiles in the order of their numbers.
    pub fn blocks(&self) -> Vec<TileBlock> {
        let cut = |size: usize| {
            (0..size).step_by(self.tile.max(1)).map(move |start| start..(start + self.tile.max(1)).min(size))
        };
        let mut blocks = Vec::new();
        for rows in cut(self.rows) {
            for columns in cut(self.columns).filter(|columns| !self.is_symmetric || columns.start >= rows.start) {
                let is_mirrored = self.is_symmetric && columns.start > rows.start;
                blocks.push(TileBlock { rows: rows.clone(), columns, is_mirrored });
            }
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_in_one_tile_or_its_mirror() {
        for (rows, columns, tile, is_symmetric) in [(7, 7, 3, true), (7, 5, 3, false), (4, 4, 9, true), (1, 1, 1, true)]
        {
            let mut seen = vec![0; rows * columns];
            for block in (Grid { rows, columns, tile, is_symmetric }).blocks() {
                assert!(block.entries() <= tile * tile);
                let mirror = block.is_mirrored.then(|| block.mirror());
                for place in [Some(block), mirror].into_iter().flatten() {
                    for i in place.rows.clone() {
                        place.columns.clone().for_each(|j| seen[i * columns + j] += 1);
                    }
                }
            }
            assert!(seen.iter().all(|count| *count == 1), "{rows} x {columns} by {tile}: {seen:?}");
        }
    }
}
