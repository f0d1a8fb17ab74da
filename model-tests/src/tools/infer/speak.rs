//! A text that goes on, or that a sound is written down as: by greedy decoding, with what each token took.
//!
//! What a model forbids beside that (`suppress_tokens` and its like) and chat templates are not here.

use super::material::{Material, processor, rows, tell_cut};
use super::{Answer, Args};
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::execution::target;
use crate::families::{Decoding, Given};
use crate::generate::{Continuation, Request, generate};
use crate::targets;
use proofmark::mark::Mark;
use proofmark_browser::Fallback;
use proofmark_kernels::{Device, Precision};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::Path;

/// Tokens that are added, if no number is given.
const MAX_TOKENS: usize = 32;

/// What is to go on.
#[derive(Debug)]
struct Prompt {
    /// What it is called: the text itself, or the file of the sound.
    name: Option<String>,
    /// The tokens of the text; none of a sound.
    source: Vec<i32>,
    /// Everything but the tokens that are gone on from.
    given: Given,
    /// These; where one is not named, the model chooses it.
    start: Vec<Option<i32>>,
}

/// The continuation of every text, or the text of every sound.
pub(super) fn answer(args: &Args, checkpoint: &Checkpoint) -> Result<Answer, Error> {
    let target = target(&args.endpoint)?;
    let material = Material::of(checkpoint)?;
    let speaker = Speaker::new(args, checkpoint, &material)?;
    let prompts = match checkpoint.family().name() {
        "whisper" => heard(args, checkpoint, &material)?,
        "llava" | "llavanext" if !args.images.is_empty() => {
            vec![seen(args, checkpoint, &material)?]
        }
        _ => read(args, checkpoint, &material)?,
    };
    let most = prompts.iter().map(|prompt| speaker.room(prompt)).collect::<Result<Vec<_>, _>>()?;
    let device = (target.open)(Fallback::Refused)?;
    let facts = targets::facts(&*device);
    let (mut answers, mut text): (Vec<Value>, _) = (Vec::new(), String::new());
    for (prompt, most) in prompts.iter().zip(most) {
        let said = speaker.go_on(&*device, prompt, most)?;
        said.print(&mut text, prompt, facts.mark);
        answers.push(said.json(prompt));
    }
    let fields = Map::from_iter([("answers".to_owned(), Value::Array(answers))]);
    Ok(Answer { device: facts, fields, text })
}

/// What all prompts share.
struct Speaker<'a> {
    checkpoint: &'a Checkpoint,
    material: &'a Material,
    decoding: Decoding,
    precision: Precision,
    asked: Option<usize>,
    /// Tokens that the model has positions for.
    limit: usize,
    ends: Vec<i32>,
}

impl<'a> Speaker<'a> {
    fn new(args: &Args, checkpoint: &'a Checkpoint, material: &'a Material) -> Result<Self, Error> {
        let family = checkpoint.family();
        let decoding = family.architecture().decoding().ok_or_else(|| Error::Input {
            name: "--model".into(),
            detail: format!("{} does not continue texts", family.name()),
        })?;
        if args.max_tokens == Some(0) {
            let detail = "is 0: at least one is needed".into();
            return Err(Error::Input { name: "--max-tokens".into(), detail });
        }
        let limit = decoding.limit.min(family.architecture().max_sequence());
        Ok(Self {
            checkpoint,
            material,
            decoding,
            precision: args.precision,
            asked: args.max_tokens,
            limit,
            ends: material.ends(),
        })
    }

    /// How many tokens may follow a prompt; an error if it has none left, or fewer than are asked for.
    fn room(&self, prompt: &Prompt) -> Result<usize, Error> {
        let (length, limit) = (prompt.start.len(), self.limit);
        let room = limit.saturating_sub(length);
        if room == 0 {
            let detail = format!(
                "it has {length} tokens, the model has positions for {limit}: none is left for an answer"
            );
            return Err(Error::Input { name: "--text".into(), detail });
        }
        match self.asked {
            Some(asked) if asked > room => {
                let detail = format!(
                    "is {asked}: behind the {length} tokens of the prompt the model has positions for {room}"
                );
                Err(Error::Input { name: "--max-tokens".into(), detail })
            }
            asked => Ok(asked.unwrap_or(MAX_TOKENS.min(room))),
        }
    }

    fn go_on(&self, device: &dyn Device, prompt: &Prompt, most: usize) -> Result<Said, Error> {
        let mut start = Vec::new();
        for token in &prompt.start {
            let chosen = match token {
                Some(token) => Some(*token),
                None => {
                    let one = self.continuation(device, prompt, &start, 1)?;
                    one.rows.first().and_then(|row| row.first()).copied()
                }
            };
            start.extend(chosen);
        }
        let found = self.continuation(device, prompt, &start, most)?;
        let ids = found.rows.first().cloned().unwrap_or_default();
        let ended = ids.last().is_some_and(|last| self.ends.contains(last));
        let text = self.material.text(&ids)?;
        Ok(Said { start, ids, text, ended, found })
    }

    fn continuation(
        &self,
        device: &dyn Device,
        prompt: &Prompt,
        start: &[i32],
        most: usize,
    ) -> Result<Continuation, Error> {
        let mut given = prompt.given.clone();
        let name = self.decoding.tokens;
        given.insert(name.into(), rows(self.checkpoint, name, &[start.to_vec()])?);
        let request = Request { prompt: &given, max_new_tokens: most, ends: &self.ends };
        generate(device, self.precision, self.checkpoint, &request)
    }
}

/// What followed a prompt.
struct Said {
    start: Vec<i32>,
    ids: Vec<i32>,
    text: Option<String>,
    ended: bool,
    found: Continuation,
}

impl Said {
    fn first_ms(&self) -> f64 {
        self.found.first.as_secs_f64() * 1e3
    }

    /// Tokens per second behind the first one.
    fn rate(&self) -> Option<f64> {
        let seconds: f64 = self.found.steps.iter().map(std::time::Duration::as_secs_f64).sum();
        #[expect(clippy::cast_precision_loss, reason = "there are few tokens")]
        (seconds > 0.0).then(|| self.found.steps.len() as f64 / seconds)
    }

    fn json(&self, prompt: &Prompt) -> Value {
        let steps = self.found.steps.iter().map(|step| step.as_secs_f64() * 1e3);
        json!({
            "prompt": prompt.name,
            "prompt_ids": if prompt.source.is_empty() { &self.start } else { &prompt.source },
            "ids": self.ids,
            "text": self.text,
            "ended": self.ended,
            "first_token_ms": self.first_ms(),
            "token_ms": steps.collect::<Vec<_>>(),
            "tokens_per_second": self.rate(),
        })
    }

    fn print(&self, text: &mut String, prompt: &Prompt, mark: Mark) {
        let name = prompt.name.clone().unwrap_or_else(|| format!("{:?}", prompt.source));
        let said = self.text.clone().unwrap_or_else(|| format!("{:?}", self.ids));
        let (count, first) = (self.ids.len(), self.first_ms());
        let rate = self.rate().map_or(String::new(), |rate| format!(", then {rate:.1} tokens/s"));
        let ended = if self.ended { "ended by itself" } else { "cut off" };
        let _ = writeln!(text, "> {name}\n{said}");
        let _ = writeln!(
            text,
            "({count} tokens, {ended}; the first after {first:.1} ms{rate}; {mark})"
        );
    }
}

/// Texts; where there is an encoder it takes them, and the answer begins with what the configuration says.
fn read(args: &Args, checkpoint: &Checkpoint, material: &Material) -> Result<Vec<Prompt>, Error> {
    let tokens = material.tokens(args)?;
    let encodes = checkpoint.family().name() == "t5";
    let image = image_token(checkpoint, material);
    let mut prompts = Vec::new();
    for (i, source) in tokens.into_iter().enumerate() {
        // Checked here, before anything runs.
        let ids = rows(checkpoint, "input_ids", std::slice::from_ref(&source))?;
        if image.is_some_and(|image| source.contains(&image)) {
            let detail =
                "a text has an image token, and there is no picture: give it with --image FILE";
            return Err(Error::Input { name: "--image".into(), detail: detail.into() });
        }
        let (given, start) = if encodes {
            let start = material.token("decoder_start_token_id");
            let start = start.or_else(|| material.token("pad_token_id")).unwrap_or(0);
            (Given::from([("input_ids".to_owned(), ids)]), vec![Some(start)])
        } else {
            (Given::new(), source.iter().copied().map(Some).collect())
        };
        prompts.push(Prompt { name: args.texts.get(i).cloned(), source, given, start });
    }
    Ok(prompts)
}

/// The token that stands for a picture, of families that see.
fn image_token(checkpoint: &Checkpoint, material: &Material) -> Option<i32> {
    let sees = checkpoint.family().name().starts_with("llava");
    let token = || material.token("image_token_index").or(material.token("image_token_id"));
    sees.then(|| token().unwrap_or(32_000))
}

/// A text with pictures: an image token of each becomes as many as the picture has features.
fn seen(args: &Args, checkpoint: &Checkpoint, material: &Material) -> Result<Prompt, Error> {
    let tokens = material.tokens(args)?;
    let [source] = tokens.as_slice() else {
        let detail = format!("{} texts are given: pictures belong to one", tokens.len());
        return Err(Error::Input { name: "--text".into(), detail });
    };
    let given = processor(checkpoint)?.images(&args.images)?.tensors;
    let features = checkpoint.family().architecture().picture_tokens(&given)?;
    let image = image_token(checkpoint, material).unwrap_or(32_000);
    let source = expand(source, image, &features)?;
    rows(checkpoint, "input_ids", std::slice::from_ref(&source))?;
    let start = source.iter().copied().map(Some).collect();
    Ok(Prompt { name: args.texts.first().cloned(), source, given, start })
}

/// Tokens with as many image tokens as the pictures have features, where they have one for each picture or all.
fn expand(tokens: &[i32], image: i32, features: &[usize]) -> Result<Vec<i32>, Error> {
    let found = tokens.iter().filter(|token| **token == image).count();
    let all = features.iter().sum::<usize>();
    if found == all {
        return Ok(tokens.to_vec());
    }
    if found != features.len() {
        let pictures = features.len();
        let detail = format!(
            "it has {found} image tokens (`<image>`, id {image}), and there are {pictures} pictures with {all} \
             features: one for each picture is needed"
        );
        return Err(Error::Input { name: "--text".into(), detail });
    }
    let mut features = features.iter();
    let mut expanded = Vec::new();
    for &token in tokens {
        let times = if token == image { features.next().copied().unwrap_or(1) } else { 1 };
        expanded.extend(std::iter::repeat_n(token, times));
    }
    Ok(expanded)
}

/// Sounds, and what the text of one begins with.
fn heard(args: &Args, checkpoint: &Checkpoint, material: &Material) -> Result<Vec<Prompt>, Error> {
    let start = start(material);
    let named: Vec<_> = start.iter().copied().flatten().collect();
    rows(checkpoint, "decoder_input_ids", &[named])?;
    let processor = processor(checkpoint)?;
    let prompt = |(path, number): (&std::path::PathBuf, usize)| {
        let inputs = processor.audio(std::slice::from_ref(path))?;
        tell_cut(&inputs.cut.iter().map(|_| number).collect::<Vec<_>>());
        let mut given = inputs.tensors;
        // The model does not look at it.
        given.remove("attention_mask");
        check_features(checkpoint, &given, path)?;
        let name = Some(path.display().to_string());
        Ok(Prompt { name, source: Vec::new(), given, start: start.clone() })
    };
    args.sounds.iter().zip(1..).map(prompt).collect()
}

/// An error if the preprocessing gives other sizes than the model takes.
fn check_features(checkpoint: &Checkpoint, given: &Given, path: &Path) -> Result<(), Error> {
    let arguments = checkpoint.family().architecture().arguments();
    let shapes = |name: &str| given.get(name).map(proofmark_kernels::Tensor::shape);
    crate::families::bind(&arguments, shapes).map(drop).map_err(|error| {
        let detail = format!("its features do not fit the model: failed to {error}");
        Error::content(path, detail)
    })
}

/// The tokens that stand before what is said: the start, the language, the task, and that no times are wanted. Files
/// of transformers before 4.38 list those behind the start as `forced_decoder_ids`; a language that they leave open is
/// the one that the model finds likeliest.
fn start(material: &Material) -> Vec<Option<i32>> {
    let id = |value: &Value| value.as_i64().and_then(|id| i32::try_from(id).ok());
    let mut start = vec![Some(material.token("decoder_start_token_id").unwrap_or(50_257))];
    let forced = material.said("forced_decoder_ids").and_then(Value::as_array);
    if let Some(forced) = forced.filter(|forced| !forced.is_empty()) {
        start.extend(forced.iter().map(|pair| id(&pair[1])));
    } else if material.said("lang_to_id").is_some() {
        start.push(None);
        let task = material.said("task_to_id").and_then(|tasks| id(&tasks["transcribe"]));
        start.extend(task.map(Some));
    }
    let untimed = material.token("no_timestamps_token_id");
    if untimed.is_some() && !start.contains(&untimed) {
        start.push(untimed);
    }
    start
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn an_image_token_becomes_as_many_as_its_picture_has_features() {
        assert_eq!(expand(&[1, 9, 2, 9], 9, &[3, 2]).unwrap(), [1, 9, 9, 9, 2, 9, 9]);
        assert_eq!(expand(&[1, 9, 9, 9], 9, &[3]).unwrap(), [1, 9, 9, 9]);
        let message = expand(&[1, 2], 9, &[3]).unwrap_err().to_string();
        assert!(message.contains("0 image tokens") && message.contains("1 pictures"), "{message}");
    }
}
