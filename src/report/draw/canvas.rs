//! The strokes, letters and colours of figures, as SVG and as PNG.

use std::sync::OnceLock;

use plotters::{
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    element::{Circle, PathElement, Polygon, Rectangle, Text},
    prelude::{BitMapBackend, DrawingBackend, SVGBackend},
    style::{
        Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle, register_font,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::labels::Rect;
use crate::report::ReportError;

/// Sizes of letters in pixels.
pub(super) const TITLE: f64 = 26.0;
pub(super) const TEXT: f64 = 16.0;
pub(super) const AXIS_TITLE: f64 = 17.0;
pub(super) const TICK: f64 = 14.5;
pub(super) const LABEL: f64 = 14.0;

// Okabe and Ito's palette: every kind of colour vision tells its colours apart.
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(super) const VERMILLION: RGBColor = RGBColor(213, 94, 0);
pub(super) const GREEN: RGBColor = RGBColor(0, 158, 115);
pub(super) const PURPLE: RGBColor = RGBColor(204, 121, 167);
pub(super) const ORANGE: RGBColor = RGBColor(230, 159, 0);
pub(super) const SKY: RGBColor = RGBColor(86, 180, 233);

pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const SOFT_INK: RGBColor = RGBColor(95, 95, 95);
pub(super) const GRID: RGBColor = RGBColor(226, 226, 226);
pub(super) const STAIRS: RGBColor = RGBColor(115, 115, 115);
pub(super) const RUG: RGBColor = RGBColor(160, 160, 160);
pub(super) const OVER_BUDGET: RGBColor = RGBColor(240, 236, 230);
pub(super) const WHITE: RGBColor = RGBColor(255, 255, 255);

/// A colour and how much of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    color: RGBColor,
    opacity: f64,
}

impl Paint {
    pub(super) fn solid(color: RGBColor) -> Paint {
        Paint::faint(color, 1.0)
    }

    pub(super) fn faint(color: RGBColor, opacity: f64) -> Paint {
        Paint { color, opacity }
    }

    pub(super) fn filled(self) -> ShapeStyle {
        self.color.mix(self.opacity).filled()
    }
}

/// How a text looks and how it is aligned to its point. Vertically it is always centred.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lettering {
    pixels: f64,
    color: RGBColor,
    bold: bool,
    hang: Hang,
    upwards: bool,
}

#[derive(Debug, Clone, Copy)]
enum Hang {
    Left,
    Middle,
    Right,
}

impl Lettering {
    pub(super) fn plain(pixels: f64, color: RGBColor) -> Lettering {
        Lettering {
            pixels,
            color,
            bold: false,
            hang: Hang::Left,
            upwards: false,
        }
    }

    pub(super) fn bold(self) -> Lettering {
        let bold = true;
        Lettering { bold, ..self }
    }

    pub(super) fn middle(self) -> Lettering {
        let hang = Hang::Middle;
        Lettering { hang, ..self }
    }

    pub(super) fn right(self) -> Lettering {
        let hang = Hang::Right;
        Lettering { hang, ..self }
    }

    pub(super) fn upwards(self) -> Lettering {
        let upwards = true;
        Lettering { upwards, ..self }
    }

    pub(super) fn font(self, scale: f64) -> FontDesc<'static> {
        let style = match self.bold {
            true => FontStyle::Bold,
            false => FontStyle::Normal,
        };
        let size = self.pixels * scale * PLOTTERS_SIZE_PER_PIXEL;
        FontDesc::new(FontFamily::Name(FONT), size, style)
    }
}

/// A plotters drawing area in layout pixels, each of which is `scale` pixels of the back end.
pub(super) struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: f64,
    /// The back end centres letters too high by this share of their size.
    letters_too_high: f64,
}

impl<DB: DrawingBackend> Canvas<'_, DB> {
    fn pixel(&self, [x, y]: [f64; 2]) -> (i32, i32) {
        let scaled = |value: f64| (value * self.scale).round() as i32;
        (scaled(x), scaled(y))
    }

    /// Draws from corner to corner. Vertical and horizontal strokes meet in square corners.
    ///
    /// Each stroke is drawn by itself, because plotters bends the corners of wide lines in bitmaps.
    pub(super) fn line(
        &self,
        corners: &[[f64; 2]],
        color: RGBColor,
        width: f64,
    ) -> Result<(), ReportError> {
        let style = ShapeStyle {
            stroke_width: (width * self.scale).round().max(1.0) as u32,
            ..color.filled()
        };
        let last = corners.len().saturating_sub(2);
        for (idx, pair) in corners.windows(2).enumerate() {
            let ([x0, y0], [x1, y1]) = (pair[0], pair[1]);
            let along = [(x1 - x0).signum(), (y1 - y0).signum()];
            let cap = match x0 == x1 || y0 == y1 {
                true => width / 2.0,
                false => 0.0,
            };
            let reach = |[x, y]: [f64; 2], by: f64| {
                let step = |from: f64, to: f64, sign: f64| match from == to {
                    true => 0.0,
                    false => sign * by,
                };
                [x + step(x0, x1, along[0]), y + step(y0, y1, along[1])]
            };
            let start = reach(pair[0], if idx > 0 { -cap } else { 0.0 });
            let end = reach(pair[1], if idx < last { cap } else { 0.0 });
            let ends = vec![self.pixel(start), self.pixel(end)];
            drawn(self.area.draw(&PathElement::new(ends, style)))?;
        }
        Ok(())
    }

    pub(super) fn dashed(
        &self,
        from: [f64; 2],
        to: [f64; 2],
        color: RGBColor,
    ) -> Result<(), ReportError> {
        const DASH: f64 = 6.0;
        let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
        let length = dx.hypot(dy);
        let at = |along: f64| {
            let share = along.min(length) / length;
            [from[0] + dx * share, from[1] + dy * share]
        };
        let mut start = 0.0;
        while start < length {
            self.line(&[at(start), at(start + DASH)], color, 1.2)?;
            start += 1.7 * DASH;
        }
        Ok(())
    }

    pub(super) fn rect(&self, rect: Rect, paint: Paint) -> Result<(), ReportError> {
        let corners = [
            self.pixel([rect.left, rect.top]),
            self.pixel([rect.right, rect.bottom]),
        ];
        drawn(self.area.draw(&Rectangle::new(corners, paint.filled())))
    }

    pub(super) fn circle(
        &self,
        center: [f64; 2],
        radius: f64,
        paint: Paint,
    ) -> Result<(), ReportError> {
        let radius = (radius * self.scale).round() as i32;
        let circle = Circle::new(self.pixel(center), radius, paint.filled());
        drawn(self.area.draw(&circle))
    }

    /// `half` is half a side.
    pub(super) fn square(
        &self,
        [x, y]: [f64; 2],
        half: f64,
        paint: Paint,
    ) -> Result<(), ReportError> {
        let corners = [
            self.pixel([x - half, y - half]),
            self.pixel([x + half, y + half]),
        ];
        drawn(self.area.draw(&Rectangle::new(corners, paint.filled())))
    }

    /// Equilateral, with its centroid at `center`.
    pub(super) fn triangle(
        &self,
        [x, y]: [f64; 2],
        circumradius: f64,
        paint: Paint,
    ) -> Result<(), ReportError> {
        let (half, below) = (circumradius * 0.75f64.sqrt(), circumradius / 2.0);
        let corners = [
            [x, y - circumradius],
            [x + half, y + below],
            [x - half, y + below],
        ];
        let corners = corners.map(|corner| self.pixel(corner)).to_vec();
        drawn(self.area.draw(&Polygon::new(corners, paint.filled())))
    }

    /// A square on its corner.
    pub(super) fn diamond(
        &self,
        [x, y]: [f64; 2],
        radius: f64,
        paint: Paint,
    ) -> Result<(), ReportError> {
        let corners = [
            [x, y - radius],
            [x + radius, y],
            [x, y + radius],
            [x - radius, y],
        ];
        let corners = corners.map(|corner| self.pixel(corner)).to_vec();
        drawn(self.area.draw(&Polygon::new(corners, paint.filled())))
    }

    pub(super) fn text(
        &self,
        text: &str,
        at: [f64; 2],
        lettering: Lettering,
    ) -> Result<(), ReportError> {
        // XML does not allow control characters, and a name may have some.
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        let hang = match lettering.hang {
            Hang::Left => HPos::Left,
            Hang::Middle => HPos::Center,
            Hang::Right => HPos::Right,
        };
        let style = lettering.font(self.scale).color(&lettering.color);
        let style = style.pos(Pos::new(hang, VPos::Center));
        let lower = self.letters_too_high * lettering.pixels;
        let (style, at) = if lettering.upwards {
            let style = style.transform(FontTransform::Rotate270);
            (style, [at[0] + lower, at[1]])
        } else {
            (style, [at[0], at[1] + lower])
        };
        drawn(self.area.draw(&Text::new(text, self.pixel(at), style)))
    }
}

pub(super) fn svg(
    size: [f64; 2],
    draw: impl FnOnce(&Canvas<'_, SVGBackend<'_>>) -> Result<(), ReportError>,
) -> Result<String, ReportError> {
    register_fonts()?;
    let mut text = String::new();
    {
        let [width, height] = size.map(|pixels| pixels as u32);
        let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        drawn(area.fill(&WHITE))?;
        draw(&Canvas {
            area: &area,
            scale: 1.0,
            // The baseline is half an x-height below the point; the height of digits is 0.73 of the size.
            letters_too_high: 0.09,
        })?;
        drawn(area.present())?;
    }
    Ok(text)
}

/// Draws at twice the size and averages, because plotters draws bitmaps without smoothing.
pub(super) fn png(
    size: [f64; 2],
    draw: impl FnOnce(&Canvas<'_, BitMapBackend<'_>>) -> Result<(), ReportError>,
) -> Result<Vec<u8>, ReportError> {
    const SCALE: usize = 2;
    register_fonts()?;
    let [width, height] = size.map(|pixels| pixels as usize);
    let mut large = vec![255; SCALE * width * SCALE * height * 3];
    {
        let large_size = ((SCALE * width) as u32, (SCALE * height) as u32);
        let area = BitMapBackend::with_buffer(&mut large, large_size).into_drawing_area();
        draw(&Canvas {
            area: &area,
            scale: SCALE as f64,
            // The baseline is only 0.12 of the size below the point.
            letters_too_high: 0.25,
        })?;
        drawn(area.present())?;
    }
    let pixels = averaged(&large, width, height, SCALE);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

/// The width of a text in pixels.
pub(super) fn text_width(text: &str, lettering: Lettering) -> f64 {
    let measured = lettering.font(1.0).box_size(text);
    // Only a missing font fails, and `register_fonts` ran before. DejaVu's letters are 0.6 wide on average.
    let guess = 0.6 * lettering.pixels * text.chars().count() as f64;
    measured.map_or(guess, |(width, _)| f64::from(width))
}

/// Verdana has the same widths as DejaVu, whose widths the layout uses.
const FONT: &str = "DejaVu Sans, Verdana, sans-serif";

/// plotters divides every font size by this before it writes SVG.
const PLOTTERS_SIZE_PER_PIXEL: f64 = 1.24;

/// Gives plotters its font, once per process.
fn register_fonts() -> Result<(), ReportError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        let faces = [
            (FontStyle::Normal, dejavu::sans::regular()),
            (FontStyle::Bold, dejavu::sans::bold()),
        ];
        faces
            .into_iter()
            .all(|(style, face)| register_font(FONT, style, face).is_ok())
    });
    match registered {
        true => Ok(()),
        false => Err(ReportError::Draw("the built-in font is damaged".into())),
    }
}

fn drawn<T, E: std::error::Error>(result: Result<T, E>) -> Result<T, ReportError> {
    result.map_err(|error| ReportError::Draw(error.to_string()))
}

/// The mean of every `scale x scale` block of RGB pixels.
fn averaged(large: &[u8], width: usize, height: usize, scale: usize) -> Vec<u8> {
    let mut pixels = vec![0; width * height * 3];
    let mut sums = vec![0u32; width * 3];
    let area = (scale * scale) as u32;
    let large_rows = large.chunks_exact(scale * width * 3);
    for (y, row) in large_rows.enumerate() {
        for (x, pixel) in row.chunks_exact(3).enumerate() {
            for (channel, value) in pixel.iter().enumerate() {
                sums[x / scale * 3 + channel] += u32::from(*value);
            }
        }
        if y % scale == scale - 1 {
            let out = &mut pixels[y / scale * width * 3..][..width * 3];
            for (out, sum) in out.iter_mut().zip(&mut sums) {
                *out = (*sum / area) as u8;
                *sum = 0;
            }
        }
    }
    pixels
}
