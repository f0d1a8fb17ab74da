//! `doctor`: every endpoint that has a name, with its mark or the exact reason of its absence, and the machine.

use crate::clock;
use crate::context::Context;
use crate::output::{self, Format};
use crate::process;
use anyhow::Result;
use proofmark::journal::Journal;
use proofmark::record::{Environment, FORMAT, Line, Probe};
use proofmark::{Endpoint, Finding, environment, survey};
use std::process::ExitCode;

/// Flags of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Args {
    /// Probes every endpoint anew, prints what is found, and keeps the probes in the store.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let findings = probe_all(context)?;
        match self.format {
            Format::Json => output::print_json(&findings)?,
            Format::Table => print(&environment::environment(&context.root), &findings)?,
        }
        context.ingest()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The findings of all suites; then every known endpoint that none of them drives.
fn probe_all(context: &Context) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = Vec::new();
    for suite in context.workspace.build()? {
        let args = ["probe", "--all"].map(str::to_owned);
        let found: Vec<Finding> = process::ask(&suite, &args)?;
        for finding in found {
            // Where suites disagree, the one that has a device is right.
            findings.retain(|other| other.endpoint != finding.endpoint || other.mark.is_some());
            if findings.iter().all(|other| other.endpoint != finding.endpoint) {
                findings.push(finding);
            }
        }
    }
    let driven: Vec<_> = findings.iter().map(|finding| finding.endpoint.clone()).collect();
    let others = Endpoint::KNOWN.iter().filter(|known| !driven.contains(known));
    let others: Vec<_> = others.map(survey::survey).collect();
    keep(context, &others)?;
    findings.extend(others);
    let rank = |endpoint: &Endpoint| Endpoint::KNOWN.iter().position(|known| known == endpoint);
    findings.sort_by_key(|finding| rank(&finding.endpoint).unwrap_or(usize::MAX));
    Ok(findings)
}

/// Writes what was seen of endpoints without a device into the log of probes; suites have written theirs.
fn keep(context: &Context, findings: &[Finding]) -> Result<()> {
    let mut journal = Journal::new(&context.folders.records);
    let machine = environment::machine().machine;
    for finding in findings {
        let probe = Probe {
            format: FORMAT,
            id: journal.next_id(),
            recorded_at: clock::now(),
            suite: "survey".into(),
            machine: machine.clone(),
            finding: finding.clone(),
        };
        journal.append(&Line::Probe(probe))?;
    }
    Ok(())
}

fn print(machine: &Environment, findings: &[Finding]) -> Result<()> {
    let facts = format!(
        "machine {}: {}, {} threads, {:.1} GiB, {}, {}",
        machine.machine,
        machine.cpu,
        machine.threads,
        machine.memory_bytes as f64 / f64::from(1 << 30),
        machine.platform,
        machine.rustc,
    );
    let mut table = output::table(["endpoint", "mark", "adapter, or why it is absent", "driver"]);
    for finding in findings {
        let mark = finding.mark.map_or("absent", proofmark::Mark::name);
        let adapter = finding.absence().or(finding.adapter.as_deref()).unwrap_or_default();
        let driver = finding.driver.as_deref().unwrap_or_default();
        table.add_row([finding.endpoint.as_str(), mark, adapter, driver]);
    }
    output::print(&format!("{facts}\n{table}\n"))
}
