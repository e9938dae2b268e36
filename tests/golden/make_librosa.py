"""Writes librosa_features.txt, what librosa makes of a signal that the test can make too, and sine.flac.

pip install librosa==0.11.*; python make_librosa.py > librosa_features.txt
sine.flac: 5000 moments at 16 kHz of 16 bits, first channel the signal, second channel half of it.
Every block: `sample_rate_hz n_fft hop_length n_mels feature padding decibels frames`, then rows of
`frame: values` for some of the frames.
"""

import librosa
import numpy as np
import soundfile

EPS = np.finfo(float).eps
CASES = [(16000, 1024, 512, 128), (16000, 512, 160, 40), (8000, 256, 128, 32), (22050, 2048, 512, 64)]
SAMPLES = 6000


def signal(sample_rate_hz):
    """A quarter silence, then noise of a linear congruential generator and a sine of 440 Hz."""
    state, noise = 1, np.empty(SAMPLES)
    for idx in range(SAMPLES):
        state = (state * 1664525 + 1013904223) % 2**32
        noise[idx] = (state >> 16) / 32768 - 1
    time = np.arange(SAMPLES)
    sound = 0.01 * noise + 0.5 * np.sin(2 * np.pi * 440 * time / sample_rate_hz)
    return np.where(time < SAMPLES // 4, 0, sound).astype(np.float32)


left = np.floor(signal(16000)[1000:].astype(float) * 32767).astype(np.int16)
soundfile.write("sine.flac", np.stack([left, left // 2], axis=1), 16000, subtype="PCM_16")

for sample_rate_hz, n_fft, hop_length, n_mels in CASES:
    for padding in ["constant", "reflect"]:
        shape = dict(sr=sample_rate_hz, n_fft=n_fft, hop_length=hop_length, n_mels=n_mels)
        y = signal(sample_rate_hz)
        mel = librosa.feature.melspectrogram(y=y, power=2.0, pad_mode=padding, **shape)
        floor = 10 * np.log10(np.maximum(mel, EPS))
        results = {
            "logmel floor": floor,
            "logmel offset": 10 * np.log10(mel + EPS),
            "logmel top80": librosa.power_to_db(mel),
            "mfcc13 floor": librosa.feature.mfcc(S=floor, n_mfcc=13),
            "mfcc13 top80": librosa.feature.mfcc(y=y, n_mfcc=13, pad_mode=padding, **shape),
        }
        for name, values in results.items():
            feature, decibels = name.split()
            frames = values.shape[1]
            print(sample_rate_hz, n_fft, hop_length, n_mels, feature, padding, decibels, frames)
            for frame in [0, frames // 4, frames - 1]:
                print(f"{frame}:", *(f"{value:.9g}" for value in values[:, frame]))
