//! `powermetrics -f plist`: a property list in XML for each sample, with a zero byte between them.

use super::{DEVICE, Found, ImportError, Reading, Tool, Words, xml};
use roxmltree::Node;

/// Power of the processor's parts: the key, the part, ours, the unit.
const PARTS: [(&str, &str, &str, &str); 5] = [
    ("cpu_power", "CPU", "power.draw", "mW"),
    ("gpu_power", "GPU", "power.draw", "mW"),
    ("ane_power", "ANE", "power.draw", "mW"),
    ("combined_power", "Combined", "power.draw", "mW"),
    ("package_watts", "package", "power.draw", "W"),
];

pub(super) fn read(text: &str) -> Result<Found, ImportError> {
    let mut found = Found::default();
    let mut words = Words::default();
    let samples = text.split('\0').filter(|sample| !sample.trim().is_empty());
    for (index, sample) in samples.enumerate() {
        let document = xml(Tool::Powermetrics, sample.trim_start())?;
        let top = document.root_element().children().find(|node| node.has_tag_name("dict"));
        let top = top.ok_or_else(|| ImportError::Damaged {
            tool: Tool::Powermetrics,
            place: format!("sample {}", index + 1),
            detail: "there is no dictionary in it".to_owned(),
        })?;
        Sample { found: &mut found, index: index + 1, at: text_of(top, "timestamp") }
            .read(top, &mut words);
    }
    words.tell(&mut found);
    Ok(found)
}

struct Sample<'a, 'b> {
    found: &'a mut Found,
    index: usize,
    at: Option<&'b str>,
}

impl Sample<'_, '_> {
    fn read(mut self, top: Node<'_, '_>, words: &mut Words) {
        if self.index == 1 {
            self.found.measured_at = self.at.and_then(|at| at.parse().ok());
            self.found.fact(DEVICE, text_of(top, "hw_model").unwrap_or_default());
            self.found
                .fact("capability.os_version", text_of(top, "kern_osversion").unwrap_or_default());
        }
        if let Some(pressure) = text_of(top, "thermal_pressure") {
            words.add("thermal.pressure", pressure);
        }
        if let Some(processor) = value_of(top, "processor") {
            for (key, part, metric, unit) in PARTS {
                self.number(processor, key, (part, metric), Some(unit));
            }
            for cluster in list(processor, "clusters") {
                let name = text_of(cluster, "name").unwrap_or("cluster");
                self.clock(cluster, name);
                for cpu in list(cluster, "cpus") {
                    self.clock(
                        cpu,
                        &format!("CPU {}", text_of(cpu, "cpu").unwrap_or("of a cluster")),
                    );
                }
            }
        }
        if let Some(gpu) = value_of(top, "gpu") {
            self.number(gpu, "idle_ratio", ("GPU", "load.idle"), Some("1"));
            if value_of(gpu, "freq_hz").is_some() {
                self.has_gpu_frequency();
            }
        }
        if let Some(battery) = value_of(top, "battery") {
            self.number(battery, "percent_charge", ("battery", "battery.level"), Some("%"));
        }
    }

    /// Some versions write MHz under the name of Hz.
    fn has_gpu_frequency(&mut self) {
        let remark = "the frequency of the GPU has no certain unit and was left out";
        if !self.found.remarks.iter().any(|told| told == remark) {
            self.found.remarks.push(remark.to_owned());
        }
    }

    fn clock(&mut self, of: Node<'_, '_>, part: &str) {
        self.number(of, "freq_hz", (part, "clock.frequency"), Some("Hz"));
        self.number(of, "idle_ratio", (part, "load.idle"), Some("1"));
    }

    fn number(
        &mut self,
        of: Node<'_, '_>,
        key: &str,
        (part, metric): (&str, &str),
        raw_unit: Option<&str>,
    ) {
        let Some(raw) = text_of(of, key).and_then(|text| text.parse().ok()) else { return };
        let place = format!("sample {}, {key} of {part}", self.index);
        self.found.read(Reading { part, metric, raw, raw_unit, place, at: self.at, details: &[] });
    }
}

/// The value of a key of a dictionary: the element behind `<key>`.
fn value_of<'a, 'i>(dict: Node<'a, 'i>, key: &str) -> Option<Node<'a, 'i>> {
    let mut elements = dict.children().filter(Node::is_element);
    elements.find(|node| node.has_tag_name("key") && node.text() == Some(key))?;
    elements.next()
}

fn text_of<'a>(dict: Node<'a, '_>, key: &str) -> Option<&'a str> {
    value_of(dict, key)?.text().map(str::trim)
}

/// The dictionaries of a list.
fn list<'a, 'i>(dict: Node<'a, 'i>, key: &str) -> impl Iterator<Item = Node<'a, 'i>> {
    let list = value_of(dict, key).filter(|node| node.has_tag_name("array"));
    list.into_iter().flat_map(|list| list.children()).filter(|node| node.has_tag_name("dict"))
}
