"""Small networks of many kinds, made up to time them whole: what in-place work adds to operators.

None of them is a network that epochlab knows by name, so a prediction of those is a real one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from epochlab.randomness import generator


@dataclass(frozen=True, kw_only=True)
class SampleNetwork:
    """A network with the batches with which it is timed."""

    name: str
    make: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    batches: tuple[int, ...]

    def build(self, *, real: bool = True) -> nn.Module:
        """The network, with the same weights every time; unless `real`, on the meta device."""
        if not real:
            with torch.device("meta"):
                return self.make()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator(0, "samples").initial_seed())
            return self.make()


def sample_networks() -> list[SampleNetwork]:
    """Multilayer perceptrons; plain, residual, depthwise, branching and large-window networks."""
    return [
        SampleNetwork(name="perceptron", make=_perceptron, input_shape=(600,),
                      batches=(1, 32)),
        SampleNetwork(name="wide perceptron", make=_wide_perceptron, input_shape=(2000,),
                      batches=(128,)),
        SampleNetwork(name="two convolutions", make=_two_convolutions, input_shape=(1, 28, 28),
                      batches=(1, 32, 256)),
        SampleNetwork(name="small residual", make=_small_residual, input_shape=(3, 32, 32),
                      batches=(1, 16, 128)),
        SampleNetwork(name="deep and thin", make=_deep_and_thin, input_shape=(3, 40, 40),
                      batches=(4, 64)),
        SampleNetwork(name="plain", make=_plain, input_shape=(3, 128, 128), batches=(1, 6)),
        SampleNetwork(name="branches", make=_branches, input_shape=(3, 192, 192), batches=(1, 8)),
        SampleNetwork(name="bottlenecks", make=_bottlenecks, input_shape=(3, 200, 200),
                      batches=(1, 6)),
        SampleNetwork(name="depthwise", make=_depthwise, input_shape=(3, 176, 176),
                      batches=(1, 10)),
        SampleNetwork(name="large windows", make=_large_windows, input_shape=(3, 220, 220),
                      batches=(1, 4)),
        SampleNetwork(name="soft activations", make=_soft_activations, input_shape=(3, 96, 96),
                      batches=(1, 12)),
        SampleNetwork(name="attention", make=_attention, input_shape=(3, 96, 96), batches=(1, 16)),
        SampleNetwork(name="squeezed branches", make=_squeezed, input_shape=(3, 180, 180),
                      batches=(1, 24)),
    ]  # fmt: skip


# --- building blocks ------------------------------------------------------------------------------


def _normed(i: int, o: int, window: int = 3, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(i, o, window, stride, window // 2, groups=groups, bias=False),
        nn.BatchNorm2d(o), nn.ReLU(inplace=True),
    )  # fmt: skip


def _relu(i: int, o: int, window: int = 1, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    return [nn.Conv2d(i, o, window, stride, padding), nn.ReLU()]


def _head(channels: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


class _Residual(nn.Module):
    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            _normed(channels, inner, 1), _normed(inner, inner),
            nn.Conv2d(inner, channels, 1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.change(x))


class _Padded(nn.Module):
    """Fewer positions and more channels without a weight, as ResNet's shortcut A."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4))


class _Attention(nn.Module):
    """A block of self-attention over the positions of a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, channels, 8, 8)
        self.block = nn.TransformerEncoderLayer(channels, 4, 4 * channels, 0.1, "gelu",
                                                batch_first=True, norm_first=True)  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.embed(x).flatten(2).transpose(1, 2)).mean(1)  # type: ignore[no-any-return] # a module may return anything


class _Branches(nn.Module):
    def __init__(self, channels: int, one: int, three: int, pooled: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([
            nn.Sequential(*_relu(channels, one)),
            nn.Sequential(*_relu(channels, three // 2), *_relu(three // 2, three, 3, padding=1)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), *_relu(channels, pooled)),
        ])  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


# --- the networks ---------------------------------------------------------------------------------


def _perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(600, 400), nn.ReLU(), nn.Linear(400, 200),
                         nn.ReLU(), nn.Linear(200, 10))  # fmt: skip


def _wide_perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(2000, 1500), nn.ReLU(), nn.Linear(1500, 700),
                         nn.ReLU(), nn.Linear(700, 20))  # fmt: skip


def _two_convolutions() -> nn.Module:
    return nn.Sequential(
        *_relu(1, 8, 5), nn.MaxPool2d(2), *_relu(8, 24, 3), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(24 * 25, 90), nn.ReLU(), nn.Linear(90, 10),
    )  # fmt: skip


def _small_residual() -> nn.Module:
    return nn.Sequential(
        _normed(3, 24), _normed(24, 24), _Residual(24, 24), _normed(24, 48, stride=2),
        _Residual(48, 24), _normed(48, 96, stride=2), _Residual(96, 48), _head(96, 10),
    )  # fmt: skip


def _deep_and_thin() -> nn.Module:
    return nn.Sequential(
        _normed(3, 12), *[_Residual(12, 12) for _ in range(8)], _normed(12, 32, stride=2),
        _Padded(), *[_Residual(40, 20) for _ in range(5)], _head(40, 10),
    )  # fmt: skip


def _plain() -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for block in ((48, 48), (96, 160), (320,), (400, 400)):
        for wide in block:
            layers += _relu(channels, wide, 3, padding=1)
            channels = wide
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(400 * 64, 1500), nn.ReLU(), nn.Dropout(),
                         nn.Linear(1500, 100))  # fmt: skip


def _branches() -> nn.Module:
    return nn.Sequential(
        *_relu(3, 48, 7, 2, 3), nn.MaxPool2d(3, 2, 1), _Branches(48, 40, 80, 24),
        _Branches(144, 64, 96, 40), nn.MaxPool2d(3, 2, 1), _Branches(200, 96, 160, 48),
        _Branches(304, 128, 256, 64), nn.MaxPool2d(3, 2, 1), _Branches(448, 200, 320, 100),
        _head(620, 100),
    )  # fmt: skip


def _bottlenecks() -> nn.Module:
    return nn.Sequential(
        _normed(3, 40, 7, 2), nn.MaxPool2d(3, 2, 1), nn.Conv2d(40, 160, 1, bias=False),
        _Residual(160, 40), _Residual(160, 56), _normed(160, 320, 1, 2), _Residual(320, 80),
        _normed(320, 720, 1, 2), _Residual(720, 160), _Residual(720, 200),
        _normed(720, 1400, 1, 2), _Residual(1400, 360), _head(1400, 500),
    )  # fmt: skip


def _depthwise() -> nn.Module:
    layers = [_normed(3, 24, 3, 2)]
    channels = 24
    for wide, stride in ((48, 1), (100, 2), (160, 1), (300, 2), (300, 1), (700, 2)):
        layers += [_normed(channels, channels, 3, stride, channels), _normed(channels, wide, 1)]
        channels = wide
    return nn.Sequential(*layers, _head(channels, 100))


def _soft_activations() -> nn.Module:
    layers: list[nn.Module] = []
    kinds = (nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Sigmoid, nn.Tanh)
    for place, kind in enumerate(kinds):
        layers += [nn.Conv2d(3 if not place else 32, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32),
                   kind()]  # fmt: skip
    return nn.Sequential(*layers, nn.AvgPool2d(2), nn.Dropout2d(0.1), _head(32, 10))


def _attention() -> nn.Module:
    return nn.Sequential(_Attention(96), nn.LayerNorm(96), nn.Linear(96, 30))


def _large_windows() -> nn.Module:
    return nn.Sequential(
        *_relu(3, 80, 11, 4, 2), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2),
        *_relu(80, 200, 5, padding=2), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2),
        *_relu(200, 300, 3, padding=1), nn.Flatten(),
        nn.Linear(300 * 144, 2048), nn.ReLU(), nn.Linear(2048, 200),
    )  # fmt: skip


def _squeezed() -> nn.Module:
    return nn.Sequential(
        *_relu(3, 72, 3, 2), nn.MaxPool2d(3, 2), _Branches(72, 40, 64, 20),
        _Branches(124, 64, 64, 24), nn.MaxPool2d(3, 2), _Branches(152, 80, 120, 40),
        _Branches(240, 128, 190, 60), *_relu(378, 500), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
