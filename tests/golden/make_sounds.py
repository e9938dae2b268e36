"""Makes sounds/: a short sound of two channels in every coding that is read, each with what libsndfile decodes it to.

Needs soundfile and numpy. NAME.EXT is the sound; NAME.i16 holds the decoded samples, 16 bits little-endian, those of one
moment beside each other.
"""

import pathlib

import numpy
import soundfile

RATE = 11025
FORMS = {
    "ima_adpcm.wav": ("WAV", "IMA_ADPCM"),
    "ms_adpcm.wav": ("WAV", "MS_ADPCM"),
    "a_law.wav": ("WAV", "ALAW"),
    "mu_law.wav": ("WAV", "ULAW"),
    "extensible.wav": ("WAVEX", "PCM_16"),
    "rf64.wav": ("RF64", "PCM_16"),
    "w64.w64": ("W64", "PCM_24"),
    "vorbis.ogg": ("OGG", "VORBIS"),
    "mp3.mp3": ("MP3", "MPEG_LAYER_III"),
}

folder = pathlib.Path(__file__).parent / "sounds"
time = numpy.arange(1500) / RATE
random = numpy.random.default_rng(3)
left = 0.5 * numpy.sin(2 * numpy.pi * 440 * time) * numpy.minimum(1, 20 * time)
right = 0.2 * numpy.sin(2 * numpy.pi * 1000 * time) + 0.05 * random.standard_normal(len(time))
sound = numpy.stack([left, right], 1)
for name, (form, subtype) in FORMS.items():
    path = folder / name
    soundfile.write(path, sound, RATE, format=form, subtype=subtype)
    decoded, _ = soundfile.read(path, dtype="float64")
    steps = numpy.clip(numpy.round(decoded * 32768), -32768, 32767).astype("<i2")
    path.with_suffix(".i16").write_bytes(steps.tobytes())
    print(name, path.stat().st_size, len(decoded))
