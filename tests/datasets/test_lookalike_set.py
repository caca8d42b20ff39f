"""Generated image sets: the same bytes everywhere, balanced, and as hard as asked for."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epochlab.datasets.lookalike import Lookalike


def digest(data):
    made = hashlib.sha256()
    for split in (data.train, data.test):
        made.update(split.inputs.tobytes())
        made.update(split.targets.astype("<i8").tobytes())
    return made.hexdigest()[:16]


@pytest.mark.parametrize(
    ("kind", "expected"), [("fashion", "03a47d4f4b89b241"), ("cifar", "0b1a23a60d3e9df9")]
)
def test_bytes_never_change(kind, expected):
    """Trials are named by options alone, so the same options must give the same bytes for ever."""
    assert digest(Lookalike(kind=kind, size=120, label_noise=0.2, overlap=0.3).load()) == expected


def test_default_sizes():
    for kind, shape, sizes in (
        ("fashion", (1, 28, 28), (60_000, 10_000)),
        ("cifar", (3, 32, 32), (50_000, 10_000)),
    ):
        data = Lookalike(kind=kind, difficulty=0.0).read()
        assert (data.input_shape, (len(data.train), len(data.test))) == (shape, sizes)
        assert np.bincount(data.train.targets).tolist() == [sizes[0] // 10] * 10
        assert np.bincount(data.test.targets).tolist() == [1000] * 10
        assert (data.tier, data.train.inputs.dtype) == ("look-alike", np.uint8)


@settings(deadline=None, max_examples=20)
@given(
    st.sampled_from(["fashion", "cifar"]), st.integers(2, 12), st.integers(1, 60),
    st.floats(0, 1), st.floats(0, 1),
)  # fmt: skip
def test_form_holds_for_all_options(kind, classes, size, difficulty, overlap):
    data = Lookalike(
        kind=kind, classes=classes, size=size, difficulty=difficulty, overlap=overlap
    ).load()
    assert len(data.train) == size
    assert len(data.classes) == classes
    counts = np.bincount(data.train.targets, minlength=classes)
    assert len(counts) == classes
    assert counts.max() - counts.min() <= 1
    assert data.train.inputs.flags.c_contiguous


def test_images_do_not_depend_on_the_size():
    small, large = Lookalike(size=33).load(), Lookalike(size=1500).load()
    np.testing.assert_array_equal(small.train.inputs, large.train.inputs[:33])
    np.testing.assert_array_equal(small.train.targets, large.train.targets[:33])


def test_splits_and_seeds_give_different_images():
    a, b = Lookalike(size=600).load(), Lookalike(size=600, seed=1).load()
    images = [
        {image.tobytes() for image in split.inputs} for split in (a.train, a.test, b.train, b.test)
    ]
    assert len(set.union(*images)) == sum(len(s) for s in images) == 1400


def test_label_noise_changes_that_share_of_training_labels_only():
    clean, noisy = Lookalike(size=5000).load(), Lookalike(size=5000, label_noise=0.4).load()
    np.testing.assert_array_equal(clean.train.inputs, noisy.train.inputs)
    np.testing.assert_array_equal(clean.test.targets, noisy.test.targets)
    wrong = clean.train.targets != noisy.train.targets
    # Four standard deviations of a binomial share.
    assert abs(wrong.mean() - 0.4) < 4 * (0.4 * 0.6 / 5000) ** 0.5
    moved = (noisy.train.targets - clean.train.targets)[wrong] % 10
    assert set(moved.tolist()) == set(range(1, 10))
    assert (Lookalike(size=500, label_noise=1.0).load().train.targets
            != Lookalike(size=500).load().train.targets).all()  # fmt: skip


def nearest_mean_accuracy(**options):
    """Accuracy of the simplest classifier there is: the nearest class mean."""
    data = Lookalike(size=2000, **options).load()
    train = data.train.inputs.reshape(len(data.train), -1).astype(np.float64)
    test = data.test.inputs.reshape(len(data.test), -1).astype(np.float64)
    means = np.stack([train[data.train.targets == c].mean(axis=0) for c in range(10)])
    distances = ((test[:, None] - means) ** 2).sum(axis=2)
    return (distances.argmin(axis=1) == data.test.targets).mean()


@pytest.mark.parametrize("kind", ["fashion", "cifar"])
def test_harder_means_harder_but_never_hopeless(kind):
    easy, medium, hard = (nearest_mean_accuracy(kind=kind, difficulty=d) for d in (0.0, 0.5, 1.0))
    assert easy > medium > hard > 0.2, "chance is 0.1"
    assert nearest_mean_accuracy(kind=kind, overlap=1.0) < medium


def test_still_patterns_at_difficulty_zero():
    data = Lookalike(size=4000, difficulty=0.0, classes=3).load()
    for c in range(3):
        images = {image.tobytes() for image in data.train.inputs[data.train.targets == c]}
        assert len(images) == 16, "eight styles, each also mirrored"
