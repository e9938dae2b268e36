//! Nothing about the data stays unsaid: what is not used, what misleads, and what became of it.

use std::{
    f64::consts::TAU,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use nas::{
    audio::{self, Channel, DeviceExtractor},
    evaluate::{Model, Scorer},
    units::Rng,
};
use serde_json::Value;

use crate::cli::Tool;

tests! {
    clips_that_cannot_be_read_are_counted_everywhere,
    every_command_reads_alike,
    samples_that_are_no_shares_of_full_scale_are_refused,
    properties_that_tell_labels_apart_are_named,
    files_that_are_no_clips_are_named,
    clips_padded_with_zeros_spoil_nothing,
    what_misleads_in_sound_is_named,
    a_score_says_which_clips_trained_it,
    models_belong_to_their_store,
    a_search_says_what_it_leaves_out,
    disturbed_sound_is_said_wherever_a_score_is,
    a_network_no_better_than_a_constant_is_on_no_front,
    classes_of_folders_are_told_apart,
    labels_of_folders_are_learnt,
    a_found_detector_is_used_elsewhere,
    features_are_rebuilt_from_the_card_alone,
}

/// Hum of 1.5 s with harmonics and noise; what is faulty whistles in bursts. As in `cases/data`.
fn tone(seed: u64, is_faulty: bool, rate_hz: u32) -> Vec<f64> {
    let mut rng = Rng::new(seed, 18);
    let phase = 6.0 * rng.uniform();
    let count = rate_hz * 3 / 2;
    (0..count)
        .map(|idx| {
            let t = f64::from(idx) / f64::from(rate_hz);
            let hum = (TAU * 200.0 * t + phase).sin() + 0.5 * (TAU * 600.0 * t).sin();
            let whistle = match is_faulty && (TAU * 5.0 * t).sin() > 0.0 {
                true => 0.05 * (TAU * 1460.0 * t).sin(),
                false => 0.0,
            };
            0.2 * hum + 0.05 * rng.normal() + whistle
        })
        .collect()
}

/// The bytes of a WAV file with this format tag: 1 for whole numbers of 16 bits, 3 for floating point of so many bits.
fn wav(channels: &[&[f64]], rate_hz: u32, (tag, bits): (u16, u16)) -> Vec<u8> {
    let mut data = Vec::new();
    for moment in 0..channels[0].len() {
        for channel in channels {
            let sample = channel[moment];
            match (tag, bits) {
                (3, 64) => data.extend(sample.to_le_bytes()),
                (3, _) => data.extend((sample as f32).to_le_bytes()),
                _ => data.extend(((sample * 32767.0).round() as i16).to_le_bytes()),
            }
        }
    }
    let count = channels.len() as u16;
    let block = count * bits / 8;
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    file.extend([tag.to_le_bytes(), count.to_le_bytes()].concat());
    file.extend(rate_hz.to_le_bytes());
    file.extend((rate_hz * u32::from(block)).to_le_bytes());
    file.extend([block.to_le_bytes(), bits.to_le_bytes()].concat());
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

const INT16: (u16, u16) = (1, 16);

fn plain(sound: &[f64]) -> Vec<u8> {
    wav(&[sound], 16_000, INT16)
}

fn put(path: PathBuf, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A data set of folders `normal` and `abnormal`, with so many clips of either kind.
fn machine(folder: &Path, normal: u64, faulty: u64) -> PathBuf {
    let root = folder.join("machine");
    for idx in 0..normal {
        let path = root.join(format!("normal/n{idx:02}.wav"));
        put(path, plain(&tone(idx, false, 16_000)));
    }
    for idx in 0..faulty {
        let path = root.join(format!("abnormal/a{idx:02}.wav"));
        put(path, plain(&tone(50 + idx, true, 16_000)));
    }
    root
}

const SEARCH: &str = "search --space level-mean --jobs 1 --device cpu --name r";

/// Standard error of a command, and whether it succeeded.
fn said(tool: &Tool, arguments: &str) -> (bool, String) {
    let output = tool.run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), errors)
}

fn notes(document: &Value) -> String {
    let notes = document["notes"].as_array().unwrap().iter();
    let notes: Vec<&str> = notes.map(|note| note.as_str().unwrap()).collect();
    notes.join("\n")
}

#[track_caller]
fn has(text: &str, part: &str) {
    assert!(text.contains(part), "`{part}` is not in:\n{text}");
}

fn clips_that_cannot_be_read_are_counted_everywhere() {
    let tool = Tool::new();
    let data = machine(tool.folder.path(), 30, 24);
    for idx in 4..24 {
        let path = data.join(format!("abnormal/a{idx:02}.wav"));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    let data = data.display();
    let info = tool.json(&format!("data info {data} --json"));
    assert_eq!(info["unreadable"].as_array().unwrap().len(), 20);

    let search = format!("{SEARCH} --data {data}");
    let (succeeded, errors) = said(&tool, &search);
    assert!(!succeeded);
    has(
        &errors,
        "20 of 24 clips with the label `anomaly` cannot be used",
    );
    has(&errors, "--allow-skipped");
    let (succeeded, errors) = said(&tool, &format!("{search} --allow-skipped"));
    assert!(succeeded, "{errors}");
    let sentence = "20 clips left out, because they cannot be used: abnormal/a04.wav (truncated";
    has(&errors, sentence);
    has(&notes(&tool.json("front r --json")), sentence);
    has(&tool.text("front r"), sentence);
    tool.text("report r");
    let page = fs::read_to_string(tool.folder.path().join("r/report.html")).unwrap();
    has(&page, sentence);
    has(&said(&tool, "judge r/0").1, sentence);
    has(&said(&tool, "rescore r --seeds 1").1, sentence);
    let scored = tool.json(&format!("score r/0 --data {data} --json"));
    assert_eq!(scored["skipped"].as_array().unwrap().len(), 20);
    assert_eq!(scored["clips"].as_array().unwrap().len(), 34);
}

/// `data info`, a search and a score agree on what can be read.
fn every_command_reads_alike() {
    let tool = Tool::new();
    let data = machine(tool.folder.path(), 30, 8);
    let sound = tone(99, true, 16_000);
    let file = plain(&sound);
    let put = |name: &str, bytes: Vec<u8>| put(data.join("abnormal").join(name), bytes);
    let odd = b"LIST\x11\0\0\0INFOIART\x05\0\0\0Fan-7\0";
    put(
        "good-odd-chunk.wav",
        [&file[..36], odd, &file[36..]].concat(),
    );
    for (name, length) in [
        ("good-from-a-pipe.wav", [0xFF; 4]),
        ("good-length-0.wav", [0; 4]),
    ] {
        put(name, [&file[..40], &length, &file[44..]].concat());
    }
    put("good-float64.wav", wav(&[&sound], 16_000, (3, 64)));
    let flac = include_bytes!("golden/sine.flac").to_vec();
    put("good-flac-called.wav", flac);
    put("bad-cut-off.wav", file[..file.len() - 9000].to_vec());
    put("bad-9-channels.wav", wav(&[&sound[..]; 9], 16_000, INT16));
    let mut with_nan = sound.clone();
    with_nan[100] = f64::NAN;
    put("bad-nan.wav", wav(&[&with_nan], 16_000, (3, 32)));
    put("bad-rate-1-hz.wav", wav(&[&sound], 1, INT16));

    let data = data.display();
    let of = |list: &Value| -> Vec<String> {
        let names = list.as_array().unwrap().iter();
        let mut names: Vec<String> = names
            .map(|pair| pair[0].as_str().unwrap().to_string())
            .collect();
        names.sort();
        names
    };
    let bad = ["9-channels", "cut-off", "nan", "rate-1-hz"]
        .map(|name| format!("abnormal/bad-{name}.wav"));
    let info = tool.json(&format!("data info {data} --json"));
    assert_eq!(of(&info["unreadable"]), bad);
    let search = format!("{SEARCH} --data {data} --allow-skipped");
    has(
        &said(&tool, &search).1,
        "4 clips left out, because they cannot be used",
    );
    let scored = tool.json(&format!("score r/0 --data {data} --json"));
    // It can be read, and lasts a third of a second.
    let short = "abnormal/good-flac-called.wav";
    let found = of(&scored["skipped"]);
    assert_eq!(found, [&bad[..], &[short.to_string()]].concat());
}

/// Floating-point samples in steps of 16 bits, and sound that is below one step.
fn samples_that_are_no_shares_of_full_scale_are_refused() {
    fn check(factor: f64, expected: &str) {
        let tool = Tool::new();
        for (kind, count, first) in [("normal", 30, 0), ("abnormal", 16, 50)] {
            for idx in 0..count {
                let sound = tone(first + idx, kind == "abnormal", 16_000);
                let sound: Vec<f64> = sound.iter().map(|sample| factor * sample).collect();
                let path = tool.folder.path().join(format!("d/{kind}/{idx:02}.wav"));
                put(path, wav(&[&sound], 16_000, (3, 32)));
            }
        }
        let data = tool.folder.path().join("d");
        let (succeeded, errors) = said(&tool, &format!("{SEARCH} --data {}", data.display()));
        assert_eq!(succeeded, expected.is_empty(), "{errors}");
        has(&errors, expected);
    }
    check(1.0, "");
    check(
        32768.0,
        "where full scale is 1: steps of 16 bits, it seems; divide them by 32768",
    );
    check(1.0 / 200_000.0, "is digital silence to a device of 16 bits");
}

fn properties_that_tell_labels_apart_are_named() {
    let tool = Tool::new();
    let data = machine(tool.folder.path(), 40, 0);
    for idx in 0..16 {
        let sound = tone(50 + idx, false, 8_000);
        let path = data.join(format!("abnormal/a{idx:02}.wav"));
        put(path, wav(&[&sound], 8_000, INT16));
    }
    let sentence = "the sample rate alone tells normal clips from anomalous ones with AUC 1.00";
    let data = data.display();
    has(
        &notes(&tool.json(&format!("data info {data} --json"))),
        sentence,
    );
    let errors = said(&tool, &format!("{SEARCH} --data {data}")).1;
    has(&errors, sentence);
    has(&errors, "16 clips of 8000 Hz: resampled to 16000 Hz");
    has(&notes(&tool.json("front r --json")), sentence);
}

fn files_that_are_no_clips_are_named() {
    use std::os::unix::ffi::OsStrExt;
    let tool = Tool::new();
    let data = machine(tool.folder.path(), 30, 12);
    let folder = data.join("abnormal");
    let good = fs::read(folder.join("a00.wav")).unwrap();
    for idx in 0..8u8 {
        fs::write(folder.join(format!("m{idx}.mp3")), "ID3xxxxxxxx").unwrap();
        fs::write(folder.join(format!("z{idx}.wav")), "").unwrap();
        let name = [b"gr\xfcn", &[b'0' + idx][..], b".wav"].concat();
        fs::write(folder.join(std::ffi::OsStr::from_bytes(&name)), &good).unwrap();
    }
    let data = data.display();
    let info = tool.json(&format!("data info {data} --json"));
    assert_eq!(info["left_out"].as_array().unwrap().len(), 16);
    assert_eq!(info["unreadable"].as_array().unwrap().len(), 8);
    let notes = notes(&info);
    has(
        &notes,
        "8 files left out, because it is empty: abnormal/z0.wav",
    );
    has(
        &notes,
        "8 files left out, because its name is not UTF-8: abnormal/gr",
    );
    let (succeeded, errors) = said(&tool, &format!("{SEARCH} --data {data}"));
    assert!(!succeeded);
    has(
        &errors,
        "8 of 20 clips with the label `anomaly` cannot be used",
    );
}

/// A tenth of the clips padded with zeros changes no score of the others by much.
fn clips_padded_with_zeros_spoil_nothing() {
    let auc = |share_padded: u64| {
        let tool = Tool::new();
        let data = machine(tool.folder.path(), 40, 12);
        for idx in 0..4 * share_padded {
            let path = data.join(format!("normal/n{:02}.wav", 10 * idx + 3));
            let mut sound = tone(10 * idx + 3, false, 16_000);
            sound.truncate(16_000);
            sound.resize(24_000, 0.0);
            put(path, plain(&sound));
        }
        let data = data.display();
        let search = format!(
            "search --space dense-ae --trials 1 --epochs 5 --jobs 1 --device cpu --name r --data {data}"
        );
        let errors = said(&tool, &search).1;
        let sentence =
            "with digital silence, 2.0 s in all: windows that touch it neither train nor count";
        assert_eq!(errors.contains(sentence), share_padded > 0, "{errors}");
        let scored = tool.json(&format!("score r/0 --data {data} --json"));
        assert_eq!(notes(&scored).contains("digital silence"), share_padded > 0);
        scored["auc_int8"].as_f64().unwrap()
    };
    let (clean, padded) = (auc(0), auc(1));
    // Other windows train, so figures differ a little; zeros as sound took this to chance.
    assert!((clean - padded).abs() < 0.1, "{clean} {padded}");
}

fn what_misleads_in_sound_is_named() {
    let tool = Tool::new();
    let data = machine(tool.folder.path(), 20, 8);
    let sound = tone(7, false, 16_000);
    let changed =
        |change: &dyn Fn(f64) -> f64| -> Vec<f64> { sound.iter().copied().map(change).collect() };
    let put = |name: &str, bytes: Vec<u8>| put(data.join("normal").join(name), bytes);
    let silent = vec![0.0; sound.len()];
    put("x0.wav", wav(&[&silent, &sound], 16_000, INT16));
    put("x1.wav", plain(&silent));
    put("x2.wav", wav(&[&changed(&|s| 4.0 * s)], 16_000, (3, 32)));
    put("x3.wav", plain(&changed(&|s| s / 4000.0)));
    put("x4.wav", plain(&changed(&|s| (4.0 * s).clamp(-1.0, 1.0))));
    put("x5.wav", plain(&changed(&|s| s + 0.1)));
    // Recordings that train, again among those that test: the middle of one, and one at half its level.
    put("y0.wav", plain(&tone(1, false, 16_000)[4001..20_001]));
    let halved: Vec<f64> = tone(2, false, 16_000).iter().map(|s| s / 2.0).collect();
    put("y1.wav", plain(&halved));
    let info = tool.json(&format!("data info {} --json", data.display()));
    let notes = notes(&info);
    for sentence in [
        "1 clip with 2 channels: only the first is used",
        "1 clip whose first channel, which is used, is silent while another sounds: normal/x0.wav",
        "1 clip of digital silence: they neither train nor count: normal/x1.wav",
        "1 clip beyond full scale",
        "1 clip within",
        "which a device of 16 bits cuts off: normal/x2.wav",
        "make them louder: normal/x3.wav",
        "(clipping): normal/x4.wav",
        "1 clip with a constant offset above 1 % of full scale: normal/x5.wav",
        "2 test clips of the sound of training clips",
        "scores will be too good: normal/y0.wav as normal/n01.wav, normal/y1.wav as normal/n02.wav",
    ] {
        has(&notes, sentence);
    }
}

fn a_score_says_which_clips_trained_it() {
    let tool = Tool::new();
    let data = machine(tool.folder.path(), 30, 8);
    let data = data.display();
    let (succeeded, errors) = said(&tool, &format!("{SEARCH} --data {data}"));
    assert!(succeeded, "{errors}");
    let check = |of: &str, trained: u64| {
        let scored = tool.json(&format!("score r/0 --data {of} --json"));
        assert_eq!(scored["trained_on"].as_u64(), Some(trained), "{of}");
        let says = notes(&scored).contains("trained the model: their scores are too low");
        assert_eq!(says, trained > 0);
    };
    check(&data.to_string(), 24);
    // The content counts, not the name.
    let copies = tool.folder.path().join("copies");
    for idx in 0..30 {
        let from = tool
            .folder
            .path()
            .join(format!("machine/normal/n{idx:02}.wav"));
        put(
            copies.join(format!("copy{idx}.wav")),
            fs::read(from).unwrap(),
        );
    }
    check(&copies.display().to_string(), 24);
    let others = tool.folder.path().join("others");
    put(others.join("x.wav"), plain(&tone(500, false, 16_000)));
    check(&others.display().to_string(), 0);
}

/// Two stores in one folder keep their models apart; a model that is gone or replaced is noticed.
fn models_belong_to_their_store() {
    let tool = Tool::new();
    let data = machine(tool.folder.path(), 30, 12);
    let search = |store: &str, name: &str, data: &str, seed: u64| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nas"));
        command.current_dir(tool.folder.path()).args([
            "search", "-q", "--space", "dense-ae", "--jobs", "1", "--device", "cpu", "--trials",
            "1", "--epochs", "1", "--name", name, "--store", store, "--data", data, "--seed",
        ]);
        let output = command.arg(seed.to_string()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), errors)
    };
    let data = data.to_str().unwrap();
    let model = |store: &str, number: &str| {
        let folder = tool.folder.path().join(format!("{store}.runs/base"));
        folder.join(number).join("model.tflite")
    };
    assert!(search("fan.sqlite", "base", data, 1).0);
    let trained = fs::read_dir(tool.folder.path().join("fan.runs/base")).unwrap();
    let numbers: Vec<String> = trained
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.parse::<u64>().is_ok())
        .collect();
    let number = numbers
        .iter()
        .max_by_key(|name| name.parse::<u64>().unwrap())
        .unwrap();
    let before = fs::read(model("fan", number)).unwrap();
    assert!(search("pump.sqlite", "base", data, 7).0);
    assert_eq!(fs::read(model("fan", number)).unwrap(), before);

    let score = |run: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nas"));
        let trial = format!("{run}/{number}");
        command.current_dir(tool.folder.path()).args([
            "score",
            &trial,
            "--store",
            "fan.sqlite",
            "--data",
            data,
        ]);
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), errors)
    };
    fs::write(
        model("fan", number),
        fs::read(model("pump", number)).unwrap_or_default(),
    )
    .unwrap();
    let (succeeded, errors) = score("base");
    assert!(!succeeded, "{errors}");
    // Another search takes over what is stored, but trains anew what has lost its files.
    assert!(search("fan.sqlite", "again", data, 1).0);
    assert!(score("again").0);
    let folder = tool.folder.path().join("fan.runs/again");
    assert_eq!(
        fs::read(folder.join(number).join("model.tflite")).unwrap(),
        before
    );
    for store in [":memory:", "file:x?mode=memory"] {
        let (succeeded, errors) = search(store, "base", data, 1);
        assert!(!succeeded);
        has(&errors, "is no file: models lie beside a store");
    }
}

/// What a search says where it cannot do what was asked.
fn a_search_says_what_it_leaves_out() {
    let tool = Tool::new();
    let data = machine(tool.folder.path(), 30, 12);
    let data = data.display();
    let search = format!(
        "search --space mfcc-mlp --space level-mean --jobs 1 --device cpu --name r --data {data}"
    );
    let errors = said(&tool, &search).1;
    has(&errors, "space mfcc-mlp was named and is left out");
    has(
        &notes(&tool.json("front r --json")),
        "space mfcc-mlp was named",
    );
}

/// Where only normal clips are known, everything that shows a score says that disturbed sound steered, and
/// what would be heard; nothing shows an AUC.
fn disturbed_sound_is_said_wherever_a_score_is() {
    let tool = Tool::new();
    for idx in 0..30 {
        let name = format!("d/train/section_00_source_train_normal_{idx:04}_x.wav");
        put(
            tool.folder.path().join(name),
            plain(&tone(idx, false, 16_000)),
        );
    }
    let data = tool.folder.path().join("d");
    let (succeeded, errors) = said(&tool, &format!("{SEARCH} --data {}", data.display()));
    assert!(succeeded, "{errors}");
    let sentence = "Disturbed normal sound steered";
    let (front, shown) = (tool.text("front r"), tool.text("show r/0"));
    for text in [&front, &shown] {
        has(text, sentence);
        has(text, "nine of ten disturbed clips are found");
        assert!(!text.contains("AUC"), "{text}");
    }
    has(&front, "a missing band");
    let hears = &tool.json("show r/0 --json")["hears"];
    assert_eq!(hears["kinds"].as_array().unwrap().len(), 7, "{hears}");
    has(&tool.text("judge r/0"), sentence);
    assert_eq!(tool.json("front r --json")["steered_by"], "disturbed");
    assert_eq!(tool.json("show r/0 --json")["steered_by"], "disturbed");
    tool.text("report r");
    let page = fs::read_to_string(tool.folder.path().join("r/report.html")).unwrap();
    has(&page, sentence);
    let to = tool.folder.path().join("x");
    tool.text(&format!("export r/0 --to {}", to.display()));
    has(&fs::read_to_string(to.join("README.md")).unwrap(), sentence);
    let manifest = fs::read_to_string(to.join("manifest.json")).unwrap();
    has(&manifest, "\"steered_by\": \"disturbed\"");
}

/// 190 normal test clips and 10 anomalous ones that nothing tells apart: always saying "normal" is right for 95 %.
fn a_network_no_better_than_a_constant_is_on_no_front() {
    let tool = Tool::new();
    let mut csv = "file,split,label\n".to_string();
    for idx in 0..240 {
        let sound = tone(idx, false, 16_000);
        put(
            tool.folder.path().join(format!("d/{idx:03}.wav")),
            plain(&sound[..12_000]),
        );
        let split = if idx < 40 { "train" } else { "test" };
        let label = if idx >= 230 { "anomaly" } else { "normal" };
        csv += &format!("{idx:03}.wav,{split},{label}\n");
    }
    put(tool.folder.path().join("d/split.csv"), csv);
    let data = tool.folder.path().join("d");
    let search = format!(
        "search --space dense-ae --objectives accuracy,flash --trials 2 --epochs 1 --jobs 1 --device cpu --name r \
         --data {}",
        data.display()
    );
    let errors = said(&tool, &search).1;
    let sentence =
        "the best constant answer has accuracy 0.950, macro-F1 0.487, balanced accuracy 0.500";
    has(&errors, sentence);
    let front = tool.json("front r --json");
    has(&notes(&front), sentence);
    for member in front["front"].as_array().unwrap() {
        let accuracy = member["accuracy_int8"].as_f64().unwrap();
        assert!(accuracy > 0.95, "{accuracy}");
    }
    let judged = tool.json("judge r/0 --json");
    let constant = &judged["examined"][1]["int8"]["constant_accuracy"]["mean"];
    assert_eq!(constant.as_f64(), Some(0.95));
}

/// Whistles of three pitches in noise, a folder each.
fn whistles(folder: &Path) -> PathBuf {
    let root = folder.join("whistles");
    for (class, pitch_hz) in [("low", 500.0), ("middle", 1500.0), ("high", 4000.0)] {
        for idx in 0..20 {
            let mut rng = Rng::new(idx, pitch_hz as u64);
            let sound: Vec<f64> = (0..16_000)
                .map(|n| {
                    0.05 * (TAU * pitch_hz * f64::from(n) / 16_000.0).sin() + 0.05 * rng.normal()
                })
                .collect();
            put(root.join(format!("{class}/{idx:02}.wav")), plain(&sound));
        }
    }
    root
}

/// Folders of classes are a task: figures, a confusion matrix, and the class of every clip with its margin.
fn classes_of_folders_are_told_apart() {
    let tool = Tool::new();
    let data = format!("{}:classes", whistles(tool.folder.path()).display());
    let search = format!(
        "search --space mfcc-mlp --space dense-ae --objectives macro-f1,ram --trials 4 --epochs 12 --jobs 1 \
         --device cpu --name r --data {data}"
    );
    let (succeeded, errors) = said(&tool, &search);
    assert!(succeeded, "{errors}");
    has(&errors, "the best constant answer has accuracy 0.333");
    has(&errors, "space dense-ae was named and is left out");
    let front = tool.json("front r --json");
    let member = &front["front"][0];
    // A constant answer has a sixth.
    assert!(member["macro_f1_int8"].as_f64().unwrap() > 0.6, "{member}");
    assert!(member["balanced_accuracy_int8"].as_f64().unwrap() > 0.6);
    let trial = format!("r/{}", member["trial"]);
    let judged = tool.json(&format!("judge {trial} --json"));
    let classes = &judged["examined"][1]["classes"];
    let confusion: Vec<Vec<u64>> = serde_json::from_value(classes["confusion"].clone()).unwrap();
    assert!(confusion.iter().all(|row| row.iter().sum::<u64>() == 4));
    let right: u64 = (0..3).map(|class| confusion[class][class]).sum();
    assert!(right >= 8, "{confusion:?}");
    assert_eq!(classes["accuracy"].as_f64(), Some(right as f64 / 12.0));
    assert_eq!(classes["constant_accuracy"].as_f64(), Some(1.0 / 3.0));
    let text = tool.text(&format!("judge {trial}"));
    for part in [
        "constant answer",
        "balanced accuracy",
        "class, int8",
        "middle",
    ] {
        has(&text, part);
    }
    let scored = tool.json(&format!("score {trial} --test --data {data} --json"));
    let clips = scored["clips"].as_array().unwrap().iter();
    assert!(
        clips
            .clone()
            .all(|clip| clip["margin"].as_f64().unwrap() >= 0.0)
    );
    let found = clips
        .filter(|clip| clip["file"].as_str().unwrap().split('/').next() == clip["class"].as_str());
    assert_eq!(found.count() as u64, right);
    let sentence = format!("accuracy {:.4} over 12 test clips", right as f64 / 12.0);
    has(&notes(&scored), &sentence);
}

/// Labelled faults train, too, where that is asked for; classifiers and autoencoders compete.
fn labels_of_folders_are_learnt() {
    let tool = Tool::new();
    let data = format!("{}:labels", machine(tool.folder.path(), 30, 16).display());
    let search = format!(
        "search --space mfcc-mlp --space dense-ae --trials 4 --sampler random --epochs 6 --jobs 1 --device cpu --name r \
         --data {data}"
    );
    let (succeeded, errors) = said(&tool, &search);
    assert!(succeeded, "{errors}");
    has(
        &errors,
        "8 labelled anomalies train, and 8 test: labels are learnt",
    );
    has(&errors, "spaces: mfcc-mlp");
    has(&errors, "dense-ae (");
    let front = tool.json("front r --json");
    assert!(front["front"][0]["auc_int8"].as_f64().unwrap() > 0.8);
    has(&tool.text("judge r/0"), "accuracy of a constant answer");
}

/// A second implementation, by `model.json` alone, feeds the network what the device feeds it, to within one int8 step.
fn features_are_rebuilt_from_the_card_alone() {
    let tool = Tool::new();
    let data = machine(tool.folder.path(), 20, 8);
    let search =
        "search --space dense-ae --trials 1 --epochs 1 --jobs 1 --device cpu --name r --data";
    let (succeeded, errors) = said(&tool, &format!("{search} {}", data.display()));
    assert!(succeeded, "{errors}");
    let run = tool.folder.path().join("r");
    let trials = fs::read_dir(&run).unwrap();
    let number =
        trials.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u64>().ok());
    let folder = run.join(number.max().unwrap().to_string());
    let card = fs::read_to_string(folder.join("model.json")).unwrap();
    let card: Value = serde_json::from_str(&card).unwrap();
    let recipe = &card["features"];
    for (key, value) in [
        ("channel", "first"),
        ("window", "hann"),
        ("padding", "zeros"),
        ("mel_scale", "slaney"),
        ("mel_norm", "slaney"),
        ("logarithm", "10 log10(max(power, floor) / reference)"),
        ("standardisation", "(feature - mean) / std"),
    ] {
        assert_eq!(recipe[key], value);
    }
    assert_eq!(
        (&recipe["window_is_periodic"], &recipe["centred"]),
        (&true.into(), &true.into())
    );
    let number = |value: &Value| value.as_f64().unwrap();
    let whole = |key: &str| card[key].as_u64().unwrap() as usize;
    let list =
        |key: &str| -> Vec<f64> { card[key].as_array().unwrap().iter().map(number).collect() };
    let (n_fft, hop, bands) = (whole("n_fft"), whole("hop_length"), whole("n_mels"));

    let path = data.join("abnormal/a01.wav");
    let file = fs::read(&path).unwrap();
    let (samples, _) = file[44..].as_chunks::<2>();
    let samples: Vec<f64> = samples
        .iter()
        .map(|bytes| f64::from(i16::from_le_bytes(*bytes)) / number(&recipe["full_scale"]))
        .collect();
    let mel = |hz: f64| {
        if hz < 1000.0 {
            hz * 0.015
        } else {
            15.0 + 27.0 * (hz / 1000.0).ln() / 6.4f64.ln()
        }
    };
    let hz = |mel: f64| {
        if mel < 15.0 {
            mel / 0.015
        } else {
            1000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp()
        }
    };
    let (low, high) = (
        mel(number(&recipe["lowest_hz"])),
        mel(number(&recipe["highest_hz"])),
    );
    let edges: Vec<f64> = (0..bands + 2)
        .map(|idx| hz(low + (high - low) * idx as f64 / (bands + 1) as f64))
        .collect();
    let bin_hz = number(&card["sample_rate_hz"]) / n_fft as f64;
    let (mean, std) = (list("mean"), list("std"));
    let (scale, zero) = (
        number(&card["input"]["scale"]),
        number(&card["input"]["zero_point"]),
    );
    let turns: Vec<(f64, f64)> = (0..n_fft)
        .map(|idx| (TAU * idx as f64 / n_fft as f64).sin_cos())
        .collect();
    let mut rebuilt: Vec<i8> = Vec::new();
    for frame in 0..=samples.len() / hop {
        let windowed: Vec<f64> = (0..n_fft)
            .map(|idx| {
                let place = (frame * hop + idx).checked_sub(n_fft / 2);
                let sample = place
                    .and_then(|place| samples.get(place))
                    .copied()
                    .unwrap_or(0.0);
                sample * (0.5 - 0.5 * turns[idx].1)
            })
            .collect();
        let power: Vec<f64> = (0..=n_fft / 2)
            .map(|bin| {
                let (mut real, mut imaginary) = (0.0, 0.0);
                for (idx, value) in windowed.iter().enumerate() {
                    let (sin, cos) = turns[idx * bin % n_fft];
                    real += value * cos;
                    imaginary += value * sin;
                }
                (real * real + imaginary * imaginary).powf(number(&recipe["power"]) / 2.0)
            })
            .collect();
        for band in 0..bands {
            let [left, centre, right] = [0, 1, 2].map(|idx| edges[band + idx]);
            let weight = |bin: usize| {
                let hz = bin as f64 * bin_hz;
                let height = 2.0 / (right - left);
                height
                    * ((hz - left) / (centre - left))
                        .min((right - hz) / (right - centre))
                        .max(0.0)
            };
            let sum: f64 = power
                .iter()
                .enumerate()
                .map(|(bin, power)| weight(bin) * power)
                .sum();
            let decibels =
                10.0 * (sum.max(number(&recipe["floor"])) / number(&recipe["reference"])).log10();
            let standardised = (decibels - mean[band]) / std[band];
            rebuilt.push((standardised / scale + zero).round().clamp(-128.0, 127.0) as i8);
        }
    }
    let model = Model::read(&folder).unwrap();
    let features = DeviceExtractor::new(&model.card.front_end().spec).unwrap();
    let sound = audio::read(&path, Channel::default()).unwrap();
    let device = Scorer::new(&model)
        .unwrap()
        .quantize(&features.extract(&sound).unwrap());
    assert_eq!(device.len(), rebuilt.len());
    let steps = device
        .iter()
        .zip(&rebuilt)
        .map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs());
    assert!(steps.clone().max().unwrap() <= 1);
    // Most are the same; rounding falls either way where a value lies between two steps.
    assert!(steps.filter(|step| *step == 0).count() * 100 > 99 * device.len());
}

/// Its files score as the trial does, and it can be trained again on other clips, as it was.
fn a_found_detector_is_used_elsewhere() {
    let tool = Tool::new();
    let data = machine(tool.folder.path(), 16, 8);
    let data = data.display();
    let search = "--space pooled-gaussian --target m7 --name there -q --json";
    tool.json(&format!("search --data {data} {search}"));
    let front = tool.json("front there --json");
    let trial = front["front"][0]["trial"].as_u64().unwrap();
    let expected = tool.json(&format!("score there/{trial} --data {data} --json"));

    let models = tool.folder.path().join(format!("there/{trial}"));
    let [model, card] = ["model.tflite", "model.json"].map(|file| models.join(file));
    let (model, card) = (model.display(), card.display());
    let found = tool.json(&format!(
        "score {model} --front-end {card} --data {data} --json"
    ));
    assert_eq!(found["clips"], expected["clips"]);
    assert!(found["trained_on"].is_null());
    has(
        &notes(&found),
        "nothing says which of these clips trained the model",
    );
    let output = tool.run(&format!("score {model} --data {data}"));
    assert_eq!(output.status.code(), Some(2));
    has(&String::from_utf8_lossy(&output.stderr), "--front-end");

    // The same clips give the same detector, other clips another one.
    let again = tool.json(&format!(
        "retrain there/{trial} --data {data} --name again -q --json"
    ));
    assert_eq!(again["auc_int8"], front["front"][0]["auc_int8"]);
    assert_eq!(again["params"], front["front"][0]["params"]);
    let same = tool.json(&format!("score again/0 --data {data} --json"));
    assert_eq!(same["clips"], expected["clips"]);
    let other = machine(&tool.folder.path().join("other"), 24, 6);
    let retrain = format!(
        "retrain there/{trial} --data {} --name other -q --json",
        other.display()
    );
    assert!(tool.json(&retrain)["auc_int8"].as_f64().is_some());
}
