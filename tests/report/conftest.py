"""A report of the kind that studies write, with made-up numbers: every form of evidence once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from epochlab.evidence import Claim, Figure, Note, better
from epochlab.figures.bars import Bars
from epochlab.figures.images import Images, picture
from epochlab.figures.lines import Lines
from epochlab.figures.scatter import Scatter
from epochlab.report.content import Report
from epochlab.table import Column, Table

OPTIMIZERS = ("SGD with momentum", "AdaGrad", "RMSProp", "AdaDelta", "Adam")


def curves(steps: int = 2000) -> Table:
    """Loss per step of five optimizers, one of which diverges half way."""
    noise = np.random.default_rng(0).normal(0, 0.08, (len(OPTIMIZERS), steps))
    rows = []
    for k, name in enumerate(OPTIMIZERS):
        for step in range(steps):
            loss = 2.2 * math.exp(-step / (steps * (0.12 + 0.07 * k))) + 0.1 + 0.05 * k
            loss *= math.exp(noise[k, step])
            rows.append((step, math.nan if k == 3 and step > steps * 0.6 else loss, name))
    columns = (Column(name="step"), Column(name="training loss", unit="nats", format=".4f"),
               Column(name="optimizer"))  # fmt: skip
    return Table(title="Training loss of five optimizers", columns=columns, rows=tuple(rows),
                 tier="look-alike", name="loss-curves")  # fmt: skip


def ranking() -> Table:
    rows = [
        {"optimizer": name, "test accuracy": 91.2 - 1.3 * k if k != 3 else math.nan,
         "low": 90.6 - 1.3 * k, "high": 91.9 - 1.3 * k,
         "time per epoch": 12.4 + 0.9 * k, "steps to 80 %": 1200 + 340 * k if k != 3 else None}
        for k, name in enumerate(OPTIMIZERS)
    ]  # fmt: skip
    columns = (
        Column(name="optimizer"), Column(name="test accuracy", unit="%", format=".2f"),
        Column(name="low", unit="%", format=".2f"), Column(name="high", unit="%", format=".2f"),
        Column(name="time per epoch", unit="s", format=".1f"),
        Column(name="steps to 80 %", format=",", label="predicted"),
    )  # fmt: skip
    return Table.of("Ranking after 12 epochs", rows, columns=columns, tier="look-alike",
                    notes=("Mean of 3 seeds; low and high are lowest and highest.",))  # fmt: skip


def models() -> Table:
    rng = np.random.default_rng(1)
    rows = []
    best = 0.0
    for i, seconds in enumerate(sorted(10 ** rng.uniform(0.5, 3, 60))):
        accuracy = float(60 + 11 * math.log10(seconds) + rng.normal(0, 4))
        on_front, best = accuracy > best, max(best, accuracy)
        rows.append({
            "model": f"c1={8 * (1 + i % 3)}, n={50 * (1 + i % 2)}",
            "training time": None if i % 17 == 5 else float(seconds),
            "accuracy": accuracy, "kernel": (3, 5)[i % 2], "Pareto front": on_front,
        })  # fmt: skip
    columns = (Column(name="model"), Column(name="training time", unit="s", format=".1f"),
               Column(name="accuracy", unit="%", format=".2f"), Column(name="kernel"),
               Column(name="Pareto front"))  # fmt: skip
    return Table.of("Accuracy against training time of 60 networks", rows, columns=columns)


def samples() -> Table:
    rng = np.random.default_rng(2)
    rows = []
    for moment in ("before", "after cutout"):
        for label in ("ship", "frog", "cat", "truck"):
            pixels = np.kron(rng.integers(40, 255, (3, 8, 8)), np.ones((4, 4))).astype(np.uint8)
            if moment != "before":
                pixels[:, 6:18, 10:22] = 0
            rows.append({"image": picture(pixels), "class": label, "moment": moment})
    return Table.of("Images before and after cutout", rows, label="exact", tier="look-alike")


def plain_rows(pairs: list[tuple[str, str]], title: str) -> Table:
    rows = [{"name": name, "value": value} for name, value in pairs]
    return Table.of(title, rows, label="exact")


@pytest.fixture(scope="session")
def report() -> Report:
    """Four figures, two tables, three claims and notes of every kind."""
    layers = Table.of("Parameters per layer", [
        {"layer": f"conv{i}", "shape": f"{2**i}x3x3", "parameters": 9 * 4**i + 2**i,
         "formula": f"({3} x 3 x {2 ** (i - 1)} + 1) x {2**i}", "share": 0.1 * i}
        for i in range(1, 9)
    ], columns=("layer", "shape", Column(name="parameters", format=","), "formula",
                Column(name="share", format=".2f", label="predicted")), label="exact")  # fmt: skip
    return Report(
        title="adaptive-optimizers",
        study="adaptive-optimizers",
        question="Which of five optimizers reaches the lowest training loss, and which tests best?",
        preset="laptop",
        command="epochlab study run adaptive-optimizers --preset laptop --seeds 3 --store runs",
        settings=plain_rows([("seeds", "3"), ("network", "resnet_cifar (depth 20, shortcut A)"),
                             ("epochs", "12"), ("batch size", "64")], "Settings"),
        evidence=(
            Note(text="Every optimizer starts from the same weights and sees the same batches in "
                      "the same order, so the curves differ by the update rule alone."),
            Figure(table=curves(), caption="Adam falls fastest in the first 500 steps; AdaDelta "
                   "diverges after 1200.",
                   drawing=Lines(x="step", y="training loss", color="optimizer", smooth=51,
                                 log_y=True, horizontal=((0.5, "target 0.5"),),
                                 vertical=((1000, "learning rate / 10"),))),
            ranking(),
            better("Adam reaches a lower training loss than plain SGD.", [0.42, 0.44, 0.40],
                   [0.31, 0.30, 0.33], names=("SGD", "Adam"), quantity="training loss"),
            Figure(table=ranking(), caption="The order of the test accuracies repeats that of the "
                   "training losses.",
                   drawing=Bars(x="optimizer", y="test accuracy", low="low", high="high",
                                zero=False, limits=((90.0, "90 %"),))),
            Claim(statement="AdaGrad generalises better than RMSProp.", verdict="inconclusive",
                  rule="at least 3 seeds and a mean difference of more than twice its standard "
                  "error", numbers={"AdaGrad": 89.9, "RMSProp": 88.6}, seeds=1),
            Claim(statement="The network holds fewer than 200,000 parameters.",
                  verdict="not supported", rule="counted parameters below 200,000",
                  numbers={"parameters": 272474.0}, label="exact"),
            Note(text="AdaDelta diverged with one of three seeds; its mean is over two.",
                 kind="warning"),
            Figure(table=models(), caption="Ten times the training time buys about eleven points.",
                   drawing=Scatter(x="training time", y="accuracy", color="kernel", name="model",
                                   front="Pareto front", log_x=True,
                                   missing="never reached 90 % on the training set")),
            Figure(table=samples(), caption="The square is zero, its place random, its size fixed.",
                   drawing=Images(image="image", caption="class", row="moment")),
            layers,
            Note(text="The 200 epochs of the paper: 12 were trained here.", kind="skipped"),
            Note(text="Measurements on a K80: no such device in this machine.", kind="skipped"),
        ),
        expectation="Adam and RMSProp fall fastest at first; with weight decay the final losses "
                    "lie close together. If AdaGrad wins, the learning rates were not tuned.",
        covers=("HW3A-P1.2", "HW3A-P1.3", "HW3A-P1.4", "E661-1.2"),
        references=("Kingma, Ba: Adam: a method for stochastic optimization. ICLR 2015.",
                    "Duchi, Hazan, Singer: Adaptive subgradient methods. JMLR 12, 2011."),
        seeds=(0, 1, 2),
        seconds=1384.2,
        machine=plain_rows([("processor", "2 cores"), ("memory", "8 GB")], "Machine"),
        versions=(("epochlab", "0.1.0"), ("torch", "2.13.0"), ("numpy", "2.4.6")),
        flags=("2 of 15 runs were made by an older source of epochlab.",),
        generated_at="2026-01-01 12:00 UTC",
    )  # fmt: skip
