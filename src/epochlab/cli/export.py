"""Write a run's trained network to a file: safetensors, ONNX, or a PyTorch state dictionary."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from pathlib import Path

from epochlab.cli._options import Parser, add_format, add_store, show
from epochlab.errors import BadOption, MissingExtra
from epochlab.table import Column, Table
from epochlab.train.run import Run, load_run
from epochlab.train.store import Store

ENDINGS = {".safetensors": "safetensors", ".onnx": "onnx", ".pt": "torch", ".pth": "torch"}


def main(words: list[str]) -> None:
    """`epochlab export RUN --out FILE`."""
    parser = Parser("export", __doc__ or "")
    parser.add_argument("run", help="the first digits of a run's key")
    parser.add_argument("--out", required=True, help="file; its ending decides the format: "
                        + ", ".join(ENDINGS))  # fmt: skip
    parser.add_argument("--weights", choices=("model", "best"), default="model",
                        help="final weights, or those of the best validation score")  # fmt: skip
    add_store(parser)
    add_format(parser)
    given = parser.parse_strictly(words)
    out = Path(given.out)
    if out.suffix not in ENDINGS:
        raise BadOption(f"--out is '{out}'; it must end in one of {', '.join(ENDINGS)}.")
    run = load_run(Store.at(given.store), given.run)
    worst = write(run, given.weights, out)
    row = {"file": str(out), "format": ENDINGS[out.suffix], "size": out.stat().st_size,
           "largest output difference after reading it back": worst}  # fmt: skip
    show(Table.of(f"Exported {run.key[:12]}", [row], columns=(
        "file", "format", Column(name="size", unit="B", format=","),
        Column(name="largest output difference after reading it back", format=".2g"),
    )), given.format)  # fmt: skip


def write(run: Run, which: str, out: Path) -> float:
    """Write the file, read it back, and return the largest difference of the outputs.

    Outputs are compared on the first test samples. Raises MissingExtra for ONNX without its
    packages, StoreError for a run that is not finished.
    """
    import torch
    from safetensors.torch import save_file

    from epochlab.train.batches import Scaling
    from epochlab.train.state import read_tensors

    network = run.network(which)
    data = run.trial.data.load()
    sample = Scaling.of(data, "cpu").inputs(data.test.take(slice(8)).inputs.copy())
    with torch.no_grad():
        expected = network(sample)
        form = ENDINGS[out.suffix]
        if form == "onnx":
            return _write_onnx(network, sample, expected, out)
        weights = {k: v.clone() for k, v in network.state_dict().items()}
        if form == "torch":
            torch.save(weights, out)
            again = torch.load(out, weights_only=True)
        else:
            save_file(weights, out, metadata={"key": run.key})
            again, _ = read_tensors(out)
        network.load_state_dict(again)
        return float((network(sample) - expected).abs().max())


def _write_onnx(network: object, sample: object, expected: object, out: Path) -> float:
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "onnx", "Writing an ONNX file")
    import onnx
    import torch
    from onnx.reference import ReferenceEvaluator

    assert isinstance(network, torch.nn.Module) and isinstance(sample, torch.Tensor)
    assert isinstance(expected, torch.Tensor)
    with warnings.catch_warnings():
        # The exporter's own dependencies warn about each other; nothing a user could act on.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
        torch.onnx.export(
            network, (sample,), str(out), dynamo=True, verbose=False, external_data=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )  # fmt: skip
    model = onnx.load(str(out))
    onnx.checker.check_model(model)
    (found,) = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: sample.numpy()})
    return float((torch.from_numpy(found) - expected).abs().max())
