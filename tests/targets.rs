//! Readers of bytes that may come from anyone, each as a function of the bytes, with small seeds that the tests make.
//!
//! A reader may refuse, and may not panic, hang or fill memory. `fuzz.rs` tries them with changed seeds; the crate in
//! `fuzz/` gives the same functions to bolero, and with it to libFuzzer.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use nas::{
    audio::{self, Channel},
    bundle,
    data::{self, fetch},
    evaluate::ModelCard,
    hardware::Target as Hardware,
    quant::{QuantizedModel, quantize},
    report,
    run::Settings,
    space,
    store::Store,
    units::Rng,
};
use nas_kernels::{Model, blob};
use tempfile::TempDir;

use super::networks::{random_file_graph, random_weights};

/// A reader.
pub struct Target {
    /// What it reads.
    pub name: &'static str,
    /// Sound inputs, from which others are made.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads an input, whatever it is.
    pub read: fn(&[u8]),
}

pub const TARGETS: &[Target] = &[
    Target {
        name: "sound",
        seeds: sounds,
        read: read_sound,
    },
    Target {
        name: "csv",
        seeds: tables,
        read: read_table,
    },
    Target {
        name: "toml",
        seeds: tomls,
        read: read_toml,
    },
    Target {
        name: "settings",
        seeds: settings,
        read: read_settings,
    },
    Target {
        name: "tflite",
        seeds: files,
        read: read_file,
    },
    Target {
        name: "blob",
        seeds: blobs,
        read: read_blob,
    },
    Target {
        name: "manifest",
        seeds: manifests,
        read: read_manifest,
    },
    Target {
        name: "zip",
        seeds: zips,
        read: |bytes| read_archive(bytes, "a.zip"),
    },
    Target {
        name: "tar-gz",
        seeds: tars,
        read: |bytes| read_archive(bytes, "a.tar.gz"),
    },
    Target {
        name: "store",
        seeds: stores,
        read: read_store,
    },
    Target {
        name: "npu",
        seeds: npu_files,
        read: read_npu_file,
    },
];

/// Larger arenas are legal, and slow.
const MOST_ARENA: usize = 1 << 16;

/// A new folder, in memory where the system has such a place.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => TempDir::new_in(memory),
        false => TempDir::new(),
    };
    folder.expect("a folder")
}

/// A file that every input of a target is written to in turn, for readers that want a path.
fn written<'p>(place: &'p OnceLock<(TempDir, PathBuf)>, name: &str, bytes: &[u8]) -> &'p Path {
    let (_, path) = place.get_or_init(|| {
        let folder = scratch();
        let path = folder.path().join(name);
        (folder, path)
    });
    fs::write(path, bytes).expect("a file in memory");
    path
}

fn sounds() -> Vec<Vec<u8>> {
    let samples: Vec<i16> = (0..200).map(|idx| (idx * 37 % 501) as i16).collect();
    let mut seeds = vec![
        include_bytes!("golden/sine.flac").to_vec(),
        audio::encode(&samples, 16_000).expect("a WAV file"),
    ];
    for (bits, format, channels) in [
        (8, hound::SampleFormat::Int, 2),
        (24, hound::SampleFormat::Int, 1),
        (32, hound::SampleFormat::Float, 2),
    ] {
        let spec = hound::WavSpec {
            channels,
            sample_rate: 8000,
            bits_per_sample: bits,
            sample_format: format,
        };
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("a WAV file");
        for idx in 0..60 {
            let result = match format {
                hound::SampleFormat::Int => writer.write_sample(idx - 30),
                hound::SampleFormat::Float => writer.write_sample(idx as f32 / 60.0),
            };
            result.expect("a sample");
        }
        writer.finalize().expect("a WAV file");
        seeds.push(bytes.into_inner());
    }
    seeds
}

fn read_sound(bytes: &[u8]) {
    for channel in [Channel::default(), Channel::Mean] {
        if let Ok(audio) = audio::decode(bytes, channel) {
            assert!(audio.samples.iter().all(|sample| sample.is_finite()));
        }
    }
}

fn tables() -> Vec<Vec<u8>> {
    let rows = "file,split,label,machine,section,domain\na.wav,train,normal,fan,00,source\n\"b, c.wav\",test,anomaly,fan,00,target\n";
    let features = "file,split,label\na.bin,train,normal\nb.bin,test,anomaly\n";
    [rows, features].map(|text| text.as_bytes().to_vec()).into()
}

fn read_table(bytes: &[u8]) {
    static PLACE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    if let Ok(dataset) = data::open(written(&PLACE, "clips.csv", bytes)) {
        drop(data::describe(&dataset));
    }
}

fn tomls() -> Vec<Vec<u8>> {
    let spaces = space::builtin().into_iter().map(|space| space.text);
    let targets = nas::hardware::builtin()
        .iter()
        .map(|target| target.text.clone());
    spaces.chain(targets).map(String::into_bytes).collect()
}

fn read_toml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(space) = space::parse("changed.toml", &text) {
        assert!(space.size() > 0);
    }
    if let Ok(target) = Hardware::parse(&text, "changed.toml") {
        drop(target.validate());
    }
}

/// Settings of a run and the card of a model, as stores and exported folders hold them.
fn settings() -> Vec<Vec<u8>> {
    let store = old_store();
    let runs = store.runs().expect("a run");
    let card = r#"{"format_version":3,"task":"reconstruct","sample_rate_hz":16000,"n_fft":1024,"hop_length":512,"n_mels":64,"frames":5,"frame_stride":1,"scored_on":"samples","mean":[0.0],"std":[1.0],"classes":[],"threshold":1.5,"score_windows":10,"synthetic":true}"#;
    vec![runs[0].settings_json.clone().into_bytes(), card.into()]
}

fn read_settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(settings) = Settings::from_json(&text) {
        drop((settings.spaces(), settings.targets(), settings.split_by()));
    }
    if let Ok(card) = serde_json::from_str::<ModelCard>(&text) {
        let _ = (card.aim(), card.clip_rule());
    }
}

fn models() -> Vec<QuantizedModel> {
    let model = |seed: u64| {
        let graph = random_file_graph(seed);
        let mut rng = Rng::new(seed, 2);
        let weights = random_weights(&graph, &mut rng);
        let length = graph.input_shape().len();
        let window: Vec<f32> = (0..length).map(|_| rng.normal() as f32).collect();
        quantize(&graph, &weights, &[&window]).expect("a network")
    };
    (0..6).map(model).collect()
}

fn files() -> Vec<Vec<u8>> {
    let ours = models().into_iter().map(|model| model.to_tflite());
    let float = include_bytes!("golden/float.tflite").to_vec();
    ours.chain([float]).collect()
}

fn read_file(bytes: &[u8]) {
    match QuantizedModel::from_tflite(bytes) {
        Ok(model) => drop(model.to_blob()),
        Err(error) => drop(error.to_string()),
    }
}

fn blobs() -> Vec<Vec<u8>> {
    let ours = models().into_iter().map(|model| model.to_blob());
    let detector = include_bytes!("golden/detector_v2.nas").to_vec();
    ours.chain([detector]).collect()
}

/// Length and checksum are made to fit, since whoever changes a blob does so, too.
fn read_blob(bytes: &[u8]) {
    if bytes.len() < blob::HEADER_BYTES {
        assert!(Model::parse(bytes).is_err());
        return;
    }
    let mut blob = bytes.to_vec();
    blob::seal(&mut blob);
    if let Ok(model) = Model::parse(&blob)
        && model.arena_bytes() < MOST_ARENA
    {
        let mut arena = vec![0; model.arena_bytes()];
        let session = model.session(&mut arena);
        session.expect("the arena is large enough").run();
    }
}

fn manifests() -> Vec<Vec<u8>> {
    let text = r#"{"schema_version":1,"core":"cortex-m55","golden":{"inputs":"golden/inputs.bin","outputs":"golden/outputs.bin","count":1,"input_bytes":4,"output_bytes":4,"outputs_hash":"00","clips":[{"file":"golden/a.wav","label":"normal","score":1.0,"anomaly":false}]},"files":{"model/model.nas":"00","golden/inputs.bin":"00","golden/outputs.bin":"00"}}"#;
    vec![text.into()]
}

fn read_manifest(bytes: &[u8]) {
    static PLACE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let path = written(&PLACE, "manifest.json", bytes);
    let check = bundle::Check {
        images: None,
        build_foreign: false,
        instructions: 1000,
    };
    let folder = path.parent().expect("a folder");
    if let Ok(verdict) = bundle::verify(folder, &check, &|_| ()) {
        assert!(!verdict.is_good(), "there is no such folder");
    }
}

fn zips() -> Vec<Vec<u8>> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for method in [
        zip::CompressionMethod::Stored,
        zip::CompressionMethod::Deflated,
    ] {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        let name = format!("fan/train/{method:?}.wav");
        archive.start_file(name, options).expect("an entry");
        archive.write_all(&[7; 300]).expect("its content");
    }
    archive
        .add_directory("fan/test", zip::write::SimpleFileOptions::default())
        .expect("a folder");
    vec![archive.finish().expect("an archive").into_inner()]
}

fn tars() -> Vec<Vec<u8>> {
    let packed = |plain: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(plain).expect("memory");
        out.finish().expect("memory")
    };
    let mut archive = tar::Builder::new(Vec::new());
    for name in ["fan/a.wav", "fan/b.wav"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(100);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, name, &[7; 100][..])
            .expect("an entry");
    }
    vec![packed(&archive.into_inner().expect("an archive"))]
}

/// A tar archive is changed below its compression, where its own reader sees it.
fn read_archive(bytes: &[u8], file: &str) {
    let folder = scratch();
    fs::write(folder.path().join(file), bytes).expect("a file in memory");
    let archive = fetch::Archive {
        set: "dcase2022",
        part: String::new(),
        machine: String::new(),
        source: fetch::Source::Zenodo(1),
        file: file.to_string(),
        md5: None,
        into: "into".to_string(),
    };
    let options = fetch::Options {
        mirror: None,
        offline: true,
        keep_archives: true,
        stall: fetch::Options::STALL,
        first_pause: fetch::Options::FIRST_PAUSE,
    };
    let fetched = fetch::fetch(&[&archive], folder.path(), &options, &mut |_| ());
    // Readers refuse what is not whole.
    let refused = data::open(&folder.path().join("into")).is_err();
    assert!(fetched.is_ok() || refused);
    let around = fs::read_dir(folder.path()).expect("the folder").count();
    assert!(around <= 3, "something was written beside");
}

/// A store with one run of ten trials.
fn old_store() -> Store {
    let folder = scratch();
    let path = folder.keep().join("nas.sqlite");
    let connection = rusqlite::Connection::open(&path).expect("a database");
    let rows = include_str!("golden/stores/version_4.sql");
    connection.execute_batch(rows).expect("its rows");
    drop(connection);
    Store::open(&path).expect("a store of an older version")
}

fn stores() -> Vec<Vec<u8>> {
    let store = old_store();
    let path = store.path().to_path_buf();
    drop(store);
    let bytes = fs::read(&path).expect("the file");
    fs::remove_dir_all(path.parent().expect("its folder")).expect("its folder");
    vec![bytes]
}

fn read_store(bytes: &[u8]) {
    static PLACE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let path = written(&PLACE, "nas.sqlite", bytes);
    let Ok(store) = Store::open_read_only(path) else {
        return;
    };
    for run in store.runs().unwrap_or_default() {
        drop((store.trials(run.id), store.evaluations(run.id)));
        drop((store.fronts(run.id), store.repeats(run.id)));
        match report::load(&store, &run) {
            Ok(info) => drop(nas::report::text::front::front_tables(&info, 100)),
            Err(error) => drop(error.to_string()),
        }
    }
}

fn npu_files() -> Vec<Vec<u8>> {
    // The crate of the fuzzer lies in a folder of its own.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = root
        .ancestors()
        .find(|folder| folder.join("firmware").is_dir());
    let folder = root
        .expect("the project")
        .join("firmware/ethos-u55/tests/golden");
    let entries = fs::read_dir(folder).expect("a folder of networks");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "tflite"));
    paths.sort_by_key(|path| {
        File::open(path)
            .and_then(|file| file.metadata())
            .map_or(0, |m| m.len())
    });
    paths.truncate(6);
    paths
        .iter()
        .map(|path| fs::read(path).expect("a file"))
        .collect()
}

fn read_npu_file(bytes: &[u8]) {
    let Ok(model) = ethos_u55::vela::Model::read(bytes) else {
        return;
    };
    let Some(job) = model.job() else { return };
    let (Ok(stream), Ok(accelerator)) = (ethos_u55::Stream::read(job.commands), job.accelerator())
    else {
        return;
    };
    if job.arena_bytes + job.fast_bytes.unwrap_or(0) > MOST_ARENA {
        return;
    }
    let mut arenas = job.arenas();
    let mut memory = job.memory(&mut arenas);
    let findings = ethos_u55::check(&stream, &accelerator, &memory);
    findings
        .iter()
        .for_each(|finding| drop(finding.to_string()));
    let run = ethos_u55::Npu::new(accelerator).run_with(&stream, &mut memory, 1 << 18, |_, _| ());
    run.err()
        .into_iter()
        .for_each(|error| drop(error.to_string()));
}
