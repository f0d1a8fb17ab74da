//! `nvidia-smi -q -x`: a document in XML, or one after the other where it was asked in a loop.

use super::nvidia::is_absent;
use super::{Found, ImportError, Reading, Tool, Words, quantity, xml};
use roxmltree::Node;

/// Groups of a GPU with readings: the name of the group, the kind of what is in it.
const GROUPS: [(&str, &str); 14] = [
    ("temperature", "thermal"),
    ("gpu_power_readings", "power"),
    ("module_power_readings", "power"),
    ("power_readings", "power"),
    ("utilization", "load"),
    ("fb_memory_usage", "memory"),
    ("bar1_memory_usage", "memory"),
    ("clocks", "clock"),
    ("applications_clocks", "setting"),
    ("max_clocks", "capability"),
    ("clocks_event_reasons", "thermal"),
    ("clocks_throttle_reasons", "thermal"),
    ("mig_mode", "setting"),
    ("ecc_mode", "setting"),
];
/// Single values of a GPU, and their kinds.
const SINGLE: [(&str, &str); 8] = [
    ("fan_speed", "thermal"),
    ("performance_state", "thermal"),
    ("product_brand", "capability"),
    ("product_architecture", "capability"),
    ("persistence_mode", "setting"),
    ("compute_mode", "setting"),
    ("virtualization_mode", "setting"),
    ("vbios_version", "setting"),
];

pub(super) fn read(text: &str) -> Result<Found, ImportError> {
    let mut found = Found::default();
    let mut words = Words::default();
    // Each document begins with its declaration, except perhaps the first.
    let documents = text.split("<?xml").filter(|document| !document.trim().is_empty());
    for (index, document) in documents.enumerate() {
        let whole = match document.trim_start().starts_with('<') {
            true => document.trim_start().to_owned(),
            false => format!("<?xml{document}"),
        };
        let parsed = xml(Tool::NvidiaSmi, &whole)?;
        let root = parsed.root_element();
        let told = |name| text_of(root, name);
        if index == 0 {
            found.version = told("driver_version").map(str::to_owned);
            found.fact("capability.cuda_version", told("cuda_version").unwrap_or_default());
        }
        for gpu in elements(root).filter(|node| node.has_tag_name("gpu")) {
            Gpu { found: &mut found, document: index + 1, at: told("timestamp"), name: name(gpu) }
                .read(gpu, &mut words);
        }
    }
    words.tell(&mut found);
    Ok(found)
}

fn name(gpu: Node<'_, '_>) -> String {
    let number = text_of(gpu, "minor_number").or_else(|| gpu.attribute("id"));
    ["GPU", number.unwrap_or_default(), text_of(gpu, "product_name").unwrap_or_default()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

struct Gpu<'a, 'b> {
    found: &'a mut Found,
    document: usize,
    /// The local time of the machine, without its offset.
    at: Option<&'b str>,
    name: String,
}

impl Gpu<'_, '_> {
    fn read(&mut self, gpu: Node<'_, '_>, words: &mut Words) {
        for node in elements(gpu) {
            let tag = node.tag_name().name();
            let find = |known: &[(&str, &'static str)]| {
                known.iter().find(|(name, _)| *name == tag).map(|(_, kind)| *kind)
            };
            if let Some(kind) = find(&SINGLE) {
                self.value(kind, tag, node, words);
            } else if let Some(kind) = find(&GROUPS) {
                self.group(kind, tag, node, words);
            } else if tag == "processes" {
                elements(node).for_each(|process| self.process(process));
            }
        }
    }

    fn group(&mut self, kind: &str, path: &str, group: Node<'_, '_>, words: &mut Words) {
        for node in elements(group) {
            let path = format!("{path}.{}", node.tag_name().name());
            if elements(node).next().is_some() {
                self.group(kind, &path, node, words);
            } else {
                // Limits are set, not drawn; the same of temperatures.
                let is_limit = path.ends_with("_limit") || path.ends_with("_threshold");
                let kind = if is_limit || path.ends_with("power_state") { "setting" } else { kind };
                self.value(kind, &path, node, words);
            }
        }
    }

    fn value(&mut self, kind: &str, path: &str, node: Node<'_, '_>, words: &mut Words) {
        let Some(text) = node.text().map(str::trim).filter(|text| !is_absent(text)) else { return };
        let metric = format!("{kind}.{path}");
        match quantity(text) {
            Some((raw, Some(unit))) => self.take(&metric, (raw, unit), path),
            _ => words.add(format!("{metric} ({})", self.name), text),
        }
    }

    fn take(&mut self, metric: &str, (raw, unit): (f64, &str), path: &str) {
        let place = format!("document {}, {}, {path}", self.document, self.name);
        let (part, at) = (&*self.name, self.at);
        self.found.read(Reading {
            part,
            metric,
            raw,
            raw_unit: Some(unit),
            place,
            at,
            details: &[],
        });
    }

    fn process(&mut self, process: Node<'_, '_>) {
        let (Some(name), Some(pid)) = (text_of(process, "process_name"), text_of(process, "pid"))
        else {
            return;
        };
        let used = text_of(process, "used_memory").and_then(quantity);
        let Some((raw, Some(unit))) = used else { return };
        let place = format!("document {}, process {pid}", self.document);
        let details = [("pid", pid), ("gpu", &*self.name)];
        let (metric, raw_unit) = ("application.gpu_memory", Some(unit));
        self.found.read(Reading {
            part: name,
            metric,
            raw,
            raw_unit,
            place,
            at: self.at,
            details: &details,
        });
    }
}

fn elements<'a, 'i>(of: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    of.children().filter(Node::is_element)
}

fn text_of<'a>(of: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let node = of.children().find(|node| node.has_tag_name(name))?;
    node.text().map(str::trim).filter(|text| !is_absent(text))
}
