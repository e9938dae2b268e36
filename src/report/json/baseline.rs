//! Documents about published networks and evaluations.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    BoundsView, CostsView, FiguresView, IntervalView, RescoredView, SCHEMA_VERSION, intervals_of,
    task_name,
};
use crate::{
    report::{
        RunInfo, ScoredTrial,
        evaluation::{ClassTable, Examined, Merit},
    },
    score::{Arithmetic, Figure, Interval, Measure, Official, SectionFigures},
};

/// What `nas baseline NAME --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BaselineDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// Name of the published network.
    pub name: String,
    /// Name of the data set.
    pub data: String,
    /// Whether the data comes from the built-in generator.
    pub synthetic: bool,
    /// `reconstruct` (autoencoder) or `classify`.
    pub task: &'static str,
    /// Figures of merit; with `--seeds` means over the trainings.
    #[serde(flatten)]
    pub figures: FiguresView,
    /// Partial AUC of the network before quantisation, 0 to 1.
    pub pauc_float: Option<f64>,
    /// 95 % intervals of figures over clips, and over seeds where there are some, by the key of the figure.
    pub intervals: BTreeMap<String, BoundsView>,
    /// The trainings with `--seeds`; null where there was one.
    pub rescored: Option<RescoredView>,
    /// Number of weights and biases.
    pub params: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Costs by name of the target.
    pub costs: BTreeMap<String, CostsView>,
    /// DCASE's figures over all labelled test clips; null where there is no such model or data.
    pub protocol: Option<ProtocolView>,
    /// One entry per way of splitting; only with `--report`, otherwise empty.
    pub examined: Vec<ExaminedView>,
}

/// What `nas judge RUN/TRIAL --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct JudgedDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// The trial as `RUN/NUMBER`.
    pub trial: String,
    /// What steered its search: `labels` or `disturbed` sound (`stand-ins` in older runs); null where that was not recorded.
    pub steered_by: Option<String>,
    /// Size of its `model.tflite` in bytes; null where that file is gone.
    pub model_bytes: Option<u64>,
    /// Two entries: the test clips that steered no search, and all test clips.
    pub examined: Vec<ExaminedView>,
}

/// What `nas compare-approaches --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BaselinesDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// Name of the run.
    pub run: String,
    /// One document per published network.
    pub approaches: Vec<BaselineDocument>,
}

/// DCASE's figures of the int8 model.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ProtocolView {
    /// One entry per machine and section.
    pub sections: Vec<SectionView>,
    /// DCASE's official score, 0 to 1.
    pub official_score: Option<f64>,
    /// Half the width of its 95 % interval, by the jackknife.
    pub official_half_width: Option<f64>,
}

/// One section; a figure is null where it needs a kind of clips that is missing.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SectionView {
    /// Name of the machine.
    pub machine: String,
    /// Name of the section.
    pub section: String,
    /// AUC over all clips of the section, 0 to 1.
    pub auc: Option<f64>,
    /// Partial AUC over all clips of the section, 0 to 1.
    pub pauc: Option<f64>,
    /// AUC of the source domain, where the section has two domains.
    pub auc_source: Option<f64>,
    /// AUC of the target domain, where the section has two domains.
    pub auc_target: Option<f64>,
}

/// One way of splitting the data, with its figures and decisions.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ExaminedView {
    /// How the data was split.
    pub split: String,
    /// Number of trainings.
    pub trainings: usize,
    /// Number of judged test clips, summed over the folds.
    pub clips: usize,
    /// Number of labelled test clips that are shorter than a window.
    pub too_short: usize,
    /// Answers of the int8 network, where it tells classes apart; null for others.
    pub classes: Option<ClassesView>,
    /// Decisions and figures of the float network.
    pub float: DecisionsView,
    /// Decisions and figures of the int8 network.
    pub int8: DecisionsView,
}

/// The answers of the int8 network, counted over all trainings; shares are 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ClassesView {
    /// Share of right answers.
    pub accuracy: f64,
    /// Mean of the F1 of all classes.
    pub macro_f1: f64,
    /// Mean of the recall of all classes.
    pub balanced_accuracy: f64,
    /// Accuracy of always answering the most frequent class.
    pub constant_accuracy: f64,
    /// One entry per class.
    pub classes: Vec<ClassView>,
    /// Numbers of clips: a row for every true class, in it a number for every answer.
    pub confusion: Vec<Vec<usize>>,
}

/// How well a class is told from the others.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ClassView {
    /// Name of the class.
    pub name: String,
    /// Share of its answers that are right, 0 to 1.
    pub precision: f64,
    /// Share of its clips that are answered right, 0 to 1.
    pub recall: f64,
    /// Number of its clips.
    pub clips: usize,
}

impl ClassesView {
    fn new(table: ClassTable) -> Option<ClassesView> {
        let (found, constant) = (table.figures()?, table.constant()?);
        let class = |(class, name): (usize, &String)| {
            let (precision, recall, clips) = table.of_class(class);
            ClassView {
                name: name.clone(),
                precision,
                recall,
                clips,
            }
        };
        Some(ClassesView {
            accuracy: found.accuracy,
            macro_f1: found.macro_f1,
            balanced_accuracy: found.balanced_accuracy,
            constant_accuracy: constant.accuracy,
            classes: table.names.iter().enumerate().map(class).collect(),
            confusion: table.counts,
        })
    }
}

/// Means over the trainings, and the counted decisions of all trainings.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DecisionsView {
    /// Share of right decisions, 0 to 1.
    pub accuracy: Option<IntervalView>,
    /// Share of right decisions of always giving the more frequent answer, 0 to 1.
    pub constant_accuracy: Option<IntervalView>,
    /// Mean of the shares of normal and of anomalous clips that are decided rightly, 0 to 1.
    pub balanced_accuracy: Option<IntervalView>,
    /// F1 of the anomalous clips, 0 to 1.
    pub f1: Option<IntervalView>,
    /// Mean of the F1 of normal and of anomalous clips, 0 to 1.
    pub macro_f1: Option<IntervalView>,
    /// Area under the ROC curve, 0 to 1.
    pub roc_auc: Option<IntervalView>,
    /// Average precision, 0 to 1.
    pub average_precision: Option<IntervalView>,
    /// Anomalous clips that were found.
    pub true_positives: usize,
    /// Normal clips that raised an alarm.
    pub false_positives: usize,
    /// Normal clips that raised none.
    pub true_negatives: usize,
    /// Anomalous clips that were missed.
    pub false_negatives: usize,
}

impl BaselineDocument {
    /// One trained network, without `protocol` and `examined`, which the caller adds.
    pub fn new(info: &RunInfo, trial: &ScoredTrial) -> BaselineDocument {
        let names = info.targets.iter().map(|target| target.name.clone());
        BaselineDocument {
            schema_version: SCHEMA_VERSION,
            name: trial.space.clone(),
            data: info.data.clone(),
            synthetic: info.synthetic,
            task: task_name(trial.task),
            figures: FiguresView(trial.figures),
            pauc_float: trial.figures.get(Figure::float(Measure::Pauc)),
            intervals: intervals_of(trial),
            rescored: trial.seeds.as_ref().map(RescoredView::from),
            params: trial.params,
            macs: trial.macs,
            costs: names.zip(trial.costs.iter().map(CostsView::from)).collect(),
            protocol: None,
            examined: Vec::new(),
        }
    }
}

impl JudgedDocument {
    /// The document of a judged trial.
    pub fn new(
        trial: &str,
        steered_by: Option<String>,
        model_bytes: Option<u64>,
        examined: &[Examined],
    ) -> JudgedDocument {
        JudgedDocument {
            schema_version: SCHEMA_VERSION,
            trial: trial.to_string(),
            steered_by,
            model_bytes,
            examined: examined.iter().map(ExaminedView::from).collect(),
        }
    }
}

impl BaselinesDocument {
    /// The document of the run's scored trials.
    pub fn new(info: &RunInfo) -> BaselinesDocument {
        let document = |trial| BaselineDocument::new(info, trial);
        BaselinesDocument {
            schema_version: SCHEMA_VERSION,
            run: info.run.clone(),
            approaches: info.scored.iter().map(document).collect(),
        }
    }
}

impl ProtocolView {
    /// The sections with their official score.
    pub fn new(sections: &[SectionFigures], official: Option<Official>) -> ProtocolView {
        let section = |figures: &SectionFigures| SectionView {
            machine: figures.machine.clone(),
            section: figures.section.clone(),
            auc: figures.auc,
            pauc: figures.pauc,
            auc_source: figures.target.and(figures.source.auc),
            auc_target: figures.target.and_then(|target| target.auc),
        };
        ProtocolView {
            sections: sections.iter().map(section).collect(),
            official_score: official.map(|official| official.score),
            official_half_width: official.and_then(|official| official.half_width),
        }
    }
}

impl From<&Examined> for ExaminedView {
    fn from(examined: &Examined) -> ExaminedView {
        let decisions = |arithmetic: Arithmetic| {
            let merit = |merit: Merit| {
                let Interval { mean, half_width } = examined.merit(merit, arithmetic)?;
                Some(IntervalView { mean, half_width })
            };
            let confusion = examined.confusion(arithmetic);
            DecisionsView {
                accuracy: merit(Merit::Accuracy),
                constant_accuracy: merit(Merit::Constant),
                balanced_accuracy: merit(Merit::BalancedAccuracy),
                f1: merit(Merit::F1),
                macro_f1: merit(Merit::MacroF1),
                roc_auc: merit(Merit::RocAuc),
                average_precision: merit(Merit::AveragePrecision),
                true_positives: confusion.true_positives,
                false_positives: confusion.false_positives,
                true_negatives: confusion.true_negatives,
                false_negatives: confusion.false_negatives,
            }
        };
        ExaminedView {
            split: examined.split.clone(),
            trainings: examined.parts.len(),
            clips: examined.clips(),
            too_short: examined.too_short(),
            classes: examined
                .classes(Arithmetic::Int8)
                .and_then(ClassesView::new),
            float: decisions(Arithmetic::Float),
            int8: decisions(Arithmetic::Int8),
        }
    }
}
