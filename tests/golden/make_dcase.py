#!/usr/bin/env python3
"""Writes dcase.json, the reference for src/score/dcase.rs and statistics.rs. Needs scikit-learn, scipy and numpy.

The figures of DCASE 2023 Task 2's evaluator, written from its formulas: AUC of a domain's normal clips against all
anomalies of the section, pAUC of the section, decisions of the domain's own clips, the official score as harmonic mean
of all AUCs and pAUCs, its 95 % interval by the jackknife,
and the interval that the evaluator prints: the mean of two over all clips pooled.
"""

import json
import pathlib

import numpy as np
import scipy.stats
from sklearn import metrics

rng = np.random.default_rng(2023)


def jackknife(figure, truth, scores):
    n = len(truth)
    figures = np.array([figure(np.delete(truth, i), np.delete(scores, i)) for i in range(n)])
    deviation = np.sqrt(np.sum((figures - figures.mean()) ** 2) / (n * (n - 1)))
    return abs(scipy.stats.t.ppf(0.025, n - 1)) * deviation


def official(clips):
    areas = []
    for machine, section in sorted({(clip[0], clip[1]) for clip in clips}):
        rows = np.array([clip[2:] for clip in clips if (clip[0], clip[1]) == (machine, section)])
        target, truth, scores = rows.T
        for domain in (0, 1):
            chosen = (target == domain) | (truth == 1)
            areas.append(metrics.roc_auc_score(truth[chosen], scores[chosen]))
        areas.append(metrics.roc_auc_score(truth, scores, max_fpr=0.1))
    return scipy.stats.hmean(areas)


def half_width(clips):
    """The jackknife as in its source, of the official score itself."""
    n = len(clips)
    figures = np.array([official(clips[:i] + clips[i + 1 :]) for i in range(n)])
    deviation = np.sqrt((n - 1) / n * np.sum((figures - figures.mean()) ** 2))
    return abs(scipy.stats.t.ppf(0.025, n - 1)) * deviation


def case(machines, sections, per_group, decimals):
    clips, rows, areas = [], [], []
    for machine in machines:
        threshold = 0.8
        for section in sections:
            truth = np.tile([0, 1], 2 * per_group)
            target = np.repeat([0, 1], 2 * per_group)
            scores = rng.normal(truth * 0.7 + target * 0.4, 1).round(decimals)
            decided = (scores > threshold).astype(int)
            for t, d, s in zip(truth, target, scores):
                clips.append([machine, section, int(d), int(t), float(s)])
            row = {"machine": machine, "section": section}
            row["auc"] = metrics.roc_auc_score(truth, scores)
            row["pauc"] = metrics.roc_auc_score(truth, scores, max_fpr=0.1)
            for domain in (0, 1):
                chosen = (target == domain) | (truth == 1)
                own = target == domain
                row[f"auc_{domain}"] = metrics.roc_auc_score(truth[chosen], scores[chosen])
                row[f"own_auc_{domain}"] = metrics.roc_auc_score(truth[own], scores[own])
                row[f"own_pauc_{domain}"] = metrics.roc_auc_score(truth[own], scores[own], max_fpr=0.1)
                row[f"precision_{domain}"] = metrics.precision_score(truth[own], decided[own], zero_division=0)
                row[f"recall_{domain}"] = metrics.recall_score(truth[own], decided[own])
                row[f"f1_{domain}"] = metrics.f1_score(truth[own], decided[own], zero_division=0)
            areas += [row["auc_0"], row["auc_1"], row["pauc"]]
            rows.append(row)
    truth = np.array([clip[3] for clip in clips])
    scores = np.array([clip[4] for clip in clips])
    widths = [
        jackknife(metrics.roc_auc_score, truth, scores),
        jackknife(lambda t, s: metrics.roc_auc_score(t, s, max_fpr=0.1), truth, scores),
    ]
    return {
        "threshold": threshold,
        "clips": clips,
        "rows": rows,
        "official": scipy.stats.hmean(areas),
        "half_width": half_width(clips),
        "evaluator_half_width": float(np.mean(widths)),
    }


cases = [
    case(["fan"], ["00"], 8, 2),
    case(["bearing", "fan"], ["00", "01", "02"], 10, 1),
    case(["ToyCar", "bandsaw", "valve"], ["00"], 12, 5),
]
student = [[p, dof, scipy.stats.t.ppf(p, dof)] for p in (0.6, 0.975, 0.999) for dof in (1, 2, 7, 99, 1399)]
pairs = [(rng.integers(0, 6, 20).tolist(), rng.integers(0, 9, 20).tolist()) for _ in range(4)]
kendall = [{"a": a, "b": b, "tau": scipy.stats.kendalltau(a, b).statistic} for a, b in pairs]
golden = {"cases": cases, "student": student, "kendall": kendall}
path = pathlib.Path(__file__).with_name("dcase.json")
path.write_text(json.dumps(golden) + "\n")
