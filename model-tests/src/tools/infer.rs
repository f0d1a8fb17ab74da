//! `infer`: what a model makes of texts, pictures and sounds, so that a newcomer sees at once that it is real.
//!
//! Here are the arguments, which of them a family takes, and how an answer is printed; how one comes about is in a
//! file for each kind of answer. Everything that is given is checked before anything runs.

mod detect;
mod embed;
mod label;
mod material;
mod pairs;
mod ready;
mod speak;
#[cfg(test)]
mod tests;
mod transcribe;

use super::{Format, open, table};
use crate::catalogue::find;
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use clap::Parser;
use material::Ids;
use proofmark::record::DeviceFacts;
use proofmark_kernels::Precision;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Shows what a model makes of texts, pictures and sounds. A model that is not here yet is fetched.
///
/// bert: how alike texts are. llama, qwen2, t5: a text goes on. llava, llavanext: a text with <image> goes on.
/// whisper, wav2vec2: what is said in a sound. vit: what is in a picture. detr: what is where in a picture. clip,
/// xclip, clap: which text fits a picture, a video (whose frames the pictures are) or a sound.
#[derive(Debug, Parser)]
#[command(disable_version_flag = true)]
pub(super) struct Args {
    /// The name of a model, or a folder with a checkpoint, its tokenizer.json and its preprocessor_config.json
    #[arg(long, value_name = "NAME|DIR")]
    model: String,
    /// A text; give the flag several times for several
    #[arg(long = "text", value_name = "TEXT")]
    texts: Vec<String>,
    /// The tokens of a text in its place, as `1,2,3`, for a folder without a tokenizer
    #[arg(long = "ids", value_name = "IDS", conflicts_with = "texts")]
    ids: Vec<Ids>,
    /// A picture: PNG, JPEG, WebP or BMP; give the flag several times for several
    #[arg(long = "image", value_name = "FILE")]
    images: Vec<PathBuf>,
    /// A sound: WAV, FLAC or MP3; give the flag several times for several
    #[arg(long = "audio", value_name = "FILE")]
    sounds: Vec<PathBuf>,
    /// The most tokens that are added to a text; 32, or what the model has positions for
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    /// The score from which on something is detected; 0.7
    #[arg(long, value_name = "SCORE")]
    threshold: Option<f64>,
    /// Where to run it
    #[arg(long, default_value = "cpu")]
    endpoint: String,
    /// The format of its floats, or of its weights: f32, f16, bf16 or int8
    #[arg(long, default_value = "f32")]
    precision: Precision,
    /// How to print; json holds everything
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What a model makes of what it is given.
#[derive(Debug)]
struct Answer {
    /// The opened device.
    device: DeviceFacts,
    /// For programs.
    fields: Map<String, Value>,
    /// For people.
    text: String,
}

pub(super) fn run(args: &Args) -> Result<bool, Error> {
    let answer = answer(args)?;
    match args.format {
        Format::Json => println!("{}", whole(args, &answer)),
        Format::Text => {
            let device = table::device(&answer.device);
            println!("{} in {} on {}: {device}", args.model, args.precision, args.endpoint);
            println!("{}", answer.text.trim_end());
        }
    }
    Ok(true)
}

/// The answer with where it comes from.
fn whole(args: &Args, answer: &Answer) -> Value {
    let mut whole = json!({
        "model": args.model,
        "endpoint": args.endpoint,
        "precision": args.precision,
        "mark": answer.device.mark,
        "adapter": answer.device.adapter,
    });
    if let Value::Object(whole) = &mut whole {
        whole.extend(answer.fields.clone());
    }
    whole
}

fn answer(args: &Args) -> Result<Answer, Error> {
    let checkpoint = open(&folder(&args.model)?)?;
    let family = checkpoint.family().name();
    let (needs, may, by): (&[&str], &[&str], Answers) = match family {
        "bert" => (&["--text"], &[], embed::answer),
        "vit" => (&["--image"], &[], label::answer),
        "detr" => (&["--image"], &["--threshold"], detect::answer),
        "clip" | "xclip" => (&["--text", "--image"], &["--ids"], pairs::answer),
        "clap" => (&["--text", "--audio"], &["--ids"], pairs::answer),
        "wav2vec2" => (&["--audio"], &[], transcribe::answer),
        "whisper" => (&["--audio"], &["--max-tokens"], speak::answer),
        "llava" | "llavanext" => {
            (&["--text"], &["--ids", "--image", "--max-tokens"], speak::answer)
        }
        _ => (&["--text"], &["--ids", "--max-tokens"], speak::answer),
    };
    args.check(family, needs, may)?;
    by(args, &checkpoint)
}

/// How a kind of answer comes about.
type Answers = fn(&Args, &Checkpoint) -> Result<Answer, Error>;

impl Args {
    /// The flags that are given.
    fn given(&self) -> Vec<&'static str> {
        let flags = [
            ("--text", !self.texts.is_empty()),
            ("--ids", !self.ids.is_empty()),
            ("--image", !self.images.is_empty()),
            ("--audio", !self.sounds.is_empty()),
            ("--max-tokens", self.max_tokens.is_some()),
            ("--threshold", self.threshold.is_some()),
        ];
        flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag).collect()
    }

    /// Refuses flags that the family does not take, and the want of those that it needs.
    fn check(&self, family: &str, needs: &[&str], may: &[&str]) -> Result<(), Error> {
        let fail = |name: &str, detail: String| Error::Input { name: name.into(), detail };
        let given = self.given();
        let takes = [needs, may].concat();
        if let Some(other) = given.iter().find(|flag| !takes.contains(flag)) {
            let detail = format!("{family} does not take it: it takes {}", takes.join(", "));
            return Err(fail(other, detail));
        }
        let ids_stand_in = |flag: &str| flag == "--text" && given.contains(&"--ids");
        match needs.iter().find(|flag| !given.contains(flag) && !ids_stand_in(flag)) {
            None => Ok(()),
            Some(flag) => {
                let what = match *flag {
                    "--image" => "a picture: give it with --image FILE",
                    "--audio" => "a sound: give it with --audio FILE",
                    _ => "a text: give it with --text TEXT",
                };
                Err(fail(flag, format!("{family} needs {what}")))
            }
        }
    }
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
