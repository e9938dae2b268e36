//! Damaged files, streams and weights: an error with a name or a result, never a panic.
//!
//! `PROPTEST_CASES=1000000 cargo test -p ethos-u55 --test hostile` tries as many.

use std::{fs, sync::OnceLock};

use ethos_u55::{Npu, Stream, check, payload::Payload, vela::Model, weights};
use proptest::prelude::*;

/// All files of `tests/golden`.
fn files() -> &'static [Vec<u8>] {
    static FILES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
        let entries = fs::read_dir(folder).expect("a folder of networks");
        let mut paths: Vec<_> = entries
            .map(|entry| entry.expect("an entry").path())
            .collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "tflite"));
        paths.sort();
        let files = paths.iter().map(|path| fs::read(path).expect("a file"));
        files.collect()
    })
}

/// Which file, and changes: a place, a share of all bytes, and what happens to the byte there.
fn damage() -> impl Strategy<Value = (usize, Vec<(u32, Change)>)> {
    let change = prop_oneof![
        (0..8_u32).prop_map(Change::Flip),
        any::<u8>().prop_map(Change::Set),
        any::<i8>().prop_map(Change::Add),
    ];
    (
        any::<usize>(),
        prop::collection::vec((any::<u32>(), change), 1..6),
    )
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Flip(u32),
    Set(u8),
    Add(i8),
}

fn apply(bytes: &mut [u8], changes: &[(u32, Change)]) {
    for (place, change) in changes {
        let idx = ((u64::from(*place) * bytes.len() as u64) >> 32) as usize;
        if let Some(byte) = bytes.get_mut(idx) {
            *byte = match change {
                Change::Flip(bit) => *byte ^ 1 << bit,
                Change::Set(value) => *value,
                Change::Add(value) => byte.wrapping_add_signed(*value),
            };
        }
    }
}

/// Far more than these networks take.
const WORK: u64 = 1 << 22;

proptest! {
    #[test]
    fn commands((file, changes) in damage()) {
        let files = files();
        let model = Model::read(&files[file % files.len()]).expect("a network");
        let job = model.job().expect("one job");
        let mut commands = job.commands.to_vec();
        apply(&mut commands, &changes);
        if let Ok(stream) = Stream::read(&commands) {
            let accelerator = job.accelerator().expect("an NPU");
            let mut arenas = job.arenas();
            let mut memory = job.memory(&mut arenas);
            let findings = check(&stream, &accelerator, &memory);
            findings.iter().for_each(|finding| drop(finding.to_string()));
            let run = Npu::new(accelerator).run_with(&stream, &mut memory, WORK, |_, _| ());
            run.err().into_iter().for_each(|error| drop(error.to_string()));
            stream.commands.iter().for_each(|command| drop(command.to_string()));
        }
    }

    #[test]
    fn constants((file, changes) in damage()) {
        let files = files();
        let model = Model::read(&files[file % files.len()]).expect("a network");
        let mut job = model.job().expect("one job").clone();
        let mut constants = job.constants.to_vec();
        apply(&mut constants, &changes);
        job.constants = &constants;
        let inputs: Vec<Vec<u8>> = job.inputs.iter().map(|one| vec![1; one.bytes()]).collect();
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        job.run(&inputs).err().into_iter().for_each(|error| drop(error.to_string()));
    }

    #[test]
    fn containers((file, changes) in damage()) {
        let files = files();
        let mut bytes = files[file % files.len()].clone();
        apply(&mut bytes, &changes);
        match Model::read(&bytes) {
            Ok(model) => drop(model.job().map(|job| Stream::read(job.commands))),
            Err(error) => drop(error.to_string()),
        }
    }

    #[test]
    fn payloads(words in prop::collection::vec(prop_oneof![0..300_u32, any::<u32>()], 0..40)) {
        let words = words.into_iter().flat_map(u32::to_le_bytes);
        let bytes: Vec<u8> = b"COP1".iter().copied().chain(words).collect();
        Payload::read(&bytes).err().into_iter().for_each(|error| drop(error.to_string()));
    }

    #[test]
    fn streams_of_weights(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        weights::decode(&bytes).err().into_iter().for_each(|error| drop(error.to_string()));
    }

    /// Whatever weights there are, they come back.
    #[test]
    fn weights_come_back(
        weights in prop::collection::vec(
            prop_oneof![4 => Just(0_i16), 4 => -3..=3_i16, 1 => -255..=255_i16],
            0..3000,
        ),
    ) {
        let stream = weights::encode(&weights);
        prop_assert_eq!(stream.len() % 16, 0);
        prop_assert_eq!(weights::decode(&stream), Ok(weights));
    }
}
