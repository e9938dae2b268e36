"""Writes scipy_gamma.json: gamma distributions fitted to scores, and their 90th percentiles.

    python tests/golden/make_scipy.py          # scipy 1.16 or later
"""
import json
import pathlib

import numpy
import scipy.stats

rng = numpy.random.default_rng(7)
samples = {
    "gamma 2": 3 + 0.5 * rng.gamma(2, size=200),
    "gamma 5, few": 10 * rng.gamma(5, size=30),
    "gamma 30": -2 + 0.1 * rng.gamma(30, size=150),
    "exponential": 1 + rng.exponential(size=100),
    "log-normal": rng.lognormal(0, 0.3, size=120),
    "normal": 50 + rng.normal(size=150),
    "two groups": numpy.concatenate([rng.normal(1, 0.1, 60), rng.normal(2, 0.2, 60)]),
    "skewed to the left": 5 - rng.gamma(3, size=100),
}
cases = []
for name, values in samples.items():
    values = [round(float(v), 6) for v in values]
    shape, location, scale = scipy.stats.gamma.fit(values)
    cases.append({
        "name": name,
        "values": values,
        "shape": shape,
        "location": location,
        "scale": scale,
        "log_likelihood": float(scipy.stats.gamma.logpdf(values, shape, location, scale).sum()),
        "q90": float(scipy.stats.gamma.ppf(0.9, shape, location, scale)),
    })
quantiles = [
    {"shape": a, "q": q, "value": float(scipy.stats.gamma.ppf(q, a))}
    for a in (1.0, 1.5, 4.0, 37.0, 1000.0, 1e6)
    for q in (0.01, 0.5, 0.9, 0.999)
]
path = pathlib.Path(__file__).with_name("scipy_gamma.json")
path.write_text(json.dumps({"scipy": scipy.__version__, "fits": cases, "quantiles": quantiles}, indent=1) + "\n")
