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
    /// Common values, none to 32.
    symbols: Vec<u32>,
    /// What is added to an index behind them.
    offset: u32,
    /// Bits of a plain index.
    plain_bits: u32,
    /// Whether runs of zeros stand between values, for which zero is not in the palette.
    has_runs: bool,
}

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
        let mut symbols = Vec::with_capacity(size as usize);
        for _ in 0..size {
            symbols.push(reader.take(width)?);
        }
        let plain_bits = match size {
            0 => width,
            _ => size.next_power_of_two().trailing_zeros(),
        };
        Ok(Palette {
            symbols,
            offset,
            plain_bits,
            has_runs,
        })
    }

    fn weight(&self, index: u32) -> Result<i16, WeightError> {
        if index >= 512 {
            return Err(WeightError::Value { value: index });
        }
        let symbol = match self.symbols.get(index as usize) {
            Some(&symbol) => symbol,
            None => index - self.symbols.len() as u32 + self.offset,
        };
        Ok(weight_of(symbol))
    }
}

/// Quotients of a chunk; their remainders stand behind the quotients of the next chunk.
#[derive(Clone, Copy, Default)]
struct Chunk {
    quotients: [u32; CHUNK as usize],
    count: usize,
}

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
    let (mut values, mut runs) = (Vec::new(), Vec::new());
    // Quotients that were read, which may be more than values are left.
    let (mut value_quotients, mut run_quotients) = (0, 0);
    let (mut value_carry, mut run_carry) = (0, 0);
    let (mut last_values, mut last_runs): (Option<Chunk>, Option<Chunk>) = (None, None);
    loop {
        let (takes_values, takes_runs) = match header.run_bits {
            None => (value_quotients < header.values, false),
            Some(_) => (
                value_quotients < run_quotients + 8 && value_quotients < header.values,
                value_quotients >= run_quotients && run_quotients < run_count,
            ),
        };
        let mut ones = 0;
        if takes_values && !header.is_plain {
            ones = reader.take(CHUNK)?;
        }
        let runs_read = if takes_runs {
            let unary = reader.take(run_chunk)?;
            let mut chunk = Chunk::default();
            for idx in 0..run_chunk {
                if unary >> idx & 1 == 1 {
                    run_carry += 1;
                } else {
                    chunk.push(run_carry);
                    run_carry = 0;
                }
            }
            run_quotients += chunk.count;
            Some(chunk)
        } else {
            None
        };
        let values_read = if takes_values {
            let mut twos = reader.take(ones.count_ones())?;
            let mut chunk = Chunk::default();
            for idx in 0..value_chunk {
                let mut step = 0;
                if ones >> idx & 1 == 1 {
                    step = 1 + (twos & 1);
                    twos >>= 1;
                }
                value_carry += step;
                if step < 2 || header.is_cut {
                    chunk.push(value_carry);
                    value_carry = 0;
                }
            }
            value_quotients += chunk.count;
            Some(chunk)
        } else {
            None
        };
        if let Some(chunk) = last_values {
            chunk.remainders(reader, header.value_bits, header.values, &mut values)?;
        }
        if let Some(chunk) = last_runs {
            chunk.remainders(reader, run_bits, run_count, &mut runs)?;
        }
        (last_values, last_runs) = (values_read, runs_read);
        if last_values.is_none() && last_runs.is_none() {
            break;
        }
    }
    let mut runs = runs.into_iter();
    let mut zeros = |weights: &mut Vec<i16>| {
        let run = runs.next().unwrap_or(0) as usize;
        weights.resize(weights.len() + run, 0);
    };
    if header.is_first {
        zeros(weights);
    }
    for value in values {
        weights.push(palette.weight(value)?);
        zeros(weights);
    }
    Ok(())
}

impl Chunk {
    fn push(&mut self, quotient: u32) {
        if let Some(place) = self.quotients.get_mut(self.count) {
            *place = quotient;
            self.count += 1;
        }
    }

    fn remainders(
        &self,
        reader: &mut Reader,
        bits: u32,
        most: usize,
        values: &mut Vec<u32>,
    ) -> Result<(), WeightError> {
        for quotient in &self.quotients[..self.count] {
            if values.len() == most {
                break;
            }
            values.push((quotient << bits) + reader.take(bits)?);
        }
        Ok(())
    }
}
