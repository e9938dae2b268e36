use super::{FrontEnd, Spec};

/// Collects samples hop by hop into frames, and computes their features.
///
/// It starts as if there had been silence before: the first frame is complete after `n_fft / 2` samples, as librosa's
/// centred frames of a clip with zero padding. After a clip of `n` samples and `n_fft / 2` more of silence it has
/// given the clip's `1 + n / hop_length` frames. Without that silence, the last `n_fft / 2 / hop_length` are missing.
#[derive(Debug)]
pub struct Framer<'t, 'm> {
    front_end: FrontEnd<'t>,
    /// The newest samples, from the oldest on.
    samples: &'m mut [i16],
    filled: usize,
    /// Number of samples to leave out, where hops are longer than frames.
    skip: usize,
    scratch: &'m mut [f32],
}

impl<'t, 'm> Framer<'t, 'm> {
    /// # Panics
    /// Where there is no room for exactly `n_fft` samples, or the scratch is not [`Spec::scratch_len`] long.
    pub fn new(
        front_end: FrontEnd<'t>,
        samples: &'m mut [i16],
        scratch: &'m mut [f32],
    ) -> Framer<'t, 'm> {
        let spec = front_end.spec();
        assert_eq!(samples.len(), spec.n_fft, "room for samples");
        assert_eq!(scratch.len(), spec.scratch_len(), "length of scratch");
        let mut framer = Framer {
            front_end,
            samples,
            filled: 0,
            skip: 0,
            scratch,
        };
        framer.reset();
        framer
    }

    /// How the frames are made.
    pub fn spec(&self) -> &Spec {
        self.front_end.spec()
    }

    /// Forgets all samples.
    pub fn reset(&mut self) {
        self.filled = self.spec().n_fft / 2;
        self.samples[..self.filled].fill(0);
        self.skip = 0;
    }

    /// Takes samples off the front of `heard` until a frame is complete, and returns its features in dB. `None` when
    /// the samples end before.
    pub fn next(&mut self, heard: &mut &[i16]) -> Option<&[f32]> {
        let Spec {
            n_fft, hop_length, ..
        } = *self.front_end.spec();
        let skipped = self.skip.min(heard.len());
        self.skip -= skipped;
        *heard = &heard[skipped..];
        let taken = (n_fft - self.filled).min(heard.len());
        let (new, rest) = heard.split_at(taken);
        self.samples[self.filled..][..taken].copy_from_slice(new);
        self.filled += taken;
        *heard = rest;
        if self.filled < n_fft {
            return None;
        }
        let features = self.front_end.features(self.samples, self.scratch);
        self.filled = n_fft.saturating_sub(hop_length);
        self.samples.copy_within(n_fft - self.filled.., 0);
        self.skip = hop_length.saturating_sub(n_fft);
        Some(features)
    }
}
