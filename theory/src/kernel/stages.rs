//! Pooling networks cut into stages at their pooling layers, and the grids on which a stage carries position offsets.
//!
//! Convolutions and everything elementwise keep the offset `p' - p` of a pair of positions; a stride `s` takes `s` times the
//! offset behind it. So of all pairs of positions one class, `p' = p + d`, goes through a whole stage alone, and only pooling at
//! the end of the stage mixes classes. Along each axis positions are counted modulo a size `n`, not smaller than the image,
//! so that a class is a full circle: `d` and `d - n` share it, and with `n` the size of the image nothing is wasted. Where a window
//! reaches outside, on either side, its taps are left out; a circular image must fill the whole grid.

use std::ops::Range;

use super::program::{Program, Step};
use super::vector;
use super::window::WindowAxis;

/// Horizontal offsets that travel side by side, one vector register.
pub(super) const LANES: usize = 8;

/// Which recursion an architecture takes.
#[derive(Debug)]
pub(super) enum Method {
    /// Equal positions suffice.
    Positions,
    /// Offset classes, stage by stage.
    Offsets(Vec<KernelStage>),
    /// All pairs of positions at once, whatever the graph.
    Tensors,
}

/// Steps up to a pooling layer.
#[derive(Debug)]
pub(super) struct KernelStage {
    /// The steps that keep offsets.
    pub(super) instructions: Range<usize>,
    /// The pooling step behind them; none after the last.
    pub(super) sink: Option<Sink>,
}

/// The pooling step at the end of a stage with its grid.
#[derive(Debug)]
pub(super) struct Sink {
    /// Index of the instruction.
    pub(super) instruction: usize,
    /// State that it reads.
    pub(super) input: usize,
    /// State that it makes.
    pub(super) output: usize,
    /// Whether what it makes is needed at all pairs of positions.
    pub(super) pairs: bool,
    pub(super) grid: OffsetGrid,
    /// Vertical classes in use.
    pub(super) rows: Vec<usize>,
    /// Horizontal classes in use, by groups of neighbours.
    pub(super) groups: Vec<Group>,
}

/// The circles of one stage.
#[derive(Debug)]
pub(super) struct OffsetGrid {
    /// Sizes at the end of the stage, vertical and horizontal.
    end: [usize; 2],
    /// Of every state: cells at this state a cell at the end; 0 for states of other stages.
    strides: Vec<[usize; 2]>,
}

impl OffsetGrid {
    /// Cells of a state's circle along an axis.
    pub(super) fn size(&self, state: usize, axis: usize) -> usize {
        self.end[axis] * self.strides[state][axis]
    }

    /// Cells at a state a cell at the end.
    pub(super) fn stride(&self, state: usize, axis: usize) -> usize {
        self.strides[state][axis]
    }
}

/// Neighbouring horizontal classes.
#[derive(Debug)]
pub(super) struct Group {
    /// The classes, at the end of the stage.
    pub(super) classes: [usize; LANES],
    /// Lanes in use: the others repeat a class and do not count.
    pub(super) used: [bool; LANES],
    /// Of every convolution or subsampling in the stage, what its output columns read.
    pub(super) columns: Vec<Option<ColumnTable>>,
    /// Cells of a row, `x * LANES + lane`, and the horizontal slots of the pooled tensor that they add to.
    pub(super) targets: Vec<(usize, usize)>,
}

/// Which input columns an output column adds, lane by lane.
#[derive(Debug)]
pub(super) struct ColumnTable {
    /// Of every output column, its range in `terms`.
    ranges: Vec<Range<usize>>,
    /// Input columns with how often each lane adds them.
    terms: Vec<(usize, [f64; LANES])>,
    /// Runs of output columns that add as many neighbours each, in all lanes alike: the first, their number, the first input
    /// column, and how many.
    plain: Vec<[usize; 4]>,
    /// All other output columns.
    rest: Vec<usize>,
}

impl ColumnTable {
    fn new(ranges: Vec<Range<usize>>, terms: Vec<(usize, [f64; LANES])>) -> Self {
        let mut table = Self { ranges, terms, plain: Vec::new(), rest: Vec::new() };
        for x in 0..table.ranges.len() {
            let terms = &table.terms[table.ranges[x].clone()];
            let neighbours = terms.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1);
            let is_plain = neighbours && !terms.is_empty() && terms.iter().all(|(_, counts)| counts == &[1.0; LANES]);
            if !is_plain {
                table.rest.push(x);
                continue;
            }
            let (first, taps) = (terms[0].0, terms.len());
            match table.plain.last_mut() {
                Some([out, count, from, same]) if *out + *count == x && *from + *count == first && *same == taps => {
                    *count += 1
                }
                _ => table.plain.push([x, 1, first, taps]),
            }
        }
        table
    }

    /// Output columns from a row of input columns.
    pub(super) fn sum(&self, row: &[f64], into: &mut [f64]) {
        for &[out, count, from, taps] in &self.plain {
            vector::sum_shifts(&mut into[out * LANES..][..count * LANES], &row[from * LANES..], LANES, taps);
        }
        for &x in &self.rest {
            vector::sum_columns(&self.terms[self.ranges[x].clone()], row, &mut into[x * LANES..][..LANES]);
        }
    }
}

impl Method {
    pub(super) fn new(program: &Program) -> Self {
        if !program.needs_pairs.iter().any(|&needed| needed) {
            return Method::Positions;
        }
        stages(program).map_or(Method::Tensors, Method::Offsets)
    }
}

fn stages(program: &Program) -> Option<Vec<KernelStage>> {
    let mut stages = Vec::new();
    let mut start = 0;
    for (index, instruction) in program.instructions.iter().enumerate() {
        let mixes = match &instruction.step {
            Step::GlobalPool => true,
            Step::Pool(window, _) => window.cells() > 1,
            _ => false,
        };
        let input = instruction.inputs[0].state;
        if !mixes || !program.needs_pairs[input] {
            continue;
        }
        // Nothing may pass by a pooling layer.
        let mut later = program.instructions[index + 1..].iter().flat_map(|later| &later.inputs);
        if later.any(|operand| operand.state < instruction.output) {
            return None;
        }
        let sink = Sink::new(program, start..index, index)?;
        stages.push(KernelStage { instructions: start..index, sink: Some(sink) });
        start = index + 1;
    }
    stages.push(KernelStage { instructions: start..program.instructions.len(), sink: None });
    Some(stages)
}

impl Sink {
    fn new(program: &Program, instructions: Range<usize>, index: usize) -> Option<Self> {
        let pool = &program.instructions[index];
        let (input, output) = (pool.inputs[0].state, pool.output);
        let grid = OffsetGrid::new(program, instructions.clone(), input)?;
        let pairs = program.needs_pairs[output];
        let size = program.sizes[input];
        let readers = |axis: usize| match &pool.step {
            Step::Pool(window, _) => readers(if axis == 0 { &window.rows } else { &window.columns }),
            _ => vec![vec![0]; size[axis]],
        };
        let (row_readers, column_readers) = (readers(0), readers(1));
        let contributes = |class: usize, axis: usize, readers: &[Vec<usize>]| {
            (0..size[axis]).any(|p| {
                let other = (p + class) % grid.size(input, axis);
                other < size[axis] && !slots(&readers[p], &readers[other], 1, pairs).is_empty()
            })
        };
        let rows = (0..grid.end[0]).filter(|&class| contributes(class, 0, &row_readers)).collect();
        let columns: Vec<usize> = (0..grid.end[1]).filter(|&class| contributes(class, 1, &column_readers)).collect();
        let out = program.sizes[output][1];
        let groups = neighbours(&columns, grid.end[1]).into_iter().map(|(classes, used)| {
            let mut targets = Vec::new();
            for x in 0..size[1] {
                for lane in 0..LANES {
                    let other = (x + classes[lane]) % grid.size(input, 1);
                    if used[lane] && other < size[1] {
                        let slots = slots(&column_readers[x], &column_readers[other], out, pairs);
                        targets.extend(slots.into_iter().map(|slot| (x * LANES + lane, slot)));
                    }
                }
            }
            let columns = instructions.clone().map(|index| column_table(program, &grid, index, &classes)).collect();
            Group { classes, used, columns, targets }
        });
        let groups = groups.collect();
        Some(Self { instruction: index, input, output, pairs, grid, rows, groups })
    }

    /// Of every pair of input rows, the vertical slots of the pooled tensor that it adds to.
    pub(super) fn row_slots(&self, program: &Program, y: usize, other: usize) -> Vec<usize> {
        match &program.instructions[self.instruction].step {
            Step::Pool(window, _) => {
                let reading = |cell: usize| readers_of(&window.rows, cell);
                slots(&reading(y), &reading(other), program.sizes[self.output][0], self.pairs)
            }
            _ => vec![0],
        }
    }
}

/// Windows that read a cell, as often as they do.
fn readers_of(axis: &WindowAxis, cell: usize) -> Vec<usize> {
    let reads = (0..axis.out).flat_map(|out| (0..axis.taps).map(move |tap| (out, tap)));
    reads.filter(|&(out, tap)| axis.cell(out, tap) == Some(cell)).map(|(out, _)| out).collect()
}

fn readers(axis: &WindowAxis) -> Vec<Vec<usize>> {
    (0..axis.size).map(|cell| readers_of(axis, cell)).collect()
}

/// Slots `left * size + right` of all pairs of windows, or `left` of the equal ones.
fn slots(left: &[usize], right: &[usize], size: usize, pairs: bool) -> Vec<usize> {
    let all = left.iter().flat_map(|&l| right.iter().map(move |&r| (l, r)));
    match pairs {
        true => all.map(|(l, r)| l * size + r).collect(),
        false => all.filter(|(l, r)| l == r).map(|(l, _)| l).collect(),
    }
}

/// Groups of neighbouring classes on a circle, starting behind a gap if there is one.
fn neighbours(classes: &[usize], size: usize) -> Vec<([usize; LANES], [bool; LANES])> {
    let is_in = |class: usize| classes.contains(&(class % size));
    let start = (0..size).find(|&class| is_in(class) && !is_in(class + size - 1)).unwrap_or(0);
    let mut groups = Vec::new();
    let mut class = start;
    while class < start + size {
        if !is_in(class) {
            class += 1;
            continue;
        }
        let used = std::array::from_fn(|lane| class + lane < start + size && is_in(class + lane));
        groups.push((std::array::from_fn(|lane| (class + lane) % size), used));
        class += LANES;
    }
    groups
}

impl OffsetGrid {
    fn new(program: &Program, instructions: Range<usize>, end: usize) -> Option<Self> {
        let mut strides = vec![[0, 0]; program.sizes.len()];
        strides[end] = [1, 1];
        for instruction in program.instructions[instructions.clone()].iter().rev() {
            let behind = strides[instruction.output];
            let before = match &instruction.step {
                Step::Convolution(_, window) | Step::Pool(window, _) => {
                    [behind[0] * window.rows.stride, behind[1] * window.columns.stride]
                }
                Step::Dense(_) | Step::GlobalPool => return None,
                // Units without positions added to units with.
                Step::Sum(_)
                    if instruction
                        .inputs
                        .iter()
                        .any(|o| program.sizes[o.state] != program.sizes[instruction.output]) =>
                {
                    return None;
                }
                _ => behind,
            };
            for operand in &instruction.inputs {
                let known = &mut strides[operand.state];
                if *known != [0, 0] && *known != before {
                    return None;
                }
                *known = before;
            }
        }
        let in_stage = || (0..strides.len()).filter(|&state| strides[state] != [0, 0]);
        let largest = |axis: usize| {
            in_stage().map(|state| program.sizes[state][axis].div_ceil(strides[state][axis])).max().unwrap_or(1)
        };
        let grid = Self { end: [largest(0), largest(1)], strides };
        for instruction in &program.instructions[instructions] {
            let (Step::Convolution(_, window) | Step::Pool(window, _)) = &instruction.step else { continue };
            for (index, axis) in [&window.rows, &window.columns].into_iter().enumerate() {
                let full = axis.size == grid.size(instruction.inputs[0].state, index)
                    && axis.out == grid.size(instruction.output, index);
                if axis.wraps && !full {
                    return None;
                }
            }
        }
        Some(grid)
    }
}

fn column_table(program: &Program, grid: &OffsetGrid, index: usize, classes: &[usize; LANES]) -> Option<ColumnTable> {
    let instruction = &program.instructions[index];
    let (Step::Convolution(_, window) | Step::Pool(window, _)) = &instruction.step else { return None };
    let axis = &window.columns;
    let (circle, stride) = (grid.size(instruction.output, 1), grid.stride(instruction.output, 1));
    let (mut ranges, mut terms) = (Vec::new(), Vec::<(usize, [f64; LANES])>::new());
    for x in 0..axis.out {
        let start = terms.len();
        for (tap, lane) in (0..axis.taps).flat_map(|tap| (0..LANES).map(move |lane| (tap, lane))) {
            let other = (x + stride * classes[lane]) % circle;
            let Some(cell) = axis.cell(x, tap) else { continue };
            if other >= axis.out || axis.cell(other, tap).is_none() {
                continue;
            }
            let known = terms[start..].iter().position(|(column, _)| *column == cell);
            let term = known.map_or(terms.len(), |term| start + term);
            if known.is_none() {
                terms.push((cell, [0.0; LANES]));
            }
            terms[term].1[lane] += 1.0;
        }
        ranges.push(start..terms.len());
    }
    Some(ColumnTable::new(ranges, terms))
}
