"""Optuna's multivariate TPE on a table: `optuna_tpe.py TABLE.csv EVALUATIONS SEEDS`.

A row of the table is a genome: one column `gene_*` per axis (`gene_category_*` where values have no order), `network` (equal for genomes that decode to the same
network), `excess` over the budgets (0 where it fits) and one column `objective_*` each. Prints, per seed, the networks
in the order in which they were first evaluated. What repeats a known network or is over budget costs no evaluation.
"""

import csv
import sys

import optuna

path, evaluations, seeds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
optuna.logging.set_verbosity(optuna.logging.ERROR)
with open(path, newline="") as file:
    rows = list(csv.DictReader(file))
genes = [name for name in rows[0] if name.startswith("gene_")]
objectives = [name for name in rows[0] if name.startswith("objective_")]
table = {tuple(int(row[gene]) for gene in genes): row for row in rows}
sizes = [1 + max(key[axis] for key in table) for axis in range(len(genes))]



def suggest(trial, gene, size):
    if gene.startswith("gene_category_"):
        return trial.suggest_categorical(gene, range(size))
    return trial.suggest_int(gene, 0, size - 1)


for seed in range(seeds):
    sampler = optuna.samplers.TPESampler(
        multivariate=True,
        seed=seed,
        constraints_func=lambda trial: [trial.user_attrs["excess"]],
    )
    study = optuna.create_study(directions=["minimize"] * len(objectives), sampler=sampler)
    seen = []
    for _ in range(40 * evaluations):
        trial = study.ask()
        key = tuple(suggest(trial, gene, size) for gene, size in zip(genes, sizes))
        row = table[key]
        excess = float(row["excess"])
        trial.set_user_attr("excess", excess)
        # The score of what is over budget is not known: it is never trained.
        values = [float(row[name]) for name in objectives]
        if excess > 0:
            values[0] = 1.0
        study.tell(trial, values)
        if excess <= 0 and row["network"] not in seen:
            seen.append(row["network"])
        if len(seen) >= evaluations:
            break
    print(" ".join(seen), flush=True)
