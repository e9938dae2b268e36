//! Keys and hashes that stored runs hold: they stay what they are, whatever becomes of the code.

use std::path::Path;

use nas::{
    audio::{Channel, Feature, FeatureSpec},
    data::{self, Dataset, SteerBy, synthetic},
    disturb::Kind,
    features::FeatureStore,
    space::{self, SearchSpace, Spaces},
    units::Rng,
};

tests! {
    keys_and_hashes_are_what_they_were,
}

/// A line per key or hash: what it is of, and its value.
///
/// They were written by the program before its canonical texts were written down, and never change.
const GOLDEN: &str = include_str!("golden/identity.txt");

fn keys_and_hashes_are_what_they_were() {
    let found = [networks(), data_sets(), caches()].concat();
    let found: String = found.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(found, GOLDEN, "found:\n{found}");
}

/// Networks of every space, drawn at random, and every published one.
fn networks() -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |space: SearchSpace, turns: usize| {
        let name = space.name.clone();
        let spaces = Spaces::new(vec![space], 3);
        let mut rng = Rng::new(1, 0);
        for turn in 0..turns {
            let candidate = spaces.decode(&spaces.random(&mut rng));
            let (key, network_key) = (candidate.key(), candidate.network_key());
            lines.push(format!("network {name} {turn} {key} {network_key}"));
        }
    };
    // Spaces that came later have no past to keep to.
    let is_old = |space: &SearchSpace| GOLDEN.contains(&format!("network {} 0", space.name));
    space::builtin()
        .into_iter()
        .filter(is_old)
        .for_each(|space| line(space, 4));
    space::baselines()
        .into_iter()
        .for_each(|space| line(space, 1));
    lines
}

/// Synthetic sets, the disturbed clips of one, ready features, and files.
fn data_sets() -> Vec<String> {
    let store = FeatureStore::new(None);
    let hash = |dataset: &Dataset| store.dataset_hash(dataset);
    let mut lines = Vec::new();
    for machine in synthetic::Machine::ALL {
        let dataset = synthetic::dataset(machine);
        lines.push(format!("data {} {}", dataset.name, hash(&dataset)));
    }
    let proxy =
        synthetic::dataset(synthetic::Machine::Fan).steered_by(Some(SteerBy::Proxy), &Kind::ALL);
    lines.push(format!("data proxy {}", hash(&proxy)));
    let mut ready = synthetic::dataset(synthetic::Machine::Fan);
    ready.fixed_features = Some(FeatureSpec::DCASE);
    lines.push(format!("data ready-features {}", hash(&ready)));
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    lines.push(format!("data files {}", hash(&files)));
    let proxy = files.steered_by(Some(SteerBy::Proxy), &Kind::ALL);
    lines.push(format!("data files-proxy {}", hash(&proxy)));
    lines
}

/// Files of bytes that are no sound, which a hash does not mind, in names that need escapes.
fn files(folder: &Path) -> Dataset {
    let mut dataset = synthetic::dataset(synthetic::Machine::Valve);
    dataset.clips = dataset.clips.into_iter().step_by(40).collect();
    for (idx, clip) in dataset.clips.iter_mut().enumerate() {
        let path = folder.join(format!("{idx}.wav"));
        std::fs::write(&path, [idx as u8; 9]).unwrap();
        clip.name = format!("gr\u{fc}n \"{idx}\".wav");
        clip.source = data::Source::Audio(path);
        clip.label = clip.label.filter(|_| idx % 3 > 0);
    }
    dataset
}

/// Names of files in the cache of features.
fn caches() -> Vec<String> {
    let mut dataset = synthetic::dataset(synthetic::Machine::Slider);
    dataset.clips.truncate(1);
    let mut lines = Vec::new();
    let mut line = |what: &str, channel: Channel, spec: FeatureSpec, device: bool| {
        let folder = tempfile::tempdir().unwrap();
        let mut store = FeatureStore::new(Some(folder.path().to_path_buf()));
        store.channel = channel;
        match device {
            true => store.get_device(&dataset, &spec).unwrap(),
            false => store.get(&dataset, &spec).unwrap(),
        };
        for entry in folder.path().read_dir().unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            lines.extend(
                name.ends_with(".features")
                    .then(|| format!("cache {what} {name}")),
            );
        }
    };
    let mfcc = FeatureSpec {
        feature: Feature::Mfcc { coefficients: 13 },
        n_mels: 40,
        ..FeatureSpec::DCASE
    };
    line("log-mel", Channel::Index(0), FeatureSpec::DCASE, false);
    line("device", Channel::Index(0), FeatureSpec::DCASE, true);
    line("mean", Channel::Mean, FeatureSpec::DCASE, false);
    line("mfcc", Channel::Index(1), mfcc, false);
    lines
}
