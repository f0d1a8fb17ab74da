//! Weighted fits of a level or a ramp to any stretch of a series, in constant time from sums of its beginnings.

use super::clean::Cleaned;
use std::ops::Range;

/// What a stretch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One level.
    Level,
    /// A level until `from`, another one from `to` on, and a straight line between; without the levels, a line.
    Ramp { from: usize, to: usize },
}

/// A stretch of a series and its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) range: Range<usize>,
    pub(super) shape: Shape,
}

impl Segment {
    pub(super) fn level(range: Range<usize>) -> Self {
        Self { range, shape: Shape::Level }
    }

    pub(super) fn line(range: Range<usize>) -> Self {
        let shape = Shape::Ramp { from: range.start, to: range.end };
        Self { range, shape }
    }

    pub(super) fn is_ramp(&self) -> bool {
        self.shape != Shape::Level
    }
}

/// A fitted stretch: `first · (1 − r) + last · r`, where r rises from 0 to 1 along the ramp. A level is all `first`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    shape: Shape,
    /// The level before the ramp.
    pub(super) first: f64,
    /// The level after the ramp.
    pub(super) last: f64,
    /// Variances of both and their covariance, for points of weight 1 and variance 1.
    variances: (f64, f64, f64),
    /// Sum of weights: with even noise the number of points.
    pub(super) weight: f64,
    /// Weighted sum of squared residuals.
    pub(super) cost: f64,
}

impl Fit {
    /// How far along the ramp a place is.
    fn part(&self, place: f64) -> f64 {
        match self.shape {
            Shape::Level => 0.0,
            Shape::Ramp { from, to } => {
                ((place - from as f64) / (to - from) as f64).clamp(0.0, 1.0)
            }
        }
    }

    /// The fitted value at a place.
    pub(super) fn at(&self, place: f64) -> f64 {
        let r = self.part(place);
        self.first * (1.0 - r) + self.last * r
    }

    /// The variance of the fitted value at a place if each point of weight 1 has variance 1.
    pub(super) fn variance(&self, place: f64) -> f64 {
        let r = self.part(place);
        let (first, last, both) = self.variances;
        (1.0 - r).powi(2) * first + r * r * last + 2.0 * r * (1.0 - r) * both
    }

    /// The variance of `last − first`, on the same terms.
    pub(super) fn rise_variance(&self) -> f64 {
        let (first, last, both) = self.variances;
        first + last - 2.0 * both
    }
}

/// Sums of w, w·x, w·y, w·x², w·x·y and w·y² over the beginnings of a series; x is counted from its middle.
#[derive(Debug)]
pub(super) struct Sums(Vec<[f64; 6]>);

impl Sums {
    /// Weights are 1 ÷ scale², none for spikes.
    pub(super) fn new(cleaned: &Cleaned) -> Self {
        let n = cleaned.y.len();
        let half = n as f64 / 2.0;
        let mut sums = Vec::with_capacity(n + 1);
        let mut sum = [0.0; 6];
        sums.push(sum);
        for i in 0..n {
            let w = if cleaned.spike[i] { 0.0 } else { cleaned.scale[i].powi(-2) };
            let (x, y) = (i as f64 - half, cleaned.y[i]);
            for (to, term) in sum.iter_mut().zip([w, w * x, w * y, w * x * x, w * x * y, w * y * y])
            {
                *to += term;
            }
            sums.push(sum);
        }
        Self(sums)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() - 1
    }

    /// Costs of a level and of a line over `start..end`.
    #[inline]
    pub(super) fn costs(&self, start: usize, end: usize) -> (f64, f64) {
        let (a, b) = (&self.0[start], &self.0[end]);
        let w = b[0] - a[0];
        if w <= 1e-12 {
            return (0.0, 0.0);
        }
        let (wx, wy) = (b[1] - a[1], b[2] - a[2]);
        let inverse = 1.0 / w;
        let level = (b[5] - a[5] - wy * wy * inverse).max(0.0);
        let xx = b[3] - a[3] - wx * wx * inverse;
        let xy = b[4] - a[4] - wx * wy * inverse;
        let line = if xx > 1e-9 { (level - xy * xy / xx).max(0.0) } else { level };
        (level, line)
    }

    /// The fit of a segment.
    pub(super) fn fit(&self, segment: &Segment) -> Fit {
        let (start, end) = (segment.range.start, segment.range.end);
        let shape = segment.shape;
        let whole = self.between(start, end);
        let weight = whole[0].max(1e-12);
        let Shape::Ramp { from, to } = shape else {
            let level = whole[2] / weight;
            let cost = self.costs(start, end).0;
            return Fit {
                shape,
                first: level,
                last: level,
                variances: (1.0 / weight, 0.0, 0.0),
                weight,
                cost,
            };
        };
        // Sums of r, r² and r·y from those of x, since r = (x − from) ÷ (to − from) on the ramp and 1 after it.
        let ramp = self.between(from.max(start), to.min(end));
        let after = self.between(to.min(end), end);
        let (origin, width) = (from as f64 - self.len() as f64 / 2.0, (to - from) as f64);
        let r = (ramp[1] - origin * ramp[0]) / width + after[0];
        let rr = (ramp[3] - 2.0 * origin * ramp[1] + origin * origin * ramp[0]) / (width * width)
            + after[0];
        let ry = (ramp[4] - origin * ramp[2]) / width + after[2];
        // Normal equations of (1 − r, r).
        let (aa, ab, bb) = (weight - 2.0 * r + rr, r - rr, rr);
        let (ay, by) = (whole[2] - ry, ry);
        let determinant = aa * bb - ab * ab;
        if determinant <= 1e-9 {
            return self.fit(&Segment::level(segment.range.clone()));
        }
        let variances = (bb / determinant, aa / determinant, -ab / determinant);
        let first = variances.0 * ay + variances.2 * by;
        let last = variances.2 * ay + variances.1 * by;
        let cost = (whole[5] - first * ay - last * by).max(0.0);
        Fit { shape, first, last, variances, weight, cost }
    }

    fn between(&self, start: usize, end: usize) -> [f64; 6] {
        let (a, b) = (&self.0[start], &self.0[end.max(start)]);
        std::array::from_fn(|i| b[i] - a[i])
    }
}
