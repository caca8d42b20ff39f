"""Facts about where a run was made: machine, versions, source, git state."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from epochlab import __version__
from epochlab.registry import PACKAGE, outside_hashes

# Folders whose source decides what a run computes; a report flags runs made by an older source.
_DECIDING = ("networks", "layers", "datasets", "optimizers", "schedules", "augment", "penalties",
             "starts", "train")  # fmt: skip


@functools.cache
def source_hash() -> str:
    """SHA-256 over the source files that decide what a run computes."""
    digest = hashlib.sha256()
    files = [PACKAGE / "randomness.py"]
    for folder in _DECIDING:
        files += sorted((PACKAGE / folder).rglob("*.py"))
    for path in files:
        digest.update(str(path.relative_to(PACKAGE)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def machine() -> dict[str, Any]:
    """Processor, cores, memory, system; the fingerprint under which timings may be compared."""
    model = platform.processor() or platform.machine()
    memory_bytes = 0
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
        memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        pass
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_bytes": memory_bytes,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }  # fmt: skip


@functools.cache
def versions() -> dict[str, str]:
    """Versions of the packages that a result depends on."""
    found = {"epochlab": __version__}
    for name in ("torch", "numpy", "safetensors"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "?"
    return found


@functools.cache
def git_state() -> dict[str, Any]:
    """Commit of the working directory and whether it has changes; empty outside a checkout."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=5)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(git("status", "--porcelain"))} if commit else {}
    except (OSError, subprocess.TimeoutExpired):
        return {}


def is_older(recorded: dict[str, Any]) -> bool:
    """Whether a run was made by other source than there is now, ours or an outside file's."""
    ours = recorded.get("source") not in (None, source_hash())
    now = outside_hashes()
    return ours or any(
        now.get(name, made) != made for name, made in recorded.get("outside", {}).items()
    )


def facts(threads: int, asked_by: str) -> dict[str, Any]:
    """Everything recorded at the start of a run; `asked_by` is the study that wanted it first."""
    return {
        "asked_by": asked_by,
        "machine": machine(), "versions": versions(), "source": source_hash(),
        "outside": outside_hashes(), "git": git_state(), "threads": threads, "command": sys.argv,
    }  # fmt: skip
