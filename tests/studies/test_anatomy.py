"""The anatomy study against the file of known numbers, and its claims when something is wrong."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from epochlab.component import make
from epochlab.cost.exercise import exercise_of
from epochlab.evidence import Claim, Evidence, Figure, Note
from epochlab.networks.simple_nn import SimpleNN
from epochlab.studies import _anatomy_fields, _anatomy_sheet
from epochlab.studies._anatomy_alexnet import VARIANTS, _sum_claim, result_of
from epochlab.studies._anatomy_fields import field_of_stack, gradient_support, stack_evidence
from epochlab.studies._anatomy_vgg import _share_claim
from epochlab.studies._anatomy_zoo import Specimen, builtin, comparison_evidence
from epochlab.studies.anatomy import Anatomy
from epochlab.table import Table
from epochlab.train.lab import Lab
from epochlab.train.plan import Planner
from epochlab.train.store import Store
from tests.known import Known, network, numbers

# Names of networks in the study -> in the file of known numbers.
KNOWN = {
    "AlexNet, two towers": "AlexNet, two towers", "AlexNet, ungrouped": "AlexNet, not grouped",
    "AlexNet, one column": "AlexNet, one column (64-192-384-256-256)", "VGG11": "VGG11",
    "VGG13": "VGG13", "VGG16": "VGG16", "VGG19": "VGG19", "GoogLeNet": "GoogLeNet, main branch",
    "ResNet-18": "ResNet-18", "ResNet-34": "ResNet-34", "ResNet-101": "ResNet-101",
    "ResNet-50": "ResNet-50, stride on the first 1x1 convolutions (original)",
    "ResNet-152": "ResNet-152", "SqueezeNet 1.0": "SqueezeNet 1.0",
    "SqueezeNet 1.1": "SqueezeNet 1.1", "MobileNet v2": "MobileNetV2",
    **{f"CIFAR ResNet-{n}": f"ResNet-{n} for CIFAR, shortcut A" for n in (20, 32, 44, 50, 56)},
    "CIFAR ResNet-18": "ResNet-18 with the stem for small images", "SimpleNN": "SimpleNN",
    "MLP 1000-1000": "MLP 3072-1000-1000-10", "LeNet-5": "LeNet-5, modern form",
    "LeNet-5 of 1998": "LeNet-5 of 1998",
    "Fashion CNN": "Fashion-MNIST network, no padding, no pooling",
    "RPN head": "Region proposal head on 512 channels, 9 anchors",
}  # fmt: skip


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> list[Evidence]:
    lab = Lab(Store(tmp_path_factory.mktemp("anatomy") / "store"), processes=0)
    found = list(Anatomy(also=(SimpleNN(batch_norm=True),)).evidence(lab))
    assert lab.trained == 0
    return found


@pytest.fixture(scope="module")
def specimens() -> dict[str, Specimen]:
    return builtin()


def table(pieces: list[Evidence], name: str) -> Table:
    found = [p.table if isinstance(p, Figure) else p for p in pieces]
    return next(t for t in found if isinstance(t, Table) and t.name == name)


def claim(pieces: list[Evidence], words: str) -> Claim:
    return next(p for p in pieces if isinstance(p, Claim) and words in p.statement)


def note(pieces: list[Evidence], words: str) -> str:
    return next(p.text for p in pieces if isinstance(p, Note) and words in p.text)


def by(rows: Table, column: str) -> dict[str, dict[str, Any]]:
    return {record[column]: record for record in rows.records()}


# --- the whole study ------------------------------------------------------------------------------


def test_every_claim_is_exact_and_supported_and_every_figure_draws(pieces: list[Evidence]) -> None:
    claims = [p for p in pieces if isinstance(p, Claim)]
    assert len(claims) == 9
    assert {(c.label, c.verdict) for c in claims} == {("exact", "supported")}
    figures = [p for p in pieces if isinstance(p, Figure)]
    assert len(figures) == 7
    for figure in figures:
        assert figure.caption and figure.table.label == "exact"
        assert figure.drawing.draw(figure.table).to_dict()["datasets"]["points"]
    assert all(t.label == "exact" for t in pieces if isinstance(t, Table))


def test_presets_can_be_made_and_nothing_is_planned(tmp_path: Path) -> None:
    for preset in Anatomy.presets.values():
        make(Anatomy, preset)
    planner = Planner(Store(tmp_path / "empty"))
    for _ in Anatomy(largest=1).evidence(planner):
        pass
    assert planner.planned == []


def test_own_networks_are_taken_apart_as_well(pieces: list[Evidence]) -> None:
    known = network("SimpleNN with batch normalisation").facts
    rows = by(table(pieces, "SimpleNN-layers"), "layer")
    assert rows["TOTAL"]["parameters"] == known["parameters"]
    assert rows["TOTAL"]["MACs"] == known["macs"]


# --- side by side ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
def test_totals_are_the_known_ones(pieces: list[Evidence], name: str) -> None:
    known = network(KNOWN[name])
    row = by(table(pieces, "side-by-side"), "network")[name]
    assert row["input"] == "x".join(map(str, known.input_shape))
    assert row["parameters"] == known.facts["parameters"]
    if "macs" in known.facts:
        assert row["operations"] == known.facts["macs"]
    # Widely used files of the deeper residual networks stride on the 3x3 convolution.
    if "gmacs" in known.facts and name not in ("ResNet-101", "ResNet-152"):
        assert row["operations"] / 1e9 == pytest.approx(known.facts["gmacs"], abs=5e-4)
    if "activation_megabytes" in known.facts:
        without_input = known.facts["activations"] - 3 * 224 * 224
        assert row["activations"] == 4 * without_input / 1e6
        assert row["weights"] == 4 * known.facts["parameters"] / 1e6


def test_all_known_networks_of_the_study_are_in_it(pieces: list[Evidence]) -> None:
    rows = by(table(pieces, "side-by-side"), "network")
    assert set(KNOWN) <= set(rows)
    assert claim(pieces, "add up").numbers["networks"] == len(rows)


def test_a_sum_that_is_not_what_the_module_holds_refutes_the_claim(
    specimens: dict[str, Specimen],
) -> None:
    good = specimens["SimpleNN"]
    bad = Specimen(good.cost, good.counted + 1)
    found = [p for p in comparison_evidence([good, bad], "macs") if isinstance(p, Claim)]
    assert [c.verdict for c in found] == ["not supported"]
    assert found[0].numbers["networks that differ"] == 1


# --- AlexNet --------------------------------------------------------------------------------------


def test_alexnet_is_written_out_layer_by_layer(pieces: list[Evidence]) -> None:
    sizes = by(table(pieces, "alexnet-sizes"), "Layer")
    parameters = by(table(pieces, "alexnet-parameters"), "Layer")
    known = network("AlexNet, two towers")
    for layer in known.layers:
        name, output = layer["module"], layer["output"]
        shown = "x".join(map(str, (*output[1:], output[0])))
        assert sizes[name]["Output size"].endswith(shown)
        if "weights" in layer:
            cell = parameters[name]["Weights"]
            assert cell.endswith(f" = {layer['weights']:,}")
            assert result_of(cell.partition(" = ")[0]) == layer["weights"]
            assert parameters[name]["Biases"] == f"{layer['biases']:,}"
            assert parameters[name]["Parameters (Compute)"].endswith(f" = {layer['parameters']:,}")
    assert parameters["TOTAL"]["Parameters (Compute)"] == f"{known.facts['parameters']:,}"
    assert parameters["TOTAL"]["Weights"] == f"{known.facts['weights']:,}"
    assert "(227 - 11)/4 + 1 = 55" in sizes["conv1"]["Output size"]
    assert "2 groups" in sizes["conv2"]["Filters"]


def test_the_two_other_alexnets_are_named(pieces: list[Evidence]) -> None:
    rows = by(table(pieces, "alexnet-variants"), "layer")
    for short, name in VARIANTS.items():
        known = network(KNOWN[name])
        assert rows["TOTAL"][short] == known.facts["parameters"]
        assert rows["MACs"][short] == known.facts["macs"]
        for layer in known.layers:
            if "parameters" in layer:
                assert rows[layer["module"]][short] == layer["parameters"]
    text = note(pieces, "has ignored the two towers")
    assert "62,378,344" in text and "61,100,840" in text and "60,954,656" in text
    assert "54.25 is not a whole number" in note(pieces, "read from section 3.5")


def test_a_layer_that_holds_something_else_refutes_alexnets_sum(
    specimens: dict[str, Specimen],
) -> None:
    sheet = exercise_of("alexnet", (3, 227, 227), 1000).sheet()
    ungrouped = specimens["AlexNet, ungrouped"]
    assert _sum_claim(sheet, ungrouped).verdict == "not supported"
    assert _sum_claim(sheet, specimens["AlexNet, two towers"]).verdict == "supported"


def test_calculations_are_read_and_nothing_else_is() -> None:
    assert result_of("(5*5*48)*256 + 256") == 307_456
    with pytest.raises(ValueError, match="sums and products"):
        result_of("abs(3)")


# --- VGG ------------------------------------------------------------------------------------------


def sheet_rows(pieces: list[Evidence], name: str) -> list[dict[str, Any]]:
    return table(pieces, name).records()


def test_the_sheets_table_is_complete(pieces: list[Evidence]) -> None:
    known = network("VGG19")
    exact, rounded = (sheet_rows(pieces, name) for name in ("vgg19-exact", "vgg19-sheet"))
    assert len(exact) == len(rounded) == len(known.layers) + 1 == 26
    for layer, row in zip(known.layers, exact, strict=False):
        assert row["Layer"] == layer["row"]
        assert _last_number(row[_anatomy_sheet.ACTIVATIONS]) == layer["activations"]
        assert _last_number(row[_anatomy_sheet.PARAMETERS]) == layer["weights"]
    for rows in (exact, rounded):
        assert rows[-1] == {"Layer": "TOTAL",
                            _anatomy_sheet.ACTIVATIONS: f"{known.facts['activations']:,}",
                            _anatomy_sheet.PARAMETERS: f"{known.facts['weights']:,}"}  # fmt: skip
    shown = [row[_anatomy_sheet.ACTIVATIONS] for row in rounded]
    for cell in known.facts["rounded_activations"]:
        full = [layer["activations"] for layer in known.layers].index(cell["value"])
        assert shown[full].endswith("=" + cell["shown"])


def _last_number(cell: str) -> int:
    return int(cell.rpartition("=")[2].replace(",", ""))


def test_a_table_that_differs_from_the_sheet_refutes_the_claim(pieces: list[Evidence]) -> None:
    right = table(pieces, "vgg19-sheet")
    rows = list(right.rows)
    rows[1] = (rows[1][0], "224*224*64=3.3M", rows[1][2])
    wrong = dataclasses.replace(right, rows=tuple(rows))
    assert _anatomy_sheet._prefilled_claim(wrong).verdict == "not supported"
    assert _anatomy_sheet._prefilled_claim(right).verdict == "supported"


def test_wrong_solutions_are_recognised(pieces: list[Evidence]) -> None:
    rows = by(table(pieces, "solutions-checked"), "solution")
    handed_out = rows.pop("the sheet as handed out")
    assert (handed_out["verdict"], handed_out["right"]) == ("incomplete", 22)
    assert {row["verdict"] for row in rows.values()} == {"wrong"}
    slips = table(pieces, "sheet-check").records()
    assert [(row["layer"], row["remark"]) for row in slips] == [
        ("CONV3-64", "biases included"), ("POOL2", "spatial size before pooling"),
        ("CONV3-128", "input channels forgotten"),
    ]  # fmt: skip
    assert "vgg16 in place of vgg19" in rows["VGG16 with biases, as VGG19"]["mistakes recognised"]
    assert rows["AlexNet without its two towers"]["mistakes recognised"] == "groups ignored"


def test_memory_and_parameters_in_the_remark_are_the_known_ones(pieces: list[Evidence]) -> None:
    facts = network("VGG19").facts
    text = note(pieces, "What is dear about VGG19")
    for key in ("activations", "activations_without_input", "activations_of_layers_with_weights"):
        assert f"{facts[key]:,}" in text
    assert f"{facts['activation_megabytes']:.2f} MB" in text
    assert f"{facts['weight_megabytes']:.2f} MB" in text
    dense = claim(pieces, "fully connected layers")
    assert f"{facts['linear_share_of_parameters_percent']:.2f}%" in dense.statement


def test_operations_of_every_layer_and_the_share_of_convolutions(pieces: list[Evidence]) -> None:
    known = network("VGG19")
    rows = table(pieces, "vgg19-operations").records()
    assert [row["MACs"] for row in rows[:-1]] == [y["macs"] for y in known.layers if y["macs"]]
    assert all(result_of(row["calculation"]) == row["MACs"] for row in rows[:-1])
    assert rows[-1]["MACs"] == known.facts["macs"] and rows[-1]["FLOPs"] == known.facts["flops"]
    shares = by(table(pieces, "shares"), "network")
    for fact in numbers()["convolution_share"]:
        row = shares[f"VGG{fact['options']['depth']}"]
        assert row["convolutions"] == fact["convolution_macs"]
        assert row["others"] == fact["linear_macs"]
        assert f"{100 * row['share']:.4f}" == f"{fact['percent']:.4f}"
        assert f"{fact['percent']:.4f}%" in claim(pieces, "Convolutions take").statement
        if "percent_full" in fact:
            assert f"{100 * row['all operations']:.4f}" == f"{fact['percent_full']:.4f}"


def test_networks_with_a_smaller_share_refute_the_claim(specimens: dict[str, Specimen]) -> None:
    changed = specimens | {"VGG16": specimens["AlexNet, two towers"]}
    assert [c.verdict for c in _share_claim(changed)] == ["not supported"]


# --- receptive fields -----------------------------------------------------------------------------


def test_all_25_stacks_see_what_the_formula_says(pieces: list[Evidence]) -> None:
    rows = table(pieces, "stacks").records()
    assert {(row["layers N"], row["filter F"]) for row in rows} == {
        (n, f) for n in range(1, 6) for f in range(1, 6)
    }  # fmt: skip
    found = {(row["layers N"], row["filter F"]): row for row in rows}
    for fact in numbers()["stack"]:
        row = found[fact["layers"], fact["kernel"]]
        assert row["NF - N + 1"] == fact["field"]
        assert row["gradient reaches"] == f"{fact['field']} x {fact['field']}"
        if "weights_per_squared_channels" in fact:
            assert row["weights of the stack"] == fact["weights_per_squared_channels"]
            single = fact["weights_of_one_layer_per_squared_channels"]
            assert row["of one filter that size"] == single
    assert "13 x 13" in claim(pieces, "Three filters of 5x5").statement


def test_a_wrong_formula_is_refuted_by_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    # The formula as one sheet prints it, its minus sign lost, gives one layer F pixels too many.
    monkeypatch.setattr(_anatomy_fields, "field_of_stack", lambda n, f: n * f + 1)
    found = [p for p in stack_evidence(2) if isinstance(p, Claim)]
    assert [c.verdict for c in found] == ["not supported", "not supported"]


def test_the_gradient_has_no_holes_and_a_dilated_stack_would() -> None:
    assert gradient_support(3, 5) == (13, 13, 169)
    assert gradient_support(3, 5, seed=1) == (13, 13, field_of_stack(3, 5) ** 2)
    image = torch.zeros(1, 1, 9, 9, dtype=torch.float64, requires_grad=True)
    holed = nn.Conv2d(1, 1, 3, dilation=2, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(holed(image)[0, 0, 2, 2], image)
    assert int((gradient != 0).sum()) == 9


def test_fields_along_the_networks_are_the_known_ones(pieces: list[Evidence]) -> None:
    found = {(row["network"], row["layer"]): (row["receptive field"], row["jump"])
             for row in table(pieces, "growth").records()}  # fmt: skip
    for short, name in _anatomy_fields.GROWTH.items():
        facts = network(name).facts["receptive_fields"]
        assert facts
        for row in facts:
            assert found[short, row["module"]] == (row["field"], row["stride"])
    shown = {(row["network"], row["layer"]) for row in table(pieces, "fields").records()}
    assert shown < set(found) and ("VGG19", "features.36") in shown


# --- small networks -------------------------------------------------------------------------------


def check_layers(rows: dict[str, dict[str, Any]], known: Known) -> None:
    assert rows["TOTAL"]["parameters"] == known.facts["parameters"]
    assert rows["TOTAL"]["MACs"] == known.facts["macs"]
    for layer in known.layers:
        if "parameters" in layer:
            assert rows[layer["module"]]["parameters"] == layer["parameters"]
            assert rows[layer["module"]]["MACs"] == layer["macs"]


def test_layer_tables_of_the_small_networks(pieces: list[Evidence]) -> None:
    check_layers(by(table(pieces, "simplenn-costs"), "layer"), network("SimpleNN"))
    larger = by(table(pieces, "resnet20-costs"), "layer")
    check_layers(larger, network("ResNet-20 for CIFAR, shortcut A"))
    assert sum(row["kind"] in ("convolution", "linear") for row in larger.values()) == 20
    sees = {row["module"]: str(row["field"]) for row in network("SimpleNN").facts[
        "receptive_fields"]}  # fmt: skip
    rows = by(table(pieces, "simplenn-costs"), "layer")
    assert {name: rows[name]["sees"] for name in sees} == sees


def test_capacity_compares_the_two(pieces: list[Evidence]) -> None:
    rows = by(table(pieces, "capacity"), "quantity")
    small, larger = network("SimpleNN"), network("ResNet-20 for CIFAR, shortcut A")
    assert rows["parameters"]["SimpleNN"] == small.facts["parameters"]
    assert rows["parameters"]["ResNet-20"] == larger.facts["parameters"]
    assert rows["multiply-accumulates"]["ratio"] == larger.facts["macs"] / small.facts["macs"]
    assert rows["layers with weights"]["ResNet-20"] == 20
    factor = re.search(r"but (\d+) times", note(pieces, "more capacity"))
    assert factor and int(factor[1]) == round(larger.facts["macs"] / small.facts["macs"])


def test_both_padded_models_are_caught(pieces: list[Evidence]) -> None:
    assert [row["passes"] for row in table(pieces, "sanity").records()] == [True, False, False]
