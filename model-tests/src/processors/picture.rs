//! A picture in memory: read from a file, cut and padded. How it is resized is `resize`.

use crate::error::Error;
use image::error::ImageError;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use std::io::Cursor;
use std::path::Path;

/// The most pixels that a picture may have, read or made: Pillow's own limit, about 13 000 by 13 000.
pub(super) const MAX_PIXELS: usize = 178_956_970;

/// Red, green and blue of every pixel, 8 bits each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    /// Pixels from top to bottom.
    pub(super) height: usize,
    /// Pixels from left to right.
    pub(super) width: usize,
    /// `[height, width, 3]`, row-major.
    pub(super) data: Vec<u8>,
}

impl Picture {
    /// Reads PNG, JPEG, WebP or BMP as transformers reads a path: upright as its EXIF says,
    /// grey spread over the three colours, transparency dropped, 16 bits scaled to 8.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::file("read", path))?;
        let fault = |e: &ImageError| Error::content(path, detail(e));
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(Error::file("read", path))?;
        let mut limits = Limits::no_limits();
        // Four samples of 16 bits for each pixel, which is the most that a format asks for.
        limits.max_alloc = Some(8 * MAX_PIXELS as u64);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(|e| fault(&e))?;
        let (width, height) = decoder.dimensions();
        check(height as usize, width as usize).map_err(|detail| Error::content(path, detail))?;
        let orientation = decoder.orientation().map_err(|e| fault(&e))?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(|e| fault(&e))?;
        image.apply_orientation(orientation);
        let image = image.into_rgb8();
        let (width, height) = (image.width() as usize, image.height() as usize);
        Ok(Self { height, width, data: image.into_raw() })
    }

    /// A picture of one colour; an error if it would be empty or too large.
    pub(super) fn filled(height: usize, width: usize, colour: [u8; 3]) -> Result<Self, String> {
        check(height, width)?;
        Ok(Self { height, width, data: colour.repeat(height * width) })
    }

    /// The window of this size whose upper left corner is at `top` and `left`; it must lie within the picture.
    pub(super) fn window(&self, top: usize, left: usize, height: usize, width: usize) -> Self {
        let mut data = Vec::with_capacity(height * width * 3);
        for row in self.data.chunks_exact(self.width * 3).skip(top).take(height) {
            data.extend_from_slice(&row[left * 3..(left + width) * 3]);
        }
        Self { height, width, data }
    }

    /// Set into a larger one of one colour, with its upper left corner at `top` and `left`.
    pub(super) fn set_into(
        &self,
        (height, width): (usize, usize),
        (top, left): (usize, usize),
        colour: [u8; 3],
    ) -> Result<Self, String> {
        let mut large = Self::filled(height, width, colour)?;
        let rows = large.data.chunks_exact_mut(width * 3).skip(top);
        for (to, from) in rows.zip(self.data.chunks_exact(self.width * 3)) {
            to[left * 3..(left + self.width) * 3].copy_from_slice(from);
        }
        Ok(large)
    }

    /// The middle of this size; where the picture is smaller, black is set around it, the odd pixel right and below.
    pub(super) fn centre(&self, height: usize, width: usize) -> Result<Self, String> {
        let (room_height, room_width) = (self.height.max(height), self.width.max(width));
        let corner = ((room_height - self.height) / 2, (room_width - self.width) / 2);
        let room = self.set_into((room_height, room_width), corner, [0; 3])?;
        Ok(room.window((room_height - height) / 2, (room_width - width) / 2, height, width))
    }
}

/// Whether a picture of this size can be held.
pub(super) fn check(height: usize, width: usize) -> Result<(), String> {
    if height == 0 || width == 0 {
        return Err(format!("a picture of {height} by {width} pixels (height by width) is empty"));
    }
    match height.checked_mul(width) {
        Some(pixels) if pixels <= MAX_PIXELS => Ok(()),
        _ => Err(format!(
            "a picture of {height} by {width} pixels (height by width) is too large: {MAX_PIXELS} pixels are possible"
        )),
    }
}

fn detail(error: &ImageError) -> String {
    match error {
        ImageError::Unsupported(e) => {
            format!("{e}; PNG, JPEG, WebP and BMP pictures can be read")
        }
        other => format!("it is no picture, or is damaged or incomplete: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(height: usize, width: usize) -> Picture {
        let data = (0..height * width).flat_map(|i| [u8::try_from(i).unwrap(); 3]).collect();
        Picture { height, width, data }
    }

    #[track_caller]
    fn check_grey(picture: &Picture, expected: &[u8]) {
        let grey: Vec<_> = picture.data.chunks(3).map(|pixel| pixel[0]).collect();
        assert_eq!(grey, expected);
    }

    #[test]
    fn the_centre_is_cut_or_surrounded() {
        check_grey(&counted(3, 4).centre(1, 2).unwrap(), &[5, 6]);
        check_grey(&counted(4, 3).centre(2, 2).unwrap(), &[3, 4, 6, 7]);
        check_grey(&counted(1, 2).centre(2, 3).unwrap(), &[0, 1, 0, 0, 0, 0]);
        check_grey(&counted(1, 3).centre(2, 1).unwrap(), &[1, 0]);
    }

    #[test]
    fn a_size_that_no_memory_holds_is_refused_before_it_is_asked_for() {
        let message = Picture::filled(1 << 40, 1 << 40, [0; 3]).unwrap_err();
        assert!(message.contains("is too large: 178956970 pixels"), "{message}");
        let message = Picture::filled(3, 0, [0; 3]).unwrap_err();
        assert!(message.contains("3 by 0 pixels (height by width) is empty"), "{message}");
        assert!(counted(2, 2).centre(1 << 20, 1 << 20).is_err());
    }
}
