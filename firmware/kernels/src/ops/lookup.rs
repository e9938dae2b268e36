/// Any function of one int8 element; `table` holds its values from -128 on.
///
/// `QUANTIZE`, `RELU` and `RELU6` between int8 tensors are such functions.
#[inline(always)]
pub fn lookup(input: &[i8], table: &[i8; 256], output: &mut [i8]) {
    for (output, value) in output.iter_mut().zip(input) {
        *output = table[(*value as u8 ^ 0x80) as usize];
    }
}
