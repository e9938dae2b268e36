use super::*;

#[test]
fn a_description_names_formats_and_faults() {
    let root = tree(&["test/normal_id_00_00000009.wav=RIFF but no more"]);
    let write = |name: &str, sample_rate: u32, samples: u32, value: i16| {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        for _ in 0..samples {
            writer.write_sample(value).unwrap();
        }
        writer.finalize().unwrap();
    };
    write("train/normal_id_00_00000000.wav", 16_000, 32_000, 1);
    write("train/normal_id_00_00000001.wav", 16_000, 32_000, 2);
    write("test/normal_id_00_00000000.wav", 16_000, 32_000, 1);
    write("test/normal_id_00_00000001.wav", 48_000, 24_000, 1);

    let dataset = open(root.path()).unwrap();
    let info = describe(&dataset);
    let long = dataset.at_least(1.0);
    // The broken clip stays, so it is named where it is read.
    let names: Vec<&str> = long.clips.iter().map(|clip| clip.file_name()).collect();
    let stay =
        ["00000000", "00000001", "00000000", "00000009"].map(|n| format!("normal_id_00_{n}.wav"));
    assert_eq!(names, stay);
    assert_eq!(
        long.notes.last().unwrap(),
        "1 clip shorter than 1 s left out: test/normal_id_00_00000001.wav"
    );
    let formats: Vec<_> = info
        .formats
        .iter()
        .map(|f| (f.sample_rate_hz, f.clips, f.shortest_s, f.longest_s))
        .collect();
    assert_eq!(formats, [(16_000, 3, 2.0, 2.0), (48_000, 1, 0.5, 0.5)]);
    assert_eq!(info.total_s, 6.5);
    assert_eq!(info.short, ["test/normal_id_00_00000001.wav"]);
    assert_eq!(info.unreadable[0].0, "test/normal_id_00_00000009.wav");
    assert_eq!(
        info.duplicates,
        [[
            "train/normal_id_00_00000000.wav",
            "test/normal_id_00_00000000.wav"
        ]]
    );
    assert_eq!(
        info.notes.last().unwrap(),
        "1 recording in both training and test: scores will be too good"
    );
}

#[test]
fn a_written_synthetic_set_reads_as_it_was() {
    let mut dataset = synthetic::dataset(synthetic::Machine::Fan);
    // Every hundredth clip covers both splits and domains, and a fault.
    let mut clip_idx = 0;
    dataset.clips.retain(|_| {
        clip_idx += 1;
        clip_idx % 100 == 0
    });
    let has = |label| dataset.clips.iter().any(|clip| clip.label == Some(label));
    assert!(has(Label::Normal) && has(Label::Anomaly));
    let root = tempfile::tempdir().unwrap();
    synthetic::write(&dataset, root.path()).unwrap();
    let read = open(root.path()).unwrap();
    let without_source = |clip: &Clip| Clip {
        source: Source::Audio(PathBuf::new()),
        ..clip.clone()
    };
    let clips =
        |dataset: &Dataset| -> Vec<Clip> { dataset.clips.iter().map(without_source).collect() };
    assert_eq!(clips(&read), clips(&dataset));
    assert_eq!(describe(&read).total_s, describe(&dataset).total_s);
}
