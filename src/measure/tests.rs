use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use proptest::prelude::*;

use super::*;
use crate::{
    graph::{GraphBuilder, OpWeights, Shape, Style, Weights},
    quant::quantize,
};

/// Address and bytes of what was loaded.
type Loaded = Vec<(u32, Vec<u8>)>;
type Says = dyn Fn(&[(u32, Vec<u8>)]) -> String;

/// Keeps what it was given, and says what it was told to say.
struct Fake {
    loaded: Rc<RefCell<Loaded>>,
    says: Box<Says>,
}

impl Board for Fake {
    fn load(&mut self, _: &Image, regions: &[Region<'_>]) -> Result<(), MeasureError> {
        let regions = regions.iter();
        *self.loaded.borrow_mut() = regions
            .map(|region| (region.address, region.bytes.to_vec()))
            .collect();
        Ok(())
    }

    fn run(&mut self, _: Limit) -> Result<String, MeasureError> {
        Ok((self.says)(&self.loaded.borrow()))
    }
}

fn image() -> Image {
    let symbols = [("__model_start", 0x100), ("__input_start", 0x900)];
    Image {
        path: PathBuf::new(),
        sections: Sections {
            text: 40_000,
            rodata: 4_000,
            data: 16,
            bss: 8,
        },
        symbols: symbols.map(|(name, at)| (name.to_string(), at)).into(),
    }
}

fn blob() -> Vec<u8> {
    let mut builder = GraphBuilder::new(Shape::new(1, 1, 4));
    let output = builder.dense(0, 3, Style::LINEAR);
    let graph = builder.finish(output);
    let weights = Weights(vec![Some(OpWeights {
        weight: (0..12).map(|idx| idx as f32 / 12.0).collect(),
        bias: vec![0.5; 3],
    })]);
    quantize(&graph, &weights, &[&[1.0, -1.0, 0.5, 2.0]])
        .unwrap()
        .to_blob()
}

fn measured_by(
    says: impl Fn(&[(u32, Vec<u8>)]) -> String + 'static,
) -> Result<Measurement, MeasureError> {
    let board = Fake {
        loaded: Rc::default(),
        says: Box::new(says),
    };
    let tick = BOARDS[0].tick();
    Bench::with(
        "fake",
        image(),
        Box::new(board),
        tick,
        Limit::instructions(1),
    )
    .measure(&blob())
}

fn line(matches: bool) -> String {
    format!(
        r#"{{"board":"x","count":3,"outputs_hash":"0","clock":"systick","ticks":16000,"load_ticks":9,"stack_bytes":900,"arena_bytes":64,"outputs_match":{matches}}}"#
    )
}

#[test]
fn what_a_board_says_becomes_a_measurement() {
    let seen = measured_by(|loaded| {
        assert_eq!(loaded[0], (0x100, blob()));
        let (address, input) = &loaded[1];
        assert_eq!((*address, &input[..8]), (0x900, b"NASINPUT".as_slice()));
        format!("booting\n{}\n", line(true))
    })
    .unwrap();
    assert!(seen.outputs_match);
    // 16,000 periods of 40 ns, 64 ns an instruction.
    assert_eq!(seen.instructions, Some(10_000));
    assert_eq!((seen.cycles, seen.hop_instructions), (None, None));
    assert_eq!(seen.ram_bytes(), 16 + 8 + 64 + 900);
    assert_eq!(seen.flash_bytes(), 44_016 + blob().len() as u64);
    assert!(!measured_by(|_| line(false)).unwrap().outputs_match);
    let on_a_chip = measured_by(|_| line(true).replace("systick", "cycles")).unwrap();
    assert_eq!(on_a_chip.instructions, None);
    assert_eq!(on_a_chip.cycles, Some((16_000, CostSource::Measured)));
}

#[test]
fn what_goes_wrong_is_said() {
    let check = |says: &'static str, expected: &str| {
        let error = measured_by(move |_| says.to_string()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        r#"{"error":"corrupt","message":"its checksum is wrong"}"#,
        "the firmware refuses: its checksum is wrong (corrupt)",
    );
    check(
        "qemu-system-arm: lockup",
        "fake ended without a result: qemu",
    );
    check(r#"{"board":"x"}"#, "ended without a result");
    check("", "ended without a result");
    let chip = "STM32F407VG".to_string();
    let error = Place::Probe { chip }.board().unwrap_err().to_string();
    assert!(
        error.contains("`STM32F407VG`; there is firmware for STM32H743"),
        "{error}"
    );
    let other = Image {
        symbols: BTreeMap::new(),
        ..image()
    };
    assert!(other.region("__model_start", &[]).is_err());
}

#[test]
fn the_firmware_is_carried_along() {
    let names: Vec<&str> = files().iter().map(|(name, _)| *name).collect();
    for board in BOARDS {
        let script = format!("app/boards/{}.x", board.name);
        assert!(names.contains(&script.as_str()), "{script}");
    }
    for name in [
        "Cargo.toml",
        "Cargo.lock",
        ".cargo/config.toml",
        "c/nas_model.h",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    assert!(!names.iter().any(|name| name.contains("target/")));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_image(mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let start = b"\x7fELF\x01\x01";
        elf::parse(&bytes);
        let length = start.len().min(bytes.len());
        bytes[..length].copy_from_slice(&start[..length]);
        elf::parse(&bytes);
    }
}

/// 64 ns an instruction and 25 or 32 MHz: the longest run that is told apart has some ten million instructions.
#[test]
fn limits_become_wraps_of_the_timer() {
    let check = |board: usize, instructions: u64, expected: u32| {
        let wraps = Limit::instructions(instructions).wraps(BOARDS[board].tick());
        assert_eq!(u32::from_le_bytes(wraps), expected, "{instructions}");
    };
    check(0, 1, 1);
    check(0, 10_485_760, 1);
    check(0, 10_485_762, 2);
    check(1, 8_192_000, 1);
    check(1, 1_000_000_000, 123);
    check(0, u64::MAX, u32::MAX);
}
