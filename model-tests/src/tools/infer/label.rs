//! What is in a picture: the likeliest labels.

use super::material::{Material, processor};
use super::ready::{Ready, output, softmax};
use super::{Answer, Args};
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::execution::target;
use crate::tools::table;
use serde_json::{Map, Value, json};

/// How many labels are told of a picture.
const LABELS: usize = 5;

/// The likeliest labels of every picture, with their probabilities.
pub(super) fn answer(args: &Args, checkpoint: &Checkpoint) -> Result<Answer, Error> {
    let target = target(&args.endpoint)?;
    let material = Material::of(checkpoint)?;
    let inputs = processor(checkpoint)?.images(&args.images)?;
    let ready = Ready::new(checkpoint, inputs.tensors)?;
    ready.expect("logits", "what is in a picture: it has no classifier")?;
    let run = ready.run(target, args.precision)?;
    let (shape, logits) = output(&run, "logits")?;
    let labels = shape.last().copied().unwrap_or(1);
    let mut table = table::table(&["picture", "label", "probability"]);
    let mut images: Vec<Value> = Vec::new();
    for (path, logits) in args.images.iter().zip(logits.chunks(labels)) {
        let probabilities = softmax(logits);
        let mut order: Vec<_> = (0..labels).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        order.truncate(LABELS);
        let picture = path.display().to_string();
        let mut found = Vec::new();
        for index in order {
            let (label, probability) = (material.label(index), probabilities[index]);
            table.add_row([picture.clone(), label.clone(), format!("{probability:.4}")]);
            found.push(json!({ "index": index, "label": label, "probability": probability }));
        }
        images.push(json!({ "image": picture, "labels": found }));
    }
    let fields = Map::from_iter([("images".to_owned(), Value::Array(images))]);
    Ok(Answer { device: run.device, fields, text: table.to_string() })
}
