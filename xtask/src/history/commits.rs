//! The commits between two results, as git tells them; where it cannot, why.

use crate::process;
use proofmark_lab::attribution::{Between, Commit, range, short};
use proofmark_lab::trend::Point;
use std::collections::HashMap;
use std::path::Path;

/// So many commits of one change point are looked at.
const MOST: usize = 1000;
/// What begins a commit, and what parts its fields. No name of a file and no message holds a NUL, and of the fields only
/// the last may be empty.
const BEGIN: &str = "\0\0";
const FIELD: char = '\0';

/// The repository of the workspace. It is asked once for what several trends want to know.
pub(super) struct Repository<'a> {
    root: &'a Path,
    /// Whether its history is cut off, or why it cannot be asked.
    shallow: Option<Result<bool, String>>,
    /// Why a commit is not known, by its id.
    unknown: HashMap<String, Option<String>>,
    between: HashMap<(String, String), Between>,
}

impl<'a> Repository<'a> {
    /// The repository around this folder. Nothing is asked yet.
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root, shallow: None, unknown: HashMap::new(), between: HashMap::new() }
    }

    /// What lies between the commits of two results.
    pub(super) fn between(&mut self, before: &Point, after: &Point) -> Between {
        let (before, after) = match range(before, after) {
            Ok(range) => range,
            Err(why) => return Between::Unknown(why),
        };
        let key = (before.to_owned(), after.to_owned());
        if let Some(known) = self.between.get(&key) {
            return known.clone();
        }
        let found = self.ask(before, after).unwrap_or_else(Between::Unknown);
        self.between.insert(key, found.clone());
        found
    }

    fn ask(&mut self, before: &str, after: &str) -> Result<Between, String> {
        let shallow = self.is_shallow()?;
        let unknown: Vec<_> =
            [before, after].iter().filter_map(|id| self.unknown(id, shallow)).collect();
        if !unknown.is_empty() {
            return Err(unknown.join("; "));
        }
        // Whatever the user's configuration says: no colours, no signatures, whole paths, and both names of what was
        // renamed. Of a merge, the files that it changed itself.
        let (count, range) = (format!("--max-count={}", MOST + 1), format!("{before}...{after}"));
        let args = [
            "-c",
            "core.quotePath=false",
            "log",
            "--no-color",
            "--no-show-signature",
            "--no-renames",
            "--no-relative",
            "--diff-merges=combined",
            "--name-only",
            "--left-right",
            "--format=%x00%x00%m%x00%H%x00%cI%x00%s",
            &count,
            "--end-of-options",
            &range,
        ];
        let text = process::ask_git(self.root, &args).map_err(|error| format!("{error:#}"))?;
        let mut commits = parse(&text);
        let more = commits.len() > MOST;
        commits.truncate(MOST);
        Ok(Between::Commits { commits, more })
    }

    fn is_shallow(&mut self) -> Result<bool, String> {
        let ask = || {
            let answer = process::ask_git(self.root, &["rev-parse", "--is-shallow-repository"]);
            answer.map(|text| text.trim() == "true").map_err(|error| format!("{error:#}"))
        };
        self.shallow.get_or_insert_with(ask).clone()
    }

    /// Why git does not know a commit, if it does not.
    fn unknown(&mut self, id: &str, shallow: bool) -> Option<String> {
        if let Some(known) = self.unknown.get(id) {
            return known.clone();
        }
        let object = format!("{id}^{{commit}}");
        let lost = if shallow {
            "this clone is shallow, `git fetch --unshallow` may bring it"
        } else {
            "it is not in this clone: never fetched, or rewritten since"
        };
        let known = process::ask_git(self.root, &["cat-file", "-e", &object]);
        let why =
            known.err().map(|_| format!("git does not know the commit {}: {lost}", short(id)));
        self.unknown.insert(id.to_owned(), why.clone());
        why
    }
}

/// The commits in the answer of `git log`.
fn parse(text: &str) -> Vec<Commit> {
    let commit = |piece: &str| {
        let (header, files) = piece.split_once('\n').unwrap_or((piece, ""));
        let fields: Vec<_> = header.split(FIELD).collect();
        let [side, id, time, subject] = fields[..] else { return None };
        // A message may hold what a terminal would obey.
        let subject = subject.replace(char::is_control, " ");
        let files = files.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let (id, committed_at) = (id.to_owned(), time.to_owned());
        Some(Commit { id, committed_at, subject, undone: side == "<", files })
    };
    text.split(BEGIN).filter_map(commit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_commits() {
        let text = "\0\0>\0aa\x002026-01-31T12:00:00Z\0Speed: \u{1b}[1mup\n\nsrc/a.rs\nsrc/ü b.rs\n\
                    \0\0<\0bb\x002026-01-30T12:00:00Z\0\n";
        let [new, old] = &parse(text)[..] else { panic!("{:?}", parse(text)) };
        assert_eq!((&*new.id, &*new.subject, new.undone), ("aa", "Speed:  [1mup", false));
        assert_eq!(new.files, ["src/a.rs", "src/ü b.rs"]);
        assert_eq!(
            (old.undone, old.files.len(), &*old.committed_at),
            (true, 0, "2026-01-30T12:00:00Z")
        );
        assert_eq!(parse(""), []);
    }
}
