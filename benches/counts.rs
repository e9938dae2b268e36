//! Our estimates of this project's kernels against exact counts of the firmware in QEMU.
//!
//! `cargo bench --bench counts [CANDIDATES]` counts random candidates of every built-in space, with random weights,
//! and prints how well the shipped tables predict their instructions, and the shipped profiles their cycles.
//! `cargo bench --bench counts sweep` counts a designed sweep of layers instead and writes the tables,
//! `hardware_profiles/calibration/nas-{m7,m55}.csv`, that the profiles are fitted to.
//!
//! Needs QEMU, a compiler for microcontrollers and LLVM 22 (`tests/setup.sh`).

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use nas::{
    graph::{Graph, OpWeights, Weights, text},
    hardware::{
        Core, Target, Term,
        calibrate::{Count, Fit, Group, Measurements, calibrate},
        cpu_work, estimate, find,
    },
    measure::{BOARDS, BoardKind, Image, Kernels, Limit, build, count, cycles},
    quant::quantize,
    space::{Spaces, builtin},
    stats::kendall_tau,
    units::Rng,
};

const LIMIT: Limit = Limit::instructions(20_000_000_000);

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "sweep") {
        return write_tables();
    }
    let count = arguments.iter().find_map(|argument| argument.parse().ok());
    compare(count.unwrap_or(100))
}

/// Prints errors on random candidates, as many of each space, which are in no table.
fn compare(count: usize) -> Result<()> {
    println!("{count} random candidates; errors in % as mean / 95th percentile / largest");
    println!("| core | space | instructions | cycles | Kendall's tau of cycles |");
    println!("|---|---|--:|--:|--:|");
    for (core, table, _) in CORES {
        let emulator = Emulator::open(core)?;
        let (name, title) = match core {
            Core::CortexM7 => ("stm32h743-nas", "Cortex-M7"),
            Core::CortexM55 => ("alif-e7-hp-nas", "Cortex-M55"),
        };
        let target = find(name)?;
        let instructions = instruction_fit(&target, table)?;
        let spaces = builtin();
        let each = count.div_ceil(spaces.len());
        // Predicted and counted instructions, predicted and scheduled cycles.
        let mut all: Vec<[f64; 4]> = Vec::new();
        for (stream, space) in spaces.into_iter().enumerate() {
            let name = space.name.clone();
            let alone = Spaces::new(vec![space], 6);
            let mut rng = Rng::new(11, stream as u64);
            let mut pairs = Vec::new();
            while pairs.len() < each {
                let candidate = alone.decode(&alone.random(&mut rng));
                // The board has 512 KiB, and some of it is the program's.
                if estimate(&candidate, &target).ram_bytes.value > 448.0 * 1024.0 {
                    continue;
                }
                let graph = candidate.graph;
                let counts = emulator.run(&graph, &mut rng)?;
                let mut work = cpu_work(&graph, &target);
                // The emulator's memory answers at once; a profile adds what fetching weights costs on its chip.
                work[Term::WeightByte as usize] = 0.0;
                let cycles = target.cpu.cycles.iter();
                pairs.push([
                    instructions.cycles(&work),
                    counts.instructions as f64,
                    cycles.map(|(&term, c)| c.value * work[term as usize]).sum(),
                    counts.cycles,
                ]);
            }
            print_row(title, &name, &pairs);
            all.extend(pairs);
        }
        print_row(title, "**all**", &all);
    }
    Ok(())
}

/// The terms of a profile fitted to the instructions of its table.
fn instruction_fit(target: &Target, table: &str) -> Result<Fit> {
    let path = tables().join(table).with_extension("csv");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let no_model = |_: &str| Err("the table names no models".to_string());
    let wanted = Some(Count::Instructions);
    let file = path.display().to_string();
    let measurements = Measurements::parse(&text, &file, wanted, target, &no_model)?;
    let calibration = target.calibration.as_ref();
    let terms = &calibration.context("the profile was fitted")?.terms;
    let groups: Result<Vec<Group>, _> = terms.iter().map(|text| Group::parse(text)).collect();
    Ok(calibrate(&measurements.rows, &groups?, target)?)
}

fn print_row(core: &str, space: &str, pairs: &[[f64; 4]]) {
    let errors = |first: usize| {
        let error = |pair: &[f64; 4]| 100.0 * (pair[first] / pair[first + 1] - 1.0).abs();
        let mut errors: Vec<f64> = pairs.iter().map(error).collect();
        errors.sort_by(f64::total_cmp);
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        let at = |share: f64| errors[(share * (errors.len() - 1) as f64).round() as usize];
        format!("{mean:.2} / {:.2} / {:.2}", at(0.95), at(1.0))
    };
    let (ours, scheduled): (Vec<f64>, Vec<f64>) =
        pairs.iter().map(|pair| (pair[2], pair[3])).unzip();
    println!(
        "| {core} | {space} | {} | {} | {:.4} |",
        errors(0),
        errors(2),
        kendall_tau(&ours, &scheduled).unwrap_or(f64::NAN)
    );
}

fn tables() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("hardware_profiles/calibration")
}

/// An emulated core with this project's firmware.
struct Emulator {
    board: &'static BoardKind,
    image: Image,
    folder: PathBuf,
}

/// Exact instructions of one inference, and the cycles that LLVM schedules them to.
#[derive(Debug, Clone, Copy)]
struct Counts {
    instructions: u64,
    cycles: f64,
}

impl Emulator {
    fn open(core: Core) -> Result<Emulator> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware");
        fs::create_dir_all(&folder)?;
        let board = BOARDS
            .iter()
            .find(|board| board.core == core && board.machine.is_some());
        let board = board.context("every core has an emulated board")?;
        Ok(Emulator {
            board,
            image: build(board, Kernels::OfCore, &folder, &|note| eprintln!("{note}"))?,
            folder,
        })
    }

    fn run(&self, graph: &Graph, rng: &mut Rng) -> Result<Counts> {
        let weights = weights(graph, rng);
        let window: Vec<f32> = (0..graph.input_shape().len())
            .map(|_| rng.normal() as f32)
            .collect();
        let blob = quantize(graph, &weights, &[&window])?.to_blob();
        let counted = count(self.board, &self.image, &blob, &self.folder, LIMIT)?;
        ensure!(counted.outputs_match, "other outputs than on the host");
        let profile = cycles(&self.image.path, self.board.core, &counted.executed)?;
        Ok(Counts {
            instructions: counted.instructions(),
            cycles: profile.cycles,
        })
    }
}

/// Weights as an initialisation draws them. Dead channels would send a layer to slower arithmetic on Cortex-M7.
fn weights(graph: &Graph, rng: &mut Rng) -> Weights {
    let weights = graph.ops.iter().map(|op| {
        let (count, channels) = (graph.op_weight_len(op), graph.op_bias_len(op));
        if count == 0 {
            return None;
        }
        let taps = graph.op_macs(op) as f64 / graph.op_output(op).len() as f64;
        let spread = (2.0 / taps).sqrt();
        Some(OpWeights {
            weight: (0..count).map(|_| (rng.normal() * spread) as f32).collect(),
            bias: (0..channels).map(|_| (rng.normal() * 0.3) as f32).collect(),
        })
    });
    Weights(weights.collect())
}

const CORES: [(Core, &str, &str); 2] = [
    (Core::CortexM7, "nas-m7", "kernels built for SMLAD"),
    (Core::CortexM55, "nas-m55", "kernels built for Helium"),
];

fn write_tables() -> Result<()> {
    let networks = sweep();
    for (core, name, build) in CORES {
        let emulator = Emulator::open(core)?;
        let mut table = format!(
            "# One inference of single layers and small networks with nas-kernels, {build}, random weights and inputs.\n\
             # Instructions: counted exactly in QEMU. Cycles: these instructions as LLVM 22 schedules them; estimated.\n\
             # Written by `cargo bench --bench counts sweep`.\n\
             name,family,kind,network,instructions,cycles,source\n"
        );
        for (family, network) in &networks {
            let graph = text::parse(network).with_context(|| network.clone())?;
            let counts = emulator.run(&graph, &mut Rng::new(4, 0));
            let counts = counts.with_context(|| network.clone())?;
            let Counts {
                instructions,
                cycles,
            } = counts;
            table += &format!(
                "{network},{family},estimated,{network},{instructions},{cycles:.0},nas-kernels\n"
            );
        }
        let path = tables().join(name).with_extension("csv");
        fs::write(&path, table).with_context(|| path.display().to_string())?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// Family and text of every network of the sweep.
///
/// Each operator at sizes that reach all ends of its loops: odd channels, borders, strides, tails, one block and many.
fn sweep() -> Vec<(String, String)> {
    let mut sweep = Sweep {
        rng: Rng::new(404, 0),
        networks: Vec::new(),
    };
    const DEPTHS: [usize; 16] = [1, 2, 3, 4, 5, 8, 12, 16, 17, 24, 32, 48, 64, 72, 96, 130];
    const CHANNELS: [usize; 15] = [1, 3, 4, 7, 8, 16, 24, 31, 32, 33, 48, 64, 65, 96, 128];
    const SIDES: [usize; 12] = [1, 2, 3, 4, 5, 7, 8, 10, 16, 20, 33, 64];
    for _ in 0..60 {
        let [height, width] = sweep.sides(&SIDES, 800);
        let (depth, channels) = (sweep.one_of(&DEPTHS), sweep.one_of(&CHANNELS));
        let style = sweep.style();
        sweep.push(
            format!(
                "conv 1x1 of {}",
                if depth % 4 == 0 { "fours" } else { "odd depth" }
            ),
            format!("{height}x{width}x{depth}; conv {channels} 1x1{style}"),
        );
    }
    const KERNELS: [&str; 9] = [
        "3x3",
        "3x3/2x2",
        "5x5",
        "5x5/2x2",
        "3x4/2x1",
        "10x4/2x2",
        "10x8/2x3",
        "1x3",
        "3x3 valid",
    ];
    for kernel in KERNELS {
        for repeat in 0..14 {
            let [height, width] = sweep.sides(&SIDES[3..], 1200);
            // Spectrograms have one channel.
            let depth = match repeat % 3 {
                0 => 1,
                _ => sweep.one_of(&DEPTHS),
            };
            let channels = sweep.one_of(&CHANNELS);
            let style = sweep.style();
            sweep.push(
                format!("conv {kernel}"),
                format!("{height}x{width}x{depth}; conv {channels} {kernel}{style}"),
            );
        }
    }
    for kernel in [
        "3x3",
        "3x3/2x2",
        "5x5",
        "5x5/2x2",
        "1x3",
        "4x4",
        "7x7",
        "3x3 valid",
    ] {
        for _ in 0..16 {
            let [height, width] = sweep.sides(&SIDES[1..], 1500);
            let channels =
                sweep.one_of(&[1, 3, 4, 6, 8, 15, 16, 17, 24, 32, 40, 48, 64, 96, 144, 192]);
            let style = sweep.style();
            if kernel.ends_with("valid") && (height < 3 || width < 3) {
                continue;
            }
            sweep.push(
                format!("depthwise {kernel}"),
                format!("{height}x{width}x{channels}; depthwise {kernel}{style}"),
            );
        }
    }
    for idx in 0..60 {
        const FEATURES: [usize; 16] =
            [1, 2, 4, 6, 8, 10, 16, 23, 32, 33, 64, 66, 96, 128, 256, 640];
        let (inputs, features) = match idx % 3 {
            0 => (
                sweep.one_of(&[640, 320, 1024, 128]),
                sweep.one_of(&FEATURES),
            ),
            1 => (sweep.one_of(&FEATURES), sweep.one_of(&FEATURES)),
            _ => (1 + sweep.rng.below(1500), 1 + sweep.rng.below(200)),
        };
        let style = sweep.style();
        sweep.push_half("dense", format!("1x1x{inputs}; dense {features}{style}"));
    }
    for _ in 0..30 {
        let [height, width] = sweep.sides(&SIDES, 800);
        let channels = sweep.one_of(&[1, 4, 8, 16, 17, 24, 32, 48, 64, 96]);
        let shape = format!("{height}x{width}x{channels}");
        sweep.push_half("global_pool", format!("{shape}; global_pool"));
        sweep.push_half("add", format!("{shape}; add 0"));
        sweep.push_half("upsample", format!("{shape}; upsample 2x2"));
        sweep.push_half("relu", format!("{shape}; relu"));
    }
    for idx in 0..16 {
        let [height, width] = sweep.sides(&SIDES[3..], 600);
        let channels = sweep.one_of(&[1, 4, 8, 16, 17, 24, 32, 48]);
        let kernel = ["2x2/2x2", "3x3", "3x3/2x2", "5x2/2x2"][idx % 4];
        let shape = format!("{height}x{width}x{channels}");
        sweep.push_half("average_pool", format!("{shape}; average_pool {kernel}"));
        // No space has these two. They are fitted where they are used: on many channels.
        if channels.is_multiple_of(16) {
            sweep.push_half("max_pool", format!("{shape}; max_pool {kernel}"));
            sweep.push_half("mean", format!("{shape}; mean"));
        }
        let classes = [2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 41, 50, 64, 100, 128][idx];
        sweep.push_half("softmax", format!("1x1x{classes}; softmax"));
    }
    // Many operators that do little show what it costs to call one.
    for length in [1, 2, 4, 8, 12, 16, 24] {
        let calls = "; dense 4 relu".repeat(length);
        sweep.push_half("calls", format!("1x1x8{calls}"));
        let calls = "; conv 8 1x1 relu; depthwise 3x3 relu".repeat(length);
        sweep.push_half("separable", format!("4x4x8{calls}"));
    }
    sweep.networks
}

struct Sweep {
    rng: Rng,
    networks: Vec<(String, String)>,
}

impl Sweep {
    fn one_of(&mut self, values: &[usize]) -> usize {
        values[self.rng.below(values.len())]
    }

    /// Height and width of an image of at most so many pixels.
    fn sides(&mut self, values: &[usize], most: usize) -> [usize; 2] {
        loop {
            let sides = [self.one_of(values), self.one_of(values)];
            if sides[0] * sides[1] <= most {
                return sides;
            }
        }
    }

    fn style(&mut self) -> &'static str {
        ["", " relu", " relu"][self.rng.below(3)]
    }

    /// Takes a network of an operator without kernels; they are two families by chance, so that one can test the other.
    fn push_half(&mut self, operator: &str, network: String) {
        let sum: usize = network.bytes().map(usize::from).sum();
        self.push(format!("{operator} {}", ["a", "b"][sum % 2]), network);
    }

    /// Takes a network, unless it would run for long or is there already.
    fn push(&mut self, family: String, network: String) {
        const MOST_MACS: u64 = 4_000_000;
        let graph = text::parse(&network).unwrap_or_else(|e| panic!("{e}"));
        if graph.macs() <= MOST_MACS && self.networks.iter().all(|(_, other)| *other != network) {
            self.networks.push((family, network));
        }
    }
}
