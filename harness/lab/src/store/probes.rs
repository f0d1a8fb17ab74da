//! Probes of record files as rows of their tables.

use super::staged::{insert, number, optional, pair, text, time};
use duckdb::Connection;
use duckdb::types::Value;
use proofmark::record::Probe;

/// Rows that wait for their way into the database, by table.
#[derive(Debug, Default)]
struct Rows {
    probes: Vec<Vec<Value>>,
    probe_limits: Vec<Vec<Value>>,
    probe_features: Vec<Vec<Value>>,
    probe_details: Vec<Vec<Value>>,
}

/// Writes the probes that are not known yet, and says how many these were.
pub(super) fn write(connection: &Connection, probes: &[Probe]) -> duckdb::Result<usize> {
    let mut rows = Rows::default();
    probes.iter().for_each(|probe| rows.push(probe));
    let new = insert(connection, "probes", "id", &rows.probes)?;
    insert(connection, "probe_limits", "probe_id, name", &rows.probe_limits)?;
    insert(connection, "probe_features", "probe_id, name", &rows.probe_features)?;
    insert(connection, "probe_details", "probe_id, name", &rows.probe_details)?;
    Ok(new)
}

impl Rows {
    /// Each row has the columns of its table, in their order.
    fn push(&mut self, probe: &Probe) {
        let finding = &probe.finding;
        self.probes.push(vec![
            text(&probe.id),
            time(probe.recorded_at),
            text(&probe.suite),
            text(&probe.machine),
            text(finding.endpoint.as_str()),
            finding.mark.map_or(Value::Null, |mark| text(mark.name())),
            finding.absence().map_or(Value::Null, text),
            optional(finding.adapter.as_deref()),
            optional(finding.driver.as_deref()),
        ]);
        for (name, value) in &finding.limits {
            self.probe_limits.push(pair(&probe.id, name, number(*value)));
        }
        for (name, value) in &finding.details {
            self.probe_details.push(pair(&probe.id, name, text(value)));
        }
        for name in &finding.features {
            self.probe_features.push(vec![text(&probe.id), text(name)]);
        }
    }
}
