"""What the comparison printed, as tables."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from typing import Any

from examine import NEAR, RIGHT, Examined, Probed
from peers import Counter
from published import Published
from timing import BACKWARD, BARE, FORWARD, MEMORY, REAL, WHOLE, Times, spread

from epochlab.table import Column, Table

RATIO = ".2f"


def counters_table(present: Sequence[Counter], examined: Sequence[Examined],
                   probed: Sequence[Probed], times: Sequence[Times]) -> Table:  # fmt: skip
    """One line for each counter."""
    known = [one for one in examined if one.truth is not None]
    rows = []
    for counter in present:
        errors = [one.error(counter.name) for one in known]
        sizes = [abs(e) for e in errors if e is not None]
        wrong = [one for one, e in zip(known, errors, strict=True) if e is not None
                 and abs(e) > RIGHT]  # fmt: skip
        timed = spread(times, FORWARD if counter.name == "epochlab" else counter.name, BARE) or {}
        rows.append({
            "counter": counter.name, "version": counter.version(),
            "right": sum(s <= RIGHT for s in sizes),
            "beside products": sum(_beside(one.counts[counter.name].difference) for one in wrong),
            "off by 5 %": sum(RIGHT < s <= NEAR for s in sizes),
            "wrong": sum(s > RIGHT for s in sizes),
            "failed": sum(e is None for e in errors),
            "probes right": sum(one.right.get(counter.name, False) for one in probed),
            "parameters right": _parameters(known, counter.name),
            "time": timed.get("median"), "q1": timed.get("q1"), "q3": timed.get("q3"),
            "timed": timed.get("networks"),
        })  # fmt: skip
    return Table.of(
        f"{len(known)} networks, {len(probed)} probes", rows,
        columns=("counter", "version", "right", "wrong", "failed", "off by 5 %",
                 "beside products", "probes right", "parameters right",
                 *(Column(name=n, format=RATIO) for n in ("time", "q1", "q3")), "timed"),
        notes=(
            f"right: within {RIGHT:.0%} of the multiply-accumulates by definition.",
            "off by 5 %, beside products: parts of wrong; the latter counts the products right and "
            "other work (normalisation, activations, biases) as well.",
            "parameters right: exactly the learned numbers of the network, each once, used or not, "
            "of the networks where it named a number.",
            f"time: of one count over '{BARE}' of the same round, median over networks of medians, "
            "and quartiles over networks; epochlab's is the forward count.",
            *(f"{c.name}: {c.convention}." for c in present),
        ),
    )  # fmt: skip


def _parameters(known: Sequence[Examined], counter: str) -> str:
    """Of how many networks the parameters are counted exactly; a dash if never counted."""
    answers = [a for one in known if (a := one.parameters_right(counter)) is not None]
    return f"{sum(answers)} of {len(answers)}" if answers else "-"


def _beside(difference: str) -> bool:
    return difference.startswith("adds ")


def times_table(times: Sequence[Times]) -> Table:
    """What is timed, over a bare forward pass and, where both go back, over both directions."""
    rows = []
    pairs = [
        (FORWARD, BARE),
        (WHOLE, BARE),
        (MEMORY, BARE),
        (WHOLE, BACKWARD),
        (BACKWARD, BARE),
        (REAL, BARE),
    ]
    for contestant, to in pairs:
        found = spread(times, contestant, to)
        if found:
            rows.append({"what": contestant, "over": to, **found})
    names = ("median", "q1", "q3")
    return Table.of(
        "Time of the analysis", rows,
        columns=("what", "over", "networks", *(Column(name=n, format=RATIO) for n in names),
                 Column(name="within", format=".1%")),
        notes=("Quartiles over networks of each one's median ratio of interleaved rounds; within: "
               "the middle network's distance between its own quartiles over its median.",
               *_absences(times)),
    )  # fmt: skip


def _absences(times: Sequence[Times]) -> list[str]:
    own = (BARE, BACKWARD, REAL, FORWARD, WHOLE, MEMORY)
    return [f"{one.name}: no {name}: {reason}" for one in times
            for name, reason in one.absent.items() if name in own]  # fmt: skip


def probes_table(probed: Sequence[Probed], present: Sequence[Counter]) -> Table:
    """One line for each probe: the working, and who is wrong."""
    rows = []
    for one in probed:
        wrong = [f"{c.name} {_said(one, c.name)}" for c in present if not one.right.get(c.name)]
        rows.append(
            {
                "probe": one.name,
                "MACs": one.macs,
                "working": one.working,
                "oracle": one.oracle or "agrees",
                "wrong": "; ".join(wrong) or "nobody",
            }
        )
    return Table.of("Probes", rows, columns=("probe", Column(name="MACs", format=","), "working",
                                             "oracle", "wrong"))  # fmt: skip


def _said(one: Probed, counter: str) -> str:
    said = one.counts.get(counter)
    if said is None or said.macs is None:
        return "failed"
    return f"{said.macs:,.0f}"


def differences_table(
    examined: Sequence[Examined], present: Sequence[Counter], least: int = 1
) -> Table:
    """Why each counter is wrong, how often, and where; those of at least so many networks."""
    rows: list[dict[str, Any]] = []
    for counter in present:
        why: dict[str, list[Examined]] = {}
        for one in examined:
            said = one.counts.get(counter.name)
            if said is not None and said.difference:
                why.setdefault(said.difference, []).append(one)
        for difference, those in sorted(why.items(), key=lambda item: -len(item[1])):
            if len(those) < least:
                continue
            errors = [e for one in those if (e := one.error(counter.name)) is not None]
            rows.append({"counter": counter.name, "difference": difference,
                         "networks": len(those), "least": min(errors), "most": max(errors),
                         "such as": ", ".join(one.name for one in those[:3])})  # fmt: skip
    columns = ("counter", "difference", "networks",
               *(Column(name=n, format="+.1%") for n in ("least", "most")), "such as")  # fmt: skip
    notes = ("Found by looking for parts of the true count that make up the difference; 'adds work "
             "on single values' is an excess no larger than such work.",
             *([f"Left out: those of fewer than {least} networks."] if least > 1 else []),
    )  # fmt: skip
    return Table.of("Differences beyond 1 %", rows, columns=columns, notes=notes)


def failures_table(examined: Sequence[Examined], present: Sequence[Counter]) -> Table:
    """Which reason kept which counter from counting, and where."""
    rows = []
    for counter in present:
        why: dict[str, list[str]] = {}
        for one in examined:
            said = one.counts.get(counter.name)
            if said is not None and said.macs is None:
                why.setdefault(said.reason[:120], []).append(one.name)
        for reason, names in sorted(why.items(), key=lambda item: -len(item[1])):
            rows.append({"counter": counter.name, "reason": reason, "networks": len(names),
                         "such as": ", ".join(names[:3])})  # fmt: skip
    return Table.of("Failures", rows, columns=("counter", "reason", "networks", "such as"))


def meta_table(examined: Sequence[Examined]) -> Table:
    """Networks whose plain forward pass fails on the meta device, and checks of the oracle."""
    rows = [{"network": one.name, "reason": (one.meta_reason or one.reason)[:160]}
            for one in examined if one.meta_reason or one.reason]  # fmt: skip
    both = [one for one in examined if one.truth and not one.meta_reason and one.cpu_macs]
    unlike = [one.name for one in both if one.truth and one.truth.macs != one.cpu_macs]
    tasks = Tally(one.task for one in examined)
    return Table.of(
        "A plain forward pass on the meta device fails", rows, columns=("network", "reason"),
        notes=(f"The definitions count the same on the meta device and in a real run in "
               f"{len(both) - len(unlike)} of {len(both)} networks"
               + (f", not in {', '.join(unlike)}." if unlike else "."),
               "Tasks: " + ", ".join(f"{task} {n}" for task, n in tasks.most_common()) + "."),
    )  # fmt: skip


def published_table(compared: Sequence[Published]) -> Table:
    """Published counts that differ from the definitions' by more than a hundredth."""
    rows = [
        {"network": one.name, "input": "x".join(map(str, one.shape)), "MACs": one.macs,
         "published": one.published_macs, "difference": one.error,
         "parameters": "equal" if one.parameters_agree else f"{one.parameters:,}",
         "why": "as fvcore counts: normalisation too" if one.as_fvcore else "not known"}
        for one in compared if not (one.agrees and one.parameters_agree)
    ]  # fmt: skip
    packages = Tally(one.name.partition("/")[0] for one in compared)
    agree = Tally(one.name.partition("/")[0] for one in compared if one.agrees)
    same = Tally(one.name.partition("/")[0] for one in compared if one.parameters_agree)
    return Table.of(
        "Published counts that differ", rows,
        columns=("network", "input", *(Column(name=n, format=",.0f") for n in ("MACs",
                 "published")), Column(name="difference", format="+.1%"), "parameters", "why"),
        notes=tuple(f"{package}: {agree[package]} of {n} published MACs agree within 1 % or their "
                    f"last decimal, {same[package]} published parameter counts agree."
                    for package, n in packages.items()),
    )  # fmt: skip
