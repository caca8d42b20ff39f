"""Which adaptive optimizer trains a fully connected network best, with and without dropout?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from epochlab.component import Count, NotNegative, Positive, ShareBelowOne
from epochlab.datasets import Dataset
from epochlab.datasets.cifar10 import Cifar10
from epochlab.datasets.digits import Digits
from epochlab.errors import BadOption
from epochlab.evidence import Evidence, Note
from epochlab.networks.mlp import Mlp
from epochlab.optimizers import Optimizer
from epochlab.optimizers.adadelta import Adadelta
from epochlab.optimizers.adagrad import Adagrad
from epochlab.optimizers.adam import Adam
from epochlab.optimizers.rmsprop import Rmsprop
from epochlab.optimizers.rmsprop_nesterov import RmspropNesterov
from epochlab.studies import (
    Study,
    _dropout_scaling,
    _independent_optimizers,
    _method_facts,
    _method_results,
)
from epochlab.studies._arms import run_arms
from epochlab.studies._method_results import DROPOUT, PLAIN, Arms
from epochlab.studies._rate_tuning import (
    Tuned,
    default_rate,
    edge_note,
    held_out,
    rate_of,
    tune,
    tuning_figure,
    with_rate,
)
from epochlab.train.lab import Lab
from epochlab.train.trial import Trial


@dataclass(frozen=True, kw_only=True)
class AdaptiveOptimizers(Study):
    """Tune each method's rate, then train with all of them, with and without dropout."""

    data: Dataset = field(default_factory=Cifar10)
    "what to train on"
    network: Mlp = field(default_factory=Mlp)
    "what to train; its dropout is set by the two options below"
    input_dropout: ShareBelowOne = 0.2
    "share of the inputs dropped in the arms with dropout"
    hidden_dropout: ShareBelowOne = 0.5
    "share of each hidden layer's outputs dropped in the arms with dropout"
    optimizers: tuple[Optimizer, ...] = (
        Adagrad(lr=1e-3), Rmsprop(lr=1e-4), RmspropNesterov(lr=3e-5), Adadelta(lr=0.1),
        Adam(lr=1e-4),
    )  # fmt: skip
    "methods compared, each with the rate in the middle of its grid"
    factors: tuple[Positive, ...] = (0.1, 0.3, 1.0, 3.0, 10.0)
    "rates tried, as multiples of that rate; a single factor skips the tuning"
    tune_epochs: Count = 4
    "passes of each tuning run"
    held: Count = 2000
    "training samples held out to choose the rate; the compared runs train on them as well"
    default_rates: bool = True
    "also train with each component's own default rate, without dropout"
    weight_decay: NotNegative = 1e-4
    "L2 strength, in the gradient"
    batch: Count = 128
    "samples per step"
    epochs: Count = 12
    "passes over the training data"

    question: ClassVar[str] = (
        "Which of five adaptive methods brings a fully connected network to the lowest training "
        "loss, with and without dropout, and which to the best test accuracy?"
    )
    covers: ClassVar[tuple[str, ...]] = (
        "HW3A-P1.0", "HW3A-P1.1", "HW3A-P1.2", "HW3A-P1.3", "HW3A-P1.4", "E661-1.2",
    )  # fmt: skip
    expectation: ClassVar[str] = (
        "With a tuned rate the methods lie close together; most of the gaps that one sees at "
        "default rates are gaps between rates. AdaGrad falls fast and then slows down, because its "
        "rates only shrink. Dropout raises the training loss with every method, more so the loss "
        "with dropout on, and costs a little time; whether it already helps test accuracy depends "
        "on how far the plain network has begun to overfit. A method whose loss stays near the "
        "logarithm of the number of classes has a rate that is too small or too large: look at its "
        "curve in the tuning figure. If the curves with and without dropout coincide, dropout is "
        "not switched on while training."
    )
    references: ClassVar[tuple[str, ...]] = (
        "J. Duchi, E. Hazan, Y. Singer, Adaptive Subgradient Methods for Online Learning and "
        "Stochastic Optimization, JMLR 12, 2011.",
        "T. Tieleman, G. Hinton, Lecture 6.5 - RMSProp, Coursera: Neural Networks for Machine "
        "Learning, 2012.",
        "I. Goodfellow, Y. Bengio, A. Courville, Deep Learning, MIT Press 2016, algorithm 8.6.",
        "M. D. Zeiler, ADADELTA: An Adaptive Learning Rate Method, 2012, arXiv:1212.5701.",
        "D. P. Kingma, J. Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, "
        "arXiv:1412.6980.",
        "N. Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, "
        "JMLR 15, 2014.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"data": Cifar10(train_samples=512, test_samples=512), "epochs": 2,
                  "factors": (0.3, 1.0), "tune_epochs": 1, "held": 256, "default_rates": False,
                  "decisive": False},
        "laptop": {"data": Cifar10(train_samples=5000), "seeds": 3},
        "paper": {"epochs": 200, "tune_epochs": 10, "held": 5000, "seeds": 3},
        "digits": {"data": Digits(), "network": Mlp(hidden=(100, 100)), "epochs": 20, "held": 300,
                   "batch": 32, "seeds": 3, "optimizers": (
                       Adagrad(lr=0.01), Rmsprop(lr=1e-3), RmspropNesterov(lr=3e-4),
                       Adadelta(lr=1.0), Adam(lr=1e-3))},
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.optimizers or not self.factors:
            raise BadOption("adaptive-optimizers: give at least one optimizer and one factor.")
        if len({_method_facts.method_name(o) for o in self.optimizers}) < len(self.optimizers):
            raise BadOption(
                "adaptive-optimizers: an optimizer is given twice. Each may appear once; its other "
                "options are varied by running the study again."
            )
        for optimizer in self.optimizers:
            rate_of(optimizer)

    def evidence(self, lab: Lab) -> Iterator[Evidence]:
        """Equations and exact checks, the tuning, the comparison, and dropout's scaling."""
        tuned = self.tuned(lab)
        yield from self._methods(tuned)
        if tuned.runs:
            yield tuning_figure(tuned)
            note = edge_note(tuned)
            if note is not None:
                yield note
        arms = self.runs(lab, tuned)
        yield _method_results.loss_figure(arms)
        yield _method_results.results_table(arms)
        yield _method_results.paired_table(arms)
        yield _method_results.ranking_table(arms)
        yield from _method_results.ranking_claims(arms, self.decisive)
        if self.default_rates:
            yield self._default_rates(lab, tuned, arms)
        yield _method_results.accuracy_figure(arms)
        yield from _method_results.accuracy_claims(arms, self.decisive)
        yield from self._scaling(lab, arms)
        yield Note(text=(
            f"How far this goes: {self.epochs} epochs, {self.seeds} "
            f"seed{'s' if self.seeds > 1 else ''}, at constant rates that were tuned without "
            "dropout and kept with it, so that the two differ in dropout alone. The best method "
            "was picked from the same numbers that the claims are judged by, so a narrow win "
            "should be repeated with new seeds before it is believed."
        ))  # fmt: skip

    def trial(self, optimizer: Optimizer, dropout: bool) -> Trial:
        """Training with one method; the training set is also scored without dropout."""
        network = dataclasses.replace(
            self.network, input_dropout=self.input_dropout if dropout else 0.0,
            hidden_dropout=self.hidden_dropout if dropout else 0.0,
        )  # fmt: skip
        return Trial(
            network=network, data=self.data, batch=self.batch, epochs=self.epochs,
            optimizer=dataclasses.replace(optimizer, weight_decay=self.weight_decay),
            evaluate=("train",),
        )  # fmt: skip

    def tuned(self, lab: Lab) -> Tuned:
        """The rate of each method, chosen without dropout."""
        data = held_out(self.data, self.held)
        trials = {
            _method_facts.method_name(o): dataclasses.replace(
                self.trial(o, dropout=False), data=data, epochs=self.tune_epochs, evaluate=()
            )
            for o in self.optimizers
        }
        return tune(lab, trials, self.factors)

    def runs(self, lab: Lab, tuned: Tuned) -> Arms:
        """Runs of all methods at their rates: without and with dropout, method by method."""
        chosen = self._chosen(tuned)
        trials = {
            (kind, name): self.trial(optimizer, dropout=kind == DROPOUT)
            for kind in (PLAIN, DROPOUT)
            for name, optimizer in chosen.items()
        }
        found = run_arms(lab, {f"{kind}/{name}": t for (kind, name), t in trials.items()},
                         self.seeds)  # fmt: skip
        return {kind: {name: found[f"{kind}/{name}"] for name in chosen}
                for kind in (PLAIN, DROPOUT)}  # fmt: skip

    def _chosen(self, tuned: Tuned) -> dict[str, Optimizer]:
        names = {_method_facts.method_name(o): o for o in self.optimizers}
        return {name: with_rate(o, tuned.rates[name]) for name, o in names.items()}

    def _methods(self, tuned: Tuned) -> Iterator[Evidence]:
        """What needs no training: equations, options, first steps, independent implementations."""
        used = [dataclasses.replace(o, weight_decay=self.weight_decay)
                for o in self._chosen(tuned).values()]  # fmt: skip
        yield from _method_facts.equation_tables(used)
        yield from _method_facts.difference_notes()
        yield _method_facts.constant_gradient_figure(used)
        yield _method_facts.first_steps_table(used)
        yield _independent_optimizers.independent_table(used)
        yield _independent_optimizers.adam_claim()
        yield _independent_optimizers.adam_note()
        yield _independent_optimizers.l2_claim(self.weight_decay)

    def _default_rates(self, lab: Lab, tuned: Tuned, arms: Arms) -> Evidence:
        trials = {name: self.trial(default_rate(o), dropout=False)
                  for name, o in self._chosen(tuned).items()}  # fmt: skip
        return _method_results.default_rate_table(arms[PLAIN], run_arms(lab, trials, self.seeds))

    def _scaling(self, lab: Lab, arms: Arms) -> Iterator[Evidence]:
        """The two forms of dropout on the trained networks of the best method with dropout."""
        method = _method_results.ranked(arms[DROPOUT])[0]
        runs: Sequence[Any] = [run for run in arms[DROPOUT][method] if run.status == "done"]
        yield _dropout_scaling.rate_table(self.trial(self.optimizers[0], dropout=True))
        if not runs:
            reason = "the study is only planned" if lab.planning else f"{method} diverged"
            yield Note(text=f"Dropout's scaling was not compared: {reason}.", kind="skipped")
            return
        data = lab.data(self.data)
        found = [_dropout_scaling.scalings(run, data) for run in runs]
        yield _dropout_scaling.scaling_table(found, method)
        yield from _dropout_scaling.scaling_claims(found, self.decisive)
