//! Reads FLAC, Ogg Vorbis and MP3 with symphonia.

use std::io::Cursor;

use symphonia::core::{
    codecs::audio::{
        AudioDecoderOptions,
        well_known::{CODEC_ID_FLAC, CODEC_ID_MP3, CODEC_ID_VORBIS},
    },
    errors::Error,
    formats::{FormatOptions, TrackType, probe::Hint},
    io::{MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
};

use super::{Audio, AudioError, Channel, Encoding, Form, Recording, channel::Layout};

/// Samples that any file may unpack to: 17 minutes at 16 kHz.
const SAMPLES_ANYWAY: usize = 1 << 24;
/// Samples per byte that a long file may unpack to. Real sound has one or two samples per byte of FLAC and some ten per byte
/// of MP3, digital silence has thousands; a few kilobytes must not fill the memory.
const SAMPLES_PER_BYTE: usize = 64;

/// Whether the first bytes are those of FLAC, Ogg or MP3.
pub(super) fn is_coded(bytes: &[u8]) -> bool {
    match bytes {
        [b'f', b'L', b'a', b'C', ..] | [b'O', b'g', b'g', b'S', ..] | [b'I', b'D', b'3', ..] => {
            true
        }
        // A frame of MPEG audio, layer 3, with a rate that exists.
        [0xFF, second, third, ..] => {
            second & 0xE6 == 0xE2 && third & 0xF0 != 0xF0 && third & 0x0C != 0x0C
        }
        _ => false,
    }
}

/// Decodes a file that begins like FLAC, Ogg or MP3.
pub(super) fn decode(bytes: &[u8], channel: Channel) -> Result<Recording, AudioError> {
    let damaged = |error: Error| AudioError::Coded(error.to_string());
    let source = MediaSourceStream::new(
        Box::new(Cursor::new(bytes)),
        MediaSourceStreamOptions::default(),
    );
    let mut file = symphonia::default::get_probe()
        .probe(
            &Hint::new(),
            source,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(damaged)?;
    let track = file.default_track(TrackType::Audio);
    let track = track.ok_or(AudioError::UnknownFormat)?;
    let (track_id, claimed) = (track.id, track.num_frames);
    let params = track
        .codec_params
        .as_ref()
        .and_then(|params| params.audio());
    let params = params.ok_or(AudioError::UnknownFormat)?.clone();
    let encoding = match params.codec {
        CODEC_ID_FLAC => Encoding::Flac,
        CODEC_ID_VORBIS => Encoding::Vorbis,
        CODEC_ID_MP3 => Encoding::Mp3,
        _ => return Err(AudioError::UnknownFormat),
    };
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(&params, &AudioDecoderOptions::default())
        .map_err(damaged)?;
    let limit = SAMPLES_ANYWAY.max(bytes.len().saturating_mul(SAMPLES_PER_BYTE));

    let mut layout: Option<Layout> = None;
    let (mut samples, mut block) = (Vec::new(), Vec::new());
    loop {
        let packet = match file.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                break;
            }
            Err(error) => return Err(damaged(error)),
        };
        if packet.track_id != track_id {
            continue;
        }
        let decoded = decoder.decode(&packet).map_err(damaged)?;
        let (rate_hz, channels) = (decoded.spec().rate(), decoded.num_planes());
        let layout = match layout {
            Some(layout) => layout,
            None => *layout.insert(Layout::new(rate_hz, channels, channel)?),
        };
        if (rate_hz, channels) != (layout.sample_rate_hz, layout.channels) {
            return Err(AudioError::Malformed(
                "the sample rate or the number of channels changes",
            ));
        }
        if samples.len() + decoded.frames() > limit {
            return Err(AudioError::TooLarge {
                limit: "2^24 samples, or 64 per byte of its file",
            });
        }
        decoded.copy_to_vec_interleaved::<f32>(&mut block);
        let moments = block.chunks_exact(channels);
        samples.extend(moments.map(|moment| layout.mix(|channel| moment[channel])));
    }
    let layout = layout.ok_or(AudioError::Empty)?;
    // MP3 states its length only where its encoder took the trouble, and counts what it padded.
    match claimed {
        Some(claimed) if encoding != Encoding::Mp3 && claimed != samples.len() as u64 => {
            Err(AudioError::Truncated {
                claimed,
                found: samples.len() as u64,
                unit: "samples",
            })
        }
        _ => Ok(Recording {
            audio: Audio {
                samples,
                sample_rate_hz: layout.sample_rate_hz,
            },
            form: Form {
                encoding,
                channels: layout.channels as u32,
                bits: params.bits_per_sample.unwrap_or(0),
            },
        }),
    }
}
