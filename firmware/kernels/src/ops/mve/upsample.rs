use super::copy_rows;

/// Fills `target` with copies of `source`, as many as fit.
pub fn repeat(source: &[i8], target: &mut [i8]) {
    let length = source.len();
    let count = target.len() / length;
    if count > 0 {
        // SAFETY: so many copies fit, and references to the two do not overlap.
        unsafe {
            copy_rows(
                source.as_ptr(),
                0,
                target.as_mut_ptr(),
                length,
                length,
                count,
            )
        };
    }
}
