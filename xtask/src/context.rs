//! What every command needs to know: the workspace, its state folder, its database.

use crate::env;
use crate::output::printable;
use crate::output::tell;
use crate::suites::{self, Workspace};
use anyhow::{Context as _, Result};
use proofmark::journal::Fault;
use proofmark_lab::store::{Folders, Store};
use std::path::PathBuf;

/// Shown below the help of every command.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 all well; 1 a case failed or a verdict is bad; \
2 bad usage or input; 3 something needed is absent.";

/// Flags that every command has.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// The workspace whose suites are meant, instead of the one around the current folder
    #[arg(long, global = true, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// The database, instead of .proofmark/results.duckdb
    #[arg(long, global = true, value_name = "FILE", env = "PROOFMARK_DB")]
    db: Option<PathBuf>,
    /// The cargo profile with which suites are built
    #[arg(long, global = true, value_name = "NAME", default_value = "bench")]
    profile: String,
}

/// Where things are.
#[derive(Debug)]
pub(crate) struct Context {
    /// The folder of the workspace's manifest.
    pub(crate) root: PathBuf,
    /// Records, findings, references.
    pub(crate) state: PathBuf,
    /// What the database is made from.
    pub(crate) folders: Folders,
    /// The database; it need not exist.
    pub(crate) db: PathBuf,
    /// The suites that the workspace declares.
    pub(crate) workspace: Workspace,
}

impl Context {
    /// Reads the workspace. Builds nothing.
    pub(crate) fn open(global: Global) -> Result<Self> {
        let here = env::current_dir().context("failed to find the current folder")?;
        let folder = global.workspace.map_or(here.clone(), |folder| here.join(folder));
        let workspace = suites::read(&folder, &global.profile)?;
        let root = workspace.root.clone();
        let state = proofmark::env::state_dir(&root);
        let db = global.db.map_or(state.join("results.duckdb"), |db| here.join(db));
        let folders = Folders::below(&state);
        Ok(Self { root, state, folders, db, workspace })
    }

    /// Opens the store and takes in what is new in the record files. Lines that cannot be read are told.
    pub(crate) fn ingest(&self) -> Result<Store> {
        self.take_in(Store::open(&self.db)?)
    }

    /// Takes in what is new in the record files since the store was opened, and the certificates as they are.
    pub(crate) fn take_in(&self, store: Store) -> Result<Store> {
        warn_of(&store.ingest(&self.folders.records)?.faults);
        warn_of(&store.ingest_certificates(&self.folders.certificates)?.1);
        Ok(store)
    }
}

/// Tells of lines that could not be read.
pub(crate) fn warn_of(faults: &[Fault]) {
    for Fault { path, offset, detail } in faults {
        let told = format!("{}, the line at byte {offset} {detail}", path.display());
        tell!("warning: {}", printable(&told));
    }
}
