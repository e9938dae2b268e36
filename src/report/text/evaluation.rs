//! The tables of an evaluation: figures of merit, precision and recall.

use super::grid;
use crate::{
    report::{
        evaluation::{Examined, Merit},
        quantised,
    },
    score::{Arithmetic, Classification, Confusion, Interval},
};

/// Figures of merit, float beside int8 for every split; then precision and recall of both kinds of clips.
pub fn tables(examined: &[Examined]) -> String {
    let columns = || {
        examined
            .iter()
            .flat_map(|split| Arithmetic::BOTH.map(|arithmetic| (split, arithmetic)))
    };
    let header: Vec<String> = std::iter::once(String::new())
        .chain(
            columns().map(|(split, arithmetic)| format!("{}\n{}", split.split, arithmetic.name())),
        )
        .collect();
    let row = |merit: Merit| {
        let cells = columns().map(|(split, arithmetic)| shown(split.merit(merit, arithmetic)));
        std::iter::once(merit.name().to_string())
            .chain(cells)
            .collect()
    };
    let mut text = String::new();
    if examined
        .iter()
        .any(|split| split.classes(Arithmetic::Int8).is_some())
    {
        return examined.iter().map(class_tables).collect();
    }
    for split in examined {
        text += &format!("{}\n", split.headline());
        for part in &split.parts {
            if let Some(int8) = &part.int8 {
                text += &format!("{}: {}\n", part.name, quantised::line(int8));
            }
        }
    }
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    text += &grid(&header, Merit::ALL.map(row).to_vec());
    text += "\n\n";
    let kinds = columns().flat_map(|(split, arithmetic)| kinds(split, arithmetic));
    let header = [
        "split",
        "network",
        "clips",
        "precision",
        "recall",
        "F1",
        "number",
    ];
    text += &grid(&header, kinds.collect());
    text += "\n";
    if examined.iter().any(|split| split.parts.len() > 1) {
        text += "Means over trainings, ± half of their 95 % interval; decisions of all trainings are counted together.\n";
    }
    text
}

/// Figures, precision and recall per class, and the confusion matrix of a network that tells classes apart.
fn class_tables(split: &Examined) -> String {
    let both = Arithmetic::BOTH.map(|arithmetic| split.classes(arithmetic));
    let [Some(float), Some(int8)] = both else {
        return String::new();
    };
    let mut text = format!("{}\n", split.split);
    type Of = fn(&Classification) -> f64;
    let figures: [(&str, Of); 3] = [
        ("accuracy", |found| found.accuracy),
        ("macro-F1", |found| found.macro_f1),
        ("balanced accuracy", |found| found.balanced_accuracy),
    ];
    let rows = figures.map(|(name, of)| {
        let found = [float.figures(), int8.figures(), int8.constant()];
        let cells =
            found.map(|found| found.map_or("–".to_string(), |f| format!("{:.3}", of(&f))));
        [vec![name.to_string()], cells.to_vec()].concat()
    });
    text += &grid(&["", "float", "int8", "constant answer"], rows.to_vec());
    let row = |class: usize| {
        let (precision, recall, clips) = int8.of_class(class);
        vec![
            int8.names[class].clone(),
            format!("{precision:.3}"),
            format!("{recall:.3}"),
            clips.to_string(),
        ]
    };
    text += "\n\n";
    let rows = (0..int8.names.len()).map(row).collect();
    text += &grid(&["class, int8", "precision", "recall", "clips"], rows);
    text += "\n\n";
    let header: Vec<&str> = std::iter::once("true class, int8 answers")
        .chain(int8.names.iter().map(String::as_str))
        .collect();
    let rows = int8.names.iter().zip(&int8.counts).map(|(name, counts)| {
        let counts = counts.iter().map(usize::to_string);
        std::iter::once(name.clone()).chain(counts).collect()
    });
    text += &grid(&header, rows.collect());
    text + "\n\n"
}

/// Precision, recall and F1 of the normal clips and of the anomalous ones.
fn kinds(split: &Examined, arithmetic: Arithmetic) -> [Vec<String>; 2] {
    let found = split.confusion(arithmetic);
    // For the row of the normal clips, they are the class to be found.
    let turned = Confusion {
        true_positives: found.true_negatives,
        false_positives: found.false_negatives,
        true_negatives: found.true_positives,
        false_negatives: found.false_positives,
    };
    [("normal", turned), ("anomalous", found)].map(|(kind, confusion)| {
        let figures = [confusion.precision(), confusion.recall(), confusion.f1()];
        let mut cells = vec![
            split.split.clone(),
            arithmetic.name().to_string(),
            kind.to_string(),
        ];
        cells.extend(figures.map(|figure| format!("{figure:.3}")));
        cells.push((confusion.true_positives + confusion.false_negatives).to_string());
        cells
    })
}

fn shown(interval: Option<Interval>) -> String {
    match interval {
        None => "–".to_string(),
        Some(Interval { mean, half_width }) => match half_width {
            Some(half_width) => format!("{mean:.3} ±{half_width:.3}"),
            None => format!("{mean:.3}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::evaluation::tests::example;

    #[test]
    fn decisions_and_scores_become_tables() {
        let expected = "\
official folds: trained 2 times, 8 test clips
                   official folds  official folds
                   float           int8
──────────────────────────────────────────────────
accuracy           0.750 ±0.000    0.500 ±0.000
accuracy of a constant answer 0.500 ±0.000 0.500 ±0.000
balanced accuracy 0.750 ±0.000 0.500 ±0.000
F1                 0.667 ±0.000    0.500 ±0.000
macro-F1           0.733 ±0.000    0.500 ±0.000
ROC AUC            1.000 ±0.000    0.750 ±0.000
average precision  1.000 ±0.000    0.833 ±0.000

split           network  clips      precision  recall  F1     number
─────────────────────────────────────────────────────────────────────
official folds  float    normal     0.667      1.000   0.800  4
official folds  float    anomalous  1.000      0.500   0.667  4
official folds  int8     normal     0.500      0.500   0.500  4
official folds  int8     anomalous  0.500      0.500   0.500  4
Means over trainings, ± half of their 95 % interval; decisions of all trainings are counted together.
";
        let shown = tables(&[example()]);
        let plain = |text: &str| -> Vec<Vec<String>> {
            let words = |line: &str| line.split_whitespace().map(str::to_string).collect();
            text.lines()
                .filter(|line| !line.starts_with('─'))
                .map(words)
                .collect()
        };
        assert_eq!(plain(&shown), plain(expected), "{shown}");
    }
}
