"""The memory of one training step as a second table of `epochlab analyze`."""

from __future__ import annotations

import argparse
import dataclasses
import re
from typing import TYPE_CHECKING, Any

from epochlab.cli._networks import Subject
from epochlab.cli._options import Parser
from epochlab.errors import BadOption, UserError
from epochlab.table import Table

if TYPE_CHECKING:
    from epochlab.cost.memory import StepMemory
    from epochlab.optimizers import Optimizer

_PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
             "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}  # fmt: skip


def add_memory_options(parser: Parser) -> None:
    """`--memory`, and what it depends on."""
    parser.add_argument("--memory", action="store_true", help="also the memory of one training "
                        "step (json and csv: this table alone)")  # fmt: skip
    parser.add_argument("--optimizer", metavar="NAME", help="whose memory is counted: adam, "
                        "sgd:momentum=0.9 ... (no update)")  # fmt: skip
    parser.add_argument("--fits", metavar="BYTES", help="also the largest batch that fits into so "
                        "much memory, such as 16GB or 24GiB")  # fmt: skip


def check_memory_options(given: argparse.Namespace) -> None:
    """Either of the other two asks for the table. Raises UserError before anything is counted."""
    given.memory = given.memory or given.optimizer is not None or given.fits is not None
    if given.fits is not None:
        parsed_bytes(given.fits)
    if given.optimizer is not None:
        _class_and_options(given.optimizer)


def parsed_bytes(text: str) -> int:
    """'16GB' -> 16_000_000_000, '1.5 GiB' -> 1_610_612_736. Raises BadOption."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d+)?)\s*((?:[kmgt]i?)?)b?", text.strip().lower())
    size = int(float(match[1]) * _PREFIXES[match[2]]) if match else 0
    if size < 1:
        raise BadOption(f"--fits is '{text}'; write a number and a unit, such as 16GB (10^9 bytes "
                        "each) or 16GiB (2^30 bytes each).")  # fmt: skip
    return size


def memory_table(subject: Subject, given: argparse.Namespace) -> Table:
    """Parts and peak of a step's memory, and the largest batch where it is asked for."""
    if not any(p.requires_grad for p in subject.module.parameters()):
        raise BadOption(f"{subject.name} has no parameters to train, so there is no training step: "
                        "leave out --memory, --optimizer and --fits.")  # fmt: skip
    optimizer = _optimizer(given.optimizer)
    memory, loss = _memory(subject, optimizer)
    table = memory.table()
    notes = [f"Optimizer: {given.optimizer or 'none'}. Loss: {loss or 'cross-entropy'}. Predicted "
             "for PyTorch on the CPU with 32-bit numbers."]  # fmt: skip
    if given.fits is not None:
        from epochlab.cost.memory import largest_batch
        from epochlab.cost.outputs import mean_of_outputs

        room = parsed_bytes(given.fits)
        arguments = {name: v for name, v in subject.arguments.items() if name != "batch"}
        if loss:
            arguments["loss"] = mean_of_outputs
        largest = largest_batch(subject.module, memory_bytes=room, optimizer=optimizer, **arguments)
        notes.append(f"The largest batch that fits into {given.fits.strip()}: {largest:,}.")
    title = table.title[0].lower() + table.title[1:]
    return dataclasses.replace(
        table, title=f"{subject.name}: {title}", notes=(*table.notes, *notes),
        name=f"{subject.name}-step-memory",
    )  # fmt: skip


def _memory(subject: Subject, optimizer: Optimizer | None) -> tuple[StepMemory, str]:
    """The memory of a step, and what stands in for the loss where cross-entropy does not fit."""
    from epochlab.cost.memory import step_memory
    from epochlab.cost.outputs import mean_of_outputs

    try:
        return step_memory(subject.module, **subject.arguments, optimizer=optimizer), ""
    except UserError as error:
        try:
            found = step_memory(
                subject.module, **subject.arguments, optimizer=optimizer, loss=mean_of_outputs
            )
        except UserError:
            raise error from None
        return found, "mean of all outputs, which cross-entropy does not fit"


def _class_and_options(text: str) -> tuple[Any, str]:
    from epochlab.registry import load_class

    name, _, options = text.partition(":")
    return load_class("optimizers", name), options


def _optimizer(text: str | None) -> Optimizer | None:
    from epochlab.cost.loading import with_options

    if text is None:
        return None
    cls, options = _class_and_options(text)
    made: Optimizer = with_options(cls, options)
    return made
