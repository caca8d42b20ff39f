"""A user's mistake gets one clear paragraph and exit code 2; nothing is lost, nothing is traced."""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from epochlab.cli import main
from epochlab.datasets.lookalike import Lookalike, write_official
from epochlab.train.store import Store

QUICK = ["train", "--network", "mlp", "--network.hidden", "8", "--data", "lookalike",
         "--data.size", "60", "--epochs", "2", "--batch", "20"]  # fmt: skip


def refused(words: list[str], capsys: pytest.CaptureFixture[str], *parts: str) -> str:
    """Run a command that must be refused; its paragraph has all the parts."""
    code = main(words)
    captured = capsys.readouterr()
    assert code == 2, captured
    text = " ".join(captured.err.split())
    assert text.count("error: ") == 1
    assert "Traceback" not in captured.err
    for part in parts:
        assert part in text, text
    return text


@pytest.mark.parametrize(("words", "parts"), [
    (["trian"], ["command named 'trian'", "Did you mean 'train'"]),
    (["list", "optimisers"], ["Did you mean 'optimizers'"]),
    (["list", "optimizers", "adm"], ["Did you mean 'adam'", "adagrad"]),
    (["train", "--data", "digits"], ["--network is needed", "lenet5"]),
    (["train", "--network", "lenet", "--data", "digits"], ["Did you mean 'lenet5'"]),
    ([*QUICK, "--optimizer.momentun", "0.9"], ["Did you mean '--optimizer.momentum'"]),
    ([*QUICK, "--optimizer.lr", "fast"], ["schedule named 'fast'", "cyclical"]),
    ([*QUICK, "--optimizer.lr", "-1"], ["lr", "above 0"]),
    ([*QUICK, "--optimizer.momentum", "1.5"], ["momentum", "below 1"]),
    ([*QUICK, "--seed", "one"], ["--seed is 'one'", "whole number"]),
    ([*QUICK, "--epochs", "3"], ["given twice"]),
    ([*QUICK, "stray"], ["stray"]),
    ([*QUICK, "--device", "cuda"], ["no CUDA device"]),
    (["show", "abc"], ["no run named 'abc'"]),
    (["study", "rum", "lr-range"], ["Did you mean 'run'"]),
    (["study", "run", "lr-rang"], ["Did you mean 'lr_range'"]),
    (["study", "run", "lr-range", "--preset", "labtop"], ["Did you mean 'laptop'"]),
    (["study", "run", "lr-range", "--preset", "digits", "--epocs", "3"],
     ["Did you mean '--epochs'"]),
    (["study", "run", "no_such_study.py"], ["no file named"]),
    (["study", "report", "lr-range", "--preset", "digits"], ["not in the store"]),
    (["data", "cifar11"], ["Did you mean 'cifar10'"]),
    (["doctor", "--device", "cuda"], ["CUDA device was demanded"]),
    (["runs", "--fromat", "csv"], ["Did you mean '--format'"]),
])  # fmt: skip
def test_words_that_are_wrong(
    words: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    refused(words, capsys, *parts)


def test_wrong_shape(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--network", "lenet5", "--network.padding", "false", "--data", "digits"]
    refused(words, capsys, "8", "lenet5")


def test_not_a_number_names_quantity_and_step(capsys: pytest.CaptureFixture[str]) -> None:
    refused([*QUICK, "--optimizer.lr", "1e12"], capsys, "at step", "smaller learning rate")
    (key,) = Store.at().run_keys()
    assert Store.at().run_folder(key).done()["status"] == "diverged"


def test_truncated_data_file_names_its_checksum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "fashion-mnist"
    write_official(Lookalike(kind="fashion", size=50).load(), folder)
    monkeypatch.setenv("EPOCHLAB_CACHE", str(tmp_path / "cache"))
    words = ["train", "--network", "linear", "--data", "fashion_mnist", "--data-dir",
             str(tmp_path / "data")]  # fmt: skip
    monkeypatch.setenv("EPOCHLAB_DATA", "replaced by --data-dir, restored after the test")
    refused(words, capsys, "train-images", "SHA-256", "verify")
    images = folder / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:200])
    refused(words, capsys, "train-images")


def test_a_pickle_with_code_is_never_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(QUICK) == 0
    (key,) = Store.at().run_keys()
    proof = tmp_path / "the code was run"

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(proof),)

    Store.at().run_folder(key).file("model.safetensors").write_bytes(pickle.dumps(Attack()))
    capsys.readouterr()
    refused(["export", key[:8], "--out", "x.safetensors"], capsys, "not a complete safetensors")
    assert not proof.exists()


def test_a_pickle_as_checkpoint_is_never_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, "--max-time", "0"]) == 130
    (key,) = Store.at().run_keys()
    checkpoint = Store.at().run_folder(key).file("checkpoint.safetensors")
    assert checkpoint.exists()
    saved = checkpoint.read_bytes()
    checkpoint.write_bytes(b"\x80\x04cos\nsystem\n(Vtrue\ntR.")
    capsys.readouterr()
    refused(QUICK, capsys, "not a complete safetensors", "checkpoint.safetensors")
    checkpoint.write_bytes(saved)
    assert main(QUICK) == 0


@pytest.mark.parametrize("store", ["/sys/epochlab", "file/inside"])
def test_a_store_that_cannot_be_written(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("in the way")
    refused([*QUICK, "--store", store], capsys, "store cannot write", "--store")


def test_no_room_for_a_file_loses_nothing() -> None:
    """The kernel refuses writes past a size limit, as a full disk does; later all goes on."""
    words = [sys.executable, "-m", "epochlab", *QUICK[:2], "linear", *QUICK[5:]]

    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))

    short = subprocess.run(words, capture_output=True, text=True, preexec_fn=small_files_only)
    assert short.returncode == 2, short.stderr
    assert "The store cannot write" in " ".join(short.stderr.split())
    assert "Traceback" not in short.stderr
    assert not list(Path("epochlab-store").rglob("*.part"))
    whole = subprocess.run(words, capture_output=True, text=True)
    assert whole.returncode == 0, whole.stderr


def test_tracking_server_down(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="needs the extra 'tracking'")
    assert main(QUICK) == 0
    monkeypatch.setenv("EPOCHLAB_TRACKING_URI", "http://127.0.0.1:9")
    capsys.readouterr()
    refused(["track", "--mirror-only"], capsys, "tracking server at http://127.0.0.1:9",
            "All runs are safe")  # fmt: skip


def test_predictions_need_a_proper_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(QUICK) == 0
    (key,) = Store.at().run_keys()
    capsys.readouterr()
    sample = tmp_path / "sample.csv"
    sample.write_text("name,colour\na,red\n")
    refused(["predict-labels", key, "--sample", str(sample)], capsys, "name, colour", "two")
    sample.write_text("Id,Label\n0,0\n")
    refused(["predict-labels", key, "--sample", str(sample)], capsys, "1 rows", "10 images")


def test_export_ending(capsys: pytest.CaptureFixture[str]) -> None:
    refused(["export", "x", "--out", "net.xyz"], capsys, ".safetensors")
