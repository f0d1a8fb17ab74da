//! Which text fits a picture, a video or a sound: CLIP, X-CLIP and CLAP.

use super::material::{Material, processor, rows, tell_cut};
use super::ready::{Ready, output, softmax};
use super::{Answer, Args};
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::execution::target;
use crate::families::Given;
use crate::tools::table;
use serde_json::{Map, Value, json};

/// The score of every text for every picture, the video or every sound, and its probability among the texts.
pub(super) fn answer(args: &Args, checkpoint: &Checkpoint) -> Result<Answer, Error> {
    let target = target(&args.endpoint)?;
    let (names, kind, scores, mut given) = seen_or_heard(args, checkpoint)?;
    let tokens = texts(args, checkpoint, &mut given)?;
    let ready = Ready::new(checkpoint, given)?;
    let run = ready.run(target, args.precision)?;
    let (_, scores) = output(&run, scores)?;
    let labels: Vec<_> = match args.texts.as_slice() {
        [] => tokens.iter().map(|ids| format!("{ids:?}")).collect(),
        texts => texts.to_vec(),
    };
    let mut table = table::table(&[kind, "text", "score", "probability"]);
    let mut rows: Vec<Value> = Vec::new();
    for (name, scores) in names.iter().zip(scores.chunks(labels.len())) {
        let probabilities = softmax(scores);
        for ((label, score), probability) in labels.iter().zip(scores).zip(&probabilities) {
            let cells = [name, label, &format!("{score:.4}"), &format!("{probability:.4}")];
            table.add_row(cells);
        }
        rows.push(json!({ kind: name, "scores": scores, "probabilities": probabilities }));
    }
    let texts = tokens.iter().enumerate();
    let texts = texts.map(|(i, ids)| json!({ "text": args.texts.get(i), "ids": ids }));
    let fields = Map::from_iter([
        ("texts".to_owned(), texts.collect()),
        (format!("{kind}s"), Value::Array(rows)),
    ]);
    Ok(Answer { device: run.device, fields, text: table.to_string() })
}

/// The names of what is looked at or heard, its kind, the output with the scores, and the inputs.
type Perceived = (Vec<String>, &'static str, &'static str, Given);

fn seen_or_heard(args: &Args, checkpoint: &Checkpoint) -> Result<Perceived, Error> {
    let processor = processor(checkpoint)?;
    let names = |paths: &[std::path::PathBuf]| -> Vec<String> {
        paths.iter().map(|path| path.display().to_string()).collect()
    };
    Ok(match checkpoint.family().name() {
        "clap" => {
            let inputs = processor.audio(&args.sounds)?;
            tell_cut(&inputs.cut);
            (names(&args.sounds), "sound", "logits_per_audio", inputs.tensors)
        }
        "xclip" => {
            let inputs = processor.clip(&args.images)?;
            let video = names(&args.images).join(", ");
            (vec![video], "video", "logits_per_video", inputs.tensors)
        }
        _ => {
            let inputs = processor.images(&args.images)?;
            (names(&args.images), "image", "logits_per_image", inputs.tensors)
        }
    })
}

/// The tokens of every text; padded at the right they are among the inputs.
fn texts(args: &Args, checkpoint: &Checkpoint, given: &mut Given) -> Result<Vec<Vec<i32>>, Error> {
    let material = Material::of(checkpoint)?;
    let tokens = material.tokens(args)?;
    let most = checkpoint.family().architecture().max_sequence();
    for (ids, number) in tokens.iter().zip(1..) {
        if ids.len() > most {
            let count = ids.len();
            let detail =
                format!("text {number} has {count} tokens, the model has positions for {most}");
            return Err(Error::Input { name: "--text".into(), detail });
        }
    }
    let width = tokens.iter().map(Vec::len).max().unwrap_or(0);
    let padded = |ids: &Vec<i32>, filled: i32| {
        let mut ids = ids.clone();
        ids.resize(width, filled);
        ids
    };
    let ids: Vec<_> = tokens.iter().map(|ids| padded(ids, material.padding())).collect();
    let mask: Vec<_> = tokens.iter().map(|ids| padded(&vec![1; ids.len()], 0)).collect();
    given.insert("input_ids".into(), rows(checkpoint, "input_ids", &ids)?);
    given.insert("attention_mask".into(), rows(checkpoint, "attention_mask", &mask)?);
    Ok(tokens)
}
