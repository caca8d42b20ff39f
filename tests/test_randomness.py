"""The counter-based generator: one function, two ways to compute it, and its statistics."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from epochlab.randomness import generator, integers, key, keys, mix, mix_array, permutation


def test_splitmix64_published_sequence() -> None:
    """The first outputs of the reference generator with seed 1234567 (public test vector)."""
    golden, state, found = 0x9E3779B97F4A7C15, 1234567, []
    for number in range(5):
        found.append(mix((state + number * golden) % 2**64))
    assert found == [
        6457827717110365317, 3203168211198807973, 9817491932198370423,
        4593380528125082431, 16408922859458223821,
    ]  # fmt: skip


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50))
def test_array_form_equals_the_scalar(values: list[int]) -> None:
    assert mix_array(np.array(values, np.uint64)).tolist() == [mix(v) for v in values]


@given(st.integers(0, 2**63), st.integers(1, 300))
def test_permutation_is_one(base: int, size: int) -> None:
    assert sorted(permutation(base, size).tolist()) == list(range(size))


@given(st.integers(0, 2**40), st.integers(1, 1000))
def test_integers_lie_in_range(base: int, bound: int) -> None:
    drawn = integers(keys(base, np.arange(200)), 3, bound)
    assert drawn.min() >= 0
    assert drawn.max() < bound


def test_integers_are_uniform_and_streams_unrelated() -> None:
    image_keys = keys(key(5, "augment", 2), np.arange(90_000))
    a, b = integers(image_keys, 1, 9), integers(image_keys, 2, 9)
    for drawn in (a, b):
        assert stats.chisquare(np.bincount(drawn, minlength=9)).pvalue > 1e-4
    together = np.bincount(9 * a + b, minlength=81)
    assert stats.chisquare(together).pvalue > 1e-4


def test_counters_and_purposes_are_told_apart() -> None:
    made = {
        key(seed, purpose, epoch, step)
        for seed in range(5) for purpose in ("order", "augment", "step")
        for epoch in range(10) for step in range(10)
    }  # fmt: skip
    assert len(made) == 5 * 3 * 10 * 10
    assert key(1, "order", 2, 3) != key(1, "order", 3, 2)


def test_generators_with_equal_counters_agree() -> None:
    import torch

    a = torch.rand(5, generator=generator(1, "start", 2))
    assert torch.equal(a, torch.rand(5, generator=generator(1, "start", 2)))
    assert not torch.equal(a, torch.rand(5, generator=generator(2, "start", 2)))
