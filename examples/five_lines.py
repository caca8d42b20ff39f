"""From a data set to a figure: python examples/five_lines.py writes loss.svg."""

from epochlab.datasets.digits import Digits
from epochlab.figures.lines import Lines
from epochlab.networks.mlp import Mlp
from epochlab.table import Table
from epochlab.train.lab import Lab
from epochlab.train.store import Store
from epochlab.train.trial import Trial

trial = Trial(network=Mlp(hidden=(64,)), data=Digits(), epochs=10)
run = Lab(Store.at()).run(trial)
table = Table.of("Loss by epoch", run.epochs, columns=("epoch", "running_loss", "test_loss"))
chart = Lines(x="epoch", y=("running_loss", "test_loss")).draw(table)
chart.save("loss.svg")
