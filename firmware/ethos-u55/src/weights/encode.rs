//! The encoder, which makes the choices that Vela 5.2 makes.

use super::{
    CHUNK, END, LENGTH_BITS, MOST_VALUES, NO_RUNS, PLAIN, SHORT_CHUNK, bits::Writer, symbol_of,
};

/// Weights, -255 to 255, as a stream that [`decode`](super::decode) reads; larger ones are cut off.
///
/// The stream ends at a multiple of 16 bytes.
pub fn encode(weights: &[i16]) -> Vec<u8> {
    let mut writer = Writer::default();
    for section in weights.chunks(SECTION) {
        let section: Vec<usize> = section
            .iter()
            .map(|&weight| symbol_of(weight.clamp(-255, 255)))
            .collect();
        write_section(&mut writer, &section);
    }
    writer.put(END, 3);
    writer.finish(ALIGNMENT)
}

/// Weights that share a palette.
const SECTION: usize = 128 * 1024;
const ALIGNMENT: usize = 16;
/// Signs and magnitudes up to 255.
const SYMBOLS: usize = 512;
const PALETTE: usize = 32;
/// What a change of code is taken to cost.
const CHANGE_BITS: i64 = 40;

/// Which values have short indices.
struct Palette {
    /// Common symbols, the most common first.
    symbols: Vec<usize>,
    /// Symbols from 0 that do not occur.
    offset: usize,
    /// Bits of a symbol.
    width: u32,
    /// Bits of an index without code, where all fit into that.
    plain_bits: Option<u32>,
    has_runs: bool,
    index: [usize; SYMBOLS],
}

/// How a slice is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    /// A quotient in steps of two, and a remainder of so many bits.
    Whole(u32),
    /// A quotient of at most two, and a remainder.
    Cut(u32),
    /// An index of so many bits.
    Plain(u32),
    /// A quotient in steps of one, and a remainder: runs of zeros.
    Run(u32),
}

/// A code up to a value.
struct Stretch {
    code: Code,
    end: usize,
}

fn write_section(writer: &mut Writer, symbols: &[usize]) {
    let palette = Palette::of(symbols);
    let (values, runs) = palette.split(symbols);
    let codes = (0..6).map(Code::Whole).chain((0..6).map(Code::Cut));
    let plain = palette.plain_bits.map(Code::Plain);
    let value_codes = stretches(&values, &codes.chain(plain).collect::<Vec<_>>());
    let run_codes = match palette.has_runs {
        true => stretches(&runs, &[0, 1, 2, 3].map(Code::Run)),
        false => Vec::new(),
    };
    let mut value_codes = value_codes.iter().peekable();
    let mut run_codes = run_codes.iter().peekable();
    let mut start = 0;
    while let Some(value) = value_codes.peek() {
        let run = run_codes.peek();
        let run_end = run.map_or(usize::MAX, |run| run.end);
        let end = value.end.min(run_end).min(start + MOST_VALUES);
        let is_first = start == 0;
        write_slice(
            writer,
            &palette,
            is_first,
            (value.code, &values[start..end]),
            run.map(|run| {
                // A run before each value of the first slice and one behind, then only those behind.
                let first = if is_first { 0 } else { start + 1 };
                (run.code, &runs[first..end + 1])
            }),
        );
        value_codes.next_if(|value| value.end <= end);
        run_codes.next_if(|run| run.end <= end);
        start = end;
    }
}

impl Palette {
    fn of(symbols: &[usize]) -> Palette {
        let mut counts = [0; SYMBOLS];
        symbols.iter().for_each(|&symbol| counts[symbol] += 1);
        let has_runs = runs_pay(symbols, &counts);
        if has_runs {
            counts[0] = 0;
        }
        let total: usize = counts.iter().sum();
        let largest = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        let unused = counts.iter().take_while(|&&count| count == 0).count();
        let offset = if total == 0 { 0 } else { unused.min(31) };
        let mut common: Vec<usize> = (0..SYMBOLS).filter(|&symbol| counts[symbol] > 0).collect();
        common.sort_by_key(|&symbol| core::cmp::Reverse((counts[symbol], symbol)));
        let all_fit = (1..=PALETTE).contains(&common.len());
        if !all_fit {
            // Indices behind the palette end at 511.
            let most = PALETTE.min(SYMBOLS - 1 - largest);
            common.truncate(if most == 1 { 0 } else { most });
        }
        let inside: usize = common.iter().map(|&symbol| counts[symbol]).sum();
        if common.len() == 1 {
            // A palette of one entry does not exist.
            common.push(0);
        }
        let widest = if inside >= total / 2 {
            common.iter().max().copied().unwrap_or(0)
        } else {
            common.clear();
            largest
        };
        let width = (usize::BITS - widest.leading_zeros()).max(2);
        let plain_bits = match common.len() {
            0 => Some(width),
            size if all_fit => Some(size.next_power_of_two().trailing_zeros()),
            _ => None,
        };
        let mut index = [0; SYMBOLS];
        for (symbol, index) in index.iter_mut().enumerate() {
            // Vela writes a zero that is not in the palette as a negative one.
            *index = (common.len() + symbol.max(1)).saturating_sub(offset);
        }
        for (idx, &symbol) in common.iter().enumerate() {
            index[symbol] = idx;
        }
        Palette {
            symbols: common,
            offset,
            width,
            plain_bits,
            has_runs,
            index,
        }
    }

    /// Indices of values, and runs of zeros before each and behind the last one.
    fn split(&self, symbols: &[usize]) -> (Vec<usize>, Vec<usize>) {
        if !self.has_runs {
            let values = symbols.iter().map(|&symbol| self.index[symbol]).collect();
            return (values, Vec::new());
        }
        let (mut values, mut runs) = (Vec::new(), vec![0]);
        // A slice has a value: among nothing but zeros the first is one.
        let is_empty = symbols.iter().all(|&symbol| symbol == 0);
        for (place, &symbol) in symbols.iter().enumerate() {
            match runs.last_mut() {
                Some(run) if symbol == 0 && !(is_empty && place == 0) => *run += 1,
                _ => {
                    values.push(self.index[symbol]);
                    runs.push(0);
                }
            }
        }
        (values, runs)
    }
}

/// Whether runs of zeros are coded apart: most zeros lie in runs, and no other value is nearly as common.
fn runs_pay(symbols: &[usize], counts: &[usize; SYMBOLS]) -> bool {
    let in_runs: usize = symbols
        .chunk_by(|a, b| (*a == 0) == (*b == 0))
        .filter(|chunk| chunk[0] == 0 && chunk.len() >= 2)
        .map(<[usize]>::len)
        .sum();
    let most = counts[1..].iter().max().copied().unwrap_or(0);
    in_runs >= counts[0] / 2 && counts[0] > 5 * most
}

impl Code {
    /// Bits of a value, `None` where the code has none for it.
    fn bits(self, value: usize) -> Option<i64> {
        let quotient = |rest: u32| (value >> rest) as i64;
        match self {
            Code::Whole(rest) if quotient(rest) <= 31 => Some(quotient(rest) + 1 + i64::from(rest)),
            Code::Cut(rest) if quotient(rest) <= 2 => {
                Some((quotient(rest) + 1).min(2) + i64::from(rest))
            }
            Code::Plain(bits) => Some(i64::from(bits)),
            Code::Run(rest) => Some(quotient(rest) + 1 + i64::from(rest)),
            _ => None,
        }
    }

    /// Bits of a remainder.
    fn rest(self) -> u32 {
        match self {
            Code::Whole(rest) | Code::Cut(rest) | Code::Plain(rest) | Code::Run(rest) => rest,
        }
    }

    /// By how much a step takes a quotient down.
    fn step(self) -> i32 {
        match self {
            Code::Run(_) => 1,
            Code::Whole(_) => 2,
            Code::Cut(_) | Code::Plain(_) => 3,
        }
    }

    /// Steps that are written at once.
    fn chunk(self) -> u32 {
        match self {
            Code::Run(3..) | Code::Plain(6..) => SHORT_CHUNK,
            _ => CHUNK,
        }
    }
}

/// Which code is used how far: the values are looked through once, and the code changes where another one has become
/// cheaper by more than a change costs.
fn stretches(values: &[usize], codes: &[Code]) -> Vec<Stretch> {
    #[derive(Clone, Copy, Default)]
    struct Trial {
        bits: i64,
        /// The value behind the last one that the code does not have.
        from: usize,
        is_coded: bool,
    }
    let mut trials = vec![Trial::default(); codes.len()];
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut active: Option<usize> = None;
    let mut active_bits = 0;
    for (place, &value) in values.iter().enumerate() {
        let (mut best, mut best_bits) = (0, i64::MAX);
        for (idx, (trial, code)) in trials.iter_mut().zip(codes).enumerate() {
            let Some(bits) = code.bits(value) else {
                *trial = Trial {
                    bits: trial.bits + CHANGE_BITS,
                    from: place + 1,
                    is_coded: false,
                };
                continue;
            };
            if !trial.is_coded {
                trial.bits = active_bits;
            }
            trial.bits += bits;
            trial.is_coded = true;
            if trial.bits < best_bits {
                (best, best_bits) = (idx, trial.bits);
            }
        }
        let changes = match active {
            None => true,
            Some(active) => {
                !trials[active].is_coded || best != active && best_bits + CHANGE_BITS < active_bits
            }
        };
        if changes {
            if let Some(active) = active {
                let (new, old) = (trials[best], trials[active]);
                // The other code may have been the better one from where this one began.
                if !(new.bits < old.bits && new.from <= old.from) {
                    stretches.push(Stretch {
                        code: codes[active],
                        end: place,
                    });
                }
            }
            active = Some(best);
        }
        active_bits = active.map_or(0, |active| trials[active].bits);
    }
    if let Some(active) = active {
        let code = codes[active];
        match stretches.last_mut() {
            Some(last) if last.code == code => last.end = values.len(),
            _ => stretches.push(Stretch {
                code,
                end: values.len(),
            }),
        }
    }
    stretches
}

/// Values as steps, in chunks.
struct Steps<'a> {
    code: Code,
    values: &'a [usize],
    /// What is left of the quotient of a value that has begun.
    quotient: Option<i32>,
    /// Values that have ended.
    ended: usize,
}

impl<'a> Steps<'a> {
    fn new((code, values): (Code, &'a [usize])) -> Steps<'a> {
        Steps {
            code,
            values,
            quotient: None,
            ended: 0,
        }
    }

    fn is_over(&self) -> bool {
        self.ended == self.values.len()
    }

    /// Heights of the steps of a chunk, 0 to 2, and the remainders of the values that end in it.
    fn chunk(&mut self) -> (Vec<i32>, Vec<usize>) {
        let (mut heights, mut remainders) = (Vec::new(), Vec::new());
        let rest = self.code.rest();
        while heights.len() < self.code.chunk() as usize {
            let Some(&value) = self.values.get(self.ended) else {
                heights.push(0);
                continue;
            };
            let quotient = self.quotient.unwrap_or((value >> rest) as i32);
            heights.push(quotient.min(2));
            let left = quotient - self.code.step();
            self.quotient = Some(left);
            if left < 0 {
                self.quotient = None;
                self.ended += 1;
                remainders.push(value & ((1 << rest) - 1));
            }
        }
        (heights, remainders)
    }
}

/// Bits, the first the lowest.
fn unary(heights: &[i32], from: i32) -> u32 {
    let bits = heights.iter().enumerate();
    bits.fold(0, |all, (idx, &height)| {
        all | u32::from(height >= from) << idx
    })
}

fn write_slice(
    writer: &mut Writer,
    palette: &Palette,
    with_palette: bool,
    values: (Code, &[usize]),
    runs: Option<(Code, &[usize])>,
) {
    let is_plain = matches!(values.0, Code::Plain(_));
    let has_runs = runs.is_some();
    writer.put(runs.map_or(NO_RUNS, |runs| runs.0.rest()), 3);
    writer.put(values.1.len() as u32 - 1, LENGTH_BITS);
    writer.put(if is_plain { PLAIN } else { values.0.rest() }, 3);
    writer.put(u32::from(matches!(values.0, Code::Cut(_))), 1);
    writer.put(u32::from(with_palette), 1);
    if with_palette {
        writer.put(palette.offset as u32, 5);
        writer.put(palette.symbols.len().saturating_sub(1) as u32, 5);
        writer.put(palette.width - 2, 3);
        for &symbol in &palette.symbols {
            writer.put(symbol as u32, palette.width);
        }
    }
    let (value_rest, run_rest) = (values.0.rest(), runs.map_or(0, |runs| runs.0.rest()));
    let mut values = Steps::new(values);
    let mut runs = Steps::new(runs.unwrap_or((Code::Run(0), &[])));
    let (mut last_values, mut last_runs) = (None, None);
    loop {
        let takes_values = !values.is_over() && (!has_runs || values.ended < runs.ended + 8);
        let takes_runs = has_runs && !runs.is_over() && values.ended >= runs.ended;
        let value_chunk = takes_values.then(|| values.chunk());
        let run_chunk = takes_runs.then(|| runs.chunk());
        let steps = value_chunk.as_ref().filter(|_| !is_plain);
        if let Some((heights, _)) = steps {
            writer.put(unary(heights, 1), CHUNK);
        }
        if let Some((heights, _)) = &run_chunk {
            writer.put(unary(heights, 1), heights.len() as u32);
        }
        if let Some((heights, _)) = steps {
            let more: Vec<i32> = heights
                .iter()
                .copied()
                .filter(|&height| height > 0)
                .collect();
            writer.put(unary(&more, 2), more.len() as u32);
        }
        for remainder in last_values.into_iter().flatten() {
            writer.put(remainder as u32, value_rest);
        }
        for remainder in last_runs.into_iter().flatten() {
            writer.put(remainder as u32, run_rest);
        }
        last_values = value_chunk.map(|chunk| chunk.1);
        last_runs = run_chunk.map(|chunk| chunk.1);
        if last_values.is_none() && last_runs.is_none() {
            break;
        }
    }
}
