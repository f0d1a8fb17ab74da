//! `report quality`: how old, how noisy, how complete and how consistent what is stored is.

use super::{RowFormat, put, terminal};
use crate::cases::Cases;
use crate::clock;
use crate::context::Context;
use crate::outcome::absent;
use anyhow::Result;
use proofmark_lab::export::csv;
use proofmark_lab::quality::{Quality, quality};
use proofmark_lab::report::page::{Links, html, markdown};
use proofmark_lab::report::quality::{answer, pages};
use proofmark_lab::trend::Selection;
use std::path::PathBuf;

/// Flags of `report quality`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only cases that this glob over ids matches, in which `*` crosses `/`; may be repeated
    #[arg(long, value_name = "GLOB")]
    case: Vec<String>,
    /// Build no suite and ask none for its cases: only what is stored is judged
    #[arg(long)]
    stored: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = RowFormat::Table)]
    format: RowFormat,
    /// A file to write instead of the standard output
    #[arg(long, value_name = "FILE", alias = "output")]
    out: Option<PathBuf>,
}

impl Args {
    /// Lists the cases unless told otherwise, and judges what is stored of every machine. Runs nothing.
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let report = self.read(context)?;
        let text = match self.format {
            RowFormat::Table => pages(&report).iter().map(terminal).collect(),
            RowFormat::Markdown => markdown(&pages(&report), Links::Within),
            RowFormat::Html => html(&pages(&report), Links::Within),
            RowFormat::Json => serde_json::to_string_pretty(&report)? + "\n",
            RowFormat::Csv => csv(&answer(&report)),
        };
        put(self.out.as_deref(), text, self.format)
    }

    fn read(&self, context: &Context) -> Result<Quality> {
        let selection = Selection::new(&self.case, Vec::new())?;
        let mut listed = match self.stored {
            true => Vec::new(),
            false => Cases::list(&context.workspace.build()?, &[])?.listed,
        };
        let now = clock::now();
        let mut facts = context.ingest()?.quality_facts(now)?;
        listed.retain(|case| selection.takes(&case.id.to_string()));
        facts.runs.retain(|run| selection.takes(&run.case));
        let is_empty =
            facts.probes.is_empty() && facts.migrated.is_empty() && facts.others.is_empty();
        if facts.runs.is_empty() && listed.is_empty() && (is_empty || !self.case.is_empty()) {
            return Err(absent(
                "no case is known: run cargo xtask incremental, or give another --case",
            ));
        }
        Ok(quality(&facts, &listed, now))
    }
}
