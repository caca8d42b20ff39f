"""Is recipe A better than recipe B? Several seeds, paired, with a verdict.

python examples/compare_two_recipes.py prints the claim and the time that each recipe needs.
"""

from dataclasses import replace

from epochlab.datasets.digits import Digits
from epochlab.evidence import better
from epochlab.networks.mlp import Mlp
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.sgd import Sgd
from epochlab.schedules.cosine import Cosine
from epochlab.table import Column, Table
from epochlab.train.lab import Lab
from epochlab.train.store import Store
from epochlab.train.trial import Trial

base = Trial(network=Mlp(hidden=(64,)), data=Digits(), epochs=6)
recipes = {
    "momentum, falling rate": replace(base, optimizer=Sgd(lr=Cosine(high=0.1), momentum=0.9)),
    "Adam as it comes": replace(base, optimizer=Adam()),
}
seeds = range(3)
lab = Lab(Store.at())

# One request for all: the lab trains them side by side, and only those that are missing.
lab.run_all(replace(trial, seed=seed) for trial in recipes.values() for seed in seeds)
runs = {
    name: lab.run_all(replace(trial, seed=seed) for seed in seeds)
    for name, trial in recipes.items()
}

(a, runs_a), (b, runs_b) = runs.items()
claim = better(
    f"'{a}' ends at a higher test accuracy than '{b}'.",
    [run.final("test_accuracy") for run in runs_a],
    [run.final("test_accuracy") for run in runs_b],
    names=(a, b),
    quantity="test accuracy",
)
print(claim.text())

rows = [
    {"recipe": name, "training time": sum(run.training_s for run in found) / len(found)}
    for name, found in runs.items()
]
columns = ("recipe", Column(name="training time", unit="s", format=".3f"))
print(Table.of("Mean over the seeds", rows, columns=columns).text())
