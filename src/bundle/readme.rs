//! The two READMEs of a bundle.

use super::{Parts, boards, manifest::core_name};
use crate::{
    evaluate::{DecisionCard, Expected},
    hardware::Core,
    measure::BoardKind,
    report::quantised,
    score::FalseAlarms,
};

/// The overview of the bundle.
pub(super) fn bundle(parts: &Parts<'_>) -> String {
    let card = &parts.model.card;
    let synthetic = match card.synthetic {
        true => "\nTrained on synthetic sound: its scores say nothing about real machines.\n",
        false => "",
    };
    let stand_ins = match parts.steered_by.as_deref() {
        Some("stand-ins") => {
            "\nStand-ins for anomalies, made of normal sound, steered its search: no figure says how well it finds real \
             faults.\n"
        }
        Some("disturbed") => {
            "\nDisturbed normal sound steered its search: no figure says how well it finds real faults.\n"
        }
        _ => "",
    };
    let hears = match &card.hears {
        Some(hears) => format!("\nIt {}.\nThere {}.\n", hears.sentence(), hears.basis()),
        None => String::new(),
    };
    let vela = match &parts.vela {
        Some(_) => {
            "| `model_vela.tflite` | the network for the NPU, by Vela; not executed here |\n"
        }
        None => "",
    };
    let int8 = match &card.int8 {
        Some(int8) => format!("\n{}.\n", quantised::line(int8)),
        None => String::new(),
    };
    let companding = match card.companding {
        Some(knee) => format!(
            "\nThe front end compresses features that lie further than {knee} deviations from their mean. The input of \
             `model.tflite` is already compressed.\n"
        ),
        None => String::new(),
    };
    format!(
        "# {name}

An int8 network for sound ({task}), with its audio front end, for {target} ({core}).
{synthetic}{stand_ins}{hears}{int8}{companding}
The front end, for whoever feeds `model.tflite` from another program (`model.json` has every number): the first channel at
{rate} Hz, 16-bit samples over 32768; frames of {n_fft} samples every {hop}, centred, with zeros around the clip; a periodic
Hann window; power spectrum; {mels} mel bands of Slaney's scale and norm from 0 Hz to half of the rate; 10 log10(max(power,
2.2e-16)){dct}; (feature - mean) / std; int8 with the scale and zero point of the input. It is `librosa.feature.melspectrogram`
with `pad_mode` constant, and `torchaudio.transforms.MelSpectrogram` with `norm` and `mel_scale` slaney and `pad_mode`
constant.

## When it raises an alarm

{alarm}

## Files

| file | content |
|---|---|
| `model.tflite` | the network, full-integer int8, for TensorFlow Lite Micro, LiteRT and Vela |
{vela}| `model.json` | front end, standardisation, classes, threshold, what int8 costs |
| `manifest.json` | scales, zero points, sizes, operators, costs and what they come from, SHA-256 of every file |
| `firmware/` | a program that runs the network on a board or in QEMU, and the kernels it uses; a C interface |
| `golden/` | inputs of the network and its outputs; sound clips |
| `report.html` | the search that found it |

`firmware/README.md` says how to build and run. Where `nas` is installed, `nas verify .` runs all golden vectors.
",
        rate = card.sample_rate_hz,
        n_fft = card.n_fft,
        hop = card.hop_length,
        mels = card.n_mels,
        dct = match card.n_mfcc {
            Some(count) => format!("; the first {count} coefficients of the orthonormal DCT-II"),
            None => String::new(),
        },
        alarm = alarm(parts),
        name = parts.name,
        task = card.task,
        target = parts.target,
        core = core_name(parts.core),
    )
}

/// When the device raises an alarm, and how often it will for nothing.
fn alarm(parts: &Parts<'_>) -> String {
    let (card, decision) = (&parts.model.card, parts.decision.as_ref());
    let prefix = &parts.prefix;
    let Some(threshold) = card.threshold else {
        return format!(
            "It has no threshold, so that the device raises no alarm before `{prefix}_set_rule` gives it one."
        );
    };
    let alarm = card.alarm_rule();
    let seconds = |samples: usize| samples as f64 / f64::from(card.sample_rate_hz);
    let window_s = seconds(card.hop_length * card.frame_stride);
    let mut text = format!(
        "The score over time is the {rule} of the latest {windows} windows, which are {span:.1} s. Above {threshold:.4} it \
         votes for an alarm, and {needed} of the latest {of} votes make one. There is no verdict in the first {first:.1} s \
         after a start.",
        rule = card.clip_rule(),
        windows = card.score_windows,
        span = f64::from(card.score_windows) * window_s,
        needed = alarm.needed,
        of = alarm.of,
        first = seconds(card.verdict_samples()),
    );
    if alarm.release > 0.0 {
        text += &format!(
            " Votes go on until the score falls to {:.4}.",
            threshold - f64::from(alarm.release)
        );
    }
    if alarm.hold > 0 {
        text += &format!(
            " An alarm lasts {:.1} s longer than its reason.",
            f64::from(alarm.hold) * window_s
        );
    }
    text += &match (decision, card.false_alarms) {
        (Some(decision), _) => promised(decision),
        (None, Some(FalseAlarms { clips, above })) => format!(
            " **It will alarm for nothing**: the threshold is above most normal scores, not all; {above} of {clips} normal \
             clips that the model was not made from are above it."
        ),
        (None, None) => {
            " How often it alarms for nothing was not counted: no normal clips were left for it."
                .to_string()
        }
    };
    text + &format!(
        " `{prefix}_get_rule` and `{prefix}_set_rule` read and change all of it on the device."
    )
}

/// What to expect of a decision.
fn promised(decision: &DecisionCard) -> String {
    let told = |expected: Option<Expected>| match expected {
        Some(Expected { value, low, high }) => format!("{value:.2} ({low:.2} to {high:.2})"),
        None => "unknown".to_string(),
    };
    let expected = &decision.expected;
    format!(
        " `nas decide` chose this for {goal}, on {data}. To expect, with 95 % intervals, on clips that chose nothing: false \
         alarms a day {alarms}, counted on {normal:.0} s of normal sound; share of faults found {recall}; seconds until an \
         alarm {delay}.",
        goal = decision.goal,
        data = decision.data,
        alarms = told(expected.false_alarms_per_day),
        normal = expected.normal_s,
        recall = told(expected.recall),
        delay = told(expected.delay_s),
    )
}

/// How to build, run and flash the firmware.
pub(super) fn firmware(parts: &Parts<'_>) -> String {
    let core = parts.core;
    let emulated = boards(core).find(|board| board.machine.is_some());
    let chips = boards(core).filter(|board| board.machine.is_none());
    let emulated_name = emulated.map_or("", |board| board.name);
    let target = emulated.map_or("", BoardKind::target);
    let variable = target.to_uppercase().replace(['-', '.'], "_");
    let names: Vec<String> = chips.map(|board| format!("`{}`", board.name)).collect();
    let (core_feature, flash) = match core {
        Core::CortexM7 => (
            "m7",
            format!(
                "cargo build --release --target {target} -p nas-app --features stm32h743,embed
    probe-rs run --chip STM32H743ZITx target/{target}/release/nas-app"
            ),
        ),
        Core::CortexM55 => (
            "m55",
            format!(
                "cargo build --release --target {target} -p nas-app --features alif-e7-he,embed
    arm-none-eabi-objcopy -O binary target/{target}/release/nas-app nas-app.bin   # then Alif's app-write-mram"
            ),
        ),
    };
    format!(
        "# Firmware

Build, run in QEMU, flash:

    cargo build --release --target {target} -p nas-app --features {emulated_name},embed
    cargo run --release --target {target} -p nas-app --features {emulated_name},embed
    {flash}

The program runs the golden inputs of `model/input.bin` through `model/model.nas`, prints one line of JSON and ends
with code 0 where the outputs are as expected.

They need Rust and its target (`rustup target add {target}`), and `qemu-system-arm`. On Debian with `rustc-web`,
`rust-web-src` and `lld-22` instead of the target, set these first:

    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=core
    export CARGO_TARGET_{variable}_LINKER=ld.lld-22

Boards besides QEMU's: {names}. Another one needs a linker script in `app/boards/`, its name in `app/build.rs`, and a
feature in `app/Cargo.toml`.

| folder | content |
|---|---|
| `kernels/` | int8 operators, audio front end, interpreter; no dependencies |
| `app/` | the program |
| `c/` | the C interface, `nas_model.h`, and an example |
| `check/` | a program that compares the kernels of a core with the portable ones |
| `model/` | the model, and inputs for the program |

## C

The static library holds the model. Its functions are called `{prefix}_…`, in `c/{prefix}_model.h`; `nas export --prefix` gives
another name, so that several models go into one image. Two exports with the same names do not link. An example that judges a sound file in QEMU:

    cargo build --release --target {target} -p nas-model --features {core_feature}
    sh c/example/build.sh {core_feature}
    sh c/example/run.sh {core_feature} ../golden/anomaly.wav
{npu}",
        names = names.join(", "),
        prefix = parts.prefix,
        npu = npu(parts, target),
    )
}

/// How to build for the NPU; empty without an NPU.
fn npu(parts: &Parts<'_>, target: &str) -> String {
    let Some(compiled) = &parts.vela else {
        return String::new();
    };
    let board = compiled.board.name;
    match &compiled.blob {
        Ok(_) => format!(
            "
## Ethos-U55, not executed here

`cargo build --release --target {target} -p nas-app --features {board},u55,embed` builds the program with a driver of
the NPU (`kernels/src/npu/`) and `model/npu.nas`, the network as Vela compiled it. It runs the golden inputs as
above. The image links, and the driver was tested on a host that imitated the registers. No NPU has run it, so compare
its outputs before you trust it. In QEMU, which has no NPU, it ends with the error `no-npu`.
"
        ),
        Err(problem) => format!(
            "
## Ethos-U55

There is no program for the NPU: {problem}. `model_vela.tflite` runs in TensorFlow Lite Micro.
"
        ),
    }
}
