//! Makes series with known change points, to measure how well they are found: one JSON object per line.
//!
//! `cargo run -p proofmark-lab --example history_series -- SEED COUNT` prints COUNT series of every family, each
//! `{"family", "values", "changes"}`, where `changes` are the first points of new regimes. The same seed gives the
//! same series on every machine. `docs/peers/history/compare.py` runs detectors on them.

use std::io::{BufWriter, Write};

/// Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In (0, 1).
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// In low..=high.
    fn whole(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }

    fn sign(&mut self) -> f64 {
        if self.unit() < 0.5 { -1.0 } else { 1.0 }
    }

    /// Standard normal, by Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Student's t with three degrees of freedom, of variance 1.
    fn heavy(&mut self) -> f64 {
        let chi = (0..3).map(|_| self.normal().powi(2)).sum::<f64>();
        self.normal() / (chi / 3.0).sqrt() / 3f64.sqrt()
    }

    /// Log-normal with a skew to the right, of mean 0 and variance 1.
    fn skewed(&mut self) -> f64 {
        let s2: f64 = 0.36;
        let mean = (s2 / 2.0).exp();
        ((0.6 * self.normal()).exp() - mean) / (mean * s2.exp_m1().sqrt())
    }
}

/// A series in units of its noise, with the first points of its regimes.
#[derive(Default)]
struct Series {
    values: Vec<f64>,
    changes: Vec<usize>,
}

type Noise = fn(&mut Random, usize) -> Vec<f64>;

fn white(random: &mut Random, n: usize) -> Vec<f64> {
    (0..n).map(|_| random.normal()).collect()
}

fn heavy(random: &mut Random, n: usize) -> Vec<f64> {
    (0..n).map(|_| random.heavy()).collect()
}

fn skewed(random: &mut Random, n: usize) -> Vec<f64> {
    (0..n).map(|_| random.skewed()).collect()
}

/// A first-order autoregression of variance 1.
fn correlated(random: &mut Random, n: usize) -> Vec<f64> {
    let phi: f64 = random.between(0.3, 0.8);
    let mut last = random.normal();
    let step = |_| {
        last = phi * last + (1.0 - phi * phi).sqrt() * random.normal();
        last
    };
    (0..n).map(step).collect()
}

/// The deviation changes between 0.5 and 2.5 every few dozen points.
fn uneven(random: &mut Random, n: usize) -> Vec<f64> {
    let mut noise = Vec::new();
    while noise.len() < n {
        let deviation = 0.5 * 5f64.powf(random.unit());
        noise.extend((0..random.whole(20, 80)).map(|_| deviation * random.normal()));
    }
    noise.truncate(n);
    noise
}

/// Each point is in one of two or three modes, whatever the last one was in; of variance about 1.
fn modes(random: &mut Random, n: usize) -> Vec<f64> {
    let count = random.whole(2, 3);
    let share = random.between(0.15, 0.5);
    let at = |_| {
        let mode = if random.unit() < share { random.whole(1, count - 1) as f64 } else { 0.0 };
        1.8 * mode + 0.25 * random.normal()
    };
    (0..n).map(at).collect()
}

/// Two modes, each of which lasts for about five points.
fn sticky(random: &mut Random, n: usize) -> Vec<f64> {
    let mut mode = 0.0;
    let at = |_| {
        if random.unit() < 0.2 {
            mode = 1.0 - mode;
        }
        2.0 * mode + 0.3 * random.normal()
    };
    (0..n).map(at).collect()
}

fn none(_: &mut Random, n: usize) -> Vec<f64> {
    vec![0.0; n]
}

/// From 40 to 400 points, short ones as often as long ones.
fn length(random: &mut Random) -> usize {
    (40.0 * 10f64.powf(random.unit())) as usize
}

/// One to four steps of 1.5 to 8 deviations, at least ten points apart and from the ends.
fn steps(random: &mut Random, n: usize) -> Series {
    let most = (n / 25).clamp(1, 4);
    let wanted = random.whole(1, most);
    let mut changes: Vec<usize> = Vec::new();
    for _ in 0..1_000 {
        let at = random.whole(10, n - 10);
        if changes.len() < wanted && changes.iter().all(|&c| c.abs_diff(at) >= 10) {
            changes.push(at);
        }
    }
    changes.sort_unstable();
    let mut series = Series { values: vec![0.0; n], changes };
    for &at in &series.changes {
        let size = random.sign() * random.between(1.5, 8.0);
        series.values[at..].iter_mut().for_each(|v| *v += size);
    }
    series
}

fn flat(random: &mut Random) -> Series {
    let n = length(random);
    Series { values: vec![0.0; n], changes: Vec::new() }
}

fn stepped(random: &mut Random) -> Series {
    let n = length(random);
    steps(random, n)
}

/// One step three to eight points before the end, large enough to be seen.
fn late(random: &mut Random) -> Series {
    let mut series = flat(random);
    let at = series.values.len() - random.whole(3, 8);
    let size = random.sign() * random.between(4.0, 10.0);
    series.values[at..].iter_mut().for_each(|v| *v += size);
    series.changes.push(at);
    series
}

/// A regression that is fixed after eight to twenty points.
fn fixed(random: &mut Random) -> Series {
    let mut series = flat(random);
    let n = series.values.len();
    let at = random.whole(10, n - 30);
    let end = at + random.whole(8, 20);
    let size = random.sign() * random.between(3.0, 8.0);
    series.values[at..end].iter_mut().for_each(|v| *v += size);
    series.changes = vec![at, end];
    series
}

/// A slope over at least half of the series, by 2 to 8 deviations.
fn drifting(random: &mut Random, mut series: Series) -> Series {
    let n = series.values.len();
    let start = random.whole(0, n / 2);
    let end = random.whole(start + n / 2, n);
    let size = random.sign() * random.between(2.0, 8.0);
    for (i, value) in series.values.iter_mut().enumerate().skip(start) {
        *value += size * ((i - start) as f64 / (end - start) as f64).min(1.0);
    }
    series
}

/// Outliers in two of a hundred points, and bursts of two to four; none at the first or last five points.
fn spiked(random: &mut Random, mut series: Series) -> Series {
    let n = series.values.len();
    for _ in 0..(n / 50).max(1) {
        let length = if random.unit() < 0.6 { 1 } else { random.whole(2, 4) };
        let at = random.whole(5, n - 10);
        let size = random.sign() * random.between(5.0, 25.0);
        series.values[at..at + length].iter_mut().for_each(|v| *v += size);
    }
    series
}

fn noisy(random: &mut Random, mut series: Series, noise: Noise) -> Series {
    let noise = noise(random, series.values.len());
    series.values.iter_mut().zip(noise).for_each(|(v, e)| *v += e);
    series
}

/// Series of a family in units of noise.
fn make(family: &str, random: &mut Random) -> Series {
    let (base, noise): (fn(&mut Random) -> Series, Noise) = match family {
        "none-normal" | "spikes" | "drift" | "last-outlier" => (flat, white),
        "none-heavy" => (flat, heavy),
        "none-skewed" => (flat, skewed),
        "none-correlated" => (flat, correlated),
        "none-uneven" => (flat, uneven),
        "none-modes" => (flat, modes),
        "none-sticky" => (flat, sticky),
        "steps-heavy" => (stepped, heavy),
        "steps-skewed" => (stepped, skewed),
        "steps-correlated" => (stepped, correlated),
        "steps-uneven" => (stepped, uneven),
        "steps-modes" => (stepped, modes),
        "steps-exact" => (stepped, none),
        "late" => (late, white),
        "fixed" => (fixed, white),
        _ => (stepped, white),
    };
    let series = base(random);
    let mut series = noisy(random, series, noise);
    match family {
        "drift" | "steps-drift" => series = drifting(random, series),
        "spikes" | "steps-spikes" => series = spiked(random, series),
        "steps-tied" => series.values.iter_mut().for_each(|v| *v = v.round()),
        "last-outlier" => {
            let size = random.sign() * random.between(6.0, 30.0);
            if let Some(last) = series.values.last_mut() {
                *last += size;
            }
        }
        _ => {}
    }
    series
}

const FAMILIES: [&str; 21] = [
    "none-normal",
    "none-heavy",
    "none-skewed",
    "none-correlated",
    "none-uneven",
    "none-modes",
    "none-sticky",
    "spikes",
    "drift",
    "last-outlier",
    "steps-normal",
    "steps-heavy",
    "steps-skewed",
    "steps-correlated",
    "steps-uneven",
    "steps-modes",
    "steps-tied",
    "steps-exact",
    "steps-spikes",
    "steps-drift",
    "late",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let usage = "give a seed and the number of series per family";
    let seed: u64 = words.next().ok_or(usage)?.parse()?;
    let count: usize = words.next().ok_or(usage)?.parse()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for (place, family) in FAMILIES.iter().chain(&["fixed"]).enumerate() {
        for number in 0..count {
            let mut random = Random(seed);
            random.0 = random.next() ^ ((place as u64) << 32) ^ number as u64;
            let Series { values, changes } = make(family, &mut random);
            // A performance series: a level, and noise of half a percent to five percent of it.
            let level = 10f64.powf(random.between(-3.0, 4.0));
            let unit = level * 0.005 * 10f64.powf(random.unit());
            let values: Vec<f64> = values.iter().map(|v| level + unit * v).collect();
            let line =
                serde_json::json!({ "family": family, "values": values, "changes": changes });
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}
