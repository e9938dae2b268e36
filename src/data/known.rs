//! The public data sets that `nas` reads, for `nas data list`. None of them comes with the program.

/// A public data set, or the built-in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownDataset {
    /// The name under which the set was published.
    pub name: &'static str,
    /// Machines or classes, and what is recorded of them.
    pub holds: &'static str,
    /// Where to get it.
    pub address: &'static str,
    /// The licence of the recordings.
    pub licence: &'static str,
    /// Approximate size, unpacked unless it says packed.
    pub size: &'static str,
}

/// The built-in set, then the public ones by year. For sets of 16 kHz, 16-bit mono, the size is computed from number
/// and length of the clips.
pub const KNOWN_DATASETS: &[KnownDataset] = &[
    KnownDataset {
        name: "synthetic",
        holds: "machine sounds made by the built-in generator in the manner of DCASE 2022; scores on it say \
                nothing about real machines",
        address: "built in: --data synthetic, or nas data synth --to DIR",
        licence: "the project's own",
        size: "none; made on demand",
    },
    KnownDataset {
        name: "MIMII",
        holds: "fan, pump, slide rail, valve: 4 units each at -6, 0 and 6 dB; 26,092 normal and 6,065 anomalous \
                recordings of 10 s per noise level, 8 channels, 16 kHz",
        address: "Zenodo 3384388 (doi:10.5281/zenodo.3384388)",
        licence: "CC BY-SA 4.0",
        size: "about 100 GB",
    },
    KnownDataset {
        name: "ToyADMOS",
        holds: "toy car, toy conveyor, toy train: 48 kHz from 4 microphones, of which the first is taken; many faults",
        address: "Zenodo 3351307 (doi:10.5281/zenodo.3351307), split 7z archives",
        licence: "NTT's evaluation licence",
        size: "197 GB packed",
    },
    KnownDataset {
        name: "DCASE 2020 Task 2",
        holds: "ToyCar, ToyConveyor, fan, pump, slider, valve: 3 or 4 machine IDs each, 10 or 11 s clips, 16 kHz mono",
        address: "Zenodo 3678171 (development), 3727685 (additional training), 3841772 (evaluation)",
        licence: "CC BY-NC-SA 4.0",
        size: "about 19 GB",
    },
    KnownDataset {
        name: "UrbanSound8K",
        holds: "8,732 slices of up to 4 s of ten city sounds in ten folds, any rate and sample format; events against \
                background",
        address: "Zenodo 1203745 (doi:10.5281/zenodo.1203745)",
        licence: "CC BY-NC",
        size: "6 GB packed",
    },
    KnownDataset {
        name: "ESC-50",
        holds: "2,000 clips of 5 s of fifty environmental sounds in five folds, 44.1 kHz; no anomalies, so \
                stand-ins steer",
        address: "GitHub karolpiczak/ESC-50",
        licence: "CC BY-NC, the ESC-10 subset CC BY",
        size: "600 MB packed",
    },
    KnownDataset {
        name: "MLPerf Tiny anomaly detection",
        holds: "log-mel features of DCASE 2020's ToyCar: 200 frames of 128 bands in *_hist_librosa.bin",
        address: "made from Zenodo 3678171 and 3727685 by the benchmark's scripts",
        licence: "CC BY-NC-SA 4.0, as the recordings",
        size: "102,400 bytes per clip; 25 MB for the 248 clips of the official test",
    },
    KnownDataset {
        name: "DCASE 2021 Task 2",
        holds: "fan, gearbox, pump, slider, valve, ToyCar, ToyTrain: 6 sections each, source and target domain in \
                source_test and target_test",
        address: "Zenodo 4562016 (development), 4660992 (additional training), 4884786 (evaluation)",
        licence: "CC BY 4.0",
        size: "about 19 GB",
    },
    KnownDataset {
        name: "DCASE 2022 Task 2",
        holds: "bearing, fan, gearbox, slider, valve, ToyCar, ToyTrain: 6 sections each; per section 990 source and \
                10 target clips for training, 200 for test; attributes",
        address: "Zenodo 6355122 (development), 6462969 (additional training), 6586456 (evaluation)",
        licence: "CC BY 4.0",
        size: "about 16 GB",
    },
    KnownDataset {
        name: "DCASE 2023 Task 2",
        holds: "the machines of 2022 and bandsaw, grinder, shaker, ToyDrone, ToyNscale, ToyTank, Vacuum: one section each",
        address: "Zenodo 7882613 (development), 7830345 (additional training), 7860847 (evaluation)",
        licence: "CC BY 4.0",
        size: "about 5 GB",
    },
    KnownDataset {
        name: "DCASE 2024 Task 2",
        holds: "the machines of 2022 and nine new ones, one section each; some attributes withheld",
        address: "Zenodo 10902294 (development), 11259435 (additional training), 11363076 (evaluation)",
        licence: "CC BY 4.0",
        size: "about 6 GB",
    },
];
