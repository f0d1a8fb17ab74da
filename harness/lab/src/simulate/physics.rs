//! From work and a device to a first time, and the ratios without units that say where the real one departs from it.
//!
//! A product is cut into tiles that the multiprocessors take in waves: the last wave is rarely full, and a tile at the
//! edge does more than it must (Lee et al., "Forecasting GPU performance for deep learning training and inference",
//! ASPLOS 2025, predict the share that a tile reaches). The first time is the roofline's (Williams, Waterman and
//! Patterson, Communications of the ACM 52 (2009)) with what the device sustains instead of its peaks.

use super::device::Device;
use super::level::Sustained;
use super::operator::{Class, Operator};

/// Sides of the tiles that libraries cut products into.
const TILES: [(f64, f64); 4] = [(128.0, 128.0), (64.0, 64.0), (128.0, 64.0), (256.0, 128.0)];
/// Rows that a multiprocessor works on at once.
const ROWS_IN_FLIGHT: f64 = 8.0;

/// A first time and what shapes the rest.
#[derive(Clone, Debug)]
pub struct Outline {
    /// The larger of arithmetic and memory, ms.
    pub roof_ms: f64,
    /// Ratios without units, and logarithms of them.
    pub features: Vec<f64>,
}

/// The time of arithmetic at the peak, ms.
pub fn ideal_compute_ms(operator: &Operator, device: &Device) -> f64 {
    operator.flop() / 1e6 / device.f32_matrix_gflop_s
}

/// The time of moving each byte once at the full bandwidth, ms.
pub fn ideal_memory_ms(operator: &Operator, device: &Device) -> f64 {
    operator.bytes() / 1e6 / device.memory_bandwidth_gb_s
}

/// The outline of an operator on a device that sustains this share of its peaks.
pub fn outline(operator: &Operator, class: Class, device: &Device, share: Sustained) -> Outline {
    let memory_ms = ideal_memory_ms(operator, device) / share.memory;
    match class {
        Class::Product => product(operator, device, share, memory_ms),
        Class::Pointwise => Outline {
            roof_ms: memory_ms,
            features: vec![memory_ms.ln(), (operator.bytes() / device.l2_bytes()).ln()],
        },
        Class::Row => row(operator, device, memory_ms),
    }
}

fn product(operator: &Operator, device: &Device, share: Sustained, memory_ms: f64) -> Outline {
    let (batch, rows, columns, common) = operator.product();
    let compute_ms = ideal_compute_ms(operator, device) / share.compute;
    let mut features = Vec::with_capacity(3 * TILES.len() + 12);
    for (tall, wide) in TILES {
        let tiles = (rows / tall).ceil() * (columns / wide).ceil() * batch;
        let waves = tiles / device.compute_units;
        features.push(waves.ln());
        features.push((waves / waves.ceil()).ln());
        features.push((rows * columns * batch / (tiles * tall * wide)).ln());
    }
    let is_multiple = |of: f64| if columns % of == 0.0 { 1.0 } else { 0.0 };
    features.extend([
        common.ln(),
        rows.ln(),
        columns.ln(),
        compute_ms.ln(),
        (memory_ms / compute_ms).ln(),
        (operator.bytes() / device.l2_bytes()).ln(),
        (4.0 * common * (rows + columns) / device.l2_bytes()).ln(),
        if operator.shares_weights() { 1.0 } else { 0.0 },
        if common % 32.0 == 0.0 { 1.0 } else { 0.0 },
        is_multiple(32.0),
        is_multiple(4.0),
        (operator.flop() / device.compute_units).ln(),
    ]);
    Outline { roof_ms: compute_ms.max(memory_ms), features }
}

fn row(operator: &Operator, device: &Device, memory_ms: f64) -> Outline {
    let in_flight = ROWS_IN_FLIGHT * device.compute_units * 4.0 * operator.h;
    Outline {
        roof_ms: memory_ms,
        features: vec![
            memory_ms.ln(),
            (operator.bytes() / device.l2_bytes()).ln(),
            operator.h.ln(),
            (operator.b / device.compute_units).ln(),
            (in_flight / device.l2_bytes()).ln(),
            if operator.op == "softmax" { 1.0 } else { 0.0 },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Sustained = Sustained { compute: 1.0, memory: 1.0 };

    fn device(name: &str) -> Device {
        Device::find(&Device::published().unwrap(), name).unwrap().clone()
    }

    fn of(op: &str, b: f64, m: f64, n: f64, k: f64, h: f64) -> Operator {
        Operator { op: op.to_owned(), b, m, n, k, h }
    }

    #[test]
    fn the_roof_is_what_is_larger() {
        let t4 = device("Tesla T4");
        let large = of("linear", 1.0, 4096.0, 4096.0, 4096.0, 0.0);
        let outline_of =
            |operator: &Operator| outline(operator, operator.class().unwrap(), &t4, ALL).roof_ms;
        assert!((outline_of(&large) - 2.0 * 4096.0_f64.powi(3) / 8141e6).abs() < 1e-9);
        let slim = of("bmm", 64.0, 1.0, 4096.0, 1.0, 0.0);
        assert!((outline_of(&slim) - slim.bytes() / 320e6).abs() < 1e-9);
        // What is sustained stretches it.
        let half = Sustained { compute: 0.5, memory: 1.0 };
        assert_eq!(outline(&large, Class::Product, &t4, half).roof_ms, 2.0 * outline_of(&large));
    }

    #[test]
    fn a_wave_more_than_full_is_half_empty() {
        let v100 = device("Tesla V100-PCIE-32GB");
        let share = |tiles: f64| {
            let operator = of("bmm", tiles, 128.0, 128.0, 64.0, 0.0);
            outline(&operator, Class::Product, &v100, ALL).features[1].exp()
        };
        assert!((share(80.0) - 1.0).abs() < 1e-12);
        assert!((share(81.0) - 81.0 / 160.0).abs() < 1e-12);
    }

    #[test]
    fn every_feature_is_finite_at_the_smallest_sizes() {
        let p4 = device("Tesla P4");
        for operator in [
            of("bmm", 1.0, 1.0, 1.0, 1.0, 0.0),
            of("linear", 1.0, 1.0, 1.0, 1.0, 0.0),
            of("relu", 1.0, 0.0, 0.0, 0.0, 1.0),
            of("softmax", 1.0, 0.0, 0.0, 0.0, 1.0),
        ] {
            let outline = outline(&operator, operator.class().unwrap(), &p4, ALL);
            assert!(outline.features.iter().all(|f| f.is_finite()), "{operator:?} {outline:?}");
            assert!(outline.roof_ms > 0.0);
        }
    }
}
