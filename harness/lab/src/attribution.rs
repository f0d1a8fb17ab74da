//! Attribution: what may have caused the change between two results, the most suspect first.
//!
//! Pure: what git knows comes from the caller. What cannot be known is told in words, in `notes`; the rule by which
//! commits are ranked is [`Rank`].

use crate::trend::Point;
use proofmark::Part;
use proofmark::fingerprint::changed_parts;
use serde::Serialize;
use std::cmp::Reverse;

/// What may have caused a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attribution {
    /// What the results were measured with and what differs, such as the compiler.
    pub environment: Vec<Difference>,
    /// The parts of the fingerprint that differ.
    pub parts: Vec<String>,
    /// The commits between the two results, the most suspect first.
    pub commits: Vec<Suspect>,
    /// What is not known, and why.
    pub notes: Vec<String>,
}

/// A fact that differs between two results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which: `rustc`, `profile`, `adapter`, `driver`.
    pub name: &'static str,
    /// What it was.
    pub before: String,
    /// What it is since.
    pub after: String,
}

/// A commit as git knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// Its full id.
    pub id: String,
    /// When it was committed, as git writes it in ISO 8601.
    pub committed_at: String,
    /// The first line of its message.
    pub subject: String,
    /// It is in the earlier result and not in the later one: the branch went back, or is another.
    pub undone: bool,
    /// The files that it touches, from the root of the repository.
    #[serde(skip)]
    pub files: Vec<String>,
}

/// A commit, and how suspect it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suspect {
    /// The commit.
    #[serde(flatten)]
    pub commit: Commit,
    /// How suspect it is.
    pub rank: Rank,
    /// Why it has this rank.
    pub why: String,
}

/// How suspect a commit is, the most suspect first. Of one rank, those that touch the sources of more differing parts
/// come first, then the newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rank {
    /// It touches the source of a part that differs.
    ChangedSource,
    /// It touches code, and a part differs that names no file, such as the graph.
    ChangedPart,
    /// It touches the source of a part that is the same in both results.
    SameSource,
    /// It touches code that no part names.
    OtherCode,
    /// It touches no code.
    NoCode,
}

/// What git says of the commits between two results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Between {
    /// These, the newest first.
    Commits {
        /// As many as were asked for at most.
        commits: Vec<Commit>,
        /// There are older ones.
        more: bool,
    },
    /// It cannot say, for this reason.
    Unknown(String),
}

/// Two neighbouring results with the parts of their fingerprints.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// The last result before the change.
    pub before: (&'a Point, &'a [Part]),
    /// Its first result.
    pub after: (&'a Point, &'a [Part]),
}

/// What stands after the commit of a result for which files of the workspace differed from it.
const DIRTY: &str = "-dirty";
/// So many files are named of a commit.
const NAMED: usize = 3;

/// The commit of a result without what stands after it.
fn revision(point: &Point) -> &str {
    point.commit.strip_suffix(DIRTY).unwrap_or(&point.commit)
}

/// The first characters of a commit's id, as people use them.
pub fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}

/// The commits of two results, if git can be asked for what lies between them; otherwise why it cannot.
///
/// # Errors
/// A result has no commit, or one that cannot be a commit's id, or both have the same.
pub fn range<'a>(before: &'a Point, after: &'a Point) -> Result<(&'a str, &'a str), String> {
    for point in [before, after] {
        let (id, record) = (revision(point), &point.record);
        if id.is_empty() {
            return Err(format!("record {record} names no commit: it was not measured within git"));
        }
        // Ids come from files and go to git, which must not take them for options.
        if !(7..=64).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("record {record} names `{id}`, which is no commit"));
        }
    }
    if revision(before) == revision(after) {
        let none = "no commit lies between them";
        return Err(format!("both results are of commit {}: {none}", short(revision(before))));
    }
    Ok((revision(before), revision(after)))
}

/// Says what may have caused the change between two results.
pub fn attribute(sides: Sides<'_>, between: &Between) -> Attribution {
    let (before, before_parts) = sides.before;
    let (after, after_parts) = sides.after;
    let changed = changed_parts(before_parts, after_parts);
    let is_same = |part: &&Part| !changed.contains(&part.name);
    let same: Vec<_> = after_parts.iter().filter(is_same).map(|part| part.name.as_str()).collect();
    let mut notes = Vec::new();
    let commits = match between {
        Between::Unknown(why) => {
            notes.push(why.clone());
            Vec::new()
        }
        Between::Commits { commits, more } => {
            if *more {
                notes.push(format!("only the newest {} commits were looked at", commits.len()));
            }
            rank(commits, &changed, &same)
        }
    };
    notes.extend(dirty(before, after));
    if changed.is_empty() {
        notes.push("no part of the fingerprint differs: the cause is outside it".to_owned());
    }
    Attribution { environment: differences(before, after), parts: changed, commits, notes }
}

fn differences(before: &Point, after: &Point) -> Vec<Difference> {
    let named = |point: &Point| {
        let facts = point.facts.clone();
        [
            ("rustc", facts.rustc),
            ("profile", facts.profile),
            ("adapter", facts.adapter),
            ("driver", facts.driver),
        ]
    };
    let pairs = named(before).into_iter().zip(named(after)).filter(|(a, b)| a != b);
    pairs.map(|((name, before), (_, after))| Difference { name, before, after }).collect()
}

/// What has to be said of files that were in no commit.
fn dirty(before: &Point, after: &Point) -> Option<String> {
    let which = match [before, after].map(|point| point.commit.ends_with(DIRTY)) {
        [false, false] => return None,
        [true, false] => "the earlier result was",
        [false, true] => "the later result was",
        [true, true] => "both results were",
    };
    Some(format!("{which} measured with uncommitted changes, of which git knows nothing"))
}

fn rank(commits: &[Commit], changed: &[String], same: &[&str]) -> Vec<Suspect> {
    let mut ranked: Vec<_> = commits
        .iter()
        .map(|commit| {
            let (rank, hits, why) = judge(commit, changed, same);
            (Reverse(hits), Suspect { commit: commit.clone(), rank, why })
        })
        .collect();
    // The sort is stable, so that equals stay in git's order, the newest first.
    ranked.sort_by_key(|(hits, suspect)| (suspect.rank, *hits));
    ranked.into_iter().map(|(_, suspect)| suspect).collect()
}

/// The rank of a commit, of how many differing parts it touches the source, and why.
fn judge(commit: &Commit, changed: &[String], same: &[&str]) -> (Rank, usize, String) {
    let touched = |part: &&str| commit.files.iter().any(|file| Source::of(part).is(file));
    let hits: Vec<_> = changed.iter().map(String::as_str).filter(touched).collect();
    if !hits.is_empty() {
        let files = named(commit, |file| hits.iter().any(|part| Source::of(part).is(file)));
        return (Rank::ChangedSource, hits.len(), format!("touches {files}: {}", differ(&hits)));
    }
    let code = |file: &str| !is_document(file);
    if !commit.files.iter().any(|file| code(file)) {
        return (Rank::NoCode, 0, "touches no code".to_owned());
    }
    let unnamed: Vec<_> =
        changed.iter().map(String::as_str).filter(|p| Source::of(p) == Source::Code).collect();
    if !unnamed.is_empty() {
        let why = format!("touches {}, and {}", named(commit, code), differ(&unnamed));
        return (Rank::ChangedPart, 0, why);
    }
    let hits: Vec<_> = same.iter().copied().filter(touched).collect();
    if !hits.is_empty() {
        let files = named(commit, |file| hits.iter().any(|part| Source::of(part).is(file)));
        let why = format!("touches {files}, whose parts are the same in both results");
        return (Rank::SameSource, 0, why);
    }
    (Rank::OtherCode, 0, format!("touches {}, which no part names", named(commit, code)))
}

/// The parts that differ, as words.
fn differ(parts: &[&str]) -> String {
    let names: Vec<_> = parts.iter().take(NAMED).map(|part| format!("`{part}`")).collect();
    let more = parts.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" and {more} more parts") } else { String::new() };
    let verb = if parts.len() == 1 { "differs" } else { "differ" };
    format!("{}{rest} {verb}", names.join(", "))
}

/// The first of the files for which this holds.
fn named(commit: &Commit, holds: impl Fn(&str) -> bool) -> String {
    let files: Vec<_> =
        commit.files.iter().map(String::as_str).filter(|file| holds(file)).collect();
    let more = files.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" and {more} more files") } else { String::new() };
    format!("{}{rest}", files[..files.len().min(NAMED)].join(", "))
}

/// Where a part comes from, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source<'a> {
    /// From the files whose paths end so.
    Files(&'a [&'a str]),
    /// From the file whose path ends so.
    File(&'a str),
    /// From code that its name does not tell: `graph`, `weights`, and whatever a suite has of its own.
    Code,
    /// From how and where the suite was run.
    Outside,
}

impl<'a> Source<'a> {
    fn of(part: &'a str) -> Self {
        if let Some(file) = part.strip_prefix("kernel ") {
            return Self::File(file);
        }
        if part.starts_with("crate ") {
            return Self::File("Cargo.lock");
        }
        match part {
            "rustc" => Self::Files(&["rust-toolchain", "rust-toolchain.toml"]),
            "rustflags" => Self::Files(&[".cargo/config", ".cargo/config.toml"]),
            "sampling" => Self::File("src/sampling.rs"),
            "profile" | "adapter" | "driver" | "fallback" => Self::Outside,
            _ => Self::Code,
        }
    }

    fn is(self, path: &str) -> bool {
        let ends = |file: &str| {
            path.strip_suffix(file).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        match self {
            Self::Files(files) => files.iter().any(|file| ends(file)),
            Self::File(file) => ends(file),
            Self::Code | Self::Outside => false,
        }
    }
}

/// Whether a file is for people, so that no result can depend on it.
fn is_document(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["md", "txt", "rst", "adoc", "snap"].contains(&extension)
        || name == ".gitignore"
        || name.starts_with("LICENSE")
}

#[cfg(test)]
#[path = "attribution_tests.rs"]
mod tests;
