"""Small modules whose multiply-accumulates can be worked out by hand, with the working.

`macs` is a Python expression in the sizes at hand: it is evaluated, and printed beside the number.
Where convention leaves a choice, `also` holds the other answers that count as right, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Probe:
    """One module, what it is fed, and what it costs."""

    name: str
    build: Callable[[], nn.Module]
    shapes: tuple[Shape, ...]
    "of the positional arguments"
    working: str
    "the sum, as Python"
    parameters: int = 0
    also: tuple[int, ...] = ()
    "other answers that convention allows"
    why: str = ""
    biases: str = "0"
    "additions of biases, which some count as multiply-accumulates: right as well"
    ids: bool = False
    "arguments are whole numbers"
    named: tuple[str, ...] = ()
    "arguments are given by these names"

    @property
    def macs(self) -> int:
        return int(eval(self.working))

    def right(self, macs: float) -> bool:
        """Within a hundredth of an allowed answer."""
        added = int(eval(self.biases))
        allowed = (self.macs, self.macs + added, *self.also)
        return any(abs(macs - wanted) <= 0.01 * wanted for wanted in allowed)

    def module(self, device: str) -> nn.Module:
        torch.manual_seed(0)
        with torch.device(device):
            return self.build().eval()

    def inputs(self, device: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        torch.manual_seed(1)
        made = tuple(
            torch.randint(0, 9, s, device=device) if self.ids else torch.rand(s, device=device)
            for s in self.shapes
        )
        return ((), dict(zip(self.named, made, strict=True))) if self.named else (made, {})


class Calls(nn.Module):
    """A function of the inputs and of `weights`, as a module with one child.

    The function looks PyTorch's functions up when it runs: some counters put their own in place.
    """

    def __init__(self, function: Callable[..., Any], *weights: Shape) -> None:
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList([nn.Parameter(torch.rand(s)) for s in weights])
        # Some counters ask for any parameter to learn the device.
        self.none = nn.Parameter(torch.empty(0))
        self.last = nn.Identity()

    def forward(self, *inputs: Tensor) -> Any:
        return self.last(self.function(*inputs, *self.weights))


def _calls(function: Callable[..., Any], *weights: Shape) -> Callable[[], nn.Module]:
    return lambda: Calls(function, *weights)


# --- functions ------------------------------------------------------------------------------------

FUNCTIONS = (
    Probe("conv1d", _calls(lambda x, w: F.conv1d(x, w), (8, 4, 3)), ((1, 4, 20),),
          "18 * 8 * 4*3", 8 * 4 * 3),
    Probe("conv2d", _calls(lambda x, w, b: F.conv2d(x, w, b, padding=1), (8, 4, 3, 3), (8,)),
          ((1, 4, 10, 12),), "10*12 * 8 * 4*3*3", 8 * 4 * 9 + 8, biases="10*12 * 8"),
    Probe("conv2d, stride 2, dilation 2", _calls(
          lambda x, w: F.conv2d(x, w, stride=2, dilation=2), (8, 4, 3, 3)), ((1, 4, 21, 21),),
          "9*9 * 8 * 4*3*3", 8 * 4 * 9),
    Probe("conv2d, 2 groups", _calls(lambda x, w: F.conv2d(x, w, groups=2), (8, 2, 3, 3)),
          ((1, 4, 10, 10),), "8*8 * 8 * 2*3*3", 8 * 2 * 9),
    Probe("conv2d, depthwise", _calls(lambda x, w: F.conv2d(x, w, groups=4), (4, 1, 3, 3)),
          ((1, 4, 10, 10),), "8*8 * 4 * 3*3", 4 * 9),
    Probe("conv3d", _calls(lambda x, w: F.conv3d(x, w), (8, 4, 3, 3, 3)), ((1, 4, 6, 8, 10),),
          "4*6*8 * 8 * 4*3*3*3", 8 * 4 * 27),
    Probe("conv_transpose1d", _calls(lambda x, w: F.conv_transpose1d(x, w, stride=2), (4, 8, 3)),
          ((1, 4, 10),), "10 * 4 * 8*3", 4 * 8 * 3),
    Probe("conv_transpose2d", _calls(
          lambda x, w: F.conv_transpose2d(x, w, stride=2), (4, 8, 3, 3)), ((1, 4, 10, 10),),
          "10*10 * 4 * 8*3*3", 4 * 8 * 9),
    Probe("conv_transpose2d, 2 groups", _calls(
          lambda x, w: F.conv_transpose2d(x, w, stride=2, groups=2), (4, 4, 3, 3)),
          ((1, 4, 10, 10),), "10*10 * 4 * 4*3*3", 4 * 4 * 9),
    Probe("conv_transpose3d", _calls(
          lambda x, w: F.conv_transpose3d(x, w, stride=2), (4, 8, 2, 2, 2)), ((1, 4, 5, 6, 7),),
          "5*6*7 * 4 * 8*2*2*2", 4 * 8 * 8),
    Probe("conv2d without a batch axis", _calls(lambda x, w: F.conv2d(x, w), (8, 4, 3, 3)),
          ((4, 10, 10),), "8*8 * 8 * 4*3*3", 8 * 4 * 9),
    Probe("linear, 3 axes", _calls(lambda x, w, b: F.linear(x, w, b), (32, 16), (32,)),
          ((1, 10, 16),), "10 * 32 * 16", 32 * 16 + 32, biases="10 * 32"),
    Probe("linear, 1 axis", _calls(lambda x, w: F.linear(x, w), (32, 16)), ((16,),),
          "32 * 16", 32 * 16),
    Probe("bilinear", _calls(lambda x, y, w: F.bilinear(x, y, w), (8, 5, 6)), ((3, 5), (3, 6)),
          "3 * 8 * 5*6", 8 * 5 * 6, also=(3 * 8 * 5 * 6 + 3 * 8 * 5, 3 * 8 * 5 * 6 + 3 * 8 * 6,
          2 * 3 * 8 * 5 * 6), why="x W first, then times y, adds a product per row of W"),
    Probe("embedding_bag, sum", _calls(lambda i, w: F.embedding_bag(i, w, mode="sum"), (50, 16)),
          ((2, 7),), "0", 50 * 16, ids=True),
)  # fmt: skip


# --- products of matrices -------------------------------------------------------------------------


def _einsum(form: str, shapes: Sequence[Shape], working: str, also: tuple[int, ...] = (),
            why: str = "") -> Probe:  # fmt: skip
    return Probe(f"einsum {form}", _calls(lambda *t: torch.einsum(form, *t)), tuple(shapes),
                 working, also=also, why=why)  # fmt: skip


SUMLESS = "nothing is summed: products without additions"
PRODUCTS = (
    Probe("matmul 2-D", _calls(lambda a, b: torch.matmul(a, b)), ((6, 8), (8, 10)), "6 * 10 * 8"),
    Probe("matmul with broadcast batch", _calls(lambda a, b: torch.matmul(a, b)),
          ((2, 1, 6, 8), (3, 8, 10)),
          "2*3 * 6 * 10 * 8"),
    Probe("matmul of vectors", _calls(lambda a, b: torch.matmul(a, b)), ((80,), (80,)), "80"),
    Probe("matmul matrix times vector", _calls(lambda a, b: torch.matmul(a, b)),
          ((6, 8), (8,)), "6 * 8"),
    Probe("matmul vector times matrix", _calls(lambda a, b: torch.matmul(a, b)),
          ((8,), (8, 6)), "6 * 8"),
    Probe("operator @", _calls(lambda a, b: a @ b), ((2, 6, 8), (2, 8, 10)), "2 * 6 * 10 * 8"),
    Probe("operator @ with a weight", _calls(lambda a, w: a @ w, (8, 10)), ((2, 6, 8),),
          "2*6 * 10 * 8", 80),
    Probe("mm", _calls(lambda a, b: torch.mm(a, b)), ((6, 8), (8, 10)), "6 * 10 * 8"),
    Probe("bmm", _calls(lambda a, b: torch.bmm(a, b)), ((3, 6, 8), (3, 8, 10)), "3 * 6 * 10 * 8"),
    Probe("mv", _calls(lambda a, b: torch.mv(a, b)), ((6, 8), (8,)), "6 * 8"),
    Probe("dot", _calls(lambda a, b: torch.dot(a, b)), ((80,), (80,)), "80"),
    Probe("outer", _calls(lambda a, b: torch.outer(a, b)),
          ((6,), (8,)), "6 * 8", also=(0,), why=SUMLESS),
    Probe("addmm", _calls(lambda a, b, c: torch.addmm(a, b, c)),
          ((6, 10), (6, 8), (8, 10)), "6 * 10 * 8"),
    Probe("addmv", _calls(lambda a, b, c: torch.addmv(a, b, c)), ((6,), (6, 8), (8,)), "6 * 8"),
    Probe("addbmm", _calls(lambda a, b, c: torch.addbmm(a, b, c)),
          ((6, 10), (3, 6, 8), (3, 8, 10)), "3 * 6 * 10 * 8"),
    Probe("baddbmm", _calls(lambda a, b, c: torch.baddbmm(a, b, c)),
          ((3, 6, 10), (3, 6, 8), (3, 8, 10)),
          "3 * 6 * 10 * 8"),
    Probe("addmm_ in place", _calls(lambda c, a, b: c.clone().addmm_(a, b)),
          ((6, 10), (6, 8), (8, 10)), "6 * 10 * 8"),
    Probe("matmul into out=", _calls(
          lambda a, b: torch.matmul(a, b, out=torch.empty(6, 10, device=a.device))),
          ((6, 8), (8, 10)), "6 * 10 * 8"),
    Probe("chain of three", _calls(lambda a, b, c: a @ b @ c), ((6, 8), (8, 10), (10, 12)),
          "6*10*8 + 6*12*10"),
    Probe("linalg.multi_dot", _calls(lambda *t: torch.linalg.multi_dot(t)),
          ((6, 80), (80, 4), (4, 50)), "6*4*80 + 6*50*4"),
    Probe("linalg.matrix_power 4", _calls(lambda a: torch.linalg.matrix_power(a, 4)), ((8, 8),),
          "2 * 8*8*8"),
    Probe("linalg.vecdot", _calls(lambda a, b: torch.linalg.vecdot(a, b)), ((6, 8), (6, 8)),
          "6 * 8", also=(0,), why="it may be done as an elementwise product and a sum"),
    Probe("tensordot", _calls(lambda a, b: torch.tensordot(a, b, dims=2)),
          ((6, 4, 5), (4, 5, 10)), "6 * 10 * 4*5"),
    Probe("inner", _calls(lambda a, b: torch.inner(a, b)), ((6, 8), (10, 8)), "6 * 10 * 8"),
    Probe("kron", _calls(lambda a, b: torch.kron(a, b)),
          ((3, 4), (5, 6)), "3*4 * 5*6", also=(0,), why=SUMLESS),
    Probe("cdist by matrix products", _calls(
          lambda a, b: torch.cdist(a, b, compute_mode="use_mm_for_euclid_dist")),
          ((30, 8), (40, 8)), "30 * 40 * 8", also=(30 * 40 * 10,),
          why="two more columns hold the squared lengths"),
    _einsum("ij,jk->ik", ((6, 8), (8, 10)), "6 * 10 * 8"),
    _einsum("bij,bjk->bik", ((3, 6, 8), (3, 8, 10)), "3 * 6 * 10 * 8"),
    _einsum("bhid,bhjd->bhij", ((2, 3, 6, 8), (2, 3, 10, 8)), "2*3 * 6 * 10 * 8"),
    _einsum("bchw,kc->bkhw", ((2, 3, 5, 6), (4, 3)), "2*5*6 * 4 * 3"),
    _einsum("i,i->", ((80,), (80,)), "80"),
    _einsum("ij,ij->", ((6, 8), (6, 8)), "6 * 8"),
    _einsum("i,j->ij", ((6,), (8,)), "6 * 8", (0,), SUMLESS),
    _einsum("ij,jk,kl->il", ((6, 8), (8, 10), (10, 12)), "6*10*8 + 6*12*10"),
    _einsum("...ij,jk->...ik", ((2, 3, 6, 8), (8, 10)), "2*3 * 6 * 10 * 8"),
)  # fmt: skip


# --- attention and recurrent layers ---------------------------------------------------------------


def _attends(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def _masked(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def _shared_heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)


HEADS = ((1, 4, 12, 16), (1, 4, 20, 16), (1, 4, 20, 16))
TWO_PRODUCTS = "4 * 12*20*16 + 4 * 12*20*16"
ATTENTION = (
    Probe("attention function", _calls(_attends), HEADS, TWO_PRODUCTS),
    Probe("attention function, mask", _calls(_masked), (*HEADS, (12, 20)), TWO_PRODUCTS),
    Probe("attention function, causal", _calls(_causal),
          ((1, 4, 20, 16), (1, 4, 20, 16), (1, 4, 20, 16)), "2 * 4 * 20*20*16",
          also=(2 * 4 * 210 * 16,), why="only the 210 allowed pairs"),
    Probe("attention function, values of other width", _calls(_attends),
          ((1, 4, 12, 16), (1, 4, 20, 16), (1, 4, 20, 8)), "4 * 12*20*16 + 4 * 12*20*8"),
    Probe("attention function, 8 heads share 2", _calls(_shared_heads),
          ((1, 8, 12, 16), (1, 2, 20, 16), (1, 2, 20, 16)), "2 * 8 * 12*20*16"),
)  # fmt: skip


class SelfAttention(nn.Module):
    """`nn.MultiheadAttention` attending to its own input, 32 wide, 4 heads."""

    def __init__(self, weights: bool, keys: int | None = None) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(32, 4, batch_first=True, kdim=keys, vdim=keys)
        self.weights = weights

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        other = x if y is None else y
        out: Tensor = self.attend(x, other, other, need_weights=self.weights)[0]
        return out


# In and out projections (three and one of 32 x 32), scores and sums over 10 x 10 pairs.
MHA = "10 * 3*32*32 + 2 * 10*10*32 + 10 * 32*32"
MHA_WEIGHTS = 4 * 32 * 32 + 4 * 32
# The same 256 wide, where normalisation is less than a hundredth of the whole.
WIDE = "10 * 4*256*256 + 2 * 10*10*256"
WIDE_WEIGHTS = 4 * 256 * 256 + 4 * 256
FORWARD = 2 * 256 * 512 + 512 + 256
LAYERED = (
    Probe("MultiheadAttention", lambda: SelfAttention(False), ((1, 10, 32),), MHA, MHA_WEIGHTS,
          biases="10 * 4*32"),
    Probe("MultiheadAttention with weights", lambda: SelfAttention(True), ((1, 10, 32),), MHA,
          MHA_WEIGHTS, biases="10 * 4*32"),
    Probe("MultiheadAttention across, other widths", lambda: SelfAttention(False, 24),
          ((1, 10, 32), (1, 15, 24)),
          "10 * 32*32 + 2 * 15 * 24*32 + 2 * 10*15*32 + 10 * 32*32",
          2 * 32 * 32 + 2 * 24 * 32 + 4 * 32, biases="10*32 + 2 * 15*32 + 10*32"),
    Probe("TransformerEncoderLayer", lambda: nn.TransformerEncoderLayer(256, 4, 512, 0.0,
          batch_first=True), ((1, 10, 256),), f"{WIDE} + 10 * 2*256*512",
          WIDE_WEIGHTS + FORWARD + 4 * 256, biases="10 * (4*256 + 512 + 256)"),
    Probe("Transformer", lambda: nn.Transformer(256, 4, 1, 1, 512, 0.0, batch_first=True),
          ((1, 10, 256), (1, 6, 256)),
          f"{WIDE} + 10 * 2*256*512 + (6*4*256*256 + 2*6*6*256) + "
          "(6*2*256*256 + 10*2*256*256 + 2*6*10*256) + 6 * 2*256*512",
          3 * WIDE_WEIGHTS + 2 * FORWARD + 5 * 512 + 2 * 512,
          biases="10*(4*256+768) + 6*4*256 + (6*2*256 + 10*2*256) + 6*768"),
    Probe("RNN", lambda: nn.RNN(8, 16, batch_first=True), ((2, 10, 8),), "2*10 * 16*(8+16)",
          16 * 24 + 32, biases="2*10 * 2*16"),
    Probe("GRU", lambda: nn.GRU(8, 16, batch_first=True), ((2, 10, 8),), "2*10 * 3*16*(8+16)",
          3 * (16 * 24 + 32), biases="2*10 * 6*16"),
    Probe("LSTM", lambda: nn.LSTM(8, 16, batch_first=True), ((2, 10, 8),), "2*10 * 4*16*(8+16)",
          4 * (16 * 24 + 32), biases="2*10 * 8*16"),
    Probe("LSTM, time first", lambda: nn.LSTM(8, 16), ((10, 2, 8),), "2*10 * 4*16*(8+16)",
          4 * (16 * 24 + 32), biases="2*10 * 8*16"),
    Probe("LSTM, 2 layers, both directions",
          lambda: nn.LSTM(8, 16, 2, bidirectional=True, batch_first=True), ((2, 10, 8),),
          "2*10 * 2 * (4*16*(8+16) + 4*16*(2*16+16))",
          2 * (4 * (16 * 24 + 32) + 4 * (16 * 48 + 32)), biases="2*10 * 2*2*8*16"),
    Probe("LSTM with projection", lambda: nn.LSTM(8, 16, proj_size=4, batch_first=True),
          ((2, 10, 8),), "2*10 * (4*16*(8+4) + 16*4)", 4 * (16 * 12 + 32) + 64,
          biases="2*10 * 8*16"),
    Probe("LSTMCell called 5 times", lambda: Repeated(nn.LSTMCell(8, 8), 5, state=True),
          ((2, 8),), "5 * 2 * 4*8*(8+8)", 4 * (8 * 16 + 16), biases="5*2 * 8*8"),
    Probe("GRUCell", lambda: nn.GRUCell(8, 16),
          ((2, 8),), "2 * 3*16*(8+16)", 3 * (16 * 24 + 32), biases="2 * 6*16"),
)  # fmt: skip


# --- how modules are put together -----------------------------------------------------------------


class Repeated(nn.Module):
    """One module called several times."""

    def __init__(self, inner: nn.Module, times: int, state: bool = False) -> None:
        super().__init__()
        self.inner = inner
        self.times = times
        self.state = state

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.times):
            x = self.inner(x)[0] if self.state else self.inner(x)
        return x


class Branches(nn.Module):
    """Which part runs is decided in Python by the size of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.small = nn.Linear(16, 16, bias=False)
        self.large = nn.Linear(16, 64, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.large(x) if x.shape[0] > 5 else self.small(x)
        return out


class ByName(nn.Module):
    """Its forward takes arguments by name only."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(16, 8, bias=False)
        self.two = nn.Linear(12, 8, bias=False)

    def forward(self, *, left: Tensor, right: Tensor) -> Tensor:
        out: Tensor = self.one(left) + self.two(right)
        return out


class OwnWeight(nn.Module):
    """A layer of one's own: a parameter and an operator in forward, next to an ordinary child."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(16, 16, bias=False)
        self.mixing = nn.Parameter(torch.rand(16, 24))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.first(x) @ self.mixing
        return out


class Tied(nn.Module):
    """Words in and words out share one table."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Embedding(50, 16)
        self.out = nn.Linear(16, 50, bias=False)
        self.out.weight = self.into.weight

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.out(self.into(ids))
        return out


class Named(nn.Linear):
    """A subclass of Linear under another name."""


class Halved(nn.Module):
    """A parametrisation: the weight is half of what is stored."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


def _parametrised() -> nn.Module:
    layer = nn.Linear(16, 24, bias=False)
    torch.nn.utils.parametrize.register_parametrization(layer, "weight", Halved())
    return nn.Sequential(layer, nn.ReLU())


def _weight_norm() -> nn.Module:
    layer = torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 8, 3, bias=False))
    return nn.Sequential(layer, nn.ReLU())


def _returns_many() -> nn.Module:
    return Calls(lambda x, w: {"one": x @ w, "two": [x @ w]}, (16, 8))


STRUCTURES = (
    Probe("module called 3 times", lambda: Repeated(nn.Linear(16, 16, bias=False), 3), ((4, 16),),
          "3 * 4 * 16*16", 16 * 16),
    Probe("convolution called twice", lambda: Repeated(nn.Conv2d(4, 4, 3, padding=1, bias=False),
          2),
          ((1, 4, 10, 10),), "2 * 10*10 * 4 * 4*3*3", 4 * 36),
    Probe("Python branch", Branches, ((8, 16),), "8 * 16*64", 16 * 16 + 16 * 64),
    Probe("arguments by name", ByName, ((4, 16), (4, 12)), "4*8*16 + 4*8*12", 128 + 96,
          named=("left", "right")),
    Probe("own weight beside a child", OwnWeight, ((4, 16),), "4*16*16 + 4*24*16",
          16 * 16 + 16 * 24),
    Probe("tied weights", Tied, ((1, 12),), "12 * 50*16", 50 * 16, ids=True),
    Probe("subclass of Linear", lambda: nn.Sequential(Named(16, 24, bias=False), nn.ReLU()),
          ((4, 16),),
          "4 * 24*16", 16 * 24),
    Probe("parametrised Linear", _parametrised, ((4, 16),), "4 * 24*16", 16 * 24),
    Probe("weight norm on a convolution", _weight_norm, ((1, 4, 10, 10),), "8*8 * 8 * 4*3*3",
          8 * 36 + 8),
    Probe("results in a dict and a list", _returns_many, ((4, 16),), "2 * 4 * 8*16", 128),
    Probe("a root that is one layer", lambda: nn.Conv2d(4, 8, 3, bias=False), ((1, 4, 10, 10),),
          "8*8 * 8 * 4*3*3", 8 * 36),
    Probe("nn.Bilinear", lambda: nn.Sequential(TwoInputs()), ((3, 30),), "3 * 8 * 10*20",
          8 * 200, also=(3 * 8 * 200 + 3 * 8 * 10, 3 * 8 * 200 + 3 * 8 * 20, 2 * 3 * 8 * 200),
          why="x W first, then times y, adds a product per row of W"),
)  # fmt: skip


class TwoInputs(nn.Module):
    """`nn.Bilinear` of two parts of one input."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = nn.Bilinear(10, 20, 8, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pair(x[:, :10], x[:, 10:])
        return out


def probes() -> tuple[Probe, ...]:
    """All of them."""
    return (*FUNCTIONS, *PRODUCTS, *ATTENTION, *LAYERED, *STRUCTURES)
