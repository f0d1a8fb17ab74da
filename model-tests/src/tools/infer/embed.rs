//! How alike texts are, by their embeddings.

use super::{Answer, Args};
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::execution::target;
use crate::text::{Tokens, embed, similarities};
use crate::tools::table;
use serde_json::{Map, json};

/// The embeddings of texts, and their cosine similarities.
pub(super) fn answer(args: &Args, checkpoint: &Checkpoint) -> Result<Answer, Error> {
    let target = target(&args.endpoint)?;
    let tokens = Tokens::of(checkpoint, &args.texts)?;
    for number in tokens.cut() {
        eprintln!("note: text {number} is longer than the model takes; its end is cut off");
    }
    let embedded = embed(checkpoint, &tokens, target, args.precision)?;
    let similarities = similarities(&embedded.embeddings);
    let texts = args.texts.iter().zip(&embedded.embeddings).enumerate();
    let texts = texts.map(|(i, (text, embedding))| {
        json!({ "text": text, "ids": tokens.ids(i), "embedding": embedding })
    });
    let fields = Map::from_iter([
        ("texts".to_owned(), texts.collect()),
        ("similarities".to_owned(), json!(similarities)),
    ]);
    let text = printed(&args.texts, similarities);
    Ok(Answer { device: embedded.device, fields, text })
}

fn printed(texts: &[String], similarities: Vec<Vec<f64>>) -> String {
    let numbers: Vec<_> = (1..=texts.len()).map(|n| n.to_string()).collect();
    let columns = [vec!["", "text"], numbers.iter().map(String::as_str).collect()].concat();
    let mut table = table::table(&columns);
    for ((row, text), number) in similarities.into_iter().zip(texts).zip(&numbers) {
        let mut cells = vec![number.clone(), text.clone()];
        cells.extend(row.iter().map(|v| format!("{v:.4}")));
        table.add_row(cells);
    }
    table.to_string()
}
