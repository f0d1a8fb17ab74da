//! What is where in a picture: boxes with labels.

use super::material::{Material, processor};
use super::ready::{Ready, likeliest, output, softmax};
use super::{Answer, Args};
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::execution::target;
use crate::tools::table;
use serde_json::{Map, Value, json};

/// The score from which on something is detected, if none is given.
const THRESHOLD: f64 = 0.7;

/// Something in a picture.
#[derive(Debug)]
struct Found {
    label: usize,
    score: f64,
    /// Left, top, right and bottom in pixels of the file's picture.
    edges: [f64; 4],
}

/// The boxes of every picture whose score is above the threshold, the surest first.
pub(super) fn answer(args: &Args, checkpoint: &Checkpoint) -> Result<Answer, Error> {
    let target = target(&args.endpoint)?;
    let threshold = args.threshold.unwrap_or(THRESHOLD);
    if !(0.0..1.0).contains(&threshold) {
        let detail = format!("is {threshold}: a number from 0 to below 1 is needed");
        return Err(Error::Input { name: "--threshold".into(), detail });
    }
    let material = Material::of(checkpoint)?;
    let inputs = processor(checkpoint)?.images(&args.images)?;
    let ready = Ready::new(checkpoint, inputs.tensors)?;
    let run = ready.run(target, args.precision)?;
    let (shape, logits) = output(&run, "logits")?;
    let (_, boxes) = output(&run, "pred_boxes")?;
    let [_, queries, classes] = *shape else { unreachable!("logits are [b, queries, labels + 1]") };
    let mut table = table::table(&["picture", "label", "score", "left, top, right, bottom"]);
    let mut images: Vec<Value> = Vec::new();
    let pictures = args.images.iter().zip(&inputs.sizes);
    let outputs = logits.chunks(queries * classes).zip(boxes.chunks(queries * 4));
    for ((path, size), (logits, boxes)) in pictures.zip(outputs) {
        let picture = path.display().to_string();
        let mut objects = Vec::new();
        for Found { label, score, edges } in above(threshold, classes, logits, boxes, *size) {
            let name = material.label(label);
            let numbers = edges.map(|edge| format!("{edge:.1}")).join(", ");
            table.add_row([picture.clone(), name.clone(), format!("{score:.4}"), numbers]);
            let named = json!({ "index": label, "label": name, "score": score, "box": edges });
            objects.push(named);
        }
        let [height, width] = size;
        images.push(json!({
            "image": picture, "height": height, "width": width, "objects": objects,
        }));
    }
    let fields = Map::from_iter([
        ("threshold".to_owned(), json!(threshold)),
        ("images".to_owned(), Value::Array(images)),
    ]);
    let mut text = table.to_string();
    if table.is_empty() {
        text = format!("nothing has a score above {threshold}");
    }
    Ok(Answer { device: run.device, fields, text })
}

/// What one picture's queries have found. The last class means that nothing is there.
fn above(
    threshold: f64,
    classes: usize,
    logits: &[f64],
    boxes: &[f64],
    [height, width]: [usize; 2],
) -> Vec<Found> {
    #[expect(clippy::cast_precision_loss, reason = "pictures have fewer than 2^53 pixels")]
    let (height, width) = (height as f64, width as f64);
    let queries = logits.chunks(classes).zip(boxes.as_chunks::<4>().0);
    let mut found: Vec<_> = queries
        .map(|(logits, &[x, y, wide, high])| {
            let probabilities = softmax(logits);
            let label = likeliest(&probabilities[..classes - 1]);
            let (half_wide, half_high) = (wide / 2.0, high / 2.0);
            let edges = [
                (x - half_wide) * width,
                (y - half_high) * height,
                (x + half_wide) * width,
                (y + half_high) * height,
            ];
            Found { label, score: probabilities[label], edges }
        })
        .filter(|found| found.score > threshold)
        .collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}
