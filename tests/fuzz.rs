//! Changed inputs for every reader of [`super::targets`].
//!
//! ```sh
//! NAS_FUZZ_SECONDS=600 cargo test --test integration changed_inputs -- --nocapture
//! ```
//! goes on for ten minutes, and says how many inputs there were and how long the slowest took. An input that ends in a
//! panic is written to a file, whose path is said.

use std::{
    env, fs,
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nas::units::Rng;

use super::targets::{TARGETS, Target};

tests! {
    changed_inputs_are_refused_or_read,
}

/// Inputs of each target where nobody asks for more.
const FEW: usize = 150;
/// From here on an input hangs.
const HANGS: Duration = Duration::from_secs(10);

fn changed_inputs_are_refused_or_read() {
    let seconds = env::var("NAS_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let share = seconds.map(|seconds: f64| Duration::from_secs_f64(seconds / TARGETS.len() as f64));
    let mut all = 0;
    for (idx, target) in TARGETS.iter().enumerate() {
        // The same inputs every time, and others in every long campaign.
        let seed = share.map_or(0, |_| u64::from(std::process::id()));
        let (count, slowest) = campaign(target, Rng::new(seed, idx as u64), share);
        all += count;
        say!(
            "{:9} {count:9} inputs, the slowest took {:.1} ms",
            target.name,
            1e3 * slowest.as_secs_f64()
        );
    }
    say!(
        "{all} inputs in all, at most {} MiB of memory",
        peak_kib() / 1024
    );
}

/// Reads seeds and what is made of them; returns how many, and the time of the slowest.
fn campaign(target: &Target, mut rng: Rng, share: Option<Duration>) -> (usize, Duration) {
    let seeds = (target.seeds)();
    let begun = Instant::now();
    let (mut count, mut slowest) = (0, Duration::ZERO);
    let now: Mutex<(Instant, Vec<u8>)> = Mutex::new((begun, Vec::new()));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // A reader that hangs cannot be ended; the process can.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
                let (since, input) = &*now.lock().unwrap_or_else(PoisonError::into_inner);
                if since.elapsed() > HANGS && !is_over.load(Ordering::Relaxed) {
                    eprintln!("{} hangs on {}", target.name, keep(input));
                    std::process::abort();
                }
            }
        });
        let goes_on = |count: usize| match share {
            Some(share) => begun.elapsed() < share,
            None => count < FEW,
        };
        while goes_on(count) {
            let input = match seeds.get(count) {
                Some(seed) => seed.clone(),
                None => changed(&seeds, &mut rng),
            };
            let start = Instant::now();
            *now.lock().unwrap_or_else(PoisonError::into_inner) = (start, input.clone());
            let read = panic::catch_unwind(AssertUnwindSafe(|| (target.read)(&input)));
            slowest = slowest.max(start.elapsed());
            count += 1;
            if read.is_err() {
                is_over.store(true, Ordering::Relaxed);
                panic!("{} does not stand {}", target.name, keep(&input));
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    (count, slowest)
}

/// Writes an input to a file that stays; returns its path.
fn keep(input: &[u8]) -> String {
    let path = env::temp_dir().join(format!("nas-input-{}", std::process::id()));
    let written = fs::write(&path, input);
    written.map_or_else(|error| error.to_string(), |()| path.display().to_string())
}

/// A seed with some changes.
fn changed(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    /// Numbers at which arithmetic turns.
    const EDGES: [u64; 10] = [
        0,
        1,
        0x7f,
        0xff,
        0x7fff,
        0xffff,
        0x7fff_ffff,
        0xffff_ffff,
        0x7fff_ffff_ffff_ffff,
        u64::MAX,
    ];
    let mut bytes = seeds[rng.below(seeds.len())].clone();
    for _ in 0..1 + rng.below(6) {
        // Headers decide most, so that half of the changes are there.
        let reach = match rng.below(2) {
            0 => bytes.len().min(96),
            _ => bytes.len(),
        };
        let place = rng.below(reach.max(1)).min(bytes.len());
        let length = (1 + rng.below(16)).min(bytes.len() - place);
        match rng.below(9) {
            0..3 if length > 0 => bytes[place] ^= 1 << rng.below(8),
            3 if length > 0 => bytes[place] = rng.below(256) as u8,
            4 => {
                let edge =
                    EDGES[rng.below(EDGES.len())].wrapping_add_signed(rng.below(3) as i64 - 1);
                let width = [1, 2, 4, 8][rng.below(4)].min(bytes.len() - place);
                bytes[place..place + width].copy_from_slice(&edge.to_le_bytes()[..width]);
            }
            5 => drop(bytes.drain(place..place + length)),
            6 => {
                let twice = bytes[place..place + length].to_vec();
                bytes.splice(place..place, twice);
            }
            7 => {
                let other = &seeds[rng.below(seeds.len())];
                let from = rng.below(other.len().max(1));
                let taken = other[from..].iter().take(1 + rng.below(64)).copied();
                let taken: Vec<u8> = taken.collect();
                let end = (place + taken.len()).min(bytes.len());
                bytes.splice(place..end, taken);
            }
            8 if rng.below(4) == 0 => bytes.truncate(place),
            _ => {}
        }
    }
    bytes
}

/// The most memory that this process ever had, where the system says it.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    words.and_then(|number| number.parse().ok()).unwrap_or(0)
}
