//! `models`: what has a name, whether it is here, how to get it, and whether it computes what it should.

use super::{Format, open, table, verify};
use crate::catalogue::{MODELS, Model, find, package_path};
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::execution::target;
use crate::golden::Golden;
use crate::targets::Target;
use crate::text::{Tokens, embed, similarities};
use clap::{Parser, Subcommand};
use proofmark::record::OutputCheck;
use proofmark_browser::Fallback;
use proofmark_kernels::Precision;
use serde::Deserialize;
use serde_json::json;

/// Lists the models by name, fetches one, checks one.
#[derive(Debug, Parser)]
#[command(disable_version_flag = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows every model: its family, its size, where it comes from, and whether it is here
    List {
        /// How to print
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Fetches a model, unless it is here
    Fetch {
        /// Its name
        name: String,
    },
    /// Runs a model and compares its outputs with those of an independent implementation
    Verify {
        /// Its name
        name: String,
        /// Where to run it
        #[arg(long, default_value = "cpu")]
        endpoint: String,
        /// The format of its floats: f32 or f16
        #[arg(long, default_value = "f32")]
        precision: Precision,
    },
}

pub(super) fn run(args: &Args) -> Result<bool, Error> {
    match &args.command {
        Command::List { format } => list(*format),
        Command::Fetch { name } => {
            let folder = find(name)?.fetch()?;
            println!("{name} is here: {}", folder.display());
            Ok(true)
        }
        Command::Verify { name, endpoint, precision } => {
            check(find(name)?, target(endpoint)?, *precision)
        }
    }
}

fn list(format: Format) -> Result<bool, Error> {
    let mut rows = Vec::new();
    for model in &MODELS {
        let folder = model.folder().ok();
        let parameters = folder.as_ref().and_then(|_| parameters(model.name, model.open()));
        rows.push((model, folder, parameters));
    }
    if format == Format::Json {
        let objects = rows.iter().map(|(model, folder, parameters)| {
            json!({
                "name": model.name,
                "family": model.family(),
                "parameters": parameters,
                "source": model.source(),
                "folder": folder,
                "here": folder.is_some(),
            })
        });
        println!("{}", json!(objects.collect::<Vec<_>>()));
        return Ok(true);
    }
    let mut table = table::table(&["model", "family", "parameters", "from", "here"]);
    for (model, folder, parameters) in rows {
        let unknown = if folder.is_some() { "unknown" } else { "unknown until fetched" };
        let here = folder.map_or("no".to_owned(), |folder| folder.display().to_string());
        let parameters = parameters.map_or(unknown.to_owned(), |n| n.to_string());
        table.add_row([model.name, model.family(), &parameters, &model.source(), &here]);
    }
    println!("{table}");
    Ok(true)
}

/// The number of parameters in a folder. One that is damaged must not hide the other models: it costs a note.
fn parameters(name: &str, checkpoint: Result<Checkpoint, Error>) -> Option<usize> {
    let counted = checkpoint.and_then(|checkpoint| checkpoint.parameters());
    counted
        .inspect_err(|error| eprintln!("note: the size of {name} is unknown: failed to {error}"))
        .ok()
}

/// The golden of a model; for one that embeds text also what sentence-transformers makes of sentences.
fn check(model: &Model, target: &Target, precision: Precision) -> Result<bool, Error> {
    let checkpoint = open(&model.folder()?)?;
    let mut rows = Vec::new();
    for (path, _) in model.goldens() {
        let golden = Golden::open(&path)?;
        rows.extend(verify::check(&checkpoint, &golden, target, (precision, Fallback::Refused))?);
    }
    if let Some(sentences) = model.sentences {
        rows.extend(check_sentences(&checkpoint, sentences, target, precision)?);
    }
    Ok(table::print(&rows))
}

/// What sentence-transformers made of sentences.
#[derive(Deserialize)]
struct Sentences {
    sentences: Vec<Sentence>,
    similarities: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Sentence {
    text: String,
    ids: Vec<u32>,
    embedding: Vec<f64>,
}

fn check_sentences(
    checkpoint: &Checkpoint,
    file: &str,
    target: &Target,
    precision: Precision,
) -> Result<Vec<table::Row>, Error> {
    let path = package_path(file);
    let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let expected: Sentences = serde_json::from_str(&text).map_err(|e| Error::content(&path, e))?;
    let texts: Vec<_> = expected.sentences.iter().map(|s| s.text.clone()).collect();
    let tokens = Tokens::of(checkpoint, &texts)?;
    let wrong = (0..texts.len()).find(|&i| tokens.ids(i) != expected.sentences[i].ids);
    let fault = wrong.map(|i| format!("sentence {} has other tokens", i + 1));
    let embedded = embed(checkpoint, &tokens, target, precision)?;
    let embeddings: Vec<_> = expected.sentences.iter().map(|s| s.embedding.clone()).collect();
    let tolerance = target.tolerance(precision);
    let row = |name: &str, found: &[Vec<f64>], expected: &[Vec<f64>]| {
        let shape = [found.len(), found.first().map_or(0, Vec::len)];
        let (found, expected) = (found.concat(), expected.concat());
        let check = OutputCheck::compare(name, &shape, &found, &expected, tolerance);
        let differences = found.iter().zip(&expected).map(|(f, e)| (f - e).abs());
        let max_abs = check.error.map(|_| differences.fold(0.0, f64::max));
        table::Row { check, max_abs, fault: fault.clone() }
    };
    Ok(vec![
        row("sentence embeddings", &embedded.embeddings, &embeddings),
        row("cosine similarities", &similarities(&embedded.embeddings), &expected.similarities),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::code;
    use super::*;
    use crate::testing::Copy;

    fn run_words(words: &[&str]) -> Result<bool, Error> {
        run(&Args::try_parse_from([&["models"], words].concat()).unwrap())
    }

    #[test]
    fn every_model_agrees_with_its_golden() {
        for model in &MODELS {
            if let Some(absence) = model.absence() {
                eprintln!("not checked: {absence}");
                continue;
            }
            assert!(run_words(&["verify", model.name]).unwrap(), "{}", model.name);
        }
        assert!(run_words(&["list"]).unwrap() && run_words(&["list", "--format=json"]).unwrap());
    }

    #[test]
    fn a_damaged_folder_costs_the_list_only_its_own_size() {
        let copy = Copy::of("bert-tiny");
        assert!(
            parameters("bert-tiny", Checkpoint::open(copy.folder())).is_some_and(|n| n > 10_000)
        );
        copy.truncate("model.safetensors", 5);
        assert_eq!(parameters("bert-tiny", Checkpoint::open(copy.folder())), None);
        std::fs::write(copy.path("config.json"), "{").unwrap();
        assert_eq!(parameters("bert-tiny", Checkpoint::open(copy.folder())), None);
    }

    #[test]
    fn a_model_of_the_repository_needs_no_fetching() {
        assert!(run_words(&["fetch", "bert-tiny"]).unwrap());
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let result = run_words(&["fetch", "bert-huge"]);
        assert_eq!(code(&result), 2);
        let message = result.unwrap_err().to_string();
        let known =
            "find the model `bert-huge`: there are bert-tiny, bert-odd, bert-minilm, t5-tiny, ";
        assert!(message.starts_with(known) && message.ends_with("detr-resnet-50"), "{message}");
        assert_eq!(code(&run_words(&["verify", "bert-tiny", "--endpoint", "rocm"])), 3);
    }
}
