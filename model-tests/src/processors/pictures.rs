//! From pictures to `pixel_values`: the image processors of ViT, CLIP, X-CLIP, DETR, LLaVA and LLaVA-NeXT.
//!
//! The numbers are those of transformers 5's default, the classes on torchvision. The steps, in this order: resize,
//! cut or surround the middle, scale and normalise, pad. Where a class differs stands in [`Class`]; the tiles of
//! LLaVA-NeXT are `tiles`.

use super::Inputs;
use super::picture::{MAX_PIXELS, Picture, check};
use super::resize::{Filter, resize};
use super::settings::Settings;
use super::sizes::Size;
use crate::error::Error;
use proofmark_kernels::Tensor;
use serde_json::json;
use std::path::PathBuf;

/// The most elements that a tensor of pixels may have: 1 GiB in f32.
const MAX_ELEMENTS: usize = 1 << 28;

const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];
const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];

/// Height and width of the result of one picture.
type Sizes = (usize, usize);

/// In what the classes differ beyond their defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// ViT and CLIP: one picture, one result.
    Plain,
    /// VideoMAE, which X-CLIP took its processor from: the pictures are the frames of one clip.
    Frames,
    /// DETR: padded to the largest, with a mask.
    Masked,
    /// LLaVA: padded to a square first, with the mean colour.
    Squared,
    /// LLaVA-NeXT: the whole picture, and tiles of a larger one.
    Tiled,
}

/// The names by which [`PictureProcessor::of`] knows the classes, for messages.
pub(super) const CLASSES: &str = "ViTImageProcessor, CLIPImageProcessor, VideoMAEImageProcessor, DetrImageProcessor, \
                                  LlavaImageProcessor, LlavaNextImageProcessor";

/// An image processor as its file configures it.
#[derive(Debug)]
pub(super) struct PictureProcessor {
    class: Class,
    pub(super) size: Size,
    resize: bool,
    pub(super) filter: Filter,
    crop: Option<Sizes>,
    /// The edge of LLaVA-NeXT's tiles: the height of `crop_size`, whether the file crops or not.
    pub(super) tile: usize,
    /// What a level of a colour becomes.
    levels: Vec<[f32; 256]>,
    /// The mean, in levels, cut to whole ones: what a square is filled with.
    mean: [u8; 3],
    pub(super) pad: bool,
    pad_size: Option<Sizes>,
    /// Heights and widths that LLaVA-NeXT chooses from.
    pub(super) pinpoints: Vec<Sizes>,
    /// The file, for messages.
    path: PathBuf,
}

/// What a class has where its file says nothing.
struct Defaults {
    class: Class,
    size: Size,
    filter: Filter,
    crop: bool,
    pad: bool,
    mean: [f64; 3],
    std: [f64; 3],
}

impl Defaults {
    fn of(family: &str) -> Option<Self> {
        let clip = Self {
            class: Class::Plain,
            size: Size::Shortest(224),
            filter: Filter::Cubic,
            crop: true,
            pad: false,
            mean: CLIP_MEAN,
            std: CLIP_STD,
        };
        let (half, linear) = ([0.5; 3], Filter::Linear);
        Some(match family {
            "CLIP" => clip,
            "Llava" => Self { class: Class::Squared, ..clip },
            "LlavaNext" => Self { class: Class::Tiled, pad: true, ..clip },
            "VideoMAE" => {
                Self { class: Class::Frames, filter: linear, mean: half, std: half, ..clip }
            }
            "ViT" => {
                let size = Size::Exact(224, 224);
                Self { size, crop: false, filter: linear, mean: half, std: half, ..clip }
            }
            "Detr" => Self {
                class: Class::Masked,
                size: Size::Between(800, 1333),
                filter: linear,
                crop: false,
                pad: true,
                mean: IMAGENET_MEAN,
                std: IMAGENET_STD,
            },
            _ => return None,
        })
    }
}

impl PictureProcessor {
    /// The processor that the settings ask for; none if their class takes no pictures.
    pub(super) fn of(settings: &mut Settings) -> Result<Option<Self>, Error> {
        let Some(defaults) = Defaults::of(settings.family()) else { return Ok(None) };
        let class = defaults.class;
        let square = defaults.size == Size::Exact(224, 224);
        let square = settings.flag("default_to_square", square)? && class != Class::Masked;
        let mut size = settings.size("size", square)?.unwrap_or(defaults.size);
        if class == Class::Masked {
            size = longest_edge(settings, size)?;
        }
        let resize = settings.flag("do_resize", true)?;
        let filter = filter(settings, defaults.filter)?;
        let crops = settings.flag("do_center_crop", defaults.crop)? && class != Class::Masked;
        let crop = exact(settings, "crop_size")?.unwrap_or((224, 224));
        let pad = match settings.optional("pad_and_return_pixel_mask") {
            Some(_) if class == Class::Masked => {
                let old = settings.flag("pad_and_return_pixel_mask", true)?;
                settings.flag("do_pad", old)?
            }
            _ => settings.flag("do_pad", defaults.pad)?,
        };
        let pad_size = exact(settings, "pad_size")?;
        let (levels, mean) = levels(settings, &defaults)?;
        let pinpoints = if class == Class::Tiled { pinpoints(settings)? } else { Vec::new() };
        // Pictures are always read as three colours, so that both values give the same.
        settings.idle(&["do_convert_rgb", "image_seq_length", "do_convert_annotations", "format"]);
        settings.held("input_data_format", &[])?;
        settings.held("use_square_size", &[json!(false)])?;
        Ok(Some(Self {
            class,
            size,
            resize,
            filter,
            crop: crops.then_some(crop),
            tile: crop.0,
            levels,
            mean,
            pad,
            pad_size,
            pinpoints,
            path: settings.path().to_owned(),
        }))
    }

    /// The inputs of a model for these pictures, each with the name by which messages call it.
    pub(super) fn inputs(&self, pictures: &[(String, Picture)]) -> Result<Inputs, Error> {
        if pictures.is_empty() {
            return Err(fault("there is no picture".into()));
        }
        let mut made = Vec::new();
        let mut pixels = 0;
        for (name, picture) in pictures {
            let frames = match self.class {
                Class::Tiled => self.tiles(picture),
                _ => self.frame(picture).map(|frame| vec![frame]),
            };
            let frames = frames.map_err(|detail| fault(format!("{name}: {detail}")))?;
            pixels += frames.iter().map(|frame| frame.height * frame.width).sum::<usize>();
            checked(&[3, pixels]).map_err(fault)?;
            made.push(frames);
        }
        let mut inputs = Inputs::default();
        match self.class {
            Class::Tiled => {
                let sizes = pictures.iter().flat_map(|(_, p)| [p.height, p.width]);
                let sizes = sizes.map(|edge| i32::try_from(edge).unwrap_or(i32::MAX)).collect();
                inputs.insert("image_sizes", Tensor::i32([pictures.len(), 2], sizes));
                self.pad_tiles(&mut made).map_err(fault)?;
            }
            Class::Masked if self.pad => inputs.insert("pixel_mask", self.pad(&mut made)?),
            Class::Plain if self.pad => drop(self.pad(&mut made)?),
            _ => {}
        }
        let outer = match self.class {
            Class::Tiled => vec![made.len(), made[0].len()],
            Class::Frames => vec![1, made.len()],
            _ => vec![made.len()],
        };
        let frames: Vec<_> = made.into_iter().flatten().collect();
        inputs.insert("pixel_values", stack(outer, &frames).map_err(fault)?);
        Ok(inputs)
    }

    fn frame(&self, picture: &Picture) -> Result<Frame, String> {
        let edge = picture.height.max(picture.width);
        if self.class == Class::Squared && self.pad && picture.height != picture.width {
            let corner = ((edge - picture.height) / 2, (edge - picture.width) / 2);
            return self.finish(&picture.set_into((edge, edge), corner, self.mean)?);
        }
        self.finish(picture)
    }

    /// Resized, cut and normalised as the file says.
    pub(super) fn finish(&self, picture: &Picture) -> Result<Frame, String> {
        let resized = if self.resize {
            let (height, width) = self.size.after(picture.height, picture.width);
            &resize(picture, height, width, self.filter)?
        } else {
            picture
        };
        let cut = match self.crop {
            Some((height, width)) => &resized.centre(height, width)?,
            None => resized,
        };
        checked(&[3, cut.height, cut.width])?;
        let mut values = Vec::with_capacity(cut.data.len());
        for (colour, levels) in self.levels.iter().enumerate() {
            let plane = cut.data.iter().skip(colour).step_by(3);
            values.extend(plane.map(|&level| levels[usize::from(level)]));
        }
        Ok(Frame { height: cut.height, width: cut.width, values })
    }

    /// Pads every frame with zeros, right and below, to the largest or to `pad_size`; the mask is 1 where it was.
    fn pad(&self, made: &mut [Vec<Frame>]) -> Result<Tensor, Error> {
        let frames = || made.iter().flatten();
        let largest = |edge: fn(&Frame) -> usize| frames().map(edge).max().unwrap_or(0);
        let (height, width) =
            self.pad_size.unwrap_or((largest(|f| f.height), largest(|f| f.width)));
        check(height, width).map_err(fault)?;
        if let Some(frame) = frames().find(|f| f.height > height || f.width > width) {
            let detail = format!(
                "is {height} by {width} (height by width), and a resized picture has {} by {}: none may be larger",
                frame.height, frame.width
            );
            return Err(Error::Config { path: self.path.clone(), key: "pad_size".into(), detail });
        }
        let count = made.len();
        checked(&[count, 3, height, width]).map_err(fault)?;
        let mut mask = Vec::with_capacity(count * height * width);
        for frame in made.iter_mut().flatten() {
            for row in 0..height {
                let seen = if row < frame.height { frame.width } else { 0 };
                mask.extend((0..width).map(|column| i32::from(column < seen)));
            }
            *frame = frame.padded(height, width);
        }
        Ok(Tensor::i32([count, height, width], mask))
    }
}

/// A picture as numbers.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) height: usize,
    pub(super) width: usize,
    /// `[3, height, width]`, row-major.
    pub(super) values: Vec<f32>,
}

impl Frame {
    fn padded(&self, height: usize, width: usize) -> Self {
        let mut values = Vec::with_capacity(3 * height * width);
        for plane in self.values.chunks_exact(self.height * self.width) {
            for row in plane.chunks_exact(self.width) {
                values.extend_from_slice(row);
                values.resize(values.len() + width - self.width, 0.0);
            }
            values.resize(values.len() + (height - self.height) * width, 0.0);
        }
        Self { height, width, values }
    }
}

/// One tensor `[outer…, 3, height, width]` of frames that must be of one size.
fn stack(outer: Vec<usize>, frames: &[Frame]) -> Result<Tensor, String> {
    let (height, width) = (frames[0].height, frames[0].width);
    if let Some(other) = frames.iter().find(|f| (f.height, f.width) != (height, width)) {
        return Err(format!(
            "the pictures have different sizes once they are resized, {height} by {width} and {} by {} (height by \
             width), so that they make no batch: give them one at a time",
            other.height, other.width
        ));
    }
    let shape = [outer, vec![3, height, width]].concat();
    checked(&shape)?;
    Ok(Tensor::f32(shape, frames.iter().flat_map(|frame| frame.values.iter().copied()).collect()))
}

/// An error if a tensor of this shape would be too large.
pub(super) fn checked(shape: &[usize]) -> Result<(), String> {
    let elements = shape.iter().try_fold(1usize, |product, edge| product.checked_mul(*edge));
    match elements {
        Some(elements) if elements <= MAX_ELEMENTS => Ok(()),
        _ => {
            Err(format!("pixels of the shape {shape:?} are too many: {MAX_ELEMENTS} are possible"))
        }
    }
}

fn fault(detail: String) -> Error {
    Error::Input { name: "pixel_values".into(), detail }
}

fn filter(settings: &mut Settings, default: Filter) -> Result<Filter, Error> {
    let Some(value) = settings.optional("resample") else { return Ok(default) };
    value.as_u64().and_then(Filter::of).ok_or_else(|| {
        let detail = format!(
            "is {value}, which is not supported: possible are 0 (nearest), 1 (Lanczos), 2 (bilinear), 3 (bicubic)"
        );
        settings.fault("resample", detail)
    })
}

/// DETR's size, which needs a longest edge, and its old key for it, which counts with an old size only.
fn longest_edge(settings: &mut Settings, size: Size) -> Result<Size, Error> {
    let longest = settings.whole("max_size", 1333, MAX_PIXELS)?;
    let lone = settings.optional("size").is_some_and(|size| size.is_number());
    match size {
        Size::Shortest(shortest) if lone => Ok(Size::Between(shortest, longest)),
        Size::Shortest(_) => {
            let detail = "has a shortest_edge without a longest_edge, which this class needs";
            Err(settings.fault("size", detail))
        }
        size => Ok(size),
    }
}

/// A size that must be a height and a width.
fn exact(settings: &mut Settings, key: &'static str) -> Result<Option<Sizes>, Error> {
    match settings.size(key, true)? {
        None => Ok(None),
        Some(Size::Exact(height, width)) => Ok(Some((height, width))),
        Some(_) => {
            let value = settings.optional(key).unwrap_or_default();
            Err(settings.fault(key, format!("is {value}: height and width are needed")))
        }
    }
}

/// What every level of red, green and blue becomes, and the mean in levels.
fn levels(
    settings: &mut Settings,
    defaults: &Defaults,
) -> Result<(Vec<[f32; 256]>, [u8; 3]), Error> {
    let factor = settings.number("rescale_factor", 1.0 / 255.0)?;
    let rescales = settings.flag("do_rescale", true)?;
    let normalises = settings.flag("do_normalize", true)?;
    let mean = settings.colours("image_mean", defaults.mean)?;
    let std = settings.colours("image_std", defaults.std)?;
    #[expect(clippy::cast_possible_truncation, reason = "torch computes these in f32")]
    let single = |n: f64| n as f32;
    // Rescaling is folded into mean and deviation, in f32, as transformers does: other roundings otherwise.
    let unit = if rescales { single(1.0 / factor) } else { 1.0 };
    if normalises && !unit.is_finite() {
        let detail = format!("is {factor}: no f32 holds its reciprocal");
        return Err(settings.fault("rescale_factor", detail));
    }
    if normalises && std.iter().any(|std| single(*std) * unit == 0.0) {
        return Err(settings.fault("image_std", format!("is {std:?}: zero cannot be divided by")));
    }
    let level = |colour: usize, level: usize| {
        #[expect(clippy::cast_precision_loss, reason = "below 256")]
        let level = level as f32;
        match (normalises, rescales) {
            (true, _) => (level - single(mean[colour]) * unit) / (single(std[colour]) * unit),
            (false, true) => level * single(factor),
            (false, false) => level,
        }
    };
    let table = |colour| std::array::from_fn(|i| level(colour, i));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "Python's int()")]
    let mean = mean.map(|mean| (mean * 255.0) as u8);
    Ok(((0..3).map(table).collect(), mean))
}

/// LLaVA-NeXT's choice of sizes.
fn pinpoints(settings: &mut Settings) -> Result<Vec<Sizes>, Error> {
    let default = vec![(336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)];
    let Some(value) = settings.optional("image_grid_pinpoints") else { return Ok(default) };
    let pair = |value| match Size::of(value, true) {
        Ok(Size::Exact(height, width)) if value.is_array() => Some((height, width)),
        _ => None,
    };
    let pairs: Option<Vec<_>> = value.as_array().and_then(|all| all.iter().map(pair).collect());
    pairs.filter(|pairs| !pairs.is_empty()).ok_or_else(|| {
        let detail = format!("is {value}: a list of at least one height and width is needed");
        settings.fault("image_grid_pinpoints", detail)
    })
}
