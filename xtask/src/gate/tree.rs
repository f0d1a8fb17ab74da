//! A revision of the workspace in a worktree of its own, with a target folder of its own, built.
//!
//! Worktrees stay where they are, so that the next build of one begins where the last ended. What is run are copies
//! of the programs: a build in mid-run changes nothing.

use crate::context::Context;
use crate::outcome::absent;
use crate::process::{self, git};
use crate::suites::{self, Suite, Workspace};
use anyhow::{Context as _, Result, bail};
use proofmark::Finding;
use proofmark_lab::gate::Revision;
use std::path::{Path, PathBuf};

/// The commit of a revision.
pub(crate) fn resolve(root: &Path, revision: &str) -> Result<String> {
    if revision.starts_with('-') {
        bail!("`{revision}` is no revision");
    }
    inside(root)?;
    let wanted = format!("{revision}^{{commit}}");
    if let Ok(commit) = git(root, &["rev-parse", "--verify", "--quiet", &wanted]) {
        return Ok(commit);
    }
    if git(root, &["rev-parse", "--is-shallow-repository"])? == "true" {
        bail!(
            "there is no revision `{revision}` in this clone, which is shallow: fetch the rest with \
             `git fetch --unshallow`, or check out with `fetch-depth: 0`"
        );
    }
    bail!(
        "there is no revision `{revision}` in this repository: fetch it, or see `git branch --all`"
    )
}

/// The tree as it stands. Files that differ from its commit are allowed, and told.
pub(crate) fn here(root: &Path) -> Result<Revision> {
    inside(root)?;
    let commit = git(root, &["rev-parse", "--verify", "HEAD^{commit}"])
        .context("the repository has no commit yet")?;
    let files = git(root, &["status", "--porcelain"])?;
    // The state folder is not a part of the tree, also where git does not ignore it.
    let dirty = files.lines().any(|line| !line.contains(".proofmark"));
    Ok(Revision { revision: None, commit, dirty })
}

fn inside(root: &Path) -> Result<()> {
    let is_inside = git(root, &["rev-parse", "--is-inside-work-tree"]);
    match is_inside {
        Ok(_) => Ok(()),
        Err(error) => Err(absent(format!("a gate needs a git repository: {error:#}"))),
    }
}

/// The workspace of a commit, checked out as the worktree of this name.
pub(crate) fn checkout(context: &Context, name: &str, commit: &str) -> Result<Workspace> {
    let root = &context.root;
    let top = PathBuf::from(git(root, &["rev-parse", "--show-toplevel"])?);
    let within = root.canonicalize()?;
    let within =
        within.strip_prefix(top.canonicalize()?).context("a workspace outside its repository")?;
    let tree = context.state.join("gate/trees").join(name);
    if is_worktree(&tree) {
        git(&tree, &["checkout", "--quiet", "--force", "--detach", commit])?;
        git(&tree, &["clean", "--quiet", "--force", "-d"])?;
    } else {
        let path = tree.to_str().context("the path of the state folder is not UTF-8")?;
        // Left by somebody who removed the folder without telling git.
        git(root, &["worktree", "prune"])?;
        if tree.exists() {
            std::fs::remove_dir_all(&tree).with_context(|| format!("failed to remove {path}"))?;
        }
        git(root, &["worktree", "add", "--quiet", "--force", "--detach", path, commit])?;
    }
    if tree.join(".gitmodules").exists() {
        git(&tree, &["submodule", "update", "--quiet", "--init", "--recursive"])?;
    }
    let folder = tree.join(within);
    if !folder.join("Cargo.toml").exists() {
        bail!("{commit} has no workspace at {}", within.display());
    }
    let workspace = suites::read(&folder, context.workspace.profile())?;
    if workspace.root.canonicalize()? != folder.canonicalize()? {
        bail!("{} is no workspace of its own in {commit}", within.display());
    }
    Ok(apart(context, &workspace, name))
}

/// The workspace with a target folder of its own, inside the user's.
pub(crate) fn apart(context: &Context, workspace: &Workspace, name: &str) -> Workspace {
    let target = context.workspace.target.join("proofmark-gate").join(name);
    workspace.in_target(target)
}

/// Whether the folder is a worktree of its own, and not just inside of another.
fn is_worktree(folder: &Path) -> bool {
    let top =
        folder.is_dir().then(|| git(folder, &["rev-parse", "--show-toplevel"]).ok()).flatten();
    let same =
        |top: String| Some(Path::new(&top).canonicalize().ok()? == folder.canonicalize().ok()?);
    top.and_then(same).unwrap_or(false)
}

/// Builds the suites of a tree, copies their programs to where no build replaces them, and lets them probe. They share a state folder of
/// their own: a result of an older commit must not become the latest one of the workspace.
pub(crate) fn build(context: &Context, workspace: &Workspace, name: &str) -> Result<Vec<Suite>> {
    let mut suites = workspace.build()?;
    let state = context.state.join("gate/state");
    let folder = context.state.join("gate/programs");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("failed to make {}", folder.display()))?;
    for (index, suite) in suites.iter_mut().enumerate() {
        let copy = folder.join(format!("{name}-{index}"));
        // A program that still runs cannot be written to, but its name can be given to another.
        let _ = std::fs::remove_file(&copy);
        std::fs::copy(&suite.program, &copy)
            .with_context(|| format!("failed to copy {}", suite.program.display()))?;
        suite.program = copy;
        suite.variables.push((proofmark::env::STATE, state.clone().into_os_string()));
        let (variable, value) = super::runs::MEASURE_FOR;
        suite.variables.push((variable, value.into()));
        let _: Vec<Finding> = process::ask(suite, &["probe".to_owned()])?;
    }
    Ok(suites)
}
