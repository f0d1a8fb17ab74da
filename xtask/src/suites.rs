//! The suites of a workspace: packages whose manifest says `[package.metadata.proofmark]`.
//! Their programs are built by cargo and spoken to over `proofmark::protocol`.

use crate::outcome::absent;
use crate::process;
use anyhow::{Context as _, Result, bail};
use cargo_metadata::Message;
use serde::Deserialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The table `[package.metadata.proofmark]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The bench target whose program is the suite.
    bench: String,
    /// The tools that the suite brings.
    #[serde(default)]
    pub(crate) tools: Vec<String>,
    /// Globs over case ids, most critical first: these are measured before all others.
    #[serde(default)]
    pub(crate) critical: Vec<String>,
}

/// A workspace and what it declares.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    members: Vec<String>,
    profile: String,
    suites: Vec<Declared>,
}

/// A suite that is declared and not yet built.
#[derive(Clone, Debug)]
struct Declared {
    package: String,
    folder: PathBuf,
    manifest: Manifest,
}

/// A suite with its program.
#[derive(Clone, Debug)]
pub(crate) struct Suite {
    pub(crate) folder: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) program: PathBuf,
    /// Set for the program besides what it inherits.
    pub(crate) variables: Vec<(&'static str, OsString)>,
}

/// What the workspace around `folder` declares.
pub(crate) fn read(folder: &Path, profile: &str) -> Result<Workspace> {
    let metadata = process::metadata(folder)?;
    let mut suites = Vec::new();
    let members = metadata.workspace_packages().iter().map(|p| p.name.to_string()).collect();
    for package in metadata.workspace_packages() {
        let Some(table) = package.metadata.get("proofmark") else { continue };
        let manifest = Manifest::deserialize(table).with_context(|| {
            format!("failed to read [package.metadata.proofmark] of {}", package.manifest_path)
        })?;
        let folder = package.manifest_path.parent().context("a manifest without a folder")?;
        suites.push(Declared {
            package: package.name.to_string(),
            folder: folder.into(),
            manifest,
        });
    }
    let root = metadata.workspace_root.into_std_path_buf();
    let target = metadata.target_directory.into_std_path_buf();
    Ok(Workspace { root, target, members, profile: profile.to_owned(), suites })
}

impl Workspace {
    /// The cargo profile with which suites are built.
    pub(crate) fn profile(&self) -> &str {
        &self.profile
    }

    /// The same workspace, built in another folder.
    pub(crate) fn in_target(&self, target: PathBuf) -> Self {
        Self { target, ..self.clone() }
    }

    /// Builds the suites and finds their programs. Cargo's progress goes to the user.
    pub(crate) fn build(&self) -> Result<Vec<Suite>> {
        self.build_where(|_| true)
    }

    /// Forgets what was built of the workspace's own packages in its profile, so that they are built anew.
    pub(crate) fn clean(&self) -> Result<()> {
        let mut args: Vec<String> =
            ["clean", "--quiet", "--profile", &self.profile].map(Into::into).into();
        args.extend(self.members.iter().flat_map(|name| ["--package".to_owned(), name.clone()]));
        process::cargo(&self.root, &self.target, &args).map(drop)
    }

    /// Builds the suite that has this tool.
    pub(crate) fn build_with_tool(&self, tool: &str) -> Result<Suite> {
        let has = |suite: &Declared| suite.manifest.tools.iter().any(|name| name == tool);
        let mut names: Vec<_> = self.suites.iter().flat_map(|s| &s.manifest.tools).collect();
        names.sort_unstable();
        if !self.suites.iter().any(has) {
            bail!(
                "there is no command `{tool}`, and no suite here has such a tool; tools: {names:?}"
            );
        }
        let suite = self.build_where(has)?.into_iter().next();
        suite.context("the suite was declared and not built")
    }

    fn build_where(&self, wanted: impl Fn(&Declared) -> bool) -> Result<Vec<Suite>> {
        if self.suites.is_empty() {
            return Err(absent(format!(
                "no package of {} declares a suite: add [package.metadata.proofmark] with `bench = \"NAME\"`",
                self.root.display()
            )));
        }
        let wanted: Vec<_> = self.suites.iter().filter(|suite| wanted(suite)).collect();
        let mut args: Vec<String> =
            ["bench", "--no-run", "--message-format=json-render-diagnostics"]
                .map(Into::into)
                .into();
        args.extend(["--profile".into(), self.profile.clone()]);
        for suite in &wanted {
            args.extend(["--package".into(), suite.package.clone()]);
            args.extend(["--bench".into(), suite.manifest.bench.clone()]);
        }
        let output = process::cargo(&self.root, &self.target, &args)?;
        let programs = programs(&output)?;
        wanted.into_iter().map(|suite| suite.with_program(&programs)).collect()
    }
}

impl Declared {
    fn with_program(&self, programs: &[(PathBuf, String, PathBuf)]) -> Result<Suite> {
        let manifest_path = self.folder.join("Cargo.toml");
        let found = programs.iter().find(|(manifest, bench, _)| {
            *manifest == manifest_path && *bench == self.manifest.bench
        });
        let (_, _, program) = found.with_context(|| {
            format!("cargo built no bench `{}` in {}", self.manifest.bench, self.package)
        })?;
        Ok(Suite {
            folder: self.folder.clone(),
            manifest: self.manifest.clone(),
            program: program.clone(),
            variables: Vec::new(),
        })
    }
}

/// Manifest, target name and program of every executable that cargo reports.
fn programs(output: &[u8]) -> Result<Vec<(PathBuf, String, PathBuf)>> {
    let mut found = Vec::new();
    for message in Message::parse_stream(output) {
        if let Message::CompilerArtifact(artifact) = message?
            && let Some(program) = artifact.executable
        {
            found.push((artifact.manifest_path.into(), artifact.target.name, program.into()));
        }
    }
    Ok(found)
}
