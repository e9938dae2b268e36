//! Faint knocks in hum: what int8 loses on faults that lie beyond all normal sound.

use std::sync::atomic::AtomicBool;

use nas::{
    data,
    evaluate::{Options, Pipeline, Scorer},
    features::FeatureStore,
    quant::{Calibration, QuantizedModel, Ranges, run_float},
    score::{ThresholdRule, auc, reconstruction_error},
    space::{self, Spaces},
    train::Backend,
    units::Rng,
};

use crate::{cli::Tool, sounds};

tests! {
    int8_finds_the_knocks_that_float_finds,
    a_run_is_quantised_anew_without_training,
    a_stored_run_of_an_older_pipeline_says_so,
    a_companded_detector_is_exported,
}

const SPACE: &str = r#"
name = "small"
family = "dense-autoencoder"
[front_end]
sample_rate_hz = 16000
n_mels = [64]
n_fft = [1024]
hop_length = [512]
frames = [3]
frame_stride = [1]
[axes]
depth = [1]
width = [32]
shrink = [1.0]
bottleneck = [8]
[training]
epochs = 8
batch_size = 128
learning_rate = 0.003
windows_per_epoch = 4096
macs_per_epoch = 2.5e9
"#;

fn int8_finds_the_knocks_that_float_finds() {
    let folder = tempfile::tempdir().unwrap();
    sounds::write(folder.path(), sounds::Fault::Knocks, [80, 40], 2.0, 1);
    let dataset = data::open(folder.path()).unwrap();
    let options = Options {
        epochs: None,
        backend: Backend::Flex,
        threshold: ThresholdRule::default(),
    };
    let pipeline = Pipeline::new(dataset.clone(), FeatureStore::new(None), options).unwrap();
    let spaces = Spaces::new(vec![space::parse("small", SPACE).unwrap()], 1);
    let genome = spaces.random(&mut Rng::new(0, 0));
    let (candidate, training) = (spaces.decode(&genome), spaces.space_of(&genome).training);
    let stop = AtomicBool::new(false);
    let weights = pipeline
        .train(&candidate, &training, 0, &stop)
        .unwrap()
        .weights;
    let card = pipeline.card(&candidate).unwrap();

    let store = FeatureStore::new(None);
    let features = store
        .get_device(&dataset, &candidate.front_end.spec)
        .unwrap();
    let area = |score: &mut dyn FnMut(&nas::audio::Matrix) -> f64| {
        let (mut normal, mut anomaly) = (Vec::new(), Vec::new());
        for (clip, matrix) in dataset.clips.iter().zip(&features.clips) {
            match (clip.split, clip.label) {
                (data::Split::Test, Some(data::Label::Normal)) => normal.push(score(matrix)),
                (data::Split::Test, Some(data::Label::Anomaly)) => anomaly.push(score(matrix)),
                _ => (),
            }
        }
        auc(&normal, &anomaly).unwrap()
    };
    let standardiser = nas::features::Standardiser {
        mean: card.mean.clone(),
        std: card.std.clone(),
    };
    let frames = candidate.front_end.frames;
    let float = area(&mut |clip| {
        let clip = standardiser.apply(clip);
        let windows: Vec<&[f32]> = clip
            .values
            .windows(frames * clip.bands)
            .step_by(clip.bands)
            .collect();
        let outputs = run_float(&candidate.graph, &weights, &windows);
        let errors = windows
            .iter()
            .zip(&outputs)
            .map(|(x, y)| reconstruction_error(x, y));
        errors.sum::<f64>() / windows.len() as f64
    });
    let int8 = |model: &QuantizedModel| {
        let blob = model.to_blob();
        let mut scorer = Scorer::with(&card, &blob).unwrap();
        area(&mut |clip| scorer.clip_score(clip, 0).unwrap())
    };
    let (model, choice) = pipeline.quantize(&candidate, &weights).unwrap();
    let narrow = pipeline.calibration(&candidate, |windows| {
        let calibration = Calibration::observe(&candidate.graph, &weights, windows).unwrap();
        calibration.model(Ranges {
            tail: 1e-3,
            input: 1.0,
            others: 1.0,
        })
    });
    let (chosen, narrow) = (int8(&model), int8(&narrow.unwrap()));
    println!("float {float:.4}, narrow ranges {narrow:.4}, chosen {chosen:.4}, {choice:?}");
    assert!(
        float > 0.75,
        "float {float}: the knocks are not found at all"
    );
    // Ranges of normal sound alone lose what this is about, so that the set can tell.
    assert!(
        float - narrow > 0.03,
        "float {float}, narrow ranges {narrow}"
    );
    assert!(
        float - chosen < 0.02,
        "float {float}, int8 {chosen}, {choice:?}"
    );
    assert!(choice.kept.unwrap() > 0.8, "{choice:?}");
}

/// Equal weights give equal models, so that a run quantised anew by the same pipeline is the same again.
fn a_run_is_quantised_anew_without_training() {
    let tool = Tool::new();
    let sounds = tool.folder.path().join("sounds");
    sounds::write(&sounds, sounds::Fault::Clicks, [24, 12], 1.0, 2);
    let search = "--space dense-ae --target m7 --budget-ram 128k --trials 2 --epochs 1 --jobs 2 --name a -q --json";
    let before = tool.json(&format!("search --data {} {search}", sounds.display()));
    let after = tool.json("requantise a -q --json");
    assert_eq!(after["run"], "a-int8");
    assert_eq!(after["notes"], before["notes"]);
    for (before, after) in before["front"]
        .as_array()
        .unwrap()
        .iter()
        .zip(after["front"].as_array().unwrap())
    {
        for key in ["trial", "auc_int8", "auc_float", "test_auc_int8", "costs"] {
            assert_eq!(before[key], after[key], "{key}");
        }
        let show = |run: &str| tool.json(&format!("show {run}/{} --json", before["trial"]));
        let (old, new) = (show("a"), show("a-int8"));
        assert_eq!(old["int8"], new["int8"]);
        assert_eq!(new["int8"]["pipeline"], nas::evaluate::PIPELINE_VERSION);
        assert_eq!(
            (&old["clip_score"], &new["older_pipeline"]),
            (&new["clip_score"], &false.into())
        );
        let model = |run: &str| {
            let folder = tool
                .folder
                .path()
                .join(run)
                .join(before["trial"].to_string());
            std::fs::read(folder.join("model.nas")).unwrap()
        };
        assert_eq!(model("a"), model("a-int8"));
    }
    // A second time there is such a run already, and without weights there is nothing to make.
    let again = tool.run("requantise a");
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && said.contains("a-int8"), "{said}");
    for trial in before["front"].as_array().unwrap() {
        let folder = tool
            .folder
            .path()
            .join("a")
            .join(trial["trial"].to_string());
        std::fs::remove_file(folder.join("weights.f32")).unwrap();
    }
    let left = tool.run("requantise a --name b");
    let said = String::from_utf8_lossy(&left.stderr);
    assert!(said.contains("float weights"), "{said}");
}

/// Its models keep working, and every place that shows their scores names the pipeline that made them.
fn a_stored_run_of_an_older_pipeline_says_so() {
    let tool = Tool::new();
    tool.text(
        "search --data synthetic:fan --space dense-ae --target m7 --trials 1 --epochs 1 --jobs 2 --name a -q",
    );
    let now = format!("\"pipeline\":{}", nas::evaluate::PIPELINE_VERSION);
    let older = format!("\"pipeline\":{}", nas::evaluate::PIPELINE_VERSION - 1);
    let connection = rusqlite::Connection::open(tool.store()).unwrap();
    let changed = connection.execute(
        "UPDATE evaluations SET details_json = replace(details_json, ?1, ?2)",
        [now, older],
    );
    assert!(changed.unwrap() > 0);
    let front = tool.json("front a --json");
    let trial = &front["front"][0]["trial"];
    let shown = tool.json(&format!("show a/{trial} --json"));
    assert_eq!(shown["older_pipeline"], true);
    let check = |said: String| assert!(said.contains("older pipeline"), "{said}");
    check(tool.text(&format!("show a/{trial}")));
    check(front["notes"].to_string());
    let bundle = tool.folder.path().join("bundle").display().to_string();
    tool.text(&format!("export a/{trial} --to {bundle} --target m7"));
    tool.text(&format!("verify {bundle} --host"));
}

/// From the axis of a space to the golden vectors of a bundle; its network sees frames as the device makes them.
fn a_companded_detector_is_exported() {
    let tool = Tool::new();
    let space = tool.folder.path().join("companded.toml");
    let text = SPACE.replacen("[axes]", "companding = [3]\n[axes]", 1);
    std::fs::write(&space, text).unwrap();
    let sounds = tool.folder.path().join("sounds");
    sounds::write(&sounds, sounds::Fault::Knocks, [24, 12], 1.0, 2);
    tool.text(&format!(
        "search --data {} --space {} --target m7 --trials 1 --epochs 2 --jobs 2 --name a -q",
        sounds.display(),
        space.display()
    ));
    // The references that every run has come first or last, and may be better.
    let shown = (0..8).map(|trial| tool.run(&format!("show a/{trial} --json")));
    let shown = shown.filter(|shown| shown.status.success());
    let mut shown =
        shown.map(|shown| serde_json::from_slice::<serde_json::Value>(&shown.stdout).unwrap());
    let shown = shown.find(|shown| shown["space"] == "small").unwrap();
    let trial = &shown["trial"];
    assert_eq!(shown["front_end"]["companding"], 3);
    assert_eq!(shown["axes"]["companding"], "3");
    let bundle = tool.folder.path().join("bundle");
    tool.text(&format!(
        "export a/{trial} --to {} --target m7",
        bundle.display()
    ));
    tool.text(&format!("verify {} --host", bundle.display()));
    let read = |name: &str| std::fs::read(bundle.join(name)).unwrap();
    let document = |name: &str| serde_json::from_slice::<serde_json::Value>(&read(name)).unwrap();
    assert_eq!(document("manifest.json")["front_end"]["companding"], 3);
    assert_eq!(document("model.json")["companding"], 3);
    let readme = String::from_utf8(read("README.md")).unwrap();
    assert!(readme.contains("further than 3 deviations"), "{readme}");
    let blob = read("firmware/model/model.nas");
    assert!(
        nas_kernels::Model::parse(&blob)
            .unwrap()
            .companding()
            .is_some()
    );
}
