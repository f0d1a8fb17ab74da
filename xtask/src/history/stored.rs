//! The trends of the store: read, analysed, attributed to commits, and printed or written into a folder.

use super::commits::Repository;
use super::{Args, Format};
use crate::context::Context;
use crate::outcome::absent;
use crate::output;
use anyhow::{Context as _, Result};
use proofmark_lab::attribution::{Sides, attribute};
use proofmark_lab::history::Options;
use proofmark_lab::report::page::{Links, Page, html, markdown, pictures};
use proofmark_lab::report::trends::{Medium, Suite, index, suites};
use proofmark_lab::store::{Store, StoreError};
use proofmark_lab::trend::{Analysed, Selection, Trend, analyse, trends};
use std::path::Path;

/// Says what the store tells of the cases that are asked for.
pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    // Before anything is opened: a slip in a flag should not cost a wait.
    let selection = Selection::new(&args.case, args.endpoint.clone())?;
    let store = open(context)?;
    let mut found = analyse(read(&store, &selection, context)?, &Options::default())?;
    explain(&mut found, &store, context)?;
    drop(store);
    match &args.out {
        None if args.format == Format::Json => output::print_json(&found),
        None => output::print(&text(&found, args.format)?),
        Some(folder) => {
            write(&found, args.format, folder)?;
            output::print(&format!("{}\n", folder.display()))
        }
    }
}

/// The store with what is new in the record files. One that is not there is not made: a name may be misspelt.
fn open(context: &Context) -> Result<Store> {
    if !context.db.exists() {
        return Err(StoreError::Missing(context.db.clone()).into());
    }
    context.ingest()
}

fn read(store: &Store, selection: &Selection, context: &Context) -> Result<Vec<Trend>> {
    let stored = store.timed_cases()?;
    if stored.is_empty() {
        let db = context.db.display();
        return Err(absent(format!(
            "no result in {db} was timed: `cargo xtask incremental` does it"
        )));
    }
    Ok(trends(store.timed(&selection.choose(&stored)?)?))
}

/// Says of every change point what may have caused it.
pub(crate) fn explain(found: &mut [Analysed], store: &Store, context: &Context) -> Result<()> {
    let changes = found.iter().flat_map(|trend| &trend.change_points);
    let sides = changes.flat_map(|change| [&change.last_before, &change.first_after]);
    let parts = store.parts(&sides.map(|point| point.fingerprint.as_str()).collect())?;
    let mut repository = Repository::new(&context.root);
    for change in found.iter_mut().flat_map(|trend| &mut trend.change_points) {
        let (before, after) = (&change.last_before, &change.first_after);
        let between = repository.between(before, after);
        let [before, after] =
            [before, after].map(|point| (point, parts[&point.fingerprint].as_slice()));
        change.attribution = attribute(Sides { before, after }, &between);
    }
    Ok(())
}

fn json(found: &[Analysed]) -> Result<String> {
    Ok(serde_json::to_string_pretty(found)? + "\n")
}

/// All pages in one document. The one that leads to the suites is first, if there are several.
fn together(suites: Vec<Suite>) -> Vec<Page> {
    let first = (suites.len() > 1).then(|| index(&suites));
    first.into_iter().chain(suites.into_iter().flat_map(|suite| suite.pages)).collect()
}

fn text(found: &[Analysed], format: Format) -> Result<String> {
    Ok(match format {
        Format::Json => json(found)?,
        Format::Markdown => markdown(&together(suites(found, Medium::Text)), Links::Within),
        Format::Html => html(&together(suites(found, Medium::Html)), Links::Within),
    })
}

fn write(found: &[Analysed], format: Format, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("failed to create the folder {}", folder.display()))?;
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
    };
    match format {
        Format::Json => file("history.json", json(found)?),
        Format::Markdown => {
            let pages = together(suites(found, Medium::Markdown));
            for picture in pictures(&pages) {
                file(&format!("{}.svg", picture.name), picture.file())?;
            }
            file("history.md", markdown(&pages, Links::Within))
        }
        Format::Html => {
            let suites = suites(found, Medium::Html);
            if suites.len() > 1 {
                file("index.html", html(&[index(&suites)], Links::Files))?;
            }
            for suite in &suites {
                let name = suite.pages.first().map_or("suite", |page| page.name.as_str());
                file(&format!("{name}.html"), html(&suite.pages, Links::Within))?;
            }
            Ok(())
        }
    }
}
