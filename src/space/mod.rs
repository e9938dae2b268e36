//! Search spaces: a family of networks and its axes, genomes that choose one value per axis, and their decoding.
//!
//! A space is a TOML file (`search_spaces/*.toml`) that names a [`Family`] and lists the values of its axes.
//! Structure is in Rust, values are in TOML.
//!
//! This module may not know costs or the history of a search.

mod families;
mod file;
mod training;

use std::collections::BTreeMap;

use families::AxisRule;
pub use families::Family;
pub use file::{SpaceError, baselines, builtin, load, only, parse, references, with_references};
pub use training::{Recipe, Training};

use nas_kernels::decision::ClipRule;

use crate::{
    audio::{
        Companding, FULL_RANKING, Feature, FeatureSpec, FrontEnd, MAX_POOLED_FRAMES, StatisticKind,
        Statistics,
    },
    graph::{Graph, Shape},
    identity::{self, Canonical},
    units::Rng,
};

/// The task that a network is trained for; it decides how the network scores a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Reconstructs its input; the anomaly score is the mean squared error.
    Reconstruct,
    /// Tells sections apart; the anomaly score is the negative log-odds of the clip's own section.
    Classify {
        /// Number of sections.
        classes: usize,
    },
    /// Whitens its input; the anomaly score is the distance from what is normal for the known section.
    Distance(Fit),
}

/// How a detector is fitted to normal sound in closed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fit {
    /// How the covariance is estimated.
    pub covariance: Covariance,
    /// Whether all sections share one covariance, with a mean each; otherwise each section has its own covariance.
    pub shared: bool,
    /// Whether statistics have unit variance before the covariance is shrunk; otherwise they are in dB.
    pub standardised: bool,
    /// Number of points near which normal sound of a section lies: 1 for its mean, more for a bank of centroids.
    pub points: usize,
    /// Whether every known domain of clips has its own mean; the nearer one counts.
    pub per_domain: bool,
    /// Number of sections, at least 1.
    pub sections: usize,
}

impl Fit {
    /// Most points of all sections together; few clips may give fewer.
    pub fn most_points(&self) -> usize {
        let domains = if self.per_domain { 2 } else { 1 };
        self.sections * self.points * domains
    }

    /// Number of parts of the layer's output, each as long as a point.
    pub fn blocks(&self) -> usize {
        if self.shared { 1 } else { self.sections }
    }
}

/// How a covariance is estimated from few samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Covariance {
    /// Variances alone.
    Diagonal,
    /// Shrunk towards a multiple of the identity (Ledoit and Wolf, 2004).
    LedoitWolf,
    /// The same by another share (oracle approximating shrinkage; Chen et al., 2010).
    Oas,
    /// The largest eighth of the principal components, and one variance for all others (Tipping and Bishop, 1999).
    LowRank,
}

impl Covariance {
    /// Every way, in the order of the axis.
    pub const ALL: [Covariance; 4] = [
        Covariance::Diagonal,
        Covariance::LedoitWolf,
        Covariance::Oas,
        Covariance::LowRank,
    ];

    /// The word in spaces, tables and documents.
    pub fn name(self) -> &'static str {
        match self {
            Covariance::Diagonal => "diagonal",
            Covariance::LedoitWolf => "ledoit-wolf",
            Covariance::Oas => "oas",
            Covariance::LowRank => "low-rank",
        }
    }
}

impl Task {
    /// The word in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Task::Reconstruct => "reconstruct",
            Task::Classify { .. } => "classify",
            Task::Distance(_) => "distance",
        }
    }
}

impl Canonical for Task {
    fn write_canonical(&self, text: &mut String) {
        match self {
            Task::Reconstruct => text.push_str("Reconstruct"),
            Task::Classify { classes } => {
                identity::record(text, "Classify", &[("classes", classes)]);
            }
            Task::Distance(fit) => fit.write_canonical(text),
        }
    }
}

impl Canonical for Fit {
    fn write_canonical(&self, text: &mut String) {
        let Fit {
            covariance,
            shared,
            standardised,
            points,
            per_domain,
            sections,
        } = self;
        let fields: [(&str, &dyn Canonical); 6] = [
            ("covariance", &covariance.name()),
            ("shared", shared),
            ("standardised", standardised),
            ("points", points),
            ("per_domain", per_domain),
            ("sections", sections),
        ];
        identity::record(text, "Distance", &fields);
    }
}

/// One network with its audio front end; it is costed, trained and exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Turns samples into windows of features.
    pub front_end: FrontEnd,
    /// The network, with a window of `frames x bands x 1` as its input.
    pub graph: Graph,
    /// The task that it is trained for.
    pub task: Task,
    /// The memory that an NPU reads weights from; `None` leaves it to the target.
    pub weights_in: Option<WeightMemory>,
    /// The parts of `graph`, where it is several networks side by side.
    pub ensemble: Option<Ensemble>,
    /// Where `graph` is a network whose last layer was replaced or added in closed form: what was trained.
    pub head: Option<Head>,
    /// How the scores of a clip's windows may become its score; the evaluation takes one of them.
    pub clip_rules: Vec<ClipRule>,
}

/// A network that is trained before it gets a head.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The network as it is trained.
    pub body: Graph,
    /// What it is trained to do.
    pub task: Task,
}

/// Networks of one shape; each is trained alone, and their outputs are averaged.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    /// One of the networks.
    pub member: Graph,
    /// Number of networks, at least 2.
    pub members: usize,
}

/// The memory that an NPU reads weights from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightMemory {
    /// Vela's memory mode `Shared_Sram`: activations in SRAM, weights stay in flash.
    Flash,
    /// Vela's memory mode `Sram_Only`: weights are copied to SRAM at start.
    Sram,
}

impl WeightMemory {
    /// All memories, in the order of the axis' values.
    pub const ALL: [WeightMemory; 2] = [WeightMemory::Flash, WeightMemory::Sram];

    /// The word in spaces and tables.
    pub fn name(self) -> &'static str {
        match self {
            WeightMemory::Flash => "flash",
            WeightMemory::Sram => "sram",
        }
    }
}

impl Candidate {
    /// The network to train, and how many times.
    pub fn members(&self) -> (&Graph, usize) {
        match (&self.ensemble, &self.head) {
            (None, None) => (&self.graph, 1),
            (None, Some(head)) => (&head.body, 1),
            (Some(ensemble), _) => (&ensemble.member, ensemble.members),
        }
    }

    /// The same with a score that is a distance: of an autoencoder's mean residual per band, or of a classifier's
    /// embedding. A network that cannot have such a head stays as it is.
    fn with_head(self, classes: usize) -> Candidate {
        let graph = match self.task {
            Task::Reconstruct => Some(self.graph.with_residual_head()),
            Task::Classify { .. } => self.graph.with_embedding_head(),
            Task::Distance(_) => None,
        };
        let Some(graph) = graph else {
            return self;
        };
        let fit = Fit {
            covariance: Covariance::LedoitWolf,
            shared: true,
            standardised: true,
            points: 1,
            per_domain: false,
            sections: classes.max(1),
        };
        Candidate {
            head: Some(Head {
                body: self.graph,
                task: self.task,
            }),
            graph,
            task: Task::Distance(fit),
            ..self
        }
    }

    /// What kind of network it is: what it was trained to do, also where a head scores by a distance.
    pub fn approach(&self) -> Task {
        self.head.as_ref().map_or(self.task, |head| head.task)
    }

    /// The network as it is trained, where it gets a head.
    pub fn without_head(&self) -> Candidate {
        match &self.head {
            None => self.clone(),
            Some(head) => Candidate {
                graph: head.body.clone(),
                task: head.task,
                head: None,
                ..self.clone()
            },
        }
    }

    /// A key of the front end, the network and its memory: candidates with equal keys cost the same everywhere.
    pub fn key(&self) -> String {
        let memory = self.weights_in.map_or("", WeightMemory::name);
        hash(&format!("{}{memory}", self.network_text()))
    }

    /// A key of the front end and the network: candidates with equal keys are trained alike, whatever their memory.
    pub fn network_key(&self) -> String {
        hash(&self.network_text())
    }

    fn network_text(&self) -> String {
        let mut text = self.front_end.canonical();
        self.task.write_canonical(&mut text);
        // The body follows from the graph and what it is trained to do.
        if let Some(head) = &self.head {
            head.task.write_canonical(&mut text);
        }
        self.graph.write_canonical(&mut text);
        text
    }
}

fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..32].to_string()
}

/// One axis of a space, with the values to choose from.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The name in the space's file.
    pub name: &'static str,
    /// Values in ascending order, without repeats; at most 255.
    pub values: Vec<f64>,
    /// Whether the values are names that happen to be numbers: none is nearer to one than to another.
    pub is_category: bool,
}

/// The axis of the weights' memory; its values are indices into [`WeightMemory::ALL`].
const WEIGHTS_IN: &str = "weights_in";
/// The axis of the number of networks that share a decision; a classifier's space may leave it out.
const MEMBERS: &str = "members";
/// The axis of what a network's score is: 0 as it was trained, 1 a distance in what it has learnt to see.
const HEAD: &str = "gaussian_head";
/// The axes of pooled statistics: groups of bands, which statistics, and the weight of a rank relative to the one before.
const GROUPS: &str = "groups";
const STATISTICS: &str = "statistics";
const RANKING: &str = "ranking";
/// The axis of the deviations beyond which features are compressed; 0 compresses none.
const COMPANDING: &str = "companding";
/// The axis of how a covariance is estimated; its values are places in [`Covariance::ALL`].
const COVARIANCE: &str = "covariance";
/// The axes that decide how long a window is.
const FRAMES: &str = "frames";
const HOP_LENGTH: &str = "hop_length";

impl Axis {
    /// A value as text for readers.
    pub fn show(name: &str, value: f64) -> String {
        match name {
            WEIGHTS_IN => WeightMemory::ALL[usize::from(value > 0.0)]
                .name()
                .to_string(),
            STATISTICS => show_statistics(value as u32),
            COVARIANCE => Covariance::ALL[(value as usize).min(Covariance::ALL.len() - 1)]
                .name()
                .to_string(),
            _ => value.to_string(),
        }
    }
}

/// Names of statistics: `mean+maximum`.
pub fn show_statistics(kinds: u32) -> String {
    let names = StatisticKind::ALL
        .into_iter()
        .filter(|kind| kinds & kind.bit() != 0)
        .map(|kind| match kind {
            StatisticKind::Mean => "mean",
            StatisticKind::Deviation => "deviation",
            StatisticKind::Maximum => "maximum",
            StatisticKind::Ranked => "ranked",
            StatisticKind::Difference => "difference",
        });
    names.collect::<Vec<_>>().join("+")
}

/// A family of networks, with the values of its axes.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchSpace {
    /// The name on the command line and in results.
    pub name: String,
    /// One sentence for readers; may be empty.
    pub description: String,
    /// The family that builds its networks.
    pub family: Family,
    /// Sample rate of the sound in hertz; 1000 to 192000.
    pub sample_rate_hz: u32,
    /// Axes of the front end first, then the family's, in the family's order.
    pub axes: Vec<Axis>,
    /// How its networks are trained.
    pub training: Training,
    /// How the scores of a clip's windows may become its score. An axis that costs no training, so that no genome chooses:
    /// every network is scored by all of them, and the one that steering clips favour is kept.
    pub clip_rules: Vec<ClipRule>,
    /// Samples of the shortest clip, once [`SearchSpace::for_clips`] has set it; no window is longer.
    pub clip_samples: Option<usize>,
    /// The text of the file; it is stored with results.
    pub text: String,
}

impl SearchSpace {
    /// The number of genomes whose windows fit the clips; several may decode to the same network.
    pub fn size(&self) -> u128 {
        let count = |axis: &Axis| axis.values.len() as u128;
        let all: u128 = self.axes.iter().map(count).product();
        let (Some(hops), Some(frames)) = (self.axis(HOP_LENGTH), self.axis(FRAMES)) else {
            return all;
        };
        let fitting = |hop: &f64| {
            frames
                .values
                .iter()
                .filter(|f| self.holds(**f, *hop))
                .count()
        };
        let pairs: usize = hops.values.iter().map(fitting).sum();
        all / (count(hops) * count(frames)) * pairs as u128
    }

    /// Whether this space has networks for a data set of `classes` sections; classifiers need at least two.
    pub fn suits(&self, classes: usize) -> bool {
        !self.family.needs_classes() || classes >= 2
    }

    /// The same space for given features: only the matching front end stays.
    ///
    /// `None` where the space has no front end of that kind.
    pub fn with_fixed_features(mut self, spec: &FeatureSpec) -> Option<SearchSpace> {
        let log_mel = spec.feature == Feature::LogMel;
        if !log_mel || self.family == Family::MfccMlp {
            return None;
        }
        self.sample_rate_hz = spec.sample_rate_hz;
        for (name, value) in [
            ("n_mels", spec.n_mels),
            ("n_fft", spec.n_fft),
            ("hop_length", spec.hop_length),
        ] {
            let axis = self.axes.iter_mut().find(|axis| axis.name == name)?;
            axis.values = vec![value as f64];
        }
        Some(self)
    }

    /// The same space without windows that are longer than clips of `samples` at this space's sample rate.
    ///
    /// Drops the values that fit with no value of the other axis. Among the rest, many frames and a long hop may
    /// still not fit together; no genome combines those. `None` where no window fits.
    pub fn for_clips(mut self, samples: usize) -> Option<SearchSpace> {
        self.clip_samples = Some(samples);
        let first = |name| self.axis(name)?.values.first().copied();
        let (shortest_hop, fewest_frames) = (first(HOP_LENGTH)?, first(FRAMES)?);
        let whole = self.clone();
        for axis in &mut self.axes {
            match axis.name {
                FRAMES => axis
                    .values
                    .retain(|frames| whole.holds(*frames, shortest_hop)),
                HOP_LENGTH => axis.values.retain(|hop| whole.holds(fewest_frames, *hop)),
                _ => (),
            }
        }
        self.axes
            .iter()
            .all(|axis| !axis.values.is_empty())
            .then_some(self)
    }

    /// The same space without windows that are longer than a clip at the longest hop, by the rule of older runs.
    ///
    /// `frames_at` gives the frames of a clip at a hop length. `None` where no window fits.
    pub fn with_clip_frames(mut self, frames_at: impl Fn(usize) -> usize) -> Option<SearchSpace> {
        let longest_hop = *self.axis(HOP_LENGTH)?.values.last()? as usize;
        let clip_frames = frames_at(longest_hop);
        let frames = self.axes.iter_mut().find(|axis| axis.name == FRAMES)?;
        frames.values.retain(|value| *value as usize <= clip_frames);
        (!frames.values.is_empty()).then_some(self)
    }

    fn axis(&self, name: &str) -> Option<&Axis> {
        self.axes.iter().find(|axis| axis.name == name)
    }

    /// Whether a clip has this many frames at a hop length. Frames are centred, so there is one more than hops.
    fn holds(&self, frames: f64, hop_length: f64) -> bool {
        let largest = |name| {
            let axis = self.axis(name);
            axis.and_then(|axis| axis.values.last().copied())
                .unwrap_or(0.0) as usize
        };
        let left_out = match self.axis(STATISTICS) {
            // A horizon as long as clips are fits.
            Some(_) if frames > 0.0 => {
                let n_fft = n_fft_of(largest("n_fft"), largest("n_mels"));
                overhang(n_fft, hop_length as usize)
            }
            _ => 0,
        };
        let frames = frames as usize + left_out;
        let has = |samples: usize| 1 + samples / hop_length as usize >= frames;
        self.clip_samples.is_none_or(has)
    }

    /// Whether the window that these genes choose fits the clips.
    fn fits(&self, genes: &[u8]) -> bool {
        let value = |name| {
            let idx = self.axes.iter().position(|axis| axis.name == name)?;
            Some(self.axes[idx].values[usize::from(genes[idx])])
        };
        match (value(FRAMES), value(HOP_LENGTH)) {
            (Some(frames), Some(hop_length)) => self.holds(frames, hop_length),
            _ => true,
        }
    }

    fn decode(&self, genes: &[u8], classes: usize) -> Candidate {
        let values = Values {
            axes: &self.axes,
            genes,
        };
        let front_end = self.front_end(&values);
        let [rows, columns] = front_end.window();
        let input = Shape::new(rows, columns, 1);
        let member = self.family.build(&values, input, classes);
        let members = self.axis(MEMBERS).map_or(1, |_| values.count(MEMBERS));
        let (graph, ensemble) = match members {
            1 => (member, None),
            _ => (
                member.side_by_side(members),
                Some(Ensemble { member, members }),
            ),
        };
        let weights_in = self.axes.iter().position(|axis| axis.name == WEIGHTS_IN);
        let candidate = Candidate {
            front_end,
            graph,
            task: self.family.task(&values, classes),
            weights_in: weights_in.map(|_| WeightMemory::ALL[values.count(WEIGHTS_IN)]),
            ensemble,
            clip_rules: self.clip_rules.clone(),
            head: None,
        };
        let wants_head = self.axis(HEAD).is_some_and(|_| values.count(HEAD) == 1);
        match wants_head && candidate.ensemble.is_none() {
            true => candidate.with_head(classes),
            false => candidate,
        }
    }

    fn front_end(&self, values: &Values<'_>) -> FrontEnd {
        let n_mels = values.count("n_mels");
        let n_fft = n_fft_of(values.count("n_fft"), n_mels);
        let feature = match self.family {
            Family::MfccMlp => Feature::Mfcc {
                coefficients: values.count("n_mfcc").min(n_mels),
            },
            _ => Feature::LogMel,
        };
        let hop_length = values.count("hop_length").min(n_fft);
        let frames = match values.count("frames") {
            0 => self.clip_frames(n_fft, hop_length),
            frames => frames,
        };
        FrontEnd {
            spec: FeatureSpec {
                sample_rate_hz: self.sample_rate_hz,
                n_fft,
                hop_length,
                n_mels,
                feature,
            },
            frames,
            frame_stride: values.count("frame_stride").min(frames),
            companding: match (self.axis(COMPANDING), self.axis(STATISTICS)) {
                (Some(_), None) => Companding::beyond(values.count(COMPANDING) as u8),
                // Statistics of loud and of quiet frames reach alike.
                _ => None,
            },
            statistics: self.axis(STATISTICS).map(|_| {
                let kinds = values.count(STATISTICS) as u32;
                let ranking = (values.real(RANKING) * f64::from(FULL_RANKING)).round() as u32;
                let is_ranked = kinds & StatisticKind::Ranked.bit() != 0;
                Statistics {
                    groups: values.count(GROUPS).min(n_mels),
                    kinds,
                    // Nothing else depends on it.
                    ranking: if is_ranked { ranking } else { FULL_RANKING },
                }
            }),
        }
    }

    /// The frames that lie within clips; those of ten seconds where nobody said how long clips are.
    fn clip_frames(&self, n_fft: usize, hop_length: usize) -> usize {
        let ten_seconds = 10 * self.sample_rate_hz as usize;
        let samples = self.clip_samples.unwrap_or(ten_seconds);
        let over_the_edges = 2 * overhang(n_fft, hop_length);
        let frames = (1 + samples / hop_length).saturating_sub(over_the_edges);
        frames.clamp(1, MAX_POOLED_FRAMES)
    }
}

/// The FFT of a genome's value: with fewer bins per band, the lowest Slaney filters would cover no bin at all.
fn n_fft_of(value: usize, n_mels: usize) -> usize {
    value.max((8 * n_mels).next_power_of_two())
}

/// Frames at one end of a clip that hang over its edge; windows of statistics begin after them.
fn overhang(n_fft: usize, hop_length: usize) -> usize {
    (n_fft / 2).div_ceil(hop_length)
}

/// The values that a genome chooses.
#[derive(Debug)]
pub struct Values<'a> {
    axes: &'a [Axis],
    genes: &'a [u8],
}

impl Values<'_> {
    /// The chosen value of an axis.
    pub fn real(&self, name: &str) -> f64 {
        let idx = self.axes.iter().position(|axis| axis.name == name);
        let idx = idx.expect("every axis of the family was checked when the space was read");
        self.axes[idx].values[usize::from(self.genes[idx])]
    }

    /// Whether the space has an axis of this name.
    fn has(&self, name: &str) -> bool {
        self.axes.iter().any(|axis| axis.name == name)
    }

    /// The chosen value of an axis of whole numbers.
    pub fn count(&self, name: &str) -> usize {
        self.real(name) as usize
    }
}

/// A point of the search: a space, and one value index per axis. Only [`Spaces`] makes one, so it is always valid.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Genome {
    space: u8,
    genes: Vec<u8>,
}

/// The spaces that one search covers.
#[derive(Debug, Clone, PartialEq)]
pub struct Spaces {
    spaces: Vec<SearchSpace>,
    classes: usize,
}

impl Spaces {
    /// The spaces that suit a data set of `classes` sections: classifiers need at least two.
    pub fn new(spaces: Vec<SearchSpace>, classes: usize) -> Spaces {
        let mut spaces: Vec<SearchSpace> = spaces
            .into_iter()
            .filter(|space| space.suits(classes))
            .take(usize::from(u8::MAX))
            .collect();
        // Stable. Genomes of networks are then the same with and without what is fitted.
        spaces.sort_by_key(|space| space.family.is_fitted());
        Spaces { spaces, classes }
    }

    /// Those of networks, which are trained; their genomes are the same here and there.
    pub fn trained(&self) -> Spaces {
        self.only(|space| !space.family.is_fitted())
    }

    /// The genomes of what is fitted in closed form are in the spaces from this number on.
    fn first_fitted(&self) -> usize {
        let is_fitted = |space: &SearchSpace| space.family.is_fitted();
        let first = self.spaces.iter().position(is_fitted);
        first.unwrap_or(self.spaces.len())
    }

    fn only(&self, keep: impl Fn(&SearchSpace) -> bool) -> Spaces {
        Spaces {
            spaces: self
                .spaces
                .iter()
                .filter(|space| keep(space))
                .cloned()
                .collect(),
            classes: self.classes,
        }
    }

    /// Whether a genome is fitted in closed form instead of trained.
    pub fn is_fitted(&self, genome: &Genome) -> bool {
        self.space_of(genome).family.is_fitted()
    }

    /// Whether the candidates of the space of this name are fitted in closed form.
    pub fn fits(&self, space: &str) -> bool {
        let mut fitted = self.spaces[self.fitted()].iter();
        fitted.any(|one| one.name == space)
    }

    /// The numbers of the spaces of what is fitted in closed form.
    pub fn fitted(&self) -> std::ops::Range<usize> {
        self.first_fitted()..self.spaces.len()
    }

    /// A genome of one space with every choice equally likely.
    pub fn random_of(&self, space: usize, rng: &mut Rng) -> Genome {
        let axes = &self.spaces[space].axes;
        self.fitting(|| Genome {
            space: space as u8,
            genes: axes
                .iter()
                .map(|axis| rng.below(axis.values.len()) as u8)
                .collect(),
        })
    }

    /// Spaces without meaning, for tests of samplers: for each space, the number of values of each axis.
    #[cfg(test)]
    pub(crate) fn with_axis_sizes(axis_sizes: Vec<Vec<u8>>) -> Spaces {
        let space = |sizes: Vec<u8>| SearchSpace {
            axes: sizes
                .into_iter()
                .map(|size| Axis {
                    name: "axis",
                    values: (0..size).map(f64::from).collect(),
                    is_category: false,
                })
                .collect(),
            ..builtin().swap_remove(0)
        };
        Spaces {
            spaces: axis_sizes.into_iter().map(space).collect(),
            classes: 1,
        }
    }

    /// The spaces, in the order that genomes count them.
    pub fn spaces(&self) -> &[SearchSpace] {
        &self.spaces
    }

    /// Whether no space suits the data set.
    pub fn is_empty(&self) -> bool {
        self.spaces.is_empty()
    }

    /// The number of genomes in all spaces.
    pub fn size(&self) -> u128 {
        self.spaces.iter().map(SearchSpace::size).sum()
    }

    /// The space that a genome belongs to.
    pub fn space_of(&self, genome: &Genome) -> &SearchSpace {
        &self.spaces[usize::from(genome.space)]
    }

    /// The candidate of a genome.
    pub fn decode(&self, genome: &Genome) -> Candidate {
        self.space_of(genome).decode(&genome.genes, self.classes)
    }

    /// A random genome: each space and each value is equally likely, however large the space.
    pub fn random(&self, rng: &mut Rng) -> Genome {
        let space = rng.below(self.spaces.len());
        self.random_of(space, rng)
    }

    /// A genome that differs in one or two axes, mostly by one step; one time in twenty it is a random genome of any
    /// space.
    pub fn mutate(&self, genome: &Genome, rng: &mut Rng) -> Genome {
        if self.spaces.len() > 1 && rng.below(20) == 0 {
            return self.random(rng);
        }
        self.vary(genome, rng)
    }

    /// A genome of the same space that differs in one or two axes, mostly by one step.
    pub fn vary(&self, genome: &Genome, rng: &mut Rng) -> Genome {
        let axes = &self.space_of(genome).axes;
        let free: Vec<usize> = (0..axes.len())
            .filter(|&idx| axes[idx].values.len() > 1)
            .collect();
        if free.is_empty() {
            return genome.clone();
        }
        self.fitting(|| {
            let mut child = genome.clone();
            for _ in 0..1 + rng.below(2) {
                let idx = free[rng.below(free.len())];
                child.genes[idx] = other_value(child.genes[idx], &axes[idx], rng);
            }
            child
        })
    }

    /// A genome that takes each axis from one of its parents; a mutant of the first where the parents are of
    /// different spaces.
    pub fn crossover(&self, a: &Genome, b: &Genome, rng: &mut Rng) -> Genome {
        if a.space != b.space {
            return self.mutate(a, rng);
        }
        self.fitting(|| {
            let pick = |(a, b): (&u8, &u8)| if rng.below(2) == 0 { *a } else { *b };
            Genome {
                space: a.space,
                genes: a.genes.iter().zip(&b.genes).map(pick).collect(),
            }
        })
    }

    /// The first drawn genome whose window fits the clips.
    ///
    /// It comes soon: every value of an axis fits with some values of the other, and fewer frames and shorter hops
    /// always fit.
    fn fitting(&self, mut draw: impl FnMut() -> Genome) -> Genome {
        loop {
            let genome = draw();
            if self.space_of(&genome).fits(&genome.genes) {
                return genome;
            }
        }
    }

    /// The genome as bytes, for the store.
    pub fn encode(&self, genome: &Genome) -> Vec<u8> {
        std::iter::once(genome.space)
            .chain(genome.genes.iter().copied())
            .collect()
    }

    /// The genome that [`Spaces::encode`] wrote; `None` where these spaces have no such point.
    pub fn decode_bytes(&self, bytes: &[u8]) -> Option<Genome> {
        let (&space, genes) = bytes.split_first()?;
        let known = self.spaces.get(usize::from(space))?;
        let has = |(axis, gene): (&Axis, &u8)| usize::from(*gene) < axis.values.len();
        let is_point = known.axes.len() == genes.len() && known.axes.iter().zip(genes).all(has);
        (is_point && known.fits(genes)).then(|| Genome {
            space,
            genes: genes.to_vec(),
        })
    }

    /// Every genome that differs from this one in one axis: by one step where the axis is ordered, by any value of a
    /// category.
    pub fn neighbours(&self, genome: &Genome) -> Vec<Genome> {
        let space = self.space_of(genome);
        let mut all = Vec::new();
        for (idx, axis) in space.axes.iter().enumerate() {
            let current = genome.genes[idx];
            let others = (0..axis.values.len() as u8).filter(|gene| match axis.is_category {
                true => *gene != current,
                false => gene.abs_diff(current) == 1,
            });
            all.extend(others.map(|gene| {
                let mut other = genome.clone();
                other.genes[idx] = gene;
                other
            }));
        }
        all.retain(|other| space.fits(&other.genes));
        all
    }

    /// Each axis of a genome as a number: the place of its value among the axis' values, 0 for the first and 1 for the
    /// last, or the value itself of a category. An axis that changes nothing for this genome is at 0, whatever its value.
    pub fn places(&self, genome: &Genome) -> Vec<f64> {
        let space = self.space_of(genome);
        let idle = space.family.idle(&Values {
            axes: &space.axes,
            genes: &genome.genes,
        });
        let place = |(axis, gene): (&Axis, &u8)| {
            let last = (axis.values.len() - 1).max(1);
            match axis.is_category {
                _ if idle.contains(&axis.name) => 0.0,
                true => axis.values[usize::from(*gene)],
                false => f64::from(*gene) / last as f64,
            }
        };
        space.axes.iter().zip(&genome.genes).map(place).collect()
    }

    /// The chosen values of a genome by axis name, for readers.
    pub fn explain(&self, genome: &Genome) -> Vec<(&'static str, String)> {
        let axes = &self.space_of(genome).axes;
        let value = |(axis, gene): (&Axis, &u8)| {
            let value = axis.values[usize::from(*gene)];
            (axis.name, Axis::show(axis.name, value))
        };
        axes.iter().zip(&genome.genes).map(value).collect()
    }

    /// The genome of the space of this name whose axes have these values, as [`Spaces::explain`] shows them.
    ///
    /// An axis with one value needs no mention, and names that the space does not have do not matter. `None` where there is no
    /// such space, or an axis lacks its value.
    pub fn find(&self, space: &str, values: &BTreeMap<String, String>) -> Option<Genome> {
        let place = self.spaces.iter().position(|one| one.name == space)?;
        let gene = |axis: &Axis| match values.get(axis.name) {
            Some(value) => axis
                .values
                .iter()
                .position(|one| Axis::show(axis.name, *one) == *value)
                .map(|idx| idx as u8),
            None => (axis.values.len() == 1).then_some(0),
        };
        let genes: Option<Vec<u8>> = self.spaces[place].axes.iter().map(gene).collect();
        let genome = Genome {
            space: place as u8,
            genes: genes?,
        };
        self.decode_bytes(&self.encode(&genome))
    }
}

/// Index of another value: a neighbour two times in three where the axis is ordered.
fn other_value(current: u8, axis: &Axis, rng: &mut Rng) -> u8 {
    let (current, len) = (usize::from(current), axis.values.len());
    let near = !axis.is_category && rng.below(3) < 2;
    let next = match (near, rng.below(2)) {
        (true, 0) if current > 0 => current - 1,
        (true, _) if current + 1 < len => current + 1,
        (true, _) => current - 1,
        (false, _) => (current + 1 + rng.below(len - 1)) % len,
    };
    next as u8
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn all() -> Spaces {
        Spaces::new(builtin(), 3)
    }

    #[test]
    fn every_random_genome_decodes_to_a_sound_network() {
        let spaces = all();
        let mut rng = Rng::new(1, 0);
        for _ in 0..2000 {
            let genome = spaces.random(&mut rng);
            let candidate = spaces.decode(&genome);
            let graph = &candidate.graph;
            let [rows, columns] = candidate.front_end.window();
            assert_eq!(graph.input_shape(), Shape::new(rows, columns, 1));
            let input = graph.input_shape();
            match candidate.task {
                Task::Reconstruct => assert_eq!(graph.output_shape().len(), input.len()),
                Task::Classify { classes } => assert_eq!(graph.output_shape().len(), classes),
                Task::Distance(fit) => {
                    // A point is as long as what the layer whitens.
                    let whitened = match candidate.head {
                        None => input.len(),
                        Some(_) => graph.tensors[graph.ops.last().unwrap().inputs[0]].len(),
                    };
                    assert_eq!(graph.output_shape().len(), fit.blocks() * whitened);
                }
            }
            let front_end = candidate.front_end;
            assert!(front_end.spec.hop_length <= front_end.spec.n_fft);
            assert!(front_end.spec.n_fft >= 8 * front_end.spec.n_mels);
            assert_eq!(spaces.decode_bytes(&spaces.encode(&genome)), Some(genome));
        }
    }

    /// What `places` calls idle is so: another value gives the same network.
    #[test]
    fn idle_axes_change_nothing() {
        let spaces = all();
        let mut rng = Rng::new(3, 0);
        let mut idle = 0;
        for _ in 0..500 {
            let genome = spaces.random(&mut rng);
            for other in spaces.neighbours(&genome) {
                if spaces.places(&genome) == spaces.places(&other) {
                    idle += 1;
                    assert_eq!(spaces.decode(&genome).key(), spaces.decode(&other).key());
                }
            }
        }
        assert!(idle > 50, "{idle}");
    }

    #[test]
    fn moves_stay_in_the_space() {
        let spaces = all();
        let mut rng = Rng::new(2, 0);
        let mut genome = spaces.random(&mut rng);
        let mut changed = 0;
        for _ in 0..2000 {
            let other = spaces.random(&mut rng);
            let child = spaces.crossover(&genome, &other, &mut rng);
            let mutant = spaces.mutate(&child, &mut rng);
            changed += usize::from(mutant != child);
            assert!(spaces.decode_bytes(&spaces.encode(&mutant)).is_some());
            genome = mutant;
        }
        // A mutant equals its parent only where a second change undoes the first.
        assert!(changed > 1900, "{changed} of 2000 mutants differ");
    }

    #[test]
    fn equal_networks_have_equal_keys() {
        let spaces = all();
        let mut rng = Rng::new(3, 0);
        let mut seen: HashSet<String> = HashSet::new();
        let mut graphs: Vec<(String, Candidate)> = Vec::new();
        for _ in 0..300 {
            let candidate = spaces.decode(&spaces.random(&mut rng));
            let key = candidate.key();
            if seen.insert(key.clone()) {
                assert!(graphs.iter().all(|(_, other)| *other != candidate));
                graphs.push((key, candidate));
            } else {
                assert!(
                    graphs
                        .iter()
                        .any(|(other_key, other)| *other_key == key && *other == candidate)
                );
            }
        }
    }

    #[test]
    fn where_weights_lie_changes_costs_and_not_the_network() {
        let text = include_str!("../../search_spaces/dense-ae.toml");
        let text = format!("{text}\n[deployment]\nweights_in = [\"sram\", \"flash\"]\n");
        let with = Spaces::new(vec![parse("x.toml", &text).unwrap()], 1);
        let without = Spaces::new(vec![builtin().swap_remove(0)], 1);
        assert_eq!(with.size(), 2 * without.size());
        let genome = without.random(&mut Rng::new(1, 0));
        let plain = without.decode(&genome);
        let placed = [0, 1].map(|gene| {
            let mut bytes = without.encode(&genome);
            bytes.push(gene);
            let genome = with.decode_bytes(&bytes).unwrap();
            (with.decode(&genome), with.explain(&genome).pop().unwrap())
        });
        let [(flash, first), (sram, second)] = placed;
        assert_eq!(first, ("weights_in", "flash".to_string()));
        assert_eq!(second, ("weights_in", "sram".to_string()));
        assert_eq!(plain.weights_in, None);
        assert_eq!(plain.network_key(), plain.key());
        assert_eq!(plain.key(), sram.network_key());
        assert_eq!(flash.network_key(), sram.network_key());
        assert_ne!(flash.key(), sram.key());
    }

    #[test]
    fn companding_is_part_of_the_candidate_and_none_is_as_before() {
        let text = include_str!("../../search_spaces/dense-ae.toml");
        let text = text.replacen("[axes]", "companding = [0, 3]\n[axes]", 1);
        let with = Spaces::new(vec![parse("x.toml", &text).unwrap()], 1);
        let without = Spaces::new(vec![builtin().swap_remove(0)], 1);
        let genome = without.random(&mut Rng::new(1, 0));
        let [plain, companded] = [0, 1].map(|gene| {
            let mut bytes = without.encode(&genome);
            bytes.push(gene);
            with.decode(&with.decode_bytes(&bytes).unwrap())
        });
        assert_eq!(plain, without.decode(&genome));
        assert_eq!(companded.front_end.companding, Companding::beyond(3));
        assert_ne!(plain.network_key(), companded.network_key());
        assert_eq!(plain.graph, companded.graph);
    }

    #[test]
    fn classifiers_need_two_sections() {
        let spaces = Spaces::new(builtin(), 1);
        assert!(
            spaces
                .spaces()
                .iter()
                .all(|space| !space.family.needs_classes())
        );
        assert!(!spaces.is_empty());
    }
}
