"""Check this machine: cores, memory, torch, GPU, optional packages, data sets, store."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from epochlab.cli._options import Parser, add_format, add_store, show
from epochlab.errors import BadOption
from epochlab.table import Table
from epochlab.train.record import machine, versions
from epochlab.train.store import Store
from epochlab.units import bytes_text

EXTRAS = {
    "report": ("altair", "vl_convert", "jinja2", "typst"),
    "digits": ("sklearn",),
    "tracking": ("mlflow",),
    "onnx": ("onnx", "onnxscript"),
}


def main(words: list[str]) -> None:
    """`epochlab doctor [--device cuda]`."""
    parser = Parser("doctor", __doc__ or "")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu",
                        help="demand this device: without it the exit code is 2")  # fmt: skip
    add_store(parser)
    add_format(parser)
    given = parser.parse_strictly(words)
    if given.data_dir:
        os.environ["EPOCHLAB_DATA"] = given.data_dir
    import torch

    facts: list[tuple[str, Any]] = [(k, v) for k, v in machine().items() if k != "memory_bytes"]
    facts.append(("memory", bytes_text(machine()["memory_bytes"])))
    facts += list(versions().items())
    facts.append(("torch threads", torch.get_num_threads()))
    facts += _gpu_facts(torch.cuda.is_available())
    facts += _extras() + _data_sets() + [("store", _store(Store.at(given.store).folder))]
    rows = [{"what": k, "found": str(v)} for k, v in facts]
    show(Table.of("This machine", rows), given.format)
    if given.device == "cuda" and not torch.cuda.is_available():
        raise BadOption(
            "A CUDA device was demanded, but torch sees none: everything here runs on the CPU. "
            "Install a CUDA build of torch on a machine with an NVIDIA GPU."
        )


def _gpu_facts(available: bool) -> list[tuple[str, str]]:
    """What torch and nvidia-smi say; a tensor is put on the GPU so that the process shows."""
    if not available:
        return [("device", "CPU (torch sees no CUDA device)")]
    import torch

    held = torch.ones(1, device="cuda")
    facts = [("device", f"{torch.cuda.get_device_name(0)}, tensor on {held.device}")]
    tool = shutil.which("nvidia-smi")
    if tool:
        query = [tool, "--query-compute-apps=pid,used_memory", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
        used = gpu_memory_of(done.stdout, os.getpid())
        facts.append(("this process on the GPU", used or "not listed by nvidia-smi"))
    return facts


def gpu_memory_of(listing: str, process: int) -> str | None:
    """Memory that nvidia-smi lists for a process: 'pid, memory' per line."""
    for line in listing.splitlines():
        pid, _, memory = line.partition(",")
        if pid.strip() == str(process):
            return memory.strip()
    return None


def _extras() -> list[tuple[str, str]]:
    found = []
    for extra, packages in EXTRAS.items():
        missing = [p for p in packages if importlib.util.find_spec(p) is None]
        cure = f"missing {', '.join(missing)}: pip install 'epochlab[{extra}]'"
        found.append((f"extra '{extra}'", cure if missing else "installed"))
    return found


def _data_sets() -> list[tuple[str, str]]:
    folder = os.environ.get("EPOCHLAB_DATA")
    if not folder:
        return [("data folder", "EPOCHLAB_DATA is not set: sets are downloaded when needed")]
    there = [p.name for p in Path(folder).iterdir() if p.is_dir()] if Path(folder).is_dir() else []
    return [("data folder", f"{folder}: {', '.join(sorted(there)) or 'nothing'}")]


def _store(folder: Path) -> str:
    parent = folder if folder.exists() else folder.absolute().parent
    state = "writable" if os.access(parent, os.W_OK) else "NOT writable"
    count = len(list(folder.glob("runs/*/*/DONE"))) if folder.exists() else 0
    return f"{folder}: {state}, {count} finished runs"
