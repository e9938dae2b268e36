//! Figures of merit: evaluations, stores, documents, tables and pictures share this one list.
//!
//! A new figure needs a [`Measure`] with its words and its places in [`Figure::ALL`]. One of decisions is computed in
//! [`Confusion::figure`](super::Confusion::figure), any other where an evaluation is scored.

use std::fmt;

/// What is computed from the scores or decisions of clips: a share from 0 to 1, where more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Measure {
    /// Area under the ROC curve, see [`super::summarise`].
    Auc,
    /// Partial area under the ROC curve, see [`super::pauc`].
    Pauc,
    /// How well disturbed clips stand out, where no label steers: the chance that one scores above a normal clip, mean over
    /// kinds and strengths.
    Sensitivity,
    /// Share of clips that the threshold decides rightly.
    Accuracy,
    /// Mean of the F1 of normal and of anomalous clips at the threshold, or of all classes.
    MacroF1,
    /// Mean of the shares of normal and of anomalous clips that the threshold decides rightly, or of the clips of each class.
    BalancedAccuracy,
}

/// Which of the two networks scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arithmetic {
    /// The trained network, in 32-bit floats.
    Float,
    /// The deployed network, in 8-bit integers.
    Int8,
}

/// Which of the labelled test clips were scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The clips that steer the search.
    Steer,
    /// The clips by which nothing is chosen.
    Test,
}

/// One figure of merit of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Figure {
    /// What is computed.
    pub measure: Measure,
    /// The network that it is about.
    pub arithmetic: Arithmetic,
    /// The clips that it is computed on.
    pub part: Part,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Measure; 6] = [
        Measure::Auc,
        Measure::Pauc,
        Measure::Sensitivity,
        Measure::Accuracy,
        Measure::MacroF1,
        Measure::BalancedAccuracy,
    ];

    /// Those of decisions at a threshold. Without a threshold there are none.
    pub const DECISIONS: [Measure; 3] = [
        Measure::Accuracy,
        Measure::MacroF1,
        Measure::BalancedAccuracy,
    ];

    /// What a detector gets that tells nothing apart. A network that could not be trained gets it, too.
    pub const CHANCE: f64 = 0.5;

    /// The word for it in arguments; documents and stores write `_` for `-`.
    pub const fn name(self) -> &'static str {
        match self {
            Measure::Auc => "auc",
            Measure::Pauc => "pauc",
            Measure::Sensitivity => "sensitivity",
            Measure::Accuracy => "accuracy",
            Measure::MacroF1 => "macro-f1",
            Measure::BalancedAccuracy => "balanced-accuracy",
        }
    }

    /// The word for it in sentences.
    pub const fn title(self) -> &'static str {
        match self {
            Measure::Auc => "AUC",
            Measure::Pauc => "pAUC",
            Measure::Sensitivity => "sensitivity",
            Measure::Accuracy => "accuracy",
            Measure::MacroF1 => "macro-F1",
            Measure::BalancedAccuracy => "balanced accuracy",
        }
    }

    /// The word for it in sentences, after its article.
    pub const fn with_article(self) -> &'static str {
        match self {
            Measure::Auc => "an AUC",
            Measure::Pauc => "a pAUC",
            Measure::Sensitivity => "a sensitivity",
            Measure::Accuracy => "an accuracy",
            Measure::MacroF1 => "a macro-F1",
            Measure::BalancedAccuracy => "a balanced accuracy",
        }
    }

    /// Whether a table shows it although no search is steered by it.
    pub const fn is_usual(self) -> bool {
        matches!(self, Measure::Auc | Measure::Pauc)
    }
}

impl Arithmetic {
    /// Both, the float network first.
    pub const BOTH: [Arithmetic; 2] = [Arithmetic::Float, Arithmetic::Int8];

    /// The word for it in documents and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Arithmetic::Float => "float",
            Arithmetic::Int8 => "int8",
        }
    }
}

impl Part {
    /// Every part.
    pub const ALL: [Part; 2] = [Part::Steer, Part::Test];

    /// The word for it in stores.
    pub const fn name(self) -> &'static str {
        match self {
            Part::Steer => "steer",
            Part::Test => "test",
        }
    }
}

impl Figure {
    /// AUC of the int8 network on the clips that steer. Where one figure stands for a candidate, it is this.
    pub const AUC: Figure = Figure::steering(Measure::Auc);
    /// AUC of the float network, beside [`Figure::AUC`].
    pub const AUC_FLOAT: Figure = Figure::float(Measure::Auc);

    /// All figures that are computed, in the order of tables of numbers.
    pub const ALL: [Figure; 15] = [
        Figure::AUC,
        Figure::test(Measure::Auc),
        Figure::AUC_FLOAT,
        Figure::steering(Measure::Pauc),
        Figure::test(Measure::Pauc),
        Figure::float(Measure::Pauc),
        Figure::steering(Measure::Sensitivity),
        Figure::test(Measure::Sensitivity),
        Figure::float(Measure::Sensitivity),
        Figure::steering(Measure::Accuracy),
        Figure::test(Measure::Accuracy),
        Figure::steering(Measure::MacroF1),
        Figure::test(Measure::MacroF1),
        Figure::steering(Measure::BalancedAccuracy),
        Figure::test(Measure::BalancedAccuracy),
    ];

    /// The figures in the description of one trial, in its order.
    pub const TOLD: [Figure; 11] = [
        Figure::steering(Measure::Sensitivity),
        Figure::float(Measure::Sensitivity),
        Figure::test(Measure::Sensitivity),
        Figure::AUC,
        Figure::steering(Measure::Pauc),
        Figure::steering(Measure::Accuracy),
        Figure::steering(Measure::MacroF1),
        Figure::AUC_FLOAT,
        Figure::test(Measure::Auc),
        Figure::test(Measure::Accuracy),
        Figure::test(Measure::MacroF1),
    ];

    /// The measure of the int8 network on the clips that steer: a search is steered by it.
    pub const fn steering(measure: Measure) -> Figure {
        Figure {
            measure,
            arithmetic: Arithmetic::Int8,
            part: Part::Steer,
        }
    }

    /// The measure of the int8 network on the clips by which nothing is chosen.
    pub const fn test(measure: Measure) -> Figure {
        Figure {
            part: Part::Test,
            ..Figure::steering(measure)
        }
    }

    /// The measure of the float network on the clips that steer.
    pub const fn float(measure: Measure) -> Figure {
        Figure {
            arithmetic: Arithmetic::Float,
            ..Figure::steering(measure)
        }
    }

    /// The figures in documents of fronts and trials: all but the pAUC of float networks.
    pub fn documented() -> impl Iterator<Item = Figure> {
        let left_out = Figure::float(Measure::Pauc);
        Figure::ALL
            .into_iter()
            .filter(move |figure| *figure != left_out)
    }

    /// The columns of tables for readers, in their order, for a search that is steered by these measures.
    pub fn columns(steered_by: &[Measure]) -> Vec<Figure> {
        if steered_by.contains(&Measure::Sensitivity) {
            let own = Measure::Sensitivity;
            return vec![
                Figure::steering(own),
                Figure::test(own),
                Figure::float(own),
                Figure::test(Measure::Auc),
            ];
        }
        let asked = steered_by.iter().filter(|measure| !measure.is_usual());
        let both = |measure: Measure| [Figure::steering(measure), Figure::test(measure)];
        let mut columns = both(Measure::Auc).to_vec();
        columns.extend(asked.flat_map(|measure| both(*measure)));
        columns.extend([Figure::AUC_FLOAT, Figure::steering(Measure::Pauc)]);
        columns
    }

    /// The name of measure and network, for example `auc_int8`.
    pub fn metric(self) -> String {
        format!(
            "{}_{}",
            self.measure.name().replace('-', "_"),
            self.arithmetic.name()
        )
    }

    /// The name in documents, for example `test_auc_int8`.
    pub fn key(self) -> String {
        match self.part {
            Part::Steer => self.metric(),
            Part::Test => format!("{}_{}", self.part.name(), self.metric()),
        }
    }

    /// The figure with these names; `None` where they name none of [`Figure::ALL`].
    pub fn named(metric: &str, part: &str) -> Option<Figure> {
        let mut all = Figure::ALL.into_iter();
        all.find(|figure| figure.metric() == metric && figure.part.name() == part)
    }

    /// The header of its column in two lines: the measure, then the network or the clips.
    pub fn header(self) -> String {
        let below = match self.part {
            Part::Steer => self.arithmetic.name(),
            Part::Test => self.part.name(),
        };
        format!("{}\n{below}", self.measure.title())
    }

    /// The name in sentences, for example `AUC int8`.
    pub fn title(self) -> String {
        format!("{} {}", self.measure.title(), self.arithmetic.name())
    }

    const COUNT: usize = Measure::ALL.len() * Arithmetic::BOTH.len() * Part::ALL.len();

    const fn idx(self) -> usize {
        let (measure, arithmetic, part) = (
            self.measure as usize,
            self.arithmetic as usize,
            self.part as usize,
        );
        (measure * Arithmetic::BOTH.len() + arithmetic) * Part::ALL.len() + part
    }
}

/// Figures of merit of one candidate; unknown ones are missing.
#[derive(Clone, Copy, PartialEq, Default)]
pub struct Figures {
    values: [Option<f64>; Figure::COUNT],
}

impl Figures {
    /// The figures of a network that tells nothing apart, or could not be trained.
    pub const CHANCE: Figures = {
        let mut values = [None; Figure::COUNT];
        let mut idx = 0;
        while idx < Figure::ALL.len() {
            values[Figure::ALL[idx].idx()] = Some(Measure::CHANCE);
            idx += 1;
        }
        Figures { values }
    };

    /// One figure; `None` where it is unknown.
    pub const fn get(&self, figure: Figure) -> Option<f64> {
        self.values[figure.idx()]
    }

    /// The same figures with another value of `figure`.
    pub fn with(mut self, figure: Figure, value: impl Into<Option<f64>>) -> Figures {
        self.values[figure.idx()] = value.into();
        self
    }

    /// The figure of that measure that steers a search.
    pub const fn steering(&self, measure: Measure) -> Option<f64> {
        self.get(Figure::steering(measure))
    }

    /// The measure that stands for a candidate: AUC, or sensitivity where no label steers.
    pub const fn headline(&self) -> Measure {
        match self.steering(Measure::Sensitivity) {
            Some(_) => Measure::Sensitivity,
            None => Measure::Auc,
        }
    }

    /// That measure and its value for readers: `AUC 0.973`.
    pub fn told(&self) -> String {
        let measure = self.headline();
        let value = self.steering(measure).unwrap_or_default();
        format!("{} {value:.3}", measure.title())
    }

    /// All known figures, in the order of [`Figure::ALL`].
    pub fn known(&self) -> impl Iterator<Item = (Figure, f64)> {
        let known = |figure: Figure| Some((figure, self.get(figure)?));
        Figure::ALL.into_iter().filter_map(known)
    }

    /// Means of the figures that all have; `None` without figures. A figure that some lack has no mean.
    pub fn mean(each: &[Figures]) -> Option<Figures> {
        let mean = |figure: Figure| {
            let values: Option<Vec<f64>> = each.iter().map(|one| one.get(figure)).collect();
            Some(values?.iter().sum::<f64>() / each.len() as f64)
        };
        let means = || {
            let all = Figure::ALL.into_iter();
            all.fold(Figures::default(), |figures, figure| {
                figures.with(figure, mean(figure))
            })
        };
        (!each.is_empty()).then(means)
    }
}

impl FromIterator<(Figure, f64)> for Figures {
    fn from_iter<I: IntoIterator<Item = (Figure, f64)>>(known: I) -> Figures {
        let add = |figures: Figures, (figure, value)| figures.with(figure, value);
        known.into_iter().fold(Figures::default(), add)
    }
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known().map(|(figure, value)| (figure.key(), value));
        f.debug_map().entries(known).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_names_of_their_own() {
        let keys = Figure::ALL.map(Figure::key).join(" ");
        let expected = "auc_int8 test_auc_int8 auc_float pauc_int8 test_pauc_int8 pauc_float \
                        sensitivity_int8 test_sensitivity_int8 sensitivity_float \
                        accuracy_int8 test_accuracy_int8 macro_f1_int8 test_macro_f1_int8 \
                        balanced_accuracy_int8 test_balanced_accuracy_int8";
        assert_eq!(keys, expected);
        for figure in Figure::ALL {
            let named = Figure::named(&figure.metric(), figure.part.name());
            assert_eq!(named, Some(figure));
            let figures = Figures::default().with(figure, 0.25);
            assert_eq!(figures.known().collect::<Vec<_>>(), [(figure, 0.25)]);
        }
        assert_eq!(Figure::named("auc_int8", "dog"), None);
        let header = Figure::test(Measure::Accuracy).header();
        assert_eq!(header, "accuracy\ntest");
    }

    #[test]
    fn means_are_over_what_all_have() {
        assert_eq!(Figures::mean(&[]), None);
        let [low, high] = [0.5, 0.75].map(|auc| Figures::default().with(Figure::AUC, auc));
        let high = high.with(Figure::AUC_FLOAT, 0.875);
        let mean = Figures::mean(&[low, high]).unwrap();
        assert_eq!(mean, Figures::default().with(Figure::AUC, 0.625));
        let failed = Figures::mean(&[high, Figures::CHANCE]).unwrap();
        assert_eq!(failed.get(Figure::AUC_FLOAT), Some(0.6875));
        assert_eq!(failed.get(Figure::test(Measure::Auc)), None);
    }
}
