#!/usr/bin/env python3
"""Writes covariance.json, the reference for src/fit. Needs scikit-learn and numpy."""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.covariance import OAS, LedoitWolf

rng = np.random.default_rng(15)


def case(count, size):
    mixing = rng.normal(0, 1, (size, size))
    samples = (rng.normal(0, 1, (count, size)) @ mixing + 3).astype(np.float32).astype(np.float64)
    other = (rng.normal(0, 2, (4, size)) @ mixing + 3).astype(np.float32).astype(np.float64)
    result = {"size": size, "samples": samples.ravel().tolist(), "others": other.ravel().tolist()}
    for name, estimator in (("ledoit_wolf", LedoitWolf()), ("oas", OAS())):
        model = estimator.fit(samples)
        result[name] = {
            "shrinkage": float(model.shrinkage_),
            # Mean over the statistics, as nas divides distances by their number.
            "distances": (model.mahalanobis(other) / size).tolist(),
        }
    return result


cases = {
    "sklearn": sklearn.__version__,
    "cases": [case(*sizes) for sizes in ((12, 3), (30, 8), (9, 16), (60, 5))],
}
path = pathlib.Path(__file__).with_name("covariance.json")
path.write_text(json.dumps(cases) + "\n")
