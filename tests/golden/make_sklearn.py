#!/usr/bin/env python3
"""Writes sklearn.json, the reference for src/score.rs. Needs scikit-learn and numpy.

Scores are rounded in half of the cases, so that many clips tie.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn import metrics

rng = np.random.default_rng(20)


def binary(normals, anomalies, decimals, shift):
    normal = rng.normal(0, 1, normals)
    anomaly = rng.normal(shift, 1.3, anomalies)
    if decimals is not None:
        normal, anomaly = normal.round(decimals), anomaly.round(decimals)
    truth = np.r_[np.zeros(normals), np.ones(anomalies)]
    scores = np.r_[normal, anomaly]
    threshold = float(np.quantile(normal, 0.9))
    decided = scores > threshold
    return {
        "normal": normal.tolist(),
        "anomaly": anomaly.tolist(),
        "auc": metrics.roc_auc_score(truth, scores),
        "pauc_01": metrics.roc_auc_score(truth, scores, max_fpr=0.1),
        "pauc_05": metrics.roc_auc_score(truth, scores, max_fpr=0.5),
        "average_precision": metrics.average_precision_score(truth, scores),
        "quantile_09": threshold,
        "accuracy": metrics.accuracy_score(truth, decided),
        "precision": metrics.precision_score(truth, decided, zero_division=0),
        "recall": metrics.recall_score(truth, decided, zero_division=0),
        "f1": metrics.f1_score(truth, decided, zero_division=0),
    }


def multiclass(clips, classes, decimals):
    truth = rng.integers(0, classes, clips)
    logits = rng.normal(0, 1, (clips, classes)).round(decimals)
    logits[np.arange(clips), truth] += 1
    predicted = logits.argmax(axis=1)
    present = [c for c in range(classes) if (truth == c).any()]
    precision = [metrics.average_precision_score(truth == c, logits[:, c]) for c in present]
    return {
        "classes": classes,
        "truth": truth.tolist(),
        "scores": logits.tolist(),
        "accuracy": metrics.accuracy_score(truth, predicted),
        "macro_f1": metrics.f1_score(truth, predicted, average="macro", zero_division=0),
        "mean_average_precision": float(np.mean(precision)),
    }


def mahalanobis(windows, frames, bands):
    """The covariance and the score of the DCASE 2023 baseline (networks/criterion/mahala.py)."""
    residual = rng.normal(0, 1, (windows * frames, bands)) @ rng.normal(0, 1, (bands, bands))
    residual = residual.astype(np.float32).astype(np.float64)
    clip = rng.normal(0.3, 1, (2 * frames, bands)).astype(np.float32).astype(np.float64)
    centred = residual - residual.mean(axis=0)
    covariance = centred.T @ centred / (windows - 1)
    gram = clip @ np.linalg.inv(covariance) @ clip.T
    return {
        "bands": bands,
        "frames": frames,
        "residual": residual.ravel().tolist(),
        "clip": clip.ravel().tolist(),
        "score": float(gram.mean()),
    }


sizes = [(1, 1), (2, 3), (10, 10), (9, 40), (40, 9), (20, 21), (50, 50), (11, 30)]
cases = {
    "sklearn": sklearn.__version__,
    "binary": [binary(n, a, d, s) for n, a in sizes for d, s in ((None, 0.8), (1, 1.5), (0, -0.4))],
    "mahalanobis": [],
    "multiclass": [multiclass(n, c, d) for n, c in ((12, 2), (30, 3), (25, 7)) for d in (3, 1)],
}
cases["mahalanobis"] = [mahalanobis(w, f, b) for w, f, b in ((9, 2, 1), (12, 1, 4), (10, 5, 8))]
path = pathlib.Path(__file__).with_name("sklearn.json")
path.write_text(json.dumps(cases) + "\n")
