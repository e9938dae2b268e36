//! Pooled statistics of a clip, by the code of the firmware.

use nas_kernels::front_end::statistics::Pool;
pub use nas_kernels::front_end::{
    Statistics,
    statistics::{FULL_RANKING, Kind as StatisticKind, MAX_FRAMES as MAX_POOLED_FRAMES},
};

use super::Matrix;

/// One row of statistics for every window of `frames` frames, `stride` apart, from frame `first` on; none where the clip is
/// shorter.
pub fn pool(
    clip: &Matrix,
    statistics: Statistics,
    first: usize,
    frames: usize,
    stride: usize,
) -> Matrix {
    let mut buffer = vec![0; statistics.buffer_len(frames)];
    let mut pool = Pool::new(statistics, frames, &mut buffer);
    let bands = statistics.features();
    let mut values = Vec::new();
    let mut missing = first + frames;
    for frame in clip.values.chunks_exact(clip.bands) {
        pool.push(frame);
        missing -= 1;
        if missing == 0 {
            let row = values.len();
            values.resize(row + bands, 0.0);
            pool.each(|place, value| values[row + place] = value);
            missing = stride.max(1);
        }
    }
    Matrix { bands, values }
}
