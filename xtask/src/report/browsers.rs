//! `report browsers`: what runs in which browser, and a page per model with its endpoints side by side.

use super::{Format, give, terminal, write};
use crate::cases::Cases;
use crate::context::Context;
use crate::output;
use anyhow::{Context as _, Result, bail};
use proofmark::environment::machine;
use proofmark_lab::browsers::{Browsers, browsers};
use proofmark_lab::report::browsers::pages;
use proofmark_lab::report::page::{Links, Page, html, markdown};
use std::path::{Path, PathBuf};

/// Flags of `report browsers`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How to print; with --out, html, markdown or json
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// A folder for a file per page instead of the standard output
    #[arg(long, value_name = "DIR", alias = "output")]
    out: Option<PathBuf>,
    /// A glob over case ids, in which `*` crosses `/`; may be repeated
    #[arg(long, value_name = "GLOB")]
    filter: Vec<String>,
}

impl Args {
    /// Lists the cases and reads what is stored of them. Runs and probes nothing.
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let known = self.read(context)?;
        match (self.out, self.format) {
            (None, format) => print(&known, format.unwrap_or(Format::Table)),
            (Some(folder), format) => {
                write_pages(&known, &folder, format.unwrap_or(Format::Html))?;
                output::print(&format!("{}\n", folder.display()))
            }
        }
    }

    fn read(&self, context: &Context) -> Result<Browsers> {
        let filters = self.filter.iter().flat_map(|glob| ["--filter".to_owned(), glob.clone()]);
        let suites = context.workspace.build()?;
        let cases = Cases::list(&suites, &filters.collect::<Vec<_>>())?;
        let machine = machine().machine;
        let store = context.ingest()?;
        let (runs, probes) = (store.runs(&machine)?, store.probes(&machine)?);
        Ok(browsers(&machine, &cases.asked(), &runs, &probes))
    }
}

fn json(known: &Browsers) -> Result<String> {
    Ok(serde_json::to_string_pretty(known)? + "\n")
}

fn print(known: &Browsers, format: Format) -> Result<()> {
    let pages = pages(known, Links::Within);
    let text = match format {
        Format::Markdown => markdown(&pages, Links::Within),
        Format::Html => html(&pages, Links::Within),
        Format::Json => json(known)?,
        Format::Table => pages.iter().map(terminal).collect(),
    };
    give(text, format, None)
}

fn write_pages(known: &Browsers, folder: &Path, format: Format) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("failed to create the folder {}", folder.display()))?;
    let (render, extension): (fn(&[Page], Links) -> String, _) = match format {
        Format::Markdown => (markdown, "md"),
        Format::Html => (html, "html"),
        Format::Json => return write(&folder.join("browsers.json"), json(known)?),
        Format::Table => bail!("--format table is for terminals: choose html, markdown or json"),
    };
    for page in pages(known, Links::Files) {
        let path = folder.join(format!("{}.{extension}", page.name));
        write(&path, render(&[page], Links::Files))?;
    }
    Ok(())
}
