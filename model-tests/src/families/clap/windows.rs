//! Where the windows of a grid of patches lie (Liu et al. 2021, Swin): which patch stands where in which window when
//! the grid is padded and shifted, and the biases of the scores in a window.

use crate::error::Error;
use crate::families::net::Net;
use proofmark_kernels::Value;

/// What the model class adds to the scores of patches that only the shift has brought side by side.
const APART: f32 = -100.0;

/// Square windows on a grid.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Windows {
    grid: [usize; 2],
    size: usize,
    shift: usize,
}

impl Windows {
    /// Windows of `size` rows and columns, which the grid has at least; a grid that one window spans is not shifted.
    pub(super) fn new(grid: [usize; 2], size: usize, shifted: bool) -> Self {
        let spanned = grid[0].min(grid[1]) <= size;
        let shift = if shifted && !spanned { size / 2 } else { 0 };
        Self { grid, size, shift }
    }

    /// How many windows stand along each axis; the last ones may reach beyond the grid.
    fn counts(&self) -> [usize; 2] {
        self.grid.map(|size| size.div_ceil(self.size))
    }

    fn is_whole(&self) -> bool {
        self.grid == [self.size; 2]
    }

    /// Patches in a window.
    fn len(&self) -> usize {
        self.size * self.size
    }

    /// Entries of a table of biases: distances along both axes.
    pub(super) fn distances(&self) -> usize {
        (2 * self.size - 1).pow(2)
    }

    /// The position on the padded and shifted grid of every patch of every window, window by window.
    fn positions(&self) -> impl Iterator<Item = [usize; 2]> {
        let ([rows, columns], size) = (self.counts(), self.size);
        let windows = (0..rows).flat_map(move |i| (0..columns).map(move |j| [i, j]));
        windows.flat_map(move |[i, j]| {
            (0..size * size).map(move |at| [i * size + at / size, j * size + at % size])
        })
    }

    /// The position on the grid of what stands at a position on the padded and shifted one, if it is no padding.
    fn source(&self, at: [usize; 2]) -> Option<usize> {
        let [height, width] = self.grid;
        let padded = self.counts().map(|count| count * self.size);
        let [y, x] = [0, 1].map(|axis| (at[axis] + self.shift) % padded[axis]);
        (y < height && x < width).then_some(y * width + x)
    }

    /// Patches of windows `[i·windows, patches, width]` of a grid `[i, height·width, width]`; zeros in the padding.
    pub(super) fn cut(&self, net: &mut Net<'_>, x: Value) -> Result<Value, Error> {
        if self.is_whole() {
            return Ok(x);
        }
        let &[images, patches, width] = net.shape(x) else { return Err(not_patches()) };
        let sources: Vec<_> = self.positions().map(|at| self.source(at)).collect();
        let mut rows = net.builder.reshape(x, &[images * patches, width])?;
        if sources.contains(&None) {
            let zeros = net.floats(&[1, width], vec![0.0; width])?;
            rows = net.builder.concat(&[rows, zeros], 0)?;
        }
        let row = |image: usize, source: Option<usize>| {
            index(source.map_or(images * patches, |source| image * patches + source))
        };
        let taken = (0..images).flat_map(|image| sources.iter().map(move |&s| row(image, s)));
        let shape = [images * sources.len() / self.len(), self.len()];
        let taken = net.indices(&shape, taken.collect())?;
        Ok(net.builder.gather(rows, taken)?)
    }

    /// The grids `[images, height·width, width]` whose windows are `x`, without their padding.
    pub(super) fn join(&self, net: &mut Net<'_>, x: Value, images: usize) -> Result<Value, Error> {
        if self.is_whole() {
            return Ok(x);
        }
        let &[windows, len, width] = net.shape(x) else { return Err(not_patches()) };
        let mut places = vec![0; self.grid[0] * self.grid[1]];
        for (place, at) in self.positions().enumerate() {
            if let Some(source) = self.source(at) {
                places[source] = place;
            }
        }
        let rows = net.builder.reshape(x, &[windows * len, width])?;
        let each = windows * len / images;
        let taken = (0..images).flat_map(|i| places.iter().map(move |&at| index(i * each + at)));
        let taken = net.indices(&[images, places.len()], taken.collect())?;
        Ok(net.builder.gather(rows, taken)?)
    }

    /// The biases of the scores, `[1 or windows, heads, patches, patches]`: those of a table `[distances, heads]` by
    /// the distance of two patches, and of a shifted grid what keeps apart what it has brought together.
    pub(super) fn bias(
        &self,
        net: &mut Net<'_>,
        table: Value,
        heads: usize,
    ) -> Result<Value, Error> {
        let len = self.len();
        let distances = net.indices(&[len, len], self.distance_table())?;
        let bias = net.builder.gather(table, distances)?;
        let bias = net.builder.transpose(bias, &[2, 0, 1])?;
        let bias = net.builder.reshape(bias, &[1, heads, len, len])?;
        if self.shift == 0 {
            return Ok(bias);
        }
        let [rows, columns] = self.counts();
        let apart = net.floats(&[rows * columns, 1, len, len], self.apart())?;
        Ok(net.builder.add(bias, apart)?)
    }

    /// For each pair of patches of a window the entry of a table of biases.
    fn distance_table(&self) -> Vec<i32> {
        let (size, span) = (self.size, 2 * self.size - 1);
        let entry = |a: usize, b: usize| {
            let along = |a: usize, b: usize| a + size - 1 - b;
            index(along(a / size, b / size) * span + along(a % size, b % size))
        };
        (0..self.len()).flat_map(|a| (0..self.len()).map(move |b| entry(a, b))).collect()
    }

    /// For each window and each pair of its patches 0, or what keeps apart patches that the shift has brought
    /// together: those of different regions, of which every axis has three.
    fn apart(&self) -> Vec<f32> {
        let padded = self.counts().map(|count| count * self.size);
        let region = |at: [usize; 2]| {
            [0, 1].map(|axis| {
                let behind = |edge: usize| usize::from(at[axis] >= padded[axis] - edge);
                behind(self.size) + behind(self.shift)
            })
        };
        let regions: Vec<_> = self.positions().map(region).collect();
        let window = |window: &[[usize; 2]]| {
            let of = |a: usize, b: usize| if window[a] == window[b] { 0.0 } else { APART };
            let pairs = (0..window.len()).flat_map(|a| (0..window.len()).map(move |b| (a, b)));
            pairs.map(|(a, b)| of(a, b)).collect::<Vec<_>>()
        };
        regions.chunks(self.len()).flat_map(window).collect()
    }
}

/// A row as an index. One that no `i32` holds is beyond every table, and told so when it is gathered.
fn index(row: usize) -> i32 {
    i32::try_from(row).unwrap_or(i32::MAX)
}

fn not_patches() -> Error {
    let detail = "its patches are not [sounds, patches, width]".into();
    Error::Input { name: "input_features".into(), detail }
}
