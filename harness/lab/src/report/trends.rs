//! The report on trends as pages: for each suite what its cases did over time, then a page per trend with its change
//! points and what may have caused them.
//!
//! What is known is `crate::trend` and `crate::attribution`; the pictures are `chart`.

use super::page::{Block, Cell, Page, Picture};
use super::{chart, time};
use crate::attribution::{Attribution, Suspect, short};
use crate::basis::{BANNER, Kind, is_fixture};
use crate::figures::duration_ns;
use crate::history::SHORTEST;
use crate::trend::{Analysed, Change};
use std::collections::{BTreeMap, HashSet};

/// What the words mean; on the first page of every suite.
const LEGEND: &str = "A trend has the results of one case on one machine that have one mark, which says what its \
numbers prove, and all have fallbacks or none has. A change point is the first result of a new level that lasts; p is \
the probability that noise alone would show as strong a change anywhere in a trend of this length; severity is from 0 \
to 1. Commits are ranked by what they touch, the most suspect first: being suspect is no proof.";
/// What is in a chart; on the first page of a suite that has some, before how many results say what they are.
const CHART: &str = "In a chart, each disc is a result, in the order of time; a line is a level or a drift, the band \
around it is twice the standard deviation of the noise to either side, and a dashed line is a change point. The axis \
does not begin at zero.";
/// The column of an overview that has the latest change.
const CHANGE: usize = 1;
/// So many commits stand in a cell; the others where it opens.
const SHOWN: usize = 5;

/// Where pages are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// With charts, and a page for every trend.
    Html,
    /// With sparklines in files of their own.
    Markdown,
    /// Without pictures.
    Text,
}

/// The pages of a suite.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// The overview, then a page per trend.
    pub pages: Vec<Page>,
}

/// The pages of each suite, in the order of their names.
pub fn suites(all: &[Analysed], medium: Medium) -> Vec<Suite> {
    let mut names = Names::default();
    let mut by_suite: BTreeMap<&str, Vec<&Analysed>> = BTreeMap::new();
    for trend in all {
        by_suite.entry(&trend.trend.suite).or_default().push(trend);
    }
    let pages = |(name, trends): (&str, Vec<&Analysed>)| {
        let pages = pages(name, trends, medium, &mut names);
        Suite { name: name.to_owned(), pages }
    };
    by_suite.into_iter().map(pages).collect()
}

/// A page that leads to those of the suites.
pub fn index(suites: &[Suite]) -> Page {
    let mut rows = vec![["suite", "trends with change points"].map(Cell::from).to_vec()];
    rows.extend(suites.iter().map(|suite| {
        let page = suite.pages.first();
        let link = page.map(|page| page.name.clone());
        let changed = page.map_or(0, changed);
        vec![Cell { link, ..Cell::from(suite.name.as_str()) }, Cell::from(&*changed.to_string())]
    }));
    let blocks = vec![Block::Table(rows)];
    Page { name: "index".to_owned(), title: "History".to_owned(), blocks }
}

/// How many rows of an overview have a change point.
fn changed(page: &Page) -> usize {
    let rows = page.blocks.iter().filter_map(|block| match block {
        Block::Table(rows) => Some(rows.iter().skip(1)),
        _ => None,
    });
    rows.flatten().filter(|row| row.get(CHANGE).is_some_and(|cell| !cell.is_empty())).count()
}

/// Names of pages and files, each given once.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    /// What a name of a file may hold of this text. Case does not tell names apart everywhere.
    fn of(&mut self, text: &str) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' };
        let plain: String = text.chars().take(150).map(safe).collect();
        let mut name = plain.clone();
        let mut count = 1;
        while !self.0.insert(name.to_ascii_lowercase()) {
            count += 1;
            name = format!("{plain}-{count}");
        }
        name
    }
}

fn pages(suite: &str, mut trends: Vec<&Analysed>, medium: Medium, names: &mut Names) -> Vec<Page> {
    let overview = names.of(&format!("suite-{suite}"));
    // The latest change first, what is too short last; the sort is stable.
    let newest = |t: &&Analysed| t.change_points.last().map(|c| c.first_after.recorded_at);
    trends.sort_by_key(|trend| (std::cmp::Reverse(newest(trend)), trend.too_short));
    let named: Vec<_> = trends.into_iter().map(|t| (t, names.of(&file(t)))).collect();
    let header = ["trend", "latest change", "results", "latest", "change points"];
    let mut rows = vec![header.map(Cell::from).to_vec()];
    rows.extend(named.iter().map(|(trend, name)| row(trend, name, medium)));
    let banner = is_fixture(suite).then(|| Block::Text(BANNER.to_owned()));
    let mut blocks: Vec<Block> = banner.into_iter().collect();
    blocks.push(Block::Text(LEGEND.to_owned()));
    if medium == Medium::Html {
        let told = format!("the newest {} results say what they are when pointed at", chart::TOLD);
        blocks.push(Block::Text(format!("{CHART} Of a long trend, {told}.")));
    }
    blocks.push(Block::Table(rows));
    let overview = Page { name: overview, title: format!("History of {suite}"), blocks };
    let of_trend = named.iter().filter(|(trend, _)| has_page(trend, medium));
    let of_trend = of_trend.map(|(trend, name)| page(trend, name, medium));
    std::iter::once(overview).chain(of_trend).collect()
}

/// Whether there is more to say of a trend than stands in the overview.
fn has_page(trend: &Analysed, medium: Medium) -> bool {
    let found = trend.change_points.len() + trend.drifts.len() + trend.spikes.len();
    !trend.too_short && (found > 0 || medium == Medium::Html)
}

/// What kind of thing the numbers of a trend are.
pub(super) fn kind_of(trend: &Analysed) -> String {
    let of = &trend.trend.kind;
    let fixture = is_fixture(&trend.trend.suite);
    Kind { mark: Some(of.mark), fallbacks: of.fallbacks, fixture }.name()
}

/// `m/cpu/f32/b1 · real · machine 0123456789ab`.
fn title(trend: &Analysed) -> String {
    let of = &trend.trend.kind;
    format!("{} · {} · machine {}", of.case_id, kind_of(trend), of.machine)
}

fn file(trend: &Analysed) -> String {
    let of = &trend.trend.kind;
    format!("{}-{}-{}", of.case_id, kind_of(trend), of.machine)
}

fn row(trend: &Analysed, name: &str, medium: Medium) -> Vec<Cell> {
    let of = &trend.trend.kind;
    let label = title(trend);
    let kind = format!("{} · {}", kind_of(trend), of.machine);
    let picture = (medium != Medium::Text && !trend.too_short).then(|| Picture {
        name: name.to_owned(),
        svg: chart::sparkline(trend, &label),
        label,
    });
    let link = has_page(trend, medium).then(|| name.to_owned());
    let lines = vec![of.case_id.to_string(), kind];
    let count = trend.trend.points.len();
    let results = if trend.too_short {
        vec![format!("{count}: too short"), format!("{SHORTEST} are needed")]
    } else {
        vec![count.to_string()]
    };
    let latest = trend.trend.points.last().map(|p| duration_ns(p.latency_ns_median));
    let last = trend.change_points.last();
    let count = (!trend.too_short).then(|| trend.change_points.len().to_string());
    vec![
        Cell { link, ..Cell::lines(lines) },
        Cell::lines(last.map_or_else(Vec::new, |change| {
            vec![time(change.first_after.recorded_at), step(change), suspect(&change.attribution)]
        })),
        Cell { picture, ..Cell::lines(results) },
        Cell::lines(latest.into_iter().collect()),
        Cell::lines(count.into_iter().collect()),
    ]
}

/// `10.0 ms → 12.0 ms (+20.0 %)`.
pub(super) fn step(change: &Change) -> String {
    let found = &change.found;
    let relative = found.relative.map(|part| format!(" ({:+.1} %)", 100.0 * part));
    let (before, after) = (duration_ns(found.before), duration_ns(found.after));
    format!("{before} → {after}{}", relative.unwrap_or_default())
}

/// A commit as people read it, still with what stands after its id.
pub(super) fn abbreviated(commit: &str) -> String {
    match commit.split_once('-') {
        Some((id, rest)) => format!("{}-{rest}", short(id)),
        None => short(commit).to_owned(),
    }
}

/// What is most suspect, on one line.
fn suspect(found: &Attribution) -> String {
    if !found.environment.is_empty() {
        return environment(found).join("; ");
    }
    let first =
        found.commits.first().map(|s| format!("{} {}", short(&s.commit.id), s.commit.subject));
    first.or_else(|| found.notes.first().cloned()).unwrap_or_default()
}

/// `driver: 1 → 2`, for each fact that differs.
fn environment(found: &Attribution) -> Vec<String> {
    let each = found.environment.iter();
    each.map(|d| format!("{}: {} → {}", d.name, d.before, d.after)).collect()
}

fn page(trend: &Analysed, name: &str, medium: Medium) -> Page {
    let points = &trend.trend.points;
    let ends = points.first().zip(points.last());
    let span = ends.map(|(first, last)| {
        format!(" from {} to {}", time(first.recorded_at), time(last.recorded_at))
    });
    let noise = trend.noise.map(|noise| {
        let deviation = duration_ns(noise.deviation);
        format!(
            "; noise {deviation} · {} (standard deviation), autocorrelation {:.2}",
            kind_of(trend),
            noise.correlation
        )
    });
    let (span, noise) = (span.unwrap_or_default(), noise.unwrap_or_default());
    let mut blocks = vec![Block::Text(format!("{} results{span}{noise}.", points.len()))];
    if medium == Medium::Html {
        let label = title(trend);
        let svg = chart::chart(trend, &label);
        blocks.push(Block::Picture(Picture { name: format!("{name}-chart"), label, svg }));
    }
    if trend.change_points.is_empty() {
        blocks.push(Block::Text("No change points.".to_owned()));
    } else {
        blocks.push(Block::Heading("Change points".to_owned()));
        blocks.push(Block::Table(changes(trend)));
    }
    blocks.extend(others(trend));
    Page { name: name.to_owned(), title: title(trend), blocks }
}

fn changes(trend: &Analysed) -> Vec<Vec<Cell>> {
    let header = ["change", "what may have caused it", "between"];
    let mut rows = vec![header.map(Cell::from).to_vec()];
    rows.extend(trend.change_points.iter().map(|change| {
        let found = &change.found;
        let p = if found.p < 1e-4 { format!("{:.0e}", found.p) } else { format!("{:.4}", found.p) };
        let size = vec![
            format!("{} · {}", step(change), kind_of(trend)),
            format!("{}, index {}", time(change.first_after.recorded_at), found.index),
            format!("p {p}, severity {:.2}", found.severity),
        ];
        let sides = [&change.last_before, &change.first_after].map(|point| {
            let commit =
                if point.commit.is_empty() { "no commit" } else { &abbreviated(&point.commit) };
            format!("{} ({commit})", point.record)
        });
        vec![Cell::lines(size), causes(&change.attribution), Cell::lines(sides.into())]
    }));
    rows
}

/// What it was measured with, then the commits, then what is not known.
fn causes(found: &Attribution) -> Cell {
    let mut lines = environment(found);
    let told: Vec<_> = found.commits.iter().zip(1..).map(|(s, place)| told(s, place)).collect();
    lines.extend(told.iter().take(SHOWN).cloned());
    let rest = found.commits.len().saturating_sub(SHOWN);
    if rest > 0 {
        lines.push(format!("and {rest} more commits"));
    }
    lines.extend(found.notes.iter().cloned());
    let mut more: Vec<_> = told.into_iter().skip(SHOWN).collect();
    if !found.parts.is_empty() {
        more.insert(0, format!("parts of the fingerprint that differ: {}", found.parts.join(", ")));
    }
    Cell { more, ..Cell::lines(lines) }
}

/// `1. 0123456789 Subject (2026-01-31): why`.
fn told(suspect: &Suspect, place: usize) -> String {
    let Suspect { commit, why, .. } = suspect;
    let undone = if commit.undone { "; it is only in the earlier result" } else { "" };
    let day = commit.committed_at.get(..10).unwrap_or(&commit.committed_at);
    format!("{place}. {} {} ({day}): {why}{undone}", short(&commit.id), commit.subject)
}

/// Drifts and spikes, where there are some.
fn others(trend: &Analysed) -> Vec<Block> {
    let points = &trend.trend.points;
    let at = |index: usize| points.get(index).map(|p| time(p.recorded_at)).unwrap_or_default();
    let mut blocks = Vec::new();
    if !trend.drifts.is_empty() {
        let mut rows = vec![["from", "to", "drift", "p"].map(Cell::from).to_vec()];
        rows.extend(trend.drifts.iter().map(|drift| {
            let (before, after) = (duration_ns(drift.before), duration_ns(drift.after));
            let step = format!("{before} → {after} · {}", kind_of(trend));
            [at(drift.start), at(drift.end - 1), step, format!("{:.0e}", drift.p)]
                .map(|text| Cell::from(&*text))
                .to_vec()
        }));
        blocks.extend([Block::Heading("Drifts".to_owned()), Block::Table(rows)]);
    }
    if !trend.spikes.is_empty() {
        let mut rows =
            vec![["first result", "results", "farthest", "level"].map(Cell::from).to_vec()];
        rows.extend(trend.spikes.iter().map(|spike| {
            let above = (spike.value - spike.level) / spike.level;
            let kind = kind_of(trend);
            let farthest =
                format!("{} ({:+.1} %) · {kind}", duration_ns(spike.value), 100.0 * above);
            let level = format!("{} · {kind}", duration_ns(spike.level));
            [at(spike.index), spike.length.to_string(), farthest, level]
                .map(|text| Cell::from(&*text))
                .to_vec()
        }));
        blocks.extend([Block::Heading("Spikes".to_owned()), Block::Table(rows)]);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::{Commit, Difference, Rank};
    use crate::history::Options;
    use crate::trend::{tests::row, trends};
    use proofmark::Mark;

    /// A trend of so many results with a step in the middle.
    fn stepped(case: &str, count: i64) -> Analysed {
        let level = |hour: i64| if hour < count / 2 { 100.0 } else { 150.0 };
        let noise = |hour: i64| (hour * 37 % 11) as f64 / 10.0;
        let rows = (0..count).map(|h| row(case, "here", Mark::Real, h, level(h) + noise(h)));
        trends(rows.collect()).remove(0).analyse(&Options::default()).unwrap()
    }

    fn suspect(id: &str) -> Suspect {
        let commit = Commit { id: id.repeat(40), subject: "Do".into(), ..Commit::default() };
        Suspect { commit, rank: Rank::OtherCode, why: "touches x".into() }
    }

    #[test]
    fn the_environment_is_named_before_any_commit() {
        let mut trend = stepped("m/cpu/f32/b1", 40);
        let attribution = &mut trend.change_points[0].attribution;
        attribution.commits = ["a", "b", "c", "d", "e", "f", "9"].map(suspect).into();
        attribution.notes = vec!["unknown".into()];
        let first = |trend: &Analysed| row_text(&suites(std::slice::from_ref(trend), Medium::Text));
        assert_eq!(first(&trend), "aaaaaaaaaa Do");
        let before = "1".to_owned();
        let driver = Difference { name: "driver", before, after: "2".into() };
        trend.change_points[0].attribution.environment = vec![driver];
        assert_eq!(first(&trend), "driver: 1 → 2");
        let cell = causes(&trend.change_points[0].attribution);
        let starts = cell.lines[1..6].iter().map(|line| line[..13].to_owned());
        let expected = ["1. a", "2. b", "3. c", "4. d", "5. e"];
        assert!(starts.eq(expected.map(|start| format!("{start}{}", start[3..].repeat(9)))));
        assert_eq!((&*cell.lines[6], &*cell.lines[7]), ("and 2 more commits", "unknown"));
        assert_eq!(cell.more.len(), 2);
    }

    /// What stands last of the first trend's latest change.
    fn row_text(suites: &[Suite]) -> String {
        let rows = suites[0].pages[0].blocks.iter().find_map(|block| match block {
            Block::Table(rows) => Some(rows),
            _ => None,
        });
        rows.unwrap()[1][CHANGE].lines.last().unwrap().clone()
    }

    #[test]
    fn a_trend_that_is_too_short_is_listed_and_has_no_page() {
        let all = [stepped("m/cpu/f32/b1", 4), stepped("m/cpu/f32/b2", 40)];
        let suites = suites(&all, Medium::Html);
        let text =
            super::super::page::markdown(&suites[0].pages, super::super::page::Links::Within);
        assert!(
            text.contains("| m/cpu/f32/b1<br>real · here |  | 4: too short<br>6 are needed"),
            "{text}"
        );
        assert_eq!(suites[0].pages.len(), 2, "the overview and the other trend");
        assert_eq!(changed(&suites[0].pages[0]), 1);
    }

    #[test]
    fn no_two_pages_share_a_name() {
        let mut names = Names::default();
        let given = ["a/b", "a_b", "A b", "c", "a/b"].map(|text| names.of(text));
        assert_eq!(given, ["a_b", "a_b-2", "A_b-3", "c", "a_b-4"]);
    }
}
