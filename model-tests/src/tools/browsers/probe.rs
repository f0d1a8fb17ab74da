//! `browsers probe`: browsers are started and asked what they can do; the answers go into the log of probes.

use super::super::{Format, table};
use super::named;
use crate::error::Error;
use crate::suite::suite;
use proofmark::{Finding, probe_endpoints};

/// Probes the endpoints of a name, or all, and prints what was found.
pub(super) fn run(name: Option<&str>, format: Format) -> Result<bool, Error> {
    let browsers = match name {
        Some(name) => named(name)?,
        None => crate::targets::BROWSERS.iter().collect(),
    };
    let endpoints = browsers.iter().map(|browser| browser.name.parse());
    let endpoints = endpoints.collect::<Result<Vec<_>, _>>().map_err(Error::Case)?;
    let findings = probe_endpoints(&suite(), &endpoints).map_err(Error::Case)?;
    match format {
        Format::Json => println!("{}", serde_json::to_string(&findings).unwrap_or_default()),
        Format::Text => print(&findings),
    }
    Ok(true)
}

fn print(findings: &[Finding]) {
    let mut summary = table::table(&["endpoint", "mark", "adapter", "driver or reason"]);
    for finding in findings {
        let mark = finding.mark.map_or("absent", |mark| mark.name());
        let adapter = finding.adapter.clone().unwrap_or_default();
        let driver = finding.driver.clone().or_else(|| finding.absence().map(str::to_owned));
        let driver = driver.unwrap_or_default();
        summary.add_row([finding.endpoint.as_str(), mark, &adapter, &driver]);
    }
    println!("{summary}");
    for finding in findings.iter().filter(|finding| finding.mark.is_some()) {
        println!("\n{}", finding.endpoint);
        let mut facts = table::table(&["what", "value"]);
        for (name, value) in &finding.details {
            facts.add_row([name.as_str(), &shortened(value)]);
        }
        facts.add_row(["features", &finding.features.join(" ")]);
        for (name, value) in &finding.limits {
            facts.add_row([name.as_str(), &value.to_string()]);
        }
        println!("{facts}");
    }
}

/// A long value ends where a person would stop to read; the JSON has all of it.
fn shortened(value: &str) -> String {
    const READABLE: usize = 160;
    if value.chars().count() <= READABLE {
        return value.to_owned();
    }
    let beginning: String = value.chars().take(READABLE).collect();
    format!("{beginning}… ({} characters; --format json has all)", value.chars().count())
}
