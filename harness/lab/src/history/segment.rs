//! The best division of a series into levels and slopes: the least sum of squared residuals plus a price per boundary.
//!
//! Optimal partitioning by dynamic programming (Jackson et al., "An algorithm for optimal partitioning of data on an
//! interval", IEEE Signal Processing Letters 12, 2005) with the pruning of PELT (Killick, Fearnhead & Eckley, "Optimal
//! detection of changepoints with a linear computational cost", Journal of the American Statistical Association 107,
//! 2012). A stretch may be a line at the price of another boundary, so that a drift is no staircase.

use super::Options;
use super::clean::{Cleaned, TAIL};
use super::fit::{Segment, Sums};
use super::noise::Noise;

/// Shorter stretches are no lines.
pub(super) const SHORTEST_SLOPE: usize = 12;
/// Longer series are cut only where neighbouring windows differ most, at so many places.
const MOST_PLACES: usize = 2_000;
/// Widths of these windows.
const WIDTHS: [usize; 5] = [3, 6, 12, 25, 50];

/// The price of a boundary, in squared residuals.
pub(super) fn price(n: usize, noise: &Noise, options: &Options) -> f64 {
    let count = (n as f64 / 2.0).max(2.0);
    options.penalty * (n as f64).ln() * noise.variance * noise.inflation(count)
}

/// Divides the whole series.
pub(super) fn segment(cleaned: &Cleaned, noise: &Noise, options: &Options) -> Vec<Segment> {
    let n = cleaned.y.len();
    let sums = Sums::new(cleaned);
    let price = price(n, noise, options);
    let places = places(&sums);
    let mut best = vec![f64::INFINITY; places.len()];
    let mut from = vec![(0, false); places.len()];
    best[0] = -price;
    let mut live = vec![0];
    let mut costs = Vec::new();
    for to in 1..places.len() {
        let end = places[to];
        costs.clear();
        for &start in &live {
            let length = end - places[start];
            let (level, line) = sums.costs(places[start], end);
            let line = if length >= SHORTEST_SLOPE { line + price } else { f64::INFINITY };
            let cost = line.min(level);
            costs.push(best[start] + cost);
            if length >= TAIL && best[start] + cost + price < best[to] {
                best[to] = best[start] + cost + price;
                from[to] = (start, line < level);
            }
        }
        let (mut costs, limit) = (costs.iter(), best[to]);
        live.retain(|&start| {
            let cost = costs.next().copied().unwrap_or(f64::INFINITY);
            cost <= limit || end - places[start] < SHORTEST_SLOPE
        });
        if best[to].is_finite() {
            live.push(to);
        }
    }
    trace(&places, &from)
}

fn trace(places: &[usize], from: &[(usize, bool)]) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut to = places.len() - 1;
    while to > 0 {
        let (start, sloped) = from[to];
        let range = places[start]..places[to];
        segments.push(if sloped { Segment::line(range) } else { Segment::level(range) });
        to = start;
    }
    segments.reverse();
    segments
}

/// Where the series may be cut: everywhere, or if it is long where neighbouring windows differ most.
fn places(sums: &Sums) -> Vec<usize> {
    let n = sums.len();
    if n <= MOST_PLACES {
        return (0..=n).filter(|&i| i == 0 || i == n || (i >= TAIL && i + TAIL <= n)).collect();
    }
    let mut scored: Vec<(f64, usize)> = (TAIL..=n - TAIL).map(|i| (contrast(sums, i), i)).collect();
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.truncate(MOST_PLACES);
    let mut places: Vec<usize> = scored.into_iter().map(|(_, i)| i).collect();
    places.extend([0, n]);
    places.sort_unstable();
    places
}

/// How much a cut at a place saves, over windows of several widths: the most.
fn contrast(sums: &Sums, place: usize) -> f64 {
    let saved = |width: usize| {
        let (start, end) = (place.saturating_sub(width), (place + width).min(sums.len()));
        sums.costs(start, end).0 - sums.costs(start, place).0 - sums.costs(place, end).0
    };
    WIDTHS.into_iter().map(saved).fold(0.0, f64::max)
}
