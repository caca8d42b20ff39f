"""A report's manifest: of which study, source and runs it was made, to know when it still holds."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from epochlab.evidence import Claim, Evidence, plain_claim
from epochlab.plain import content_hash
from epochlab.registry import PACKAGE
from epochlab.studies import Study
from epochlab.train.lab import Lab
from epochlab.train.store import Store, storing

NAME = "manifest.json"


@functools.cache
def _package_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".j2", ".css", ".js", ".typ"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _source_of(study: Study) -> str:
    """Hash of our package and, for a study from outside, of its file."""
    file = getattr(sys.modules[type(study).__module__], "__file__", None)
    own = Path(file).read_bytes() if file else b""
    return hashlib.sha256(_package_hash().encode() + own).hexdigest()


def write(folder: Path, study: Study, lab: Lab, evidence: Sequence[Evidence]) -> None:
    """Record what the report in `folder` was made of; the last file to be written."""
    content = {
        "study": content_hash(study),
        "source": _source_of(study),
        "runs": {key: lab.store.run_folder(key).done() for key in lab.asked},
        "claims": [plain_claim(e) for e in evidence if isinstance(e, Claim)],
    }
    path = folder / NAME
    with storing(path):
        temporary = path.with_name(NAME + ".part")
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        temporary.replace(path)


def unchanged(folder: Path, study: Study, store: Store) -> list[Claim] | None:
    """The report's claims if study, source and all its runs are as they were, else None."""
    try:
        content: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if content.get("study") != content_hash(study) or content.get("source") != _source_of(study):
        return None
    for key, done in content["runs"].items():
        run = store.run_folder(key)
        if not run.is_done or run.done() != done:
            return None
    return [
        Claim(**(c | {"interval": tuple(c["interval"]) if c["interval"] else None}))
        for c in content["claims"]
    ]
