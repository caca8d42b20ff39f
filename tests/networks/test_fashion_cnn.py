from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epochlab.errors import BadOption, BadShape
from epochlab.networks.fashion_cnn import FashionCnn
from tests.networks.counting import counts


@pytest.mark.parametrize(
    ("options", "size", "work"),
    [
        ({}, 925_190, 2_347_048),
        ({"padding": "same"}, 1_257_990, 3_174_632),
        ({"pool": "second"}, 233_990, 1_655_848),
        ({"pool": "both"}, 43_590, 417_128),
        ({"padding": "same", "pool": "both"}, 81_990, 643_880),
    ],
)
def test_sizes_of_all_readings(options: dict[str, Any], size: int, work: int) -> None:
    assert counts(FashionCnn(**options), (1, 28, 28)) == (size, work)


@pytest.mark.parametrize(
    ("c1", "c2", "n", "work"),
    [
        (16, 16, 100, 2_347_048), (15, 16, 100, 2_258_020), (16, 15, 100, 2_206_504),
        (16, 16, 99, 2_337_822),
    ],
)  # fmt: skip
def test_work_of_pruned_networks(c1: int, c2: int, n: int, work: int) -> None:
    network = FashionCnn(channels1=c1, channels2=c2, hidden=n)
    assert counts(network, (1, 28, 28))[1] == work
    assert 6_084 * c1 + 5_184 * c1 * c2 + 576 * c2 * n + 10 * n == work


@settings(max_examples=200, deadline=None)
@given(
    k1=st.integers(1, 7), k2=st.integers(1, 7), c1=st.integers(1, 9), c2=st.integers(1, 9),
    n=st.integers(1, 30), outputs=st.integers(1, 12),
)  # fmt: skip
def test_closed_formula(k1: int, k2: int, c1: int, c2: int, n: int, outputs: int) -> None:
    network = FashionCnn(kernel1=k1, kernel2=k2, channels1=c1, channels2=c2, hidden=n)
    side1 = 28 - k1 + 1
    side2 = side1 - k2 + 1
    work = side1**2 * k1**2 * c1 + side2**2 * k2**2 * c1 * c2 + side2**2 * c2 * n + outputs * n
    biases = c1 + c2 + n + outputs
    weights = k1**2 * c1 + k2**2 * c1 * c2 + side2**2 * c2 * n + outputs * n
    assert counts(network, (1, 28, 28), outputs) == (weights + biases, work)


@given(kernel=st.sampled_from((1, 3, 5, 7)))
@settings(deadline=None)
def test_same_padding_keeps_the_size(kernel: int) -> None:
    module = FashionCnn(kernel1=kernel, kernel2=kernel, padding="same").build((1, 9, 12), 10)
    assert module.get_submodule("fc1").in_features == 16 * 9 * 12


def test_even_kernels_cannot_be_padded_equally() -> None:
    with pytest.raises(BadOption, match=r"kernel2 is 4.*nearest are 3 and 5"):
        FashionCnn(kernel2=4, padding="same")
    assert FashionCnn(kernel2=4).kernel2 == 4


def test_small_images_are_refused() -> None:
    with pytest.raises(BadShape, match=r"4 x 28 pixels: conv2 looks at 3 x 3.*at least 5"):
        FashionCnn().build((1, 4, 28), 10)
    with pytest.raises(BadShape, match="it takes images"):
        FashionCnn().build((64,), 10)


@pytest.mark.parametrize(
    ("pool", "order"),
    [
        ("none", "conv1 act1 conv2 act2 flatten fc1 act3 fc2"),
        ("second", "conv1 act1 conv2 act2 pool2 flatten fc1 act3 fc2"),
        ("both", "conv1 act1 pool1 conv2 act2 pool2 flatten fc1 act3 fc2"),
    ],
)
def test_order_of_layers(pool: Any, order: str) -> None:
    module = FashionCnn(pool=pool).build((1, 28, 28), 10)
    assert " ".join(name for name, _ in module.named_children()) == order
