//! What the kernel of a block of examples is made of, in host memory.

use std::ops::Range;

use super::columns::Columns;

/// Columns of a tile that is worked on at once: two tiles fit a second-level cache of 1 MiB, and vector registers divide it.
const TILE: usize = 288;

/// The order of columns: examples in groups, and within a group output by output.
///
/// Column `(x, r)` of group `g`, which begins at example `x_g` and has `e_g` of them, is `x_g R + r e_g + (x - x_g)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    /// Number of examples N.
    pub examples: usize,
    /// Columns R of an example.
    pub per_example: usize,
    /// Examples of a group; the last one may have fewer.
    pub group: usize,
}

impl Grouping {
    /// Groups of about `TILE` columns, and at least three of them where there are enough examples for that: the sizes do not
    /// depend on the number of threads.
    pub fn new(examples: usize, per_example: usize) -> Self {
        let share = if per_example == 1 {
            whole_registers(examples.div_ceil(3))
        } else {
            examples.div_ceil(4).next_multiple_of(8)
        };
        let group = (TILE / per_example).min(share).max(1);
        Self { examples, per_example, group }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.examples * self.per_example
    }

    /// Examples of every group.
    pub fn groups(&self) -> Vec<Range<usize>> {
        (0..self.examples).step_by(self.group).map(|x| x..(x + self.group).min(self.examples)).collect()
    }

    /// Column of example `x` and row `r` of its own.
    pub fn column(&self, x: usize, r: usize) -> usize {
        let start = x / self.group * self.group;
        let size = self.group.min(self.examples - start);
        start * self.per_example + r * size + (x - start)
    }

    /// Example and row of its own of a column.
    pub fn place(&self, column: usize) -> (usize, usize) {
        let start = column / (self.group * self.per_example) * self.group;
        let size = self.group.min(self.examples - start);
        let within = column - start * self.per_example;
        (start + within % size, within / size)
    }
}

/// At least this many columns, and as many as matrix products take at full speed: pieces of 96, the last one 96 or 64.
pub fn whole_registers(columns: usize) -> usize {
    match columns % 96 {
        0 => columns,
        1..=64 if columns > 32 => columns / 96 * 96 + 64,
        _ => columns.next_multiple_of(if columns > 32 { 96 } else { 16 }),
    }
}

/// A layer's part of the formula.
#[derive(Debug, Clone)]
pub enum LayerTerm<T> {
    /// A readout, whose derivatives are the identity.
    Readout {
        /// Input rows, `F x N`.
        rows: Columns<T>,
    },
    /// A layer at one position.
    Dense {
        /// Input rows, `F x N`.
        rows: Columns<T>,
        /// Derivatives of outputs, columns as in [`Grouping`].
        derivatives: Columns<T>,
    },
    /// A layer at many positions, contracted over them.
    Gradients {
        /// `sum_p a_p d_p^T` of every column.
        gradients: Columns<T>,
        /// `sum_p d_p`, if there are biases.
        sums: Option<Columns<T>>,
    },
    /// A layer at many positions, contracted pair by pair.
    Positions {
        /// Number of positions P.
        positions: usize,
        /// Input rows, `F x (N P)`.
        rows: Columns<T>,
        /// Derivatives, `n x (columns P)`.
        derivatives: Columns<T>,
    },
}

/// A layer's part of the kernel of a block.
#[derive(Debug, Clone)]
pub struct LayerShare<T> {
    /// Factor `g` of weights, a mean over outputs included.
    pub weight: f64,
    /// Factor `h` of biases; 0 without them.
    pub bias: f64,
    /// The rest.
    pub share: LayerTerm<T>,
}

/// Everything that the kernel of a block of examples with others is made of.
#[derive(Debug, Clone)]
pub struct ExampleBlock<T> {
    /// Order of the columns.
    pub grouping: Grouping,
    /// One entry a layer, in order.
    pub layers: Vec<LayerShare<T>>,
}

impl<T> ExampleBlock<T> {
    /// Bytes of all numbers.
    pub fn bytes(&self) -> usize {
        let of = |share: &LayerTerm<T>| match share {
            LayerTerm::Readout { rows } => rows.bytes(),
            LayerTerm::Dense { rows, derivatives } | LayerTerm::Positions { rows, derivatives, .. } => {
                rows.bytes() + derivatives.bytes()
            }
            LayerTerm::Gradients { gradients, sums } => gradients.bytes() + sums.as_ref().map_or(0, Columns::bytes),
        };
        self.layers.iter().map(|layer| of(&layer.share)).sum()
    }
}

impl<T: Copy> ExampleBlock<T> {
    /// The block of example `x` alone.
    pub fn example(&self, x: usize) -> Self {
        let per_example = self.grouping.per_example;
        let own: Vec<usize> = (0..per_example).map(|r| self.grouping.column(x, r)).collect();
        let at_positions = |columns: &[usize], positions: usize| -> Vec<usize> {
            columns.iter().flat_map(|column| column * positions..(column + 1) * positions).collect()
        };
        let of = |share: &LayerTerm<T>| match share {
            LayerTerm::Readout { rows } => LayerTerm::Readout { rows: rows.select(&[x]) },
            LayerTerm::Dense { rows, derivatives } => {
                LayerTerm::Dense { rows: rows.select(&[x]), derivatives: derivatives.select(&own) }
            }
            LayerTerm::Gradients { gradients, sums } => LayerTerm::Gradients {
                gradients: gradients.select(&own),
                sums: sums.as_ref().map(|sums| sums.select(&own)),
            },
            LayerTerm::Positions { positions, rows, derivatives } => LayerTerm::Positions {
                positions: *positions,
                rows: rows.select(&at_positions(&[x], *positions)),
                derivatives: derivatives.select(&at_positions(&own, *positions)),
            },
        };
        let share =
            |layer: &LayerShare<T>| LayerShare { weight: layer.weight, bias: layer.bias, share: of(&layer.share) };
        Self {
            grouping: Grouping { examples: 1, per_example, group: 1 },
            layers: self.layers.iter().map(share).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_cut_at_full_registers() {
        for (columns, expected) in [(1, 16), (17, 32), (40, 64), (64, 64), (65, 96), (97, 160), (161, 192), (214, 256)]
        {
            assert_eq!(whole_registers(columns), expected, "{columns}");
        }
    }

    #[test]
    fn every_column_has_one_place() {
        for (examples, per_example) in [(1, 1), (7, 3), (64, 10), (300, 1), (5, 700)] {
            let grouping = Grouping::new(examples, per_example);
            let mut seen = vec![0; grouping.columns()];
            for group in grouping.groups() {
                let columns = group.start * per_example..group.end * per_example;
                for x in group {
                    for (r, column) in (0..per_example).map(|r| (r, grouping.column(x, r))) {
                        assert!(columns.contains(&column));
                        assert_eq!(grouping.place(column), (x, r));
                        seen[column] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|count| *count == 1), "{grouping:?}");
        }
    }
}
