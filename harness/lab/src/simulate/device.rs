//! A device as its published figures tell it, and how far two devices are from each other.

use serde::{Deserialize, Serialize};

/// Figures of the devices that we know by name: what files that users write leave out is taken from here.
const PUBLISHED: &str = include_str!("devices.json");

/// What a device can do, by its maker's data sheet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its name, as drivers tell it.
    pub device: String,
    /// Memory, GB.
    pub memory_gb: f64,
    /// Bandwidth of that memory, GB/s.
    pub memory_bandwidth_gb_s: f64,
    /// Multiprocessors, or compute units.
    pub compute_units: f64,
    /// Lanes (or SIMD units) of each, as the maker counts them.
    pub cores_per_unit: f64,
    /// Boost clock, MHz.
    pub clock_mhz: f64,
    /// Peak of matrix products in f32, Gflop/s.
    pub f32_matrix_gflop_s: f64,
    /// Peak of everything else in f32, Gflop/s.
    pub f32_vector_gflop_s: f64,
    /// Last cache before the memory, MB.
    pub l2_mb: f64,
    /// Power that its board may draw, W.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board_power_w: Option<f64>,
    /// Process of its chip, as its maker calls it, nm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_nm: Option<f64>,
}

/// What is wrong with a file of devices.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// It cannot be parsed.
    #[error("not a list of devices: {0}; docs/SIMULATION.md has the format")]
    Malformed(#[from] serde_json::Error),
    /// A figure is no positive number.
    #[error("device {device}: {field} is {value}; it must be a positive number")]
    Figure {
        /// Which device.
        device: String,
        /// Which figure.
        field: &'static str,
        /// What it says.
        value: f64,
    },
    /// Two devices have one name.
    #[error("device {0} is listed twice: remove one")]
    Twice(String),
    /// Nothing is known of a device.
    #[error("device {name} is not listed; listed are {listed}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names that are there.
        listed: String,
    },
    /// It was measured to be faster than it can be.
    #[error(
        "device {device}: {row} reaches {measured:.0} {unit}, and its {field} is {peak:.0}: correct the figure or the row"
    )]
    TooFast {
        /// Which device.
        device: String,
        /// The operator that was measured.
        row: String,
        /// What it reached.
        measured: f64,
        /// Of what.
        unit: &'static str,
        /// The figure that is exceeded.
        field: &'static str,
        /// That figure.
        peak: f64,
    },
}

impl Device {
    /// Reads a list of devices, checks it, and completes it with published figures of those that are known by name.
    pub fn read_all(text: &str) -> Result<Vec<Self>, DeviceError> {
        let mut devices: Vec<Self> = serde_json::from_str(text)?;
        let published: Vec<Self> = serde_json::from_str(PUBLISHED)?;
        for index in 0..devices.len() {
            let (before, rest) = devices.split_at_mut(index);
            let device = &mut rest[0];
            if before.iter().any(|other| other.device == device.device) {
                return Err(DeviceError::Twice(device.device.clone()));
            }
            if let Some(known) = published.iter().find(|known| known.device == device.device) {
                device.board_power_w = device.board_power_w.or(known.board_power_w);
                device.process_nm = device.process_nm.or(known.process_nm);
            }
            device.check()?;
        }
        Ok(devices)
    }

    /// The devices whose figures come with Proofmark.
    pub fn published() -> Result<Vec<Self>, DeviceError> {
        Self::read_all(PUBLISHED)
    }

    /// The device of this name.
    pub fn find<'a>(devices: &'a [Self], name: &str) -> Result<&'a Self, DeviceError> {
        devices.iter().find(|device| device.device == name).ok_or_else(|| DeviceError::Unknown {
            name: name.to_owned(),
            listed: devices.iter().map(|d| d.device.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    fn check(&self) -> Result<(), DeviceError> {
        let figures = [
            ("memory_gb", Some(self.memory_gb)),
            ("memory_bandwidth_gb_s", Some(self.memory_bandwidth_gb_s)),
            ("compute_units", Some(self.compute_units)),
            ("cores_per_unit", Some(self.cores_per_unit)),
            ("clock_mhz", Some(self.clock_mhz)),
            ("f32_matrix_gflop_s", Some(self.f32_matrix_gflop_s)),
            ("f32_vector_gflop_s", Some(self.f32_vector_gflop_s)),
            ("l2_mb", Some(self.l2_mb)),
            ("board_power_w", self.board_power_w),
            ("process_nm", self.process_nm),
        ];
        let bad = figures.iter().find_map(|&(field, value)| {
            value.filter(|value| !(value.is_finite() && *value > 0.0)).map(|value| (field, value))
        });
        bad.map_or(Ok(()), |(field, value)| {
            Err(DeviceError::Figure { device: self.device.clone(), field, value })
        })
    }

    /// The last cache, bytes.
    pub fn l2_bytes(&self) -> f64 {
        self.l2_mb * 1e6
    }

    /// How unlike two devices are: a Euclidean distance of the logarithms of what shapes their times, 0 for twins.
    ///
    /// The balance of memory and arithmetic counts fully, the size of the chip by half, its cache and clock by less; a
    /// different maker, whose kernels are different programs, counts as much as a balance that is four times another.
    pub fn distance(&self, other: &Self) -> f64 {
        let ratio = |of: fn(&Self) -> f64| (of(self) / of(other)).ln();
        let parts = [
            ratio(|d| d.memory_bandwidth_gb_s / d.f32_matrix_gflop_s),
            0.5 * ratio(|d| d.compute_units),
            0.5 * ratio(|d| d.clock_mhz),
            0.3 * ratio(|d| d.l2_mb),
            if self.maker() == other.maker() { 0.0 } else { 4.0_f64.ln() },
        ];
        parts.iter().map(|part| part * part).sum::<f64>().sqrt()
    }

    /// Who made it, from its name: Tesla boards are NVIDIA's.
    fn maker(&self) -> &str {
        match self.device.split_whitespace().next().unwrap_or_default() {
            "Tesla" | "GeForce" | "Quadro" => "NVIDIA",
            first => first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t4() -> Device {
        Device::published().unwrap().into_iter().find(|d| d.device == "Tesla T4").unwrap()
    }

    #[test]
    fn what_a_file_leaves_out_is_taken_from_the_published_figures() {
        let mut bare = t4();
        (bare.board_power_w, bare.process_nm) = (None, Some(10.0));
        let text = serde_json::to_string(&[&bare]).unwrap();
        let read = Device::read_all(&text).unwrap();
        assert_eq!((read[0].board_power_w, read[0].process_nm), (Some(70.0), Some(10.0)));
    }

    #[test]
    fn bad_files_are_told() {
        let check = |device: Device, says: &str| {
            let error = Device::read_all(&serde_json::to_string(&[&device]).unwrap()).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        };
        check(Device { l2_mb: 0.0, ..t4() }, "device Tesla T4: l2_mb is 0");
        check(Device { clock_mhz: -1.0, ..t4() }, "clock_mhz is -1");
        let twice = serde_json::to_string(&[t4(), t4()]).unwrap();
        assert!(Device::read_all(&twice).unwrap_err().to_string().contains("listed twice"));
        assert!(
            Device::read_all("[{\"device\": 1}]").unwrap_err().to_string().contains("not a list")
        );
        let error = Device::find(&[t4()], "T5").unwrap_err();
        assert_eq!(error.to_string(), "device T5 is not listed; listed are Tesla T4");
    }

    #[test]
    fn twins_are_near_and_strangers_are_far() {
        let all = Device::published().unwrap();
        let find = |name: &str| Device::find(&all, name).unwrap();
        let a100 = find("NVIDIA A100-PCIE-40GB");
        assert!(a100.distance(find("NVIDIA A100 80GB PCIe")) < 0.3);
        assert!(a100.distance(find("NVIDIA L4")) > 1.0);
        assert!(a100.distance(find("AMD Instinct MI100")) > 1.3);
        let (there, back) = (find("Tesla P4").distance(&t4()), t4().distance(find("Tesla P4")));
        assert!((there - back).abs() < 1e-12);
    }
}
