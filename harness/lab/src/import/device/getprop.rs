//! `adb shell getprop`: what an Android device is and how it is set, a property per line. Serial numbers and names of
//! people stay out.

use super::{DEVICE, Found, ImportError, Tool, lines};

/// Properties that say what a device can do, and how it was set, by the beginnings of their names.
const CAPABILITIES: [&str; 12] = [
    "ro.product.",
    "ro.soc.",
    "ro.board.",
    "ro.hardware",
    "ro.build.version.",
    "ro.build.fingerprint",
    "ro.build.type",
    "ro.opengles.version",
    "ro.zygote",
    "ro.config.low_ram",
    "ro.vendor.api_level",
    "ro.sf.lcd_density",
];
const SETTINGS: [&str; 5] =
    ["dalvik.vm.", "debug.hwui.", "persist.sys.dalvik.", "pm.dexopt.", "debug.sf."];

pub(in super::super) fn read(bytes: &[u8]) -> Result<Found, ImportError> {
    let mut found = Found::default();
    let mut others = 0;
    let mut properties = Vec::new();
    for (number, line) in lines(Tool::Getprop, bytes)? {
        match property(line) {
            Some(property) => properties.push(property),
            // A value may go over several lines; a file of other lines is none of getprop's.
            None if !properties.is_empty() || line.trim().is_empty() => {}
            None => {
                return Err(ImportError::line(
                    Tool::Getprop,
                    number,
                    "it is no property `[name]: [value]`",
                ));
            }
        }
    }
    for (name, value) in &properties {
        let is = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        match name {
            _ if is(&CAPABILITIES) => found.fact(format!("capability.{name}"), value),
            _ if is(&SETTINGS) => found.fact(format!("setting.{name}"), value),
            _ => others += 1,
        }
    }
    let get =
        |wanted: &str| properties.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    if let Some(model) = get("ro.product.model") {
        let maker = get("ro.product.manufacturer").unwrap_or_default();
        found.fact(DEVICE, format!("{maker} {model}").trim());
    }
    if others > 0 {
        found.remarks.push(format!(
            "{others} properties say nothing of what the device can do and were left out"
        ));
    }
    Ok(found)
}

/// Whether getprop writes such a line.
pub(in super::super) fn property(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix('[')?.split_once("]: [")?;
    let is_name = !name.is_empty() && !name.contains(|c: char| c.is_whitespace());
    is_name.then_some((name, value.strip_suffix(']').unwrap_or(value)))
}
