//! `browsers list`: what is installed or fetched, and what would bring the rest.

use super::super::{Format, table};
use crate::error::Error;
use proofmark_browser::{Kind, installed};
use serde_json::json;

/// Prints every browser that is here, and the reason for each kind that is not.
pub(super) fn run(format: Format) -> Result<bool, Error> {
    let mut objects = Vec::new();
    let mut rows = table::table(&["browser", "version", "driver", "program"]);
    for kind in Kind::ALL {
        let found = match installed(kind) {
            Ok(found) => found,
            Err(why) => {
                rows.add_row([kind.to_string(), "absent".into(), String::new(), why.to_string()]);
                objects.push(json!({"browser": kind, "here": false, "reason": why.to_string()}));
                continue;
            }
        };
        for browser in found {
            let program = browser.browser.display().to_string();
            let (version, driver) = match browser.described() {
                Ok((version, driver)) => (version, driver),
                Err(why) => (format!("cannot be used: {why}"), String::new()),
            };
            objects.push(json!({
                "browser": kind,
                "here": true,
                "name": browser.name,
                "version": version,
                "driver": driver,
                "program": browser.browser,
            }));
            rows.add_row([browser.name, version, driver, program]);
        }
    }
    match format {
        Format::Json => println!("{}", json!(objects)),
        Format::Text => println!("{rows}"),
    }
    Ok(true)
}
