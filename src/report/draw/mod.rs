//! Draws all figures, as SVG and PNG from the same strokes.
//!
//! Only this module uses plotters. It draws strokes and letters; their places are computed here and in
//! [`super::panel`], because plotters' charts neither place labels nor choose ticks in bytes.
//!
//! This module may not know stores, settings or files.

mod canvas;
mod evaluation;
mod hypervolume;
mod labels;
mod memory;
mod pareto;
mod plot;
mod ranks;
mod stress;

use canvas::{png, svg};
pub use evaluation::Heading;

use super::{ReportError, RunInfo, evaluation::Examined, memory::MemoryMap, ranks::Ranks};
use crate::evaluate::{ModelCard, Strained};

/// Width of every figure in pixels.
const WIDTH: f64 = 1600.0;
/// A figure shows at most so many targets: the first ones of the run.
const MAX_TARGETS: usize = 8;

/// The Pareto figure as SVG: a block per target shows a score against every cost.
pub fn pareto_svg(info: &RunInfo) -> Result<String, ReportError> {
    svg(pareto::size(info), |canvas| pareto::draw(canvas, info))
}

/// [`pareto_svg`] as PNG.
pub fn pareto_png(info: &RunInfo) -> Result<Vec<u8>, ReportError> {
    png(pareto::size(info), |canvas| pareto::draw(canvas, info))
}

/// The hypervolume figure as SVG: one curve per target over the trials.
pub fn hypervolume_svg(info: &RunInfo) -> Result<String, ReportError> {
    svg(hypervolume::size(info), |canvas| {
        hypervolume::draw(canvas, info)
    })
}

/// [`hypervolume_svg`] as PNG.
pub fn hypervolume_png(info: &RunInfo) -> Result<Vec<u8>, ReportError> {
    png(hypervolume::size(info), |canvas| {
        hypervolume::draw(canvas, info)
    })
}

/// The members of all fronts in order of latency on every target, as SVG; `None` where there is nothing to compare.
pub fn ranks_svg(info: &RunInfo) -> Result<Option<String>, ReportError> {
    let drawn = |ranks: Ranks| {
        svg(ranks::size(info, &ranks), |canvas| {
            ranks::draw(canvas, info, &ranks)
        })
    };
    Ranks::new(info).map(drawn).transpose()
}

/// [`ranks_svg`] as PNG.
pub fn ranks_png(info: &RunInfo) -> Result<Option<Vec<u8>>, ReportError> {
    let drawn = |ranks: Ranks| {
        png(ranks::size(info, &ranks), |canvas| {
            ranks::draw(canvas, info, &ranks)
        })
    };
    Ranks::new(info).map(drawn).transpose()
}

/// The memory timeline of one network as SVG.
pub fn memory_svg(map: &MemoryMap) -> Result<String, ReportError> {
    svg(memory::SIZE, |canvas| memory::draw(canvas, map))
}

/// [`memory_svg`] as PNG.
pub fn memory_png(map: &MemoryMap) -> Result<Vec<u8>, ReportError> {
    png(memory::SIZE, |canvas| memory::draw(canvas, map))
}

/// The figure of an evaluation by one way of splitting, as SVG.
pub fn evaluation_svg(heading: Heading<'_>, split: &Examined) -> Result<String, ReportError> {
    svg(evaluation::SIZE, |canvas| {
        evaluation::draw(canvas, heading, split)
    })
}

/// [`evaluation_svg`] as PNG.
pub fn evaluation_png(heading: Heading<'_>, split: &Examined) -> Result<Vec<u8>, ReportError> {
    png(evaluation::SIZE, |canvas| {
        evaluation::draw(canvas, heading, split)
    })
}

/// A detector behind other microphones as SVG; the model's name comes with whether its data is synthetic.
pub fn stress_svg(
    model: (&str, bool),
    card: &ModelCard,
    rows: &[Strained],
) -> Result<String, ReportError> {
    svg(stress::size(rows), |canvas| {
        stress::draw(canvas, model, card, rows)
    })
}

/// [`stress_svg`] as PNG.
pub fn stress_png(
    model: (&str, bool),
    card: &ModelCard,
    rows: &[Strained],
) -> Result<Vec<u8>, ReportError> {
    png(stress::size(rows), |canvas| {
        stress::draw(canvas, model, card, rows)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::report::{
        files::write_figures,
        fixture::{Fake, fake_run},
        html,
    };

    /// Draws all figures and looks for texts in the SVG. `NAS_FIGURES=folder` keeps the files for a look.
    #[track_caller]
    fn check(name: &str, fake: Fake, expected: &[&str]) {
        let info = fake_run(&fake);
        let text = pareto_svg(&info).unwrap() + &hypervolume_svg(&info).unwrap();
        for text_part in expected {
            assert!(text.contains(text_part), "{name}: no `{text_part}`");
        }
        for png in [pareto_png(&info).unwrap(), hypervolume_png(&info).unwrap()] {
            let decoder = png::Decoder::new(std::io::Cursor::new(png));
            let mut reader = decoder.read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut pixels).unwrap();
            assert!(pixels.iter().any(|value| *value < 100), "{name}: blank");
        }
        let page = html::report(&info).unwrap();
        let ranks = ranks_svg(&info).unwrap();
        assert_eq!(ranks.is_some(), info.targets.len() > 1, "{name}");
        let figures = 2 + usize::from(ranks.is_some());
        assert_eq!(page.matches("<svg").count(), figures, "{name}");
        assert_eq!(page.matches("<table").count(), info.targets.len(), "{name}");
        assert!(!page.contains("<b>"), "{name}: not escaped");
        if let Ok(folder) = std::env::var("NAS_FIGURES") {
            let folder = Path::new(&folder).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            write_figures(&info, &folder).unwrap();
        }
    }

    #[test]
    fn every_kind_of_run_can_be_drawn() {
        let common = Fake::COMMON;
        let labels = [
            "RAM, estimated",
            "MACs per inference",
            "over 256 KiB",
            "AUC of",
        ];
        check("common", common, &labels);
        let synthetic = Fake {
            synthetic: true,
            ..common
        };
        check("synthetic", synthetic, &["synthetic data"]);
        let empty = Fake {
            trained: 0,
            ..common
        };
        check("empty", empty, &["no trained candidate"]);
        let nothing = Fake {
            trained: 0,
            rejected: 0,
            targets: 0,
            ..common
        };
        check("nothing", nothing, &["no trained candidate"]);
        let one = Fake {
            trained: 1,
            rejected: 0,
            ..common
        };
        check("one", one, &["1 on the front"]);
        let two_targets = Fake {
            targets: 2,
            ..common
        };
        check("two_targets", two_targets, &["on u55", "on m7"]);
        let equal = Fake {
            equal: true,
            ..common
        };
        check("equal", equal, &["RAM, estimated"]);
        let huge = Fake {
            spread: 8.0,
            trained: 200,
            limits: false,
            ..common
        };
        check("huge", huge, &["RAM, estimated"]);
        let narrow = Fake {
            spread: 0.4,
            ..common
        };
        check("narrow", narrow, &["RAM, estimated"]);
        let hostile = Fake {
            hostile: true,
            ..common
        };
        check(
            "hostile",
            hostile,
            &["&lt;b&gt;", "estimated / emulated / measured"],
        );
    }
}
