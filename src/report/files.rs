//! Writes the figures and pages of a report as files in a folder.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    ReportError, RunInfo,
    draw::{self, Heading},
    evaluation::Examined,
    html,
    memory::MemoryMap,
};
use crate::{
    disk,
    evaluate::{ModelCard, Strained},
    score::Arithmetic,
};

/// Writes every figure as `.svg` and `.png`, and `report.html`, into a folder; returns their paths.
pub fn write_figures(info: &RunInfo, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let mut files = vec![
        ("report.html", html::report(info)?.into_bytes()),
        ("pareto.svg", draw::pareto_svg(info)?.into_bytes()),
        ("pareto.png", draw::pareto_png(info)?),
        ("hypervolume.svg", draw::hypervolume_svg(info)?.into_bytes()),
        ("hypervolume.png", draw::hypervolume_png(info)?),
    ];
    if let (Some(svg), Some(png)) = (draw::ranks_svg(info)?, draw::ranks_png(info)?) {
        files.extend([("ranks.svg", svg.into_bytes()), ("ranks.png", png)]);
    }
    written(files, folder)
}

/// Writes `memory.svg` and `memory.png` into a folder; returns their paths. A missing folder is made.
pub fn write_memory(map: &MemoryMap, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let files = vec![
        ("memory.svg", draw::memory_svg(map)?.into_bytes()),
        ("memory.png", draw::memory_png(map)?),
    ];
    written(files, folder)
}

/// Writes `stress.svg` and `stress.png` into a folder; returns their paths. A missing folder is made.
pub fn write_stress(
    model: (&str, bool),
    card: &ModelCard,
    rows: &[Strained],
    folder: &Path,
) -> Result<Vec<PathBuf>, ReportError> {
    let svg = draw::stress_svg(model, card, rows)?.into_bytes();
    let png = draw::stress_png(model, card, rows)?;
    written(vec![("stress.svg", svg), ("stress.png", png)], folder)
}

/// Writes `evaluation-<split>.svg` and `.png` for every split into a folder; returns their paths.
pub fn write_examined(
    heading: Heading<'_>,
    examined: &[Examined],
    folder: &Path,
) -> Result<Vec<PathBuf>, ReportError> {
    let mut paths = Vec::new();
    // Curves are of scores against a threshold, which classes do not have.
    let of_scores = |split: &&Examined| split.classes(Arithmetic::Int8).is_none();
    for split in examined.iter().filter(of_scores) {
        let svg = draw::evaluation_svg(heading, split)?;
        let png = draw::evaluation_png(heading, split)?;
        let words = split.split.split(|c: char| !c.is_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let stem = format!("evaluation-{}", words.join("-"));
        let names = [format!("{stem}.svg"), format!("{stem}.png")];
        let files = vec![
            (names[0].as_str(), svg.into_bytes()),
            (names[1].as_str(), png),
        ];
        paths.extend(written(files, folder)?);
    }
    Ok(paths)
}

fn written(files: Vec<(&str, Vec<u8>)>, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    // A store that was moved without the folders of its runs can be reported, too: folders are made.
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ReportError::Write { path, source }
    };
    disk::make_folder(folder)
        .and_then(|()| disk::sweep_idle(folder, Duration::ZERO))
        .map_err(failed(folder))?;
    let mut paths = Vec::new();
    for (name, content) in files {
        let path = folder.join(name);
        disk::replace(&path, |file| file.write_all(&content)).map_err(failed(&path))?;
        paths.push(path);
    }
    Ok(paths)
}
