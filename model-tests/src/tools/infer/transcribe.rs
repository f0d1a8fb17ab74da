//! What is said in a sound, by the likeliest letter of every frame: Wav2Vec2 with a CTC head.

use super::material::{Material, object, processor, tell_cut};
use super::ready::{Ready, likeliest, output};
use super::{Answer, Args};
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::execution::target;
use proofmark::record::DeviceFacts;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The text of every sound.
pub(super) fn answer(args: &Args, checkpoint: &Checkpoint) -> Result<Answer, Error> {
    let target = target(&args.endpoint)?;
    let letters = Letters::of(checkpoint)?;
    let processor = processor(checkpoint)?;
    // One at a time: what pads a sound would change the others where the model takes no mask.
    let mut calls = Vec::new();
    for (path, number) in args.sounds.iter().zip(1..) {
        let inputs = processor.audio(std::slice::from_ref(path))?;
        let cut: Vec<usize> = inputs.cut.iter().map(|_| number).collect();
        tell_cut(&cut);
        calls.push(Ready::new(checkpoint, inputs.tensors)?);
    }
    let mut device: Option<DeviceFacts> = None;
    let (mut sounds, mut text): (Vec<Value>, _) = (Vec::new(), String::new());
    for (path, call) in args.sounds.iter().zip(&calls) {
        let run = call.run(target, args.precision)?;
        let (shape, logits) = output(&run, "logits")?;
        let width = shape.last().copied().unwrap_or(1);
        let frames: Vec<_> = logits.chunks(width).map(likeliest).collect();
        let ids = collapse(&frames, letters.blank);
        let said = letters.text(&ids);
        let name = path.display().to_string();
        let _ = writeln!(text, "{name}: {said}");
        let frames = frames.len();
        sounds.push(json!({ "sound": name, "frames": frames, "ids": ids, "text": said }));
        device = Some(run.device);
    }
    let device = device.ok_or_else(|| Error::Input {
        name: "--audio".into(),
        detail: "there is no sound".into(),
    })?;
    let fields = Map::from_iter([("sounds".to_owned(), Value::Array(sounds))]);
    Ok(Answer { device, fields, text })
}

/// What is left of the tokens of frames (Graves et al. 2006): of a run of equals one, and of blanks none.
fn collapse(frames: &[usize], blank: usize) -> Vec<usize> {
    let mut ids = frames.to_vec();
    ids.dedup();
    ids.retain(|id| *id != blank);
    ids
}

/// How tokens are spelt.
#[derive(Debug)]
struct Letters {
    spelling: BTreeMap<usize, String>,
    blank: usize,
    /// What stands between words.
    delimiter: String,
    lowers: bool,
}

impl Letters {
    fn of(checkpoint: &Checkpoint) -> Result<Self, Error> {
        let (folder, material) = (checkpoint.folder(), Material::of(checkpoint)?);
        let path = folder.join("vocab.json");
        let vocabulary = match (object(folder, "vocab.json")?, &material.tokenizer) {
            (Some(vocabulary), _) => vocabulary,
            (None, Some(tokenizer)) => json!(tokenizer.get_vocab(true)),
            (None, None) => {
                let detail = "there is no such file, nor a tokenizer.json: letters need one";
                return Err(Error::content(path, detail));
            }
        };
        let pair = |(letter, id): (&String, &Value)| {
            Some((usize::try_from(id.as_u64()?).ok()?, letter.clone()))
        };
        let spelling = vocabulary.as_object().and_then(|v| v.iter().map(pair).collect());
        let spelling = spelling
            .ok_or_else(|| Error::content(path, "it is no object from letters to whole numbers"))?;
        let config = object(folder, "tokenizer_config.json")?.unwrap_or_default();
        let delimiter = config["word_delimiter_token"].as_str().unwrap_or("|").to_owned();
        let lowers = config["do_lower_case"] == true;
        let blank = material.token("pad_token_id").and_then(|id| usize::try_from(id).ok());
        Ok(Self { spelling, blank: blank.unwrap_or(0), delimiter, lowers })
    }

    /// Tokens that have no spelling stand as their numbers.
    fn text(&self, ids: &[usize]) -> String {
        let spelt = ids.iter().map(|id| match self.spelling.get(id) {
            Some(letter) if *letter == self.delimiter => " ".to_owned(),
            Some(letter) => letter.clone(),
            None => format!("<{id}>"),
        });
        let text = spelt.collect::<String>().trim().to_owned();
        if self.lowers { text.to_lowercase() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::collapse;

    #[test]
    fn equals_are_one_unless_a_blank_parts_them() {
        assert_eq!(collapse(&[0, 5, 5, 0, 5, 7, 7, 0], 0), [5, 5, 7]);
        assert_eq!(collapse(&[3, 3], 3), [0; 0]);
    }
}
