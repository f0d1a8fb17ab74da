//! `bisect`: which commit made a case slower, by the statistics of the gate. How the search goes is in the lab's
//! `gate::bisection`.

use crate::cases::Cases;
use crate::clock::Stopwatch;
use crate::context::Context;
use crate::gate::{part, runs, tree};
use crate::lock::Lock;
use crate::outcome::{absent, with_code};
use crate::output::tell;
use crate::output::{self, Format};
use crate::process::git;
use crate::suites::Suite;
use anyhow::{Result, anyhow, bail};
use proofmark::settings::parse_duration;
use proofmark::{CaseId, exit};
use proofmark_lab::figures::percent;
use proofmark_lab::gate::bisection::{Bisection, Next, VAGUE, slow};
use proofmark_lab::gate::level::Process;
use proofmark_lab::gate::{Case, Options, Sides, Verdict, judge, sequential::Design};
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

/// Rounds for one commit: the smallest design that can alarm; as many again while the answer is vague.
const ROUNDS: usize = 4;
/// Processes a side at each look at good and bad. A search that starts from an accident is an hour lost, so the first
/// look waits for twice the smallest design.
const LOOKS: &[usize] = &[8, 12, 16, 20];
/// Times that a commit with a vague answer gets more rounds.
const MORE: usize = 2;

/// Flags of `bisect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The case
    #[arg(long, value_name = "ID")]
    case: CaseId,
    /// A revision at which it was fast
    #[arg(long, value_name = "REV")]
    good: String,
    /// A later revision at which it is slow
    #[arg(long, value_name = "REV")]
    bad: String,
    /// The relative change below which a difference does not matter
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = part)]
    min_effect: f64,
    /// Measure no further commit after this time, building included
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "1h")]
    budget: Duration,
    /// Of the order of the processes; chosen anew each time and told, unless given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// A commit with the program that makes the case there.
struct Built {
    suite: Suite,
    processes: Vec<Process>,
}

/// What a commit looked like.
struct Step {
    commit: String,
    subject: String,
    said: String,
}

/// A search under way.
struct Search<'a> {
    args: &'a Args,
    context: &'a Context,
    random: fastrand::Rng,
    good: Built,
    bad: Built,
    steps: Vec<Step>,
}

impl Args {
    /// Finds the first slow commit between two. Exit code 1 if there is none.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let design = Design::new(Options::new(self.min_effect, 0.05)?, LOOKS);
        let _lock = Lock::take(context)?;
        let since = Stopwatch::start();
        let root = &context.root;
        let (good, bad) = (tree::resolve(root, &self.good)?, tree::resolve(root, &self.bad)?);
        let commits = between(context, &good, &bad)?;
        let need = |which: &str, revision: &str, built: Result<Built>| {
            built.map_err(|e| {
                absent(format!("the {which} revision {revision} cannot be run: {e:#}"))
            })
        };
        let built = need("good", &self.good, build(context, "base", &good, &self.case))?;
        let slow = need("bad", &self.bad, build(context, "head", &bad, &self.case))?;
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        let mut search = Search {
            args: &self,
            context,
            random: fastrand::Rng::with_seed(seed),
            good: built,
            bad: slow,
            steps: Vec::new(),
        };
        let effect = search.confirm(&design)?;
        let mut bisection = Bisection::new(commits.len());
        let (found, reached) = loop {
            match bisection.next() {
                Next::Found(range) => break (range, true),
                Next::Measure(_) if since.elapsed() > self.budget => {
                    let likely = |index: &usize| bisection.probability(*index);
                    let order = |a: &usize, b: &usize| likely(a).total_cmp(&likely(b));
                    let best = (0..commits.len()).max_by(order).unwrap_or(0);
                    break (best..=best, false);
                }
                Next::Measure(index) => match search.measure(&commits[index])? {
                    Some(slow) => bisection.update(index, slow),
                    None => bisection.skip(index),
                },
            }
        };
        let probability: f64 = found.clone().map(|index| bisection.probability(index)).sum();
        let names: Vec<String> = commits[found].to_vec();
        search.tell(&names, probability, effect, seed, reached)?;
        if !reached {
            return Err(absent("the budget ended before the search did: give a larger --budget"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The commits after `good` up to `bad`, oldest first; of a merge only the merge itself.
fn between(context: &Context, good: &str, bad: &str) -> Result<Vec<String>> {
    let root = &context.root;
    if good == bad {
        bail!("good and bad are the same commit");
    }
    let is_ancestor = git(root, &["merge-base", "--is-ancestor", good, bad]).is_ok();
    if !is_ancestor {
        bail!(
            "{good} is no ancestor of {bad}: give a good revision that the bad one was made from"
        );
    }
    let range = format!("{good}..{bad}");
    let listed = git(root, &["rev-list", "--reverse", "--first-parent", &range])?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Builds a commit in a tree of this name and finds the program that makes the case.
fn build(context: &Context, name: &str, commit: &str, case: &CaseId) -> Result<Built> {
    let workspace = tree::checkout(context, name, commit)?;
    let suites = tree::build(context, &workspace, name)?;
    let cases = Cases::list(&suites, &["--filter".to_owned(), glob_of(case)])?;
    let listed = cases.listed.iter().find(|listed| listed.id == *case);
    let listed = listed.ok_or_else(|| anyhow!("it has no case {case}"))?;
    if let Some(absence) = &listed.absence {
        bail!("{case} cannot run: {}", absence.reason());
    }
    let suite = cases.suite_of(case).and_then(|index| suites.into_iter().nth(index));
    let suite = suite.ok_or_else(|| anyhow!("no suite makes {case}"))?;
    Ok(Built { suite, processes: Vec::new() })
}

/// A glob that means this case and no other.
fn glob_of(case: &CaseId) -> String {
    let special = |c: char| if "?*[]{}!,\\".contains(c) { format!("[{c}]") } else { c.to_string() };
    case.to_string().chars().map(special).collect()
}

impl Built {
    /// Runs the case once more. An error is the case's own: it fails here.
    fn run(&mut self, case: &CaseId) -> Result<Result<(), String>> {
        let (record, _) = runs::run(&self.suite, case)?;
        match runs::process_of(&record) {
            Some(process) => {
                self.processes.push(process);
                Ok(Ok(()))
            }
            None => Ok(Err(record.message.unwrap_or_else(|| "it left no times".to_owned()))),
        }
    }
}

impl Search<'_> {
    /// Rounds of good, bad and, if there is one, a commit in between, each in an order of chance.
    fn rounds(&mut self, mut measured: Option<&mut Built>) -> Result<Result<(), String>> {
        let case = &self.args.case;
        for _ in 0..ROUNDS {
            let mut order = vec![0, 1];
            order.extend(measured.is_some().then_some(2));
            self.random.shuffle(&mut order);
            for which in order {
                let ran = match (which, &mut measured) {
                    (0, _) => self.good.run(case)?,
                    (1, _) => self.bad.run(case)?,
                    (_, Some(built)) => match built.run(case)? {
                        Err(why) => return Ok(Err(why)),
                        ran => ran,
                    },
                    (_, None) => Ok(()),
                };
                if let Err(why) = ran {
                    return Err(absent(format!(
                        "{case} fails at the good or the bad revision: {why}"
                    )));
                }
            }
        }
        Ok(Ok(()))
    }

    /// Good and bad must differ, by the gate's own verdict.
    fn confirm(&mut self, design: &Design) -> Result<f64> {
        let mut why = String::new();
        for (look, &processes) in LOOKS.iter().enumerate() {
            while self.good.processes.len() < processes {
                self.rounds(None)?.map_err(|why| anyhow!(why))?;
            }
            let sides =
                Sides { base: self.good.processes.clone(), head: self.bad.processes.clone() };
            let case = Case { id: self.args.case.to_string(), sides: Ok(sides) };
            let Some(judged) = judge(&[case], &design.options_at(look)).pop() else { break };
            let effect = judged.effect.unwrap_or(0.0);
            match judged.verdict {
                Verdict::Regressed => {
                    tell!(
                        "{} is slower than {} by {}",
                        self.args.bad,
                        self.args.good,
                        percent(effect)
                    );
                    return Ok(effect);
                }
                Verdict::Undecided => why = judged.reason.unwrap_or_default(),
                other => {
                    why = format!("the verdict is `{}`, by {}", other.name(), percent(effect));
                    break;
                }
            }
        }
        Err(with_code(
            exit::FAILED,
            format!(
                "{} is not slower at {} than at {}: {why}",
                self.args.case, self.args.bad, self.args.good
            ),
        ))
    }

    /// How likely a commit is slow; nothing if it cannot be measured.
    fn measure(&mut self, commit: &str) -> Result<Option<f64>> {
        let subject = git(&self.context.root, &["log", "-1", "--format=%s", commit])?;
        let (mut told, mut slowness) = (String::new(), None);
        match build(self.context, "probe", commit, &self.args.case) {
            Err(error) => told = format!("skipped: {error:#}"),
            Ok(mut built) => {
                for _ in 0..=MORE {
                    if let Err(why) = self.rounds(Some(&mut built))? {
                        (told, slowness) = (format!("skipped: it fails: {why}"), None);
                        break;
                    }
                    // The newest processes of all three ran side by side.
                    let last = |built: &Built| {
                        let from = built.processes.len().saturating_sub((MORE + 1) * ROUNDS);
                        built.processes[from..].to_vec()
                    };
                    let (good, bad) = (last(&self.good), last(&self.bad));
                    let like = slow(&good, &built.processes, &bad, self.args.min_effect);
                    slowness = Some(like);
                    told = format!("slow with a probability of {}", percent(like));
                    if !(1.0 - VAGUE..VAGUE).contains(&like) {
                        break;
                    }
                }
            }
        }
        tell!("{} {subject}: {told}", &commit[..10.min(commit.len())]);
        self.steps.push(Step { commit: commit.to_owned(), subject, said: told });
        Ok(slowness)
    }

    fn tell(
        &self,
        found: &[String],
        probability: f64,
        effect: f64,
        seed: u64,
        reached: bool,
    ) -> Result<()> {
        let described = found.iter().map(|commit| {
            git(
                &self.context.root,
                &["log", "-1", "--format=%H%x09%an%x09%ad%x09%s", "--date=short", commit],
            )
        });
        let described: Vec<Vec<String>> = described
            .map(|line| line.map(|line| line.split('\t').map(str::to_owned).collect()))
            .collect::<Result<_>>()?;
        if self.args.format == Format::Json {
            let commits = described.iter().map(|parts| {
                json!({"commit": parts[0], "author": parts[1], "date": parts[2], "subject": parts[3..].join(" ")})
            });
            let steps = self.steps.iter().map(
                |step| json!({"commit": step.commit, "subject": step.subject, "said": step.said}),
            );
            return output::print_json(&json!({
                "case": self.args.case,
                "found": commits.collect::<Vec<_>>(),
                "finished": reached,
                "probability": probability,
                "effect": effect,
                "seed": seed,
                "steps": steps.collect::<Vec<_>>(),
            }));
        }
        let mut table = output::table(["commit", "date", "author", "subject"]);
        for parts in described {
            table.add_row([&parts[0][..10], &parts[2], &parts[1], &parts[3..].join(" ")]);
        }
        let which = match found.len() {
            1 => "the first slow commit".to_owned(),
            _ => "the first slow commit is one of these; the others cannot be measured".to_owned(),
        };
        output::print(&format!(
            "{table}\n{which}, with a probability of {}; {} is slower by {}; {} commits were tried, seed {seed}\n",
            percent(probability),
            self.args.case,
            percent(effect),
            self.steps.len(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_means_one_case() {
        let case: CaseId = "a*b/cpu/f32/b1".parse().unwrap();
        assert_eq!(glob_of(&case), "a[*]b/cpu/f32/b1");
    }
}
