//! Reads a file that Vela wrote: one custom operator for the NPU, and the places of its tensors in the arena.

use nas_kernels::npu::{HEADER_BYTES, write_header};

use super::{
    error::ReadError,
    file::{File, FileTensor},
    slots::{self, Damaged},
};

/// Vela's name of its operator.
const OPERATOR: &str = "custom `ethos-u`";
/// Alignment of commands and weights in the blob, in bytes.
const ALIGNMENT: usize = 16;
/// Version, subgraph and number of offsets come before the offsets of the tensors.
const PLAN_HEADER: usize = 3;

/// The blob for `nas_kernels::npu` from a file that Vela wrote.
///
/// # Errors
/// [`ReadError`] where Vela left an operator to the core, or the file is damaged.
pub fn npu_blob(bytes: &[u8]) -> Result<Vec<u8>, ReadError> {
    let file = File::open(bytes)?;
    for index in 0..file.operators.len() {
        let operator = file.code(index)?.name;
        if operator != OPERATOR {
            return Err(ReadError::Operator {
                index,
                operator,
                problem: "was left to the core; the NPU runs only whole networks".to_string(),
            });
        }
    }
    let [operator] = file.operators.as_slice() else {
        return Err(ReadError::Count {
            what: "operators for the NPU",
            found: file.operators.len(),
            expected: "one",
        });
    };
    let damaged = |_: Damaged| ReadError::Damaged("operator for the NPU");
    let tensors = |field| -> Result<Vec<usize>, ReadError> {
        let ids = operator.elements(field, 4).map_err(damaged)?.i32s();
        let known = |id| {
            usize::try_from(id)
                .ok()
                .filter(|id| *id < file.tensors.len())
        };
        ids.map(|id| known(id).ok_or(ReadError::Damaged("operator for the NPU")))
            .collect()
    };
    // Commands, weights, arena, the arena's fast part (the same memory), and the input.
    let (inputs, outputs) = (tensors(1)?, tensors(2)?);
    let ([commands, weights, arena, fast, input], [output]) = (&inputs[..], &outputs[..]) else {
        return Err(ReadError::Count {
            what: "tensors at the operator for the NPU",
            found: inputs.len() + outputs.len(),
            expected: "six: commands, weights, arena twice, input and output",
        });
    };
    if arena != fast {
        return Err(tensor_error(
            &file,
            *fast,
            "is a memory of its own, which is not supported",
        ));
    }
    let plan = plan(bytes)?;
    let place = |id: usize| -> Result<[u32; 2], ReadError> {
        let offset = plan
            .get(PLAN_HEADER + id)
            .and_then(|offset| u32::try_from(*offset).ok());
        let offset = offset.ok_or_else(|| tensor_error(&file, id, "has no place in the arena"))?;
        Ok([offset, length(&file, id)?])
    };
    if place(*arena)?[0] != 0 {
        return Err(tensor_error(
            &file,
            *arena,
            "does not begin where the arena does",
        ));
    }
    let mut blob = vec![0; HEADER_BYTES];
    let mut words = Vec::new();
    for id in [*commands, *weights] {
        blob.resize(blob.len().next_multiple_of(ALIGNMENT), 0);
        let data = file.tensors[id].data;
        words.extend([blob.len(), data.len()].map(|number| number as u32));
        blob.extend(data);
    }
    words.push(length(&file, *arena)?);
    words.extend(place(*input)?);
    words.extend(place(*output)?);
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    blob[24..][..words.len()].copy_from_slice(&words);
    write_header(&mut blob).ok_or(ReadError::Damaged("operator for the NPU"))?;
    Ok(blob)
}

/// Vela's plan of the arena: [`PLAN_HEADER`], then an offset per tensor, -1 for tensors outside.
fn plan(bytes: &[u8]) -> Result<Vec<i32>, ReadError> {
    let damaged = |_: Damaged| ReadError::Damaged("plan of the arena");
    let (model, _) = slots::root(bytes).map_err(damaged)?;
    let buffers = model.tables(4).map_err(damaged)?;
    for entry in model.tables(6).map_err(damaged)? {
        if entry.bytes(0).map_err(damaged)? == b"OfflineMemoryAllocation" {
            let buffer = usize::try_from(entry.i32(1, 0).map_err(damaged)?).ok();
            let buffer = buffer
                .and_then(|idx| buffers.get(idx))
                .ok_or(Damaged)
                .map_err(damaged)?;
            let words = buffer.bytes(0).map_err(damaged)?.as_chunks().0;
            return Ok(words.iter().map(|word| i32::from_le_bytes(*word)).collect());
        }
    }
    Err(ReadError::Damaged("plan of the arena"))
}

/// Bytes of an int8 or byte tensor.
fn length(file: &File<'_>, id: usize) -> Result<u32, ReadError> {
    let FileTensor { dims, .. } = &file.tensors[id];
    let product = dims.iter().try_fold(1u32, |product, dim| {
        product.checked_mul(u32::try_from(*dim).ok()?)
    });
    product.ok_or_else(|| tensor_error(file, id, "has no length"))
}

fn tensor_error(file: &File<'_>, index: usize, problem: &str) -> ReadError {
    ReadError::Tensor {
        index,
        name: String::from_utf8_lossy(file.tensors[index].name).into_owned(),
        problem: problem.to_string(),
    }
}
