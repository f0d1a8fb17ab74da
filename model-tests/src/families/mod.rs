//! The families of models: one file each. Which one a folder holds is read from its `config.json`.
//!
//! A family says which arguments its forward function takes, builds the graph for their sizes, and derives what the
//! graph takes beside them; nothing else knows it. A new one is a file here and an entry of [`READERS`].

mod activations;
mod argument;
mod bert;
mod causal;
mod clap;
mod clip;
mod decoder;
mod detr;
mod encoder;
mod idle;
mod llava;
mod llava_next;
mod net;
mod patches;
mod resnet;
mod t5;
mod text_tower;
mod vision_tower;
mod vit;
mod wav2vec2;
mod whisper;
mod xclip;

pub use argument::{Argument, Given, Values, bind, complete};

use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{Binding, Graph, Symbol, Weights};
use std::fmt::Debug;

/// Tokens that a decoder is given, beside the tokens of its encoder.
pub const TARGET: Symbol = Symbol::new("t");
/// Tokens whose keys and values a decoder has already. With 0 of them it keeps those of this call for the next one;
/// where the symbol is not bound it keeps none.
pub const PAST: Symbol = Symbol::new("p");
/// The width of embeddings that are given in place of ids.
pub const EMBEDDED: Symbol = Symbol::new("e");
/// Pictures, where their number is not that of the texts.
pub const IMAGES: Symbol = Symbol::new("i");
/// Tiles of each picture.
pub const TILES: Symbol = Symbol::new("n");
/// Tiles of all pictures together, where they come end to end.
pub const ALL_TILES: Symbol = Symbol::new("a");
/// Features of all pictures together, where values tell how many they are.
pub const FEATURES: Symbol = Symbol::new("k");
/// Frames of a video, or of a sound.
pub const FRAMES: Symbol = Symbol::new("f");
/// Rows of a picture.
pub const HEIGHT: Symbol = Symbol::new("h");
/// Columns of a picture.
pub const WIDTH: Symbol = Symbol::new("w");

/// A model of some family with its sizes.
pub trait Architecture: Debug + Send + Sync {
    /// The arguments of its forward function, in the order in which they bind sizes.
    fn arguments(&self) -> Vec<Argument>;

    /// The graph for one binding; `weights` tells which names and which optional parts the checkpoint has.
    ///
    /// Its inputs are arguments, or what [`Architecture::derive`] gives, by name.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error>;

    /// The binding with the sizes of outputs that the values of arguments tell, and no shape does.
    fn measure(&self, binding: Binding, _given: &Given) -> Result<Binding, Error> {
        Ok(binding)
    }

    /// What the graph takes beside the arguments, computed from them: rows to gather, angles, pooled positions.
    /// Values that contradict each other are an error here, before anything runs.
    fn derive(&self, _binding: &Binding, _given: &Given) -> Result<Given, Error> {
        Ok(Given::new())
    }

    /// Makes arguments that were made up legal, where their values depend on each other.
    fn reconcile(&self, _binding: &Binding, _given: &mut Given) -> Result<(), Error> {
        Ok(())
    }

    /// Arguments that count the positions of a row from 0, as the graph does by itself.
    ///
    /// They may be given, and then must hold just that.
    fn positions(&self) -> &'static [&'static str] {
        &[]
    }

    /// Why an output that the graph does not have cannot be had.
    fn unsupported_outputs(&self) -> &'static str;

    /// A small call that it can take, to count and to show it.
    fn example(&self) -> Binding;

    /// How many tokens of the text each of the pictures that are given is.
    fn picture_tokens(&self, _given: &Given) -> Result<Vec<usize>, Error> {
        Ok(Vec::new())
    }

    /// How it continues a text, if it is of a kind that does.
    fn decoding(&self) -> Option<Decoding> {
        None
    }

    /// The longest text that it can take, in tokens.
    fn max_sequence(&self) -> usize {
        usize::MAX
    }
}

/// How a family continues a text by one token after the other, with the cache that [`PAST`] stands for.
///
/// A call with `p` of 0 gives, beside `logits` of the last token, what later calls take by the same names. What they
/// give again by these names, the newest token of each row, belongs behind what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoding {
    /// The argument with the tokens that the continuation follows.
    pub tokens: &'static str,
    /// The argument that tells which of them are seen.
    pub mask: &'static str,
    /// The argument with their positions, if there is one.
    pub positions: Option<&'static str>,
    /// What counts them.
    pub length: Symbol,
    /// Arguments of the first call that every later one takes as well.
    pub kept: &'static [&'static str],
    /// The most tokens, those of the continuation included.
    pub limit: usize,
}

/// A model with the name of its family.
#[derive(Debug)]
pub struct Family {
    name: &'static str,
    architecture: Box<dyn Architecture>,
}

/// Reads the sizes of a model, whose classes are the second argument.
type Read = fn(&mut Config, &[String]) -> Result<Box<dyn Architecture>, Error>;

/// How a configuration names a family, and who reads it.
struct Reader {
    /// The family's name, with which the names of its models begin.
    name: &'static str,
    /// The `model_type` that Hugging Face gives it.
    model_type: &'static str,
    /// The beginning of its architectures' names.
    architecture: &'static str,
    read: Read,
}

const READERS: &[Reader] = &[
    Reader {
        name: "bert",
        model_type: "bert",
        architecture: "Bert",
        read: |config, architectures| Ok(Box::new(bert::Bert::read(config, architectures)?)),
    },
    Reader {
        name: "clap",
        model_type: "clap",
        architecture: "Clap",
        read: |config, architectures| Ok(Box::new(clap::Clap::read(config, architectures)?)),
    },
    Reader {
        name: "clip",
        model_type: "clip",
        architecture: "CLIP",
        read: |config, architectures| Ok(Box::new(clip::Clip::read(config, architectures)?)),
    },
    Reader {
        name: "detr",
        model_type: "detr",
        architecture: "Detr",
        read: |config, architectures| Ok(Box::new(detr::Detr::read(config, architectures)?)),
    },
    Reader {
        name: "llama",
        model_type: "llama",
        architecture: "Llama",
        read: |config, architectures| {
            expect_class(config, architectures, &["LlamaForCausalLM"])?;
            Ok(Box::new(causal::CausalLm::read(config, "llama")?))
        },
    },
    Reader {
        name: "qwen2",
        model_type: "qwen2",
        architecture: "Qwen2",
        read: |config, architectures| {
            expect_class(config, architectures, &["Qwen2ForCausalLM"])?;
            Ok(Box::new(causal::CausalLm::read(config, "qwen2")?))
        },
    },
    Reader {
        name: "t5",
        model_type: "t5",
        architecture: "T5",
        read: |config, architectures| Ok(Box::new(t5::T5::read(config, architectures)?)),
    },
    Reader {
        name: "vit",
        model_type: "vit",
        architecture: "ViT",
        read: |config, architectures| Ok(Box::new(vit::Vit::read(config, architectures)?)),
    },
    Reader {
        name: "wav2vec2",
        model_type: "wav2vec2",
        architecture: "Wav2Vec2",
        read: |config, architectures| {
            Ok(Box::new(wav2vec2::Wav2Vec2::read(config, architectures)?))
        },
    },
    Reader {
        name: "whisper",
        model_type: "whisper",
        architecture: "Whisper",
        read: |config, architectures| Ok(Box::new(whisper::Whisper::read(config, architectures)?)),
    },
    Reader {
        name: "xclip",
        model_type: "xclip",
        architecture: "XCLIP",
        read: |config, architectures| Ok(Box::new(xclip::XClip::read(config, architectures)?)),
    },
    Reader {
        name: "llavanext",
        model_type: "llava_next",
        architecture: "LlavaNext",
        read: |config, architectures| {
            Ok(Box::new(llava_next::LlavaNext::read(config, architectures)?))
        },
    },
    Reader {
        name: "llava",
        model_type: "llava",
        architecture: "Llava",
        read: |config, architectures| Ok(Box::new(llava::Llava::read(config, architectures)?)),
    },
];

impl Family {
    /// The model that a configuration describes.
    pub fn read(config: &mut Config) -> Result<Self, Error> {
        let architectures = config.texts("architectures")?.unwrap_or_default();
        let model_type = config.text("model_type")?;
        let known = |names: fn(&Reader) -> &'static str| {
            READERS.iter().map(names).collect::<Vec<_>>().join(", ")
        };
        let reader = match (&model_type, architectures.first()) {
            (Some(name), _) => {
                READERS.iter().find(|reader| reader.model_type == name).ok_or_else(|| {
                    let known = known(|reader| reader.model_type);
                    let detail =
                        format!("is \"{name}\", an unknown architecture: known are {known}");
                    config.fault("model_type", detail)
                })
            }
            // The first checkpoints have no `model_type`; their architecture tells.
            (None, Some(name)) => READERS
                .iter()
                .find(|reader| name.starts_with(reader.architecture))
                .ok_or_else(|| {
                    let known = known(|reader| reader.architecture);
                    let detail =
                        format!("is \"{name}\", an unknown architecture: known are {known}…");
                    config.fault("architectures", detail)
                }),
            (None, None) => {
                let known = known(|reader| reader.model_type);
                Err(config.fault("model_type", format!("is missing: known are {known}")))
            }
        }?;
        let architecture = (reader.read)(config, &architectures)?;
        Ok(Self { name: reader.name, architecture })
    }

    /// The family's name, with which the names of its models begin.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it computes.
    pub fn architecture(&self) -> &dyn Architecture {
        &*self.architecture
    }
}

/// Refuses a configuration whose class is not one of these.
fn expect_class(config: &Config, architectures: &[String], possible: &[&str]) -> Result<(), Error> {
    match architectures.iter().find(|a| !possible.contains(&a.as_str())) {
        None => Ok(()),
        Some(other) => {
            let known = possible.join(", ");
            let detail = format!("names \"{other}\", an unknown architecture: known are {known}");
            Err(config.fault("architectures", detail))
        }
    }
}
