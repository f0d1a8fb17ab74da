//! `infer`: how similar texts are, so that a newcomer sees at once that the model is real.

use super::{Format, open, table};
use crate::catalogue::find;
use crate::error::Error;
use crate::execution::target;
use crate::text::{Embedded, Tokens, embed, similarities};
use clap::Parser;
use proofmark_kernels::Precision;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Embeds texts and prints their cosine similarities. A model that is not here yet is fetched.
#[derive(Debug, Parser)]
#[command(disable_version_flag = true)]
pub(super) struct Args {
    /// The name of a model, or a folder with a checkpoint and its tokenizer.json
    #[arg(long, value_name = "NAME|DIR")]
    model: String,
    /// A text; give the flag several times
    #[arg(long = "text", value_name = "TEXT", required = true)]
    texts: Vec<String>,
    /// Where to run it
    #[arg(long, default_value = "cpu")]
    endpoint: String,
    /// The format of its floats: f32 or f16
    #[arg(long, default_value = "f32")]
    precision: Precision,
    /// How to print; json holds the embeddings as well
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &Args) -> Result<bool, Error> {
    let target = target(&args.endpoint)?;
    let checkpoint = open(&folder(&args.model)?)?;
    let tokens = Tokens::of(&checkpoint, &args.texts)?;
    for number in tokens.cut() {
        eprintln!("note: text {number} is longer than the model takes; its end is cut off");
    }
    let embedded = embed(&checkpoint, &tokens, target, args.precision)?;
    match args.format {
        Format::Json => print_json(args, &tokens, &embedded),
        Format::Text => print_text(args, &embedded),
    }
    Ok(true)
}

/// The folder of a model by name, fetched if need be; else the folder itself.
fn folder(model: &str) -> Result<PathBuf, Error> {
    match find(model) {
        Ok(model) => model.fetch(),
        Err(_) if Path::new(model).is_dir() => Ok(model.into()),
        Err(Error::UnknownModel { name, detail }) => {
            let detail = format!("{detail}; nor is it a folder");
            Err(Error::UnknownModel { name, detail })
        }
        Err(other) => Err(other),
    }
}

fn print_json(args: &Args, tokens: &Tokens, embedded: &Embedded) {
    let texts = args.texts.iter().zip(&embedded.embeddings).enumerate();
    let texts = texts.map(|(i, (text, embedding))| {
        json!({ "text": text, "ids": tokens.ids(i), "embedding": embedding })
    });
    let answer = json!({
        "model": args.model,
        "endpoint": args.endpoint,
        "precision": args.precision,
        "mark": embedded.device.mark,
        "adapter": embedded.device.adapter,
        "texts": texts.collect::<Vec<_>>(),
        "similarities": similarities(&embedded.embeddings),
    });
    println!("{answer}");
}

fn print_text(args: &Args, embedded: &Embedded) {
    let device = table::device(&embedded.device);
    println!("{} in {} on {}: {device}", args.model, args.precision, args.endpoint);
    let numbers: Vec<_> = (1..=args.texts.len()).map(|n| n.to_string()).collect();
    let columns = [vec!["", "text"], numbers.iter().map(String::as_str).collect()].concat();
    let mut table = table::table(&columns);
    let rows = similarities(&embedded.embeddings).into_iter().zip(&args.texts).zip(&numbers);
    for ((row, text), number) in rows {
        let mut cells = vec![number.clone(), text.clone()];
        cells.extend(row.iter().map(|v| format!("{v:.4}")));
        table.add_row(cells);
    }
    println!("{table}");
}
