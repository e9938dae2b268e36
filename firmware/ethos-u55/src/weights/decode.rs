//! The decoder.

use super::{
    CHUNK, END, LENGTH_BITS, NO_RUNS, PLAIN, SHORT_CHUNK, WeightError, bits::Reader, weight_of,
};

/// Weights of a stream, -255 to 255, in their order in the stream.
pub fn decode(stream: &[u8]) -> Result<Vec<i16>, WeightError> {
    let mut reader = Reader::new(stream);
    let mut weights = Vec::new();
    let mut palette = None;
    while let Some(header) = Header::read(&mut reader, &mut palette)? {
        slice(&mut reader, &header, palette.as_ref(), &mut weights)?;
    }
    Ok(weights)
}

/// What values of a slice mean.
struct Palette {
    /// The weight of each index.
    weights: Box<[i16; INDICES]>,
    /// Bits of a plain index.
    plain_bits: u32,
    /// Whether runs of zeros stand between values, for which zero is not in the palette.
    has_runs: bool,
}

/// Indices have nine bits.
const INDICES: usize = 512;

/// How the values of a slice are coded.
struct Header {
    /// Values, without zeros in runs.
    values: usize,
    /// Bits of remainders.
    value_bits: u32,
    /// Remainders alone.
    is_plain: bool,
    /// A quotient is at most two.
    is_cut: bool,
    /// Bits of remainders of the lengths of runs.
    run_bits: Option<u32>,
    /// A run stands before the first value too.
    is_first: bool,
}

impl Header {
    /// The next header, `None` at the end.
    fn read(
        reader: &mut Reader,
        palette: &mut Option<Palette>,
    ) -> Result<Option<Header>, WeightError> {
        if reader.is_at_end() {
            return Ok(None);
        }
        let mut start = reader.bit;
        let mut runs = reader.take(3)?;
        while runs == END {
            reader.align();
            *palette = None;
            if reader.is_at_end() {
                return Ok(None);
            }
            start = reader.bit;
            runs = reader.take(3)?;
        }
        let wrong = |problem| WeightError::Header {
            bit: start,
            problem,
        };
        let run_bits = match runs {
            NO_RUNS => None,
            0..=3 => Some(runs),
            _ => return Err(wrong("runs of zeros with 4 or 5 bits")),
        };
        let values = reader.take(LENGTH_BITS)? as usize + 1;
        let code = reader.take(3)?;
        let is_cut = reader.take(1)? == 1;
        let is_first = reader.take(1)? == 1;
        if is_first {
            *palette = Some(Palette::read(reader, run_bits.is_some())?);
        }
        let Some(palette) = palette else {
            return Err(wrong("no palette yet"));
        };
        if palette.has_runs != run_bits.is_some() {
            return Err(wrong("runs of zeros begin or end without a new palette"));
        }
        let is_plain = code == PLAIN;
        let value_bits = match code {
            PLAIN => palette.plain_bits,
            0..=5 => code,
            _ => return Err(wrong("a code with 6 bits")),
        };
        Ok(Some(Header {
            values,
            value_bits,
            is_plain,
            is_cut,
            run_bits,
            is_first,
        }))
    }
}

impl Palette {
    fn read(reader: &mut Reader, has_runs: bool) -> Result<Palette, WeightError> {
        let offset = reader.take(5)?;
        // A palette of one entry does not exist.
        let size = match reader.take(5)? {
            0 => 0,
            size => size + 1,
        };
        let width = reader.take(3)? + 2;
        let mut weights = Box::new([0; INDICES]);
        let (common, others) = weights.split_at_mut(size as usize);
        for weight in common {
            *weight = weight_of(reader.take(width)?);
        }
        for (symbol, weight) in (offset..).zip(others) {
            *weight = weight_of(symbol);
        }
        let plain_bits = match size {
            0 => width,
            _ => size.next_power_of_two().trailing_zeros(),
        };
        Ok(Palette {
            weights,
            plain_bits,
            has_runs,
        })
    }

    #[inline]
    fn weight(&self, index: u32) -> Result<i16, WeightError> {
        let weight = self.weights.get(index as usize);
        weight.copied().ok_or(WeightError::Value { value: index })
    }
}

/// Quotients of a chunk; their remainders stand behind the quotients of the next chunk.
#[derive(Clone, Copy)]
struct Chunk {
    quotients: [u32; MOST],
    count: usize,
}

const MOST: usize = CHUNK as usize;

/// Values of a slice, or runs of zeros, as far as they are read.
struct Values {
    /// How many there are.
    total: usize,
    /// Quotients that were read, which may be more than that.
    quotients: usize,
    /// What is known of the quotient of the next one.
    carry: u32,
    /// Bits of a remainder.
    rest: u32,
    /// Steps of a chunk.
    chunk: u32,
    /// The chunk whose remainders come next.
    last: Option<Chunk>,
    /// Those that are read whole, and zeros.
    done: Vec<u32>,
    read: usize,
}

impl Values {
    fn new(total: usize, rest: u32, chunk: u32) -> Values {
        Values {
            total,
            quotients: 0,
            carry: 0,
            rest,
            chunk,
            last: None,
            done: vec![0; total],
            read: 0,
        }
    }

    fn are_left(&self) -> bool {
        self.quotients < self.total
    }

    /// Takes a chunk of steps: bits of which are at least one, and for those whether they are two.
    ///
    /// A quotient ends with a step of less than `top`.
    #[inline]
    fn take(&mut self, ones: u32, twos: u32, top: u32) -> Chunk {
        let mut quotients = [0; MOST];
        let (mut count, mut carry, mut twos) = (0, self.carry, twos);
        for idx in 0..self.chunk {
            let one = ones >> idx & 1;
            let step = one + (one & twos);
            twos >>= one;
            carry += step;
            // There are never more than steps of a chunk.
            if let Some(quotient) = quotients.get_mut(count) {
                *quotient = carry;
            }
            let ends = step < top;
            count += usize::from(ends);
            carry = if ends { 0 } else { carry };
        }
        self.carry = carry;
        self.quotients += count;
        Chunk { quotients, count }
    }

    /// Reads the remainders of the chunk before.
    #[inline]
    fn finish(&mut self, reader: &mut Reader, next: Option<Chunk>) -> Result<(), WeightError> {
        if let Some(chunk) = self.last {
            let count = chunk.count.min(self.total - self.read);
            let places = &mut self.done[self.read..self.read + count];
            self.read += count;
            let quotients = chunk.quotients[..count].chunks(AT_ONCE);
            for (places, quotients) in places.chunks_mut(AT_ONCE).zip(quotients) {
                let rests = reader.take_all::<AT_ONCE>(quotients.len(), self.rest)?;
                for ((place, quotient), rest) in places.iter_mut().zip(quotients).zip(rests) {
                    *place = (quotient << self.rest) + rest;
                }
            }
        }
        self.last = next;
        Ok(())
    }
}

/// Remainders of up to nine bits that are read at once.
const AT_ONCE: usize = 6;

/// Values and runs are read in chunks by turns, so that the hardware needs to hold only a few of each.
fn slice(
    reader: &mut Reader,
    header: &Header,
    palette: Option<&Palette>,
    weights: &mut Vec<i16>,
) -> Result<(), WeightError> {
    let Some(palette) = palette else {
        return Ok(());
    };
    let run_count = match header.run_bits {
        Some(_) => header.values + usize::from(header.is_first),
        None => 0,
    };
    let run_bits = header.run_bits.unwrap_or(0);
    let run_chunk = if run_bits < 3 { CHUNK } else { SHORT_CHUNK };
    let value_chunk = if header.is_plain && header.value_bits > 5 {
        SHORT_CHUNK
    } else {
        CHUNK
    };
    let mut values = Values::new(header.values, header.value_bits, value_chunk);
    let mut runs = Values::new(run_count, run_bits, run_chunk);
    // Two steps go on, but where a quotient is at most two.
    let top = if header.is_cut { 3 } else { 2 };
    loop {
        let (takes_values, takes_runs) = match header.run_bits {
            None => (values.are_left(), false),
            Some(_) => (
                values.quotients < runs.quotients + 8 && values.are_left(),
                values.quotients >= runs.quotients && runs.are_left(),
            ),
        };
        let ones = match takes_values && !header.is_plain {
            true => reader.take(CHUNK)?,
            false => 0,
        };
        let next_runs = match takes_runs {
            true => Some(reader.take(run_chunk)?),
            false => None,
        };
        let next_runs = next_runs.map(|unary| runs.take(unary, 0, 1));
        let next_values = match takes_values {
            true => Some(reader.take(ones.count_ones())?),
            false => None,
        };
        let next_values = next_values.map(|twos| values.take(ones, twos, top));
        values.finish(reader, next_values)?;
        runs.finish(reader, next_runs)?;
        if values.last.is_none() && runs.last.is_none() {
            break;
        }
    }
    if header.run_bits.is_none() {
        for &value in &values.done {
            weights.push(palette.weight(value)?);
        }
        return Ok(());
    }
    let mut runs = runs.done.into_iter();
    let mut zeros = |weights: &mut Vec<i16>| {
        let run = runs.next().unwrap_or(0) as usize;
        weights.resize(weights.len() + run, 0);
    };
    if header.is_first {
        zeros(weights);
    }
    for &value in &values.done {
        weights.push(palette.weight(value)?);
        zeros(weights);
    }
    Ok(())
}
