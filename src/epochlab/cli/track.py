"""Bring MLflow up to date with the store and open its pages in a browser."""

from __future__ import annotations

import os
import subprocess
import sys

from epochlab.cli._options import Parser, add_store
from epochlab.errors import BadOption
from epochlab.report.mirror import URI_VARIABLE, mirror, tracking_uri
from epochlab.train.store import Store


def main(words: list[str]) -> None:
    """`epochlab track [--mirror-only] [--port N]`."""
    parser = Parser("track", __doc__ or "")
    parser.add_argument("--mirror-only", action="store_true", help="do not open the pages")
    parser.add_argument("--port", type=int, default=5000, help="port of the pages")
    add_store(parser)
    given = parser.parse_strictly(words)
    store = Store.at(given.store)
    uri = tracking_uri(store)
    if uri == "off":
        raise BadOption(
            f"{URI_VARIABLE} is 'off': runs are not mirrored. Unset it, or set it to the address "
            "of a tracking server, and run the same command again."
        )
    count = mirror(store) if store.run_keys() else 0
    if count:
        print(f"{count} runs mirrored to {uri}.")
    else:
        print(f"No runs left to mirror to {uri}: all finished ones are there, or being brought.")
    if given.mirror_only:
        return
    if uri.startswith("http"):
        print(f"Open {uri} in a browser.")
        return
    print(f"MLflow's pages: http://127.0.0.1:{given.port}   (Ctrl-C ends them)")
    sys.stdout.flush()
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run([sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri,
                    "--port", str(given.port)], env=environment, check=False)  # fmt: skip
