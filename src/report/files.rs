//! Writes the figures and pages of a report as files in a folder.

use std::path::{Path, PathBuf};

use super::{
    ReportError, RunInfo,
    draw::{self, Heading},
    evaluation::Examined,
    html,
    memory::MemoryMap,
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
    std::fs::create_dir_all(folder).map_err(|source| ReportError::Write {
        path: folder.to_path_buf(),
        source,
    })?;
    let files = vec![
        ("memory.svg", draw::memory_svg(map)?.into_bytes()),
        ("memory.png", draw::memory_png(map)?),
    ];
    written(files, folder)
}

/// Writes `evaluation-<split>.svg` and `.png` for every split into a folder; returns their paths.
pub fn write_examined(
    heading: Heading<'_>,
    examined: &[Examined],
    folder: &Path,
) -> Result<Vec<PathBuf>, ReportError> {
    let mut paths = Vec::new();
    for split in examined {
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
    // A store that was moved without the folders of its runs can be reported, too.
    std::fs::create_dir_all(folder).map_err(|source| ReportError::Write {
        path: folder.to_path_buf(),
        source,
    })?;
    let mut paths = Vec::new();
    for (name, content) in files {
        let path = folder.join(name);
        std::fs::write(&path, content).map_err(|source| ReportError::Write {
            path: path.clone(),
            source,
        })?;
        paths.push(path);
    }
    Ok(paths)
}
