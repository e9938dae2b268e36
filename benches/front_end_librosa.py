"""librosa's speed on the sound of the benchmark `front_end`, one thread; run both one after the other.

    cargo bench --bench front_end && python benches/front_end_librosa.py      # librosa 0.10 or later
"""
import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import time

import librosa
import numpy

SECONDS, ROUNDS = 100, 5
clip = (numpy.random.default_rng(1).normal(size=160_000) * 1000).round().astype(numpy.float32) / 32768


def log_mel():
    mel = librosa.feature.melspectrogram(y=clip, sr=16000, n_fft=1024, hop_length=512, n_mels=128)
    return 10 * numpy.log10(numpy.maximum(mel, 2.2e-16))


def mfcc():
    return librosa.feature.mfcc(S=log_mel(), n_mfcc=13)


for name, extract in (("128 mels", log_mel), ("13 MFCC of 128 mels", mfcc)):
    extract()
    best = 0.0
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(SECONDS // 10):
            extract()
        best = max(best, SECONDS / (time.perf_counter() - begin))
    print(f"{name} at 16000 Hz, n_fft 1024, hop 512: librosa {librosa.__version__} {best:.0f} x real time")
