//! The share of its peaks that a device sustains: measured where operators were, estimated elsewhere.
//!
//! Two things keep a device below its peak of arithmetic: kernels that do not fill it, and its board's power. The power
//! of a chip is its operations per second times the energy of one; the energy falls with the process, and rises with
//! the clock because the voltage does. A board that would draw more than it may lowers its clock until it does not.
//! Energy and the share without that limit are the two parameters that are fitted.

use super::device::Device;
use super::operator::{Class, Measured};
use super::physics::{ideal_compute_ms, ideal_memory_ms};
use serde::{Deserialize, Serialize};
use statrs::statistics::{Data, OrderStatistics};

/// How the energy of an operation grows with the process of the chip: far less than the makers of chips claim of its
/// transistors alone, since memory and wires take their part.
const PROCESS_EXPONENT: f64 = 0.5;
/// How it grows with the clock: between none, at a constant voltage, and 2, at a voltage that is in proportion.
const CLOCK_EXPONENT: f64 = 0.5;
/// Operators that take at least this long at the peak show what is sustained, ms.
const LONG_MS: f64 = 3.0;
/// The quantile of the shares of long operators that is called sustained.
const SUSTAINED_QUANTILE: f64 = 0.6;
/// Distance at which a neighbour's own departure from the rule counts exp(-1/2).
const NEAR: f64 = 0.5;
/// Weight of the rule itself.
const RULE_WEIGHT: f64 = 0.3;

/// Shares of peaks, from 0 to about 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sustained {
    /// Of the peak of products.
    pub compute: f64,
    /// Of the bandwidth of the memory.
    pub memory: f64,
}

/// What is known of the shares of devices.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Levels {
    /// Devices that were measured, with what they sustained.
    known: Vec<(Device, Sustained)>,
    /// The share without a limit of power.
    unlimited: f64,
    /// Energy of an operation in a chip of 12 nm at 1 GHz, pJ.
    energy_pj: f64,
}

impl Levels {
    /// Learns from what was measured. A device without long products, or without pointwise operators, teaches nothing.
    pub fn learn<'a>(
        devices: &[Device],
        rows: impl Iterator<Item = (&'a Measured, Class)> + Clone,
    ) -> Self {
        let known: Vec<_> = devices
            .iter()
            .enumerate()
            .filter_map(|(index, device)| {
                let own = rows.clone().filter(move |(row, _)| row.device == index);
                Some((device.clone(), measure(device, own)?))
            })
            .collect();
        let (unlimited, energy_pj) = fit(&known);
        Self { known, unlimited, energy_pj }
    }

    /// What a device sustains: as measured, or by the rule and what its neighbours do.
    pub fn of(&self, device: &Device) -> Sustained {
        let own = self.known.iter().find(|(known, _)| known.device == device.device);
        if let Some((_, measured)) = own {
            return *measured;
        }
        let compute = |known: &(Device, Sustained)| {
            (known.1.compute / rule(&known.0, self.unlimited, self.energy_pj)).ln()
        };
        let typical = self.known.iter().map(|(_, s)| s.memory.ln()).sum::<f64>()
            / self.known.len().max(1) as f64;
        let memory = |known: &(Device, Sustained)| known.1.memory.ln() - typical;
        Sustained {
            compute: rule(device, self.unlimited, self.energy_pj)
                * self.neighbours(device, compute).exp(),
            memory: (typical + self.neighbours(device, memory)).exp(),
        }
    }

    /// Whether a device of this name was measured.
    pub fn knows(&self, device: &str) -> bool {
        self.known.iter().any(|(known, _)| known.device == device)
    }

    /// The share without a limit of power, and the energy of an operation in a chip of 12 nm at 1 GHz, pJ.
    pub fn parameters(&self) -> (f64, f64) {
        (self.unlimited, self.energy_pj)
    }

    /// The mean departure of neighbours, drawn towards 0 where there are none: Nadaraya and Watson's estimator with a
    /// Gaussian kernel, and the rule as one more neighbour.
    fn neighbours(&self, device: &Device, departure: impl Fn(&(Device, Sustained)) -> f64) -> f64 {
        let (mut sum, mut weights) = (0.0, RULE_WEIGHT);
        for known in &self.known {
            let distance = known.0.distance(device) / NEAR;
            let weight = (-0.5 * distance * distance).exp();
            sum += weight * departure(known);
            weights += weight;
        }
        sum / weights
    }
}

/// What a device sustained in long operators.
fn measure<'a>(
    device: &Device,
    rows: impl Iterator<Item = (&'a Measured, Class)> + Clone,
) -> Option<Sustained> {
    let shares = |class: Class, ideal: fn(&super::Operator, &Device) -> f64| {
        let all: Vec<(f64, f64)> = rows
            .clone()
            .filter(|(_, of)| *of == class)
            .map(|(row, _)| (ideal(&row.operator, device), row.latency_ms))
            .collect();
        let long = all.iter().filter(|(ideal, _)| *ideal > LONG_MS);
        let shares: Vec<f64> = long.map(|(ideal, latency)| ideal / latency).collect();
        (shares.len() >= 5).then(|| Data::new(shares).quantile(SUSTAINED_QUANTILE))
    };
    Some(Sustained {
        compute: shares(Class::Product, ideal_compute_ms)?,
        memory: shares(Class::Pointwise, ideal_memory_ms)?,
    })
}

/// The share by the rule: what is sustained without a limit, at the clock that the power allows.
///
/// At the part s of its boost clock a chip draws s^(1 + [`CLOCK_EXPONENT`]) of what it draws there.
fn rule(device: &Device, unlimited: f64, energy_pj: f64) -> f64 {
    let (Some(power_w), Some(process)) = (device.board_power_w, device.process_nm) else {
        return unlimited;
    };
    let energy_pj = energy_pj
        * (process / 12.0).powf(PROCESS_EXPONENT)
        * (1e-3 * device.clock_mhz).powf(CLOCK_EXPONENT);
    let wanted_w = 1e-3 * energy_pj * unlimited * device.f32_matrix_gflop_s;
    unlimited * (power_w / wanted_w).min(1.0).powf(1.0 / (1.0 + CLOCK_EXPONENT))
}

/// The two parameters with the least sum of squared departures, on a grid.
fn fit(known: &[(Device, Sustained)]) -> (f64, f64) {
    let mut best = (f64::INFINITY, 0.8, 18.0);
    for unlimited in (40..=110).map(|percent| f64::from(percent) / 100.0) {
        for energy in (20..=160).map(|quarters| f64::from(quarters) / 4.0) {
            let departure = |(device, share): &(Device, Sustained)| {
                (share.compute / rule(device, unlimited, energy)).ln().powi(2)
            };
            let sum: f64 = known.iter().map(departure).sum();
            if sum < best.0 {
                best = (sum, unlimited, energy);
            }
        }
    }
    (best.1, best.2)
}

#[cfg(test)]
mod tests {
    use super::super::operator::Operator;
    use super::*;

    /// Long products and sums on devices that sustain given shares.
    fn rows(devices: &[Device], shares: &[(f64, f64)]) -> Vec<(Measured, Class)> {
        let mut rows = Vec::new();
        for (index, (device, (compute, memory))) in devices.iter().zip(shares).enumerate() {
            for size in [8192.0, 8704.0, 9216.0, 9728.0, 10240.0] {
                let product =
                    Operator { op: "linear".into(), b: 1.0, m: size, n: size, k: size, h: 0.0 };
                let sum = Operator { op: "add".into(), b: 1e5, m: 0.0, n: 0.0, k: 0.0, h: size };
                let times = [
                    (ideal_compute_ms(&product, device) / compute, product, Class::Product),
                    (ideal_memory_ms(&sum, device) / memory, sum, Class::Pointwise),
                ];
                rows.extend(times.map(|(latency_ms, operator, class)| {
                    (Measured { operator, device: index, latency_ms }, class)
                }));
            }
        }
        rows
    }

    fn named(names: &[&str]) -> Vec<Device> {
        let all = Device::published().unwrap();
        names.iter().map(|name| Device::find(&all, name).unwrap().clone()).collect()
    }

    #[test]
    fn power_and_the_share_without_its_limit_are_told_apart() {
        let devices =
            named(&["NVIDIA A100-PCIE-40GB", "Tesla P100-PCIE-16GB", "Tesla T4", "NVIDIA L4"]);
        let power = |device: &Device| rule(device, 0.85, 16.0);
        let shares: Vec<(f64, f64)> = devices.iter().map(|d| (power(d), 0.8)).collect();
        let rows = rows(&devices, &shares);
        let levels = Levels::learn(&devices, rows.iter().map(|(row, class)| (row, *class)));
        let (unlimited, energy) = levels.parameters();
        assert!((unlimited - 0.85).abs() < 0.02 && (energy - 16.0).abs() < 0.5, "{levels:?}");
        assert!((levels.of(&devices[2]).compute - power(&devices[2])).abs() < 1e-9);
        // A board of 75 W that nobody measured is limited too.
        let [p4] = &named(&["Tesla P4"])[..] else { panic!() };
        let estimate = levels.of(p4);
        assert!((0.6..0.8).contains(&estimate.compute), "{estimate:?}");
        assert!((estimate.memory - 0.8).abs() < 1e-9);
    }

    #[test]
    fn a_twin_sustains_what_its_twin_does() {
        let devices = named(&["NVIDIA A100-PCIE-40GB", "Tesla V100-PCIE-32GB", "Tesla T4"]);
        let rows = rows(&devices, &[(0.6, 0.9), (0.95, 0.7), (0.5, 0.7)]);
        let levels = Levels::learn(&devices, rows.iter().map(|(row, class)| (row, *class)));
        let twin = Device {
            device: "NVIDIA twin".to_owned(),
            memory_bandwidth_gb_s: 1.1 * devices[0].memory_bandwidth_gb_s,
            ..devices[0].clone()
        };
        let estimate = levels.of(&twin);
        assert!((0.55..0.72).contains(&estimate.compute), "{estimate:?}");
        // The others' 0.7 and 0.9 have a mean of 0.76, from which its twin draws it.
        assert!((0.8..0.9).contains(&estimate.memory), "{estimate:?}");
    }

    #[test]
    fn a_device_with_few_long_operators_teaches_nothing() {
        let devices = named(&["Tesla T4"]);
        let rows = rows(&devices, &[(0.5, 0.7)]);
        let few = || rows.iter().take(6).map(|(row, class)| (row, *class));
        assert!(Levels::learn(&devices, few()).known.is_empty());
    }
}
