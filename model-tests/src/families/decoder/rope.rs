//! Rotary positions (Su et al. 2021) as LLaMA and its kin stretch them beyond the texts that they were trained on:
//! the cosines and sines of positions, computed in f64 on the host. The rotation itself is an op.
//!
//! Formulas are those of transformers' `modeling_rope_utils`, whose names of the keys stand in `config.json`.

use crate::config::Config;
use crate::error::Error;
use serde_json::Value;
use std::f64::consts::TAU;

/// The angles of a model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rope {
    theta: f64,
    /// Width of a head; half as many angles turn it.
    width: usize,
    max_positions: f64,
    stretch: Stretch,
}

/// How frequencies differ from `theta^(-2i/width)`.
#[derive(Clone, Debug, PartialEq)]
enum Stretch {
    None,
    /// All are divided by the factor.
    Linear {
        factor: f64,
    },
    /// The base grows with the longest position beyond `max_positions`.
    Dynamic {
        factor: f64,
    },
    /// Low frequencies are divided by the factor, high ones are kept (LLaMA 3.1).
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        original: f64,
    },
    /// A ramp between kept and divided frequencies, and larger scores (Peng et al. 2023).
    Yarn {
        factor: f64,
        scale: f64,
        fast: f64,
        slow: f64,
        original: f64,
        whole: bool,
    },
    /// A divisor for each frequency, by the longest position (Ding et al. 2024).
    Long {
        short: Vec<f64>,
        long: Vec<f64>,
        scale: f64,
        original: f64,
    },
    /// Only the first angles turn.
    Proportional {
        factor: f64,
        turning: usize,
    },
}

/// What stands beside the section, and holds where the section is silent.
struct Outer {
    theta: f64,
    share: f64,
    original: Option<usize>,
    width: usize,
    max_positions: usize,
}

impl Rope {
    /// Reads `rope_parameters`, as version 5 writes it, or `rope_theta` and `rope_scaling`, as version 4 did.
    pub(super) fn read(
        config: &mut Config,
        width: usize,
        max_positions: usize,
    ) -> Result<Self, Error> {
        let outer = Outer {
            theta: positive(config, "rope_theta", Some(10_000.0))?,
            share: positive(config, "partial_rotary_factor", Some(1.0))?,
            original: config.whole("original_max_position_embeddings")?,
            width,
            max_positions,
        };
        // transformers takes the older section where both are there, unless it is empty.
        let empty = |value: Value| value.as_object().is_some_and(serde_json::Map::is_empty);
        let older = config.value("rope_scaling").is_some_and(|value| !empty(value));
        let key = if older { "rope_scaling" } else { "rope_parameters" };
        config.section(key, |config| Self::section(config, &outer))
    }

    fn section(config: &mut Config, outer: &Outer) -> Result<Self, Error> {
        // Parameters for each type of layer: no class here reads them.
        for key in ["full_attention", "sliding_attention"] {
            config.held(key, &[])?;
        }
        let theta = positive(config, "rope_theta", Some(outer.theta))?;
        let old = config.text("type")?;
        let kind = config.text("rope_type")?.or(old).unwrap_or_else(|| "default".into());
        let share = positive(config, "partial_rotary_factor", Some(outer.share))?;
        let stretch = Stretch::read(config, outer, &kind, theta, share)?;
        #[expect(clippy::cast_precision_loss, reason = "positions are far below 2^53")]
        let max_positions = outer.max_positions as f64;
        Ok(Self { theta, width: outer.width, max_positions, stretch })
    }

    /// Cosines and sines of positions `[n]`, each `[n, width / 2]`.
    pub(super) fn tables(&self, positions: &[i32]) -> [Vec<f32>; 2] {
        let longest = positions.iter().copied().max().unwrap_or(0);
        let (frequencies, scale) = self.frequencies(f64::from(longest) + 1.0);
        let angles = positions.iter().flat_map(|&position| {
            frequencies.iter().map(move |frequency| f64::from(position) * frequency)
        });
        #[expect(clippy::cast_possible_truncation, reason = "devices compute with f32")]
        let table = |function: fn(f64) -> f64| {
            angles.clone().map(|angle| (function(angle) * scale) as f32).collect()
        };
        [table(f64::cos), table(f64::sin)]
    }

    /// The frequencies for a text of this length, and what multiplies cosines and sines.
    fn frequencies(&self, length: f64) -> (Vec<f64>, f64) {
        let plain = |theta: f64| -> Vec<f64> {
            (0..self.width / 2).map(|i| theta.powf(-self.exponent(i))).collect()
        };
        let divided = |factor: f64| plain(self.theta).iter().map(|f| f / factor).collect();
        match &self.stretch {
            Stretch::None => (plain(self.theta), 1.0),
            Stretch::Linear { factor } => (divided(*factor), 1.0),
            Stretch::Dynamic { factor } => {
                let grown = factor * length.max(self.max_positions) / self.max_positions;
                #[expect(clippy::cast_precision_loss, reason = "head widths are small")]
                let width = self.width as f64;
                let power = width / (width - 2.0);
                (plain(self.theta * (grown - (factor - 1.0)).powf(power)), 1.0)
            }
            Stretch::Llama3 { factor, low, high, original } => {
                let stretched = |frequency: &f64| {
                    let turns = original * frequency / TAU;
                    let smooth = (turns - low) / (high - low);
                    if turns > *high {
                        *frequency
                    } else if turns < *low {
                        frequency / factor
                    } else {
                        (1.0 - smooth) * frequency / factor + smooth * frequency
                    }
                };
                (plain(self.theta).iter().map(stretched).collect(), 1.0)
            }
            Stretch::Yarn { factor, scale, fast, slow, original, whole } => {
                let range = self.ramp([*fast, *slow], *original, *whole);
                let kept = |i: usize| 1.0 - ramped(i, range);
                let mixed = plain(self.theta).into_iter().enumerate();
                let mixed = mixed.map(|(i, f)| f / factor * (1.0 - kept(i)) + f * kept(i));
                (mixed.collect(), *scale)
            }
            Stretch::Long { short, long, scale, original } => {
                let divisors = if length > *original { long } else { short };
                let frequencies = plain(self.theta).into_iter().zip(divisors);
                (frequencies.map(|(f, divisor)| f / divisor).collect(), *scale)
            }
            Stretch::Proportional { factor, turning } => {
                let turns = plain(self.theta).into_iter().enumerate();
                (turns.map(|(i, f)| if i < *turning { f / factor } else { 0.0 }).collect(), 1.0)
            }
        }
    }

    fn exponent(&self, i: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "head widths are small")]
        let exponent = (2 * i) as f64 / self.width as f64;
        exponent
    }

    /// Between which frequencies YaRN's ramp rises: where so many turns fit into the original length.
    fn ramp(&self, turns: [f64; 2], original: f64, whole: bool) -> [f64; 2] {
        #[expect(clippy::cast_precision_loss, reason = "head widths are small")]
        let width = self.width as f64;
        let at = |turns: f64| width * (original / (turns * TAU)).ln() / (2.0 * self.theta.ln());
        let [low, high] = turns.map(at);
        let [low, high] = if whole { [low.floor(), high.ceil()] } else { [low, high] };
        let [low, high] = [low.max(0.0), high.min(width - 1.0)];
        #[expect(clippy::float_cmp, reason = "only the very same bounds make a division by zero")]
        let same = low == high;
        [low, if same { high + 0.001 } else { high }]
    }
}

/// How far the ramp has risen at a frequency: 0 to 1.
fn ramped(i: usize, [low, high]: [f64; 2]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "head widths are small")]
    let i = i as f64;
    ((i - low) / (high - low)).clamp(0.0, 1.0)
}

impl Stretch {
    fn read(
        config: &mut Config,
        outer: &Outer,
        kind: &str,
        theta: f64,
        share: f64,
    ) -> Result<Self, Error> {
        if !matches!(kind, "default" | "proportional") {
            turns_whole_heads(config, outer.width, share)?;
        }
        Ok(match kind {
            "default" => Self::None,
            "linear" => Self::Linear { factor: positive(config, "factor", None)? },
            "dynamic" => {
                if outer.width <= 2 {
                    let detail = "is \"dynamic\", which heads of width 2 cannot be stretched by";
                    return Err(config.fault("rope_type", detail));
                }
                Self::Dynamic { factor: positive(config, "factor", None)? }
            }
            "llama3" => Self::Llama3 {
                factor: positive(config, "factor", None)?,
                low: positive(config, "low_freq_factor", None)?,
                high: positive(config, "high_freq_factor", None)?,
                original: original(config, outer)?,
            },
            "yarn" => Self::yarn(config, outer, theta)?,
            "longrope" => Self::long(config, outer)?,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a part of the width"
            )]
            #[expect(clippy::cast_precision_loss, reason = "head widths are small")]
            "proportional" => Self::Proportional {
                factor: positive(config, "factor", Some(1.0))?,
                turning: (share * outer.width as f64 / 2.0).floor() as usize,
            },
            other => {
                let detail = format!(
                    "is \"{other}\": possible are default, linear, dynamic, llama3, yarn, longrope, \
                     proportional"
                );
                return Err(config.fault("rope_type", detail));
            }
        })
    }

    fn yarn(config: &mut Config, outer: &Outer, theta: f64) -> Result<Self, Error> {
        let original = original(config, outer)?;
        let factor = positive(config, "factor", None)?;
        let [mscale, all] = ["mscale", "mscale_all_dim"].map(|key| config.number_or(key, 0.0));
        let (mscale, all) = (mscale?, all?);
        let magnitude = |by: f64| if factor <= 1.0 { 1.0 } else { 0.1 * by * factor.ln() + 1.0 };
        let scale = if mscale != 0.0 && all != 0.0 {
            magnitude(mscale) / magnitude(all)
        } else {
            magnitude(1.0)
        };
        let scale = config.number_or("attention_factor", scale)?;
        // Zero stands for the default.
        let or = |found: f64, default: f64| if found == 0.0 { default } else { found };
        let fast = or(config.number_or("beta_fast", 32.0)?, 32.0);
        let slow = or(config.number_or("beta_slow", 1.0)?, 1.0);
        let whole = config.flag_or("truncate", true)?;
        let bad = [("beta_fast", fast <= 0.0), ("beta_slow", slow <= 0.0)];
        if let Some((key, _)) = bad.into_iter().find(|(_, bad)| *bad) {
            return Err(config.fault(key, "must be positive"));
        }
        #[expect(clippy::float_cmp, reason = "only 1 itself has no logarithm to divide by")]
        if theta == 1.0 {
            return Err(config.fault("rope_theta", "is 1, which YaRN cannot stretch"));
        }
        Ok(Self::Yarn { factor, scale, fast, slow, original, whole })
    }

    fn long(config: &mut Config, outer: &Outer) -> Result<Self, Error> {
        let original = original(config, outer)?;
        #[expect(clippy::cast_precision_loss, reason = "positions are far below 2^53")]
        let factor = positive(config, "factor", Some(outer.max_positions as f64 / original))?;
        let scale = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / original.ln()).sqrt() };
        let scale = config.number_or("attention_factor", scale)?;
        let mut divisors = |key: &str| {
            let found = config.value(key);
            let list = found.as_ref().and_then(Value::as_array);
            let numbers = list.and_then(|list| {
                list.iter().map(|v| v.as_f64().filter(|n| *n > 0.0)).collect::<Option<Vec<_>>>()
            });
            numbers.filter(|numbers| numbers.len() == outer.width / 2).ok_or_else(|| {
                let count = outer.width / 2;
                config.fault(key, format!("must be a list of {count} positive numbers"))
            })
        };
        Ok(Self::Long {
            short: divisors("short_factor")?,
            long: divisors("long_factor")?,
            scale,
            original,
        })
    }
}

/// A stretched rotation turns whole heads: the classes cannot add a turned part to one that is not.
fn turns_whole_heads(config: &Config, width: usize, share: f64) -> Result<(), Error> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of the width"
    )]
    #[expect(clippy::cast_precision_loss, reason = "head widths are small")]
    let turned = (width as f64 * share) as usize;
    if turned == width {
        return Ok(());
    }
    let detail = format!("is {share}: only whole heads can be turned, so 1 is possible");
    Err(config.fault("partial_rotary_factor", detail))
}

/// The length of the texts before they were stretched. A key outside of the section stands before one in it.
fn original(config: &mut Config, outer: &Outer) -> Result<f64, Error> {
    let own = config.size_or("original_max_position_embeddings", outer.max_positions)?;
    #[expect(clippy::cast_precision_loss, reason = "positions are far below 2^53")]
    let original = outer.original.unwrap_or(own) as f64;
    Ok(original)
}

/// A positive number; an error if the key is missing and there is no default.
fn positive(config: &mut Config, key: &str, default: Option<f64>) -> Result<f64, Error> {
    if default.is_none() && !config.has(key) {
        return Err(config.fault(key, "is missing: the rotation cannot be computed without it"));
    }
    let number = config.number_or(key, default.unwrap_or_default())?;
    if number > 0.0 {
        return Ok(number);
    }
    Err(config.fault(key, format!("is {number}: a positive number is needed")))
}

#[cfg(test)]
mod tests;
