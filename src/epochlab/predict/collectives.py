"""How long workers take to add up their gradients, by the way in which they exchange them.

A message of n bytes takes alpha + n beta seconds (latency, inverse bandwidth), and adding n bytes
to n others takes n gamma; p workers all end with the sum of what each of them had. Sources:

* recursive doubling, Rabenseifner: R. Thakur, R. Rabenseifner, W. Gropp, Optimization of Collective
  Communication Operations in MPICH, 2005, as restated in the comments of MPICH's own code;
* star (one to all), tree, butterfly: the schemes of PALEO (H. Qi, E. Sparks, A. Talwalkar, ICLR
  2017, paleo/comm.py), with latency and reduction added;
* ring: the standard result; its volume is the one that nccl-tests prints (doc/PERFORMANCE.md);
* double binary tree: the idea of P. Sanders, J. Speck, J. L. Traeff, 2009; its constants here are
  those of the general idea, not quoted from there;
* parameter servers, hierarchical, and recursive doubling among numbers of workers that are no power
  of two: derived here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from epochlab.errors import BadOption, UnknownName
from epochlab.hardware import Link
from epochlab.predict.optimus_speed import check_count


def all_reduce_seconds(
    scheme: str,
    size_bytes: float,
    workers: int,
    over: Channel | Link | float,
    *,
    servers: int | None = None,
    per_node: int | None = None,
    inside: Channel | Link | float | None = None,
) -> float:
    """Seconds until each of `workers` has the sum of `size_bytes` bytes from all of them.

    `scheme` is one of SCHEMES. `over` is what connects the workers: a Channel, a Link, or bytes per
    second. "parameter-servers" needs the number of `servers`; both hierarchical schemes need the
    workers `per_node` and what connects those `inside` a node. One worker takes no time, except
    with parameter servers, which are other machines.

    Raises UnknownName for a scheme, BadOption for a number that is not allowed.

        >>> round(all_reduce_seconds("ring", 94_089_000, 8, Channel(bandwidth_bytes_per_s=10e9,
        ...                                                        latency_s=20e-6)) * 1000, 3)
        16.746
    """
    channel = channel_of(over)
    _check_size(size_bytes)
    check_count("all_reduce_seconds", "workers", workers)
    workers = int(workers)
    if scheme == "parameter-servers":
        if servers is None:
            raise BadOption("all_reduce_seconds: 'parameter-servers' needs the number of servers.")
        return parameter_servers(size_bytes, workers, channel, servers=servers)
    if scheme in _NESTED:
        if per_node is None or inside is None:
            raise BadOption(
                f"all_reduce_seconds: '{scheme}' needs per_node, the workers of one node, and "
                "inside, what connects them."
            )
        nodes = _nodes(workers, per_node)
        return _NESTED[scheme](size_bytes, per_node, nodes, channel_of(inside), channel)
    if scheme not in _FLAT:
        raise UnknownName("scheme of communication", scheme, SCHEMES)
    return _FLAT[scheme](size_bytes, workers, channel)


def lower_bound_seconds(size_bytes: float, workers: int, over: Channel | Link | float) -> float:
    """Seconds that no all-reduce can beat: 2 n (p - 1) / p over a worker's bandwidth.

    It counts what each worker has to send and to receive; latency and reduction are left out.
    """
    _check_size(size_bytes)
    check_count("lower_bound_seconds", "workers", workers)
    return 2 * size_bytes * (workers - 1) / workers * channel_of(over).beta


def bus_bandwidth_factor(operation: str, workers: int) -> float:
    """What bytes per second of an operation are multiplied with to get those of the hardware.

    Size over time is comparable between numbers of workers only after this, as in nccl-tests,
    doc/PERFORMANCE.md. `operation` is one of OPERATIONS; raises UnknownName.

        >>> bus_bandwidth_factor("all-reduce", 8)
        1.75
    """
    check_count("bus_bandwidth_factor", "workers", workers)
    if operation not in OPERATIONS:
        raise UnknownName("collective operation", operation, OPERATIONS)
    return OPERATIONS[operation] * ((workers - 1) / workers if operation in _SHARED else 1.0)


def channel_of(over: Channel | Link | float) -> Channel:
    """A Channel from what a user names: a Channel, a Link, or bytes per second in one direction.

    A Link without a known latency has latency 0.
    """
    if isinstance(over, Channel):
        return over
    if isinstance(over, Link):
        latency = 0.0 if over.latency_s is None else over.latency_s.value
        return Channel(bandwidth_bytes_per_s=over.one_way_bytes_per_s, latency_s=latency)
    return Channel(bandwidth_bytes_per_s=over)


@dataclass(frozen=True, kw_only=True)
class Channel:
    """What it costs to send and to add up: alpha, 1 / beta and gamma of the model."""

    bandwidth_bytes_per_s: float
    "in one direction"
    latency_s: float = 0.0
    "of one message"
    reduction_s_per_byte: float = 0.0
    "to add one byte to another"

    def __post_init__(self) -> None:
        for name in ("bandwidth_bytes_per_s", "latency_s", "reduction_s_per_byte"):
            value = getattr(self, name)
            good = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (good and math.isfinite(value) and value >= 0):
                raise BadOption(f"Channel: {name} is {value!r}; it must be a finite number, 0 or "
                                "more.")  # fmt: skip
        if self.bandwidth_bytes_per_s == 0:
            raise BadOption("Channel: bandwidth_bytes_per_s is 0; it must be above 0.")

    @property
    def beta(self) -> float:
        """Seconds per byte."""
        return 1 / self.bandwidth_bytes_per_s

    def send(self, size_bytes: float) -> float:
        """Seconds of one message."""
        return self.latency_s + size_bytes * self.beta

    def add(self, size_bytes: float) -> float:
        """Seconds to add that many bytes to others."""
        return size_bytes * self.reduction_s_per_byte


# --- n bytes, p workers, all alike ----------------------------------------------------------------


def recursive_doubling(n: float, p: int, channel: Channel) -> float:
    """log2(p) (alpha + n beta + n gamma): in each round, pairs exchange all they have.

    Where p is no power of two, the workers beyond one hand their bytes to a neighbour before and
    get the sum from it afterwards, as in MPICH.
    """
    rounds, whole = _rounds(p)
    seconds = rounds * (channel.send(n) + channel.add(n))
    return seconds if whole else seconds + 2 * channel.send(n) + channel.add(n)


def rabenseifner(n: float, p: int, channel: Channel) -> float:
    """2 log2(p) alpha + 2 n (p-1)/p beta + n (p-1)/p gamma: halving, then doubling.

    Where p is no power of two: (2 floor(log2 p) + 2) alpha + (2 (p-1)/p + 2) n beta
    + (1 + (p-1)/p) n gamma.
    """
    rounds, whole = _rounds(p)
    share, extra = (p - 1) / p, 0 if whole else 1
    return (
        (2 * rounds + 2 * extra) * channel.latency_s
        + (2 * share + 2 * extra) * n * channel.beta + channel.add((share + extra) * n)
    )  # fmt: skip


def ring(n: float, p: int, channel: Channel) -> float:
    """2 (p-1) alpha + 2 n (p-1)/p beta + n (p-1)/p gamma: slices go round twice."""
    return 2 * (p - 1) * channel.send(n / p) + (p - 1) * channel.add(n / p)


def tree(n: float, p: int, channel: Channel) -> float:
    """2 H (alpha + n beta) + H n gamma, H = ceil(log2 p): up to the root, down again."""
    height = _height(p)
    return 2 * height * channel.send(n) + height * channel.add(n)


def double_binary_tree(n: float, p: int, channel: Channel) -> float:
    """2 H alpha + 2 n beta + n gamma, H = ceil(log2 p): half of the bytes in each of two trees.

    Pipelined, so that the height costs latency only. The constants are those of the general idea,
    not quoted; real libraries differ.
    """
    if p == 1:
        return 0.0
    return 2 * _height(p) * channel.latency_s + 2 * n * channel.beta + channel.add(n)


def star(n: float, p: int, channel: Channel) -> float:
    """2 (p-1) (alpha + n beta) + (p-1) n gamma: one worker gathers from all and sends to all."""
    return (p - 1) * (2 * channel.send(n) + channel.add(n))


def butterfly(n: float, p: int, channel: Channel) -> float:
    """H (alpha + n beta + n gamma), H = ceil(log2 p), in PALEO's count for any number of workers.

    Recursive doubling where p is a power of two.
    """
    return _height(p) * (channel.send(n) + channel.add(n))


def parameter_servers(
    n: float, workers: int, channel: Channel, *, servers: int,
    server: Channel | Link | float | None = None,
) -> float:  # fmt: skip
    """2 alpha + max(2 n beta, 2 n w / P beta_server) + n w / P gamma: push to P servers, and pull.

    The busier end sets the time: a worker with all n bytes, or a server with its share of all w
    workers' bytes. `server` is the servers' end of the connection, like the workers' if not given.
    """
    check_count("parameter_servers", "servers", servers)
    end = channel if server is None else channel_of(server)
    share = n * workers / servers
    busier = max(2 * n * channel.beta, 2 * share * end.beta)
    return 2 * channel.latency_s + busier + end.add(share)


# --- nodes of several workers ---------------------------------------------------------------------


def hierarchical(n: float, per_node: int, nodes: int, inside: Channel, between: Channel) -> float:
    """n (g-1)/g beta_1 twice, and 2 n (m-1)/m beta_2 in between: g workers in each of m nodes.

    Each node's workers first scatter their sum among themselves in a ring, then workers of all
    nodes with the same slice add up in rings that share the node's connection, then each node
    gathers. Latencies of the rings are added.
    """
    within = (per_node - 1) * (2 * inside.send(n / per_node) + inside.add(n / per_node))
    across = (nodes - 1) * (2 * between.send(n / nodes) + between.add(n / nodes / per_node))
    return within + across


def hierarchical_leader(
    n: float, per_node: int, nodes: int, inside: Channel, between: Channel
) -> float:
    """2 log2(g) n beta_1 + 2 n (m-1)/m beta_2: a tree in each node, a ring of the leaders."""
    return tree(n, per_node, inside) + ring(n, nodes, between)


_Flat = Callable[[float, int, Channel], float]
_FLAT: Mapping[str, _Flat] = MappingProxyType({
    "recursive-doubling": recursive_doubling, "rabenseifner": rabenseifner, "ring": ring,
    "tree": tree, "double-binary-tree": double_binary_tree, "star": star, "one-to-all": star,
    "butterfly": butterfly,
})  # fmt: skip
_NESTED: Mapping[str, Callable[[float, int, int, Channel, Channel], float]] = MappingProxyType(
    {"hierarchical": hierarchical, "hierarchical-leader": hierarchical_leader}
)
SCHEMES = (*_FLAT, "parameter-servers", *_NESTED)
"Names that all_reduce_seconds knows; one-to-all is PALEO's name of the star."

# Each worker holds, or ends with, a share: what it keeps for itself is not sent.
_SHARED = frozenset({"all-reduce", "reduce-scatter", "all-gather", "all-to-all"})
OPERATIONS: Mapping[str, float] = MappingProxyType(
    {"all-reduce": 2.0, "reduce-scatter": 1.0, "all-gather": 1.0, "all-to-all": 1.0,
     "broadcast": 1.0, "reduce": 1.0}
)  # fmt: skip
"Collective operations, and how often their bytes pass a connection among very many workers."


def _rounds(p: int) -> tuple[int, bool]:
    """floor(log2 p), and whether p is a power of two."""
    rounds = p.bit_length() - 1
    return rounds, p == 1 << rounds


def _height(p: int) -> int:
    """ceil(log2 p)."""
    return (p - 1).bit_length()


def _nodes(workers: int, per_node: int) -> int:
    check_count("all_reduce_seconds", "per_node", per_node)
    if workers % per_node:
        raise BadOption(
            f"all_reduce_seconds: {workers} workers do not fill nodes of {per_node}. Choose "
            "per_node so that it divides the number of workers."
        )
    return workers // per_node


def _check_size(size_bytes: float) -> None:
    good = isinstance(size_bytes, (int, float)) and not isinstance(size_bytes, bool)
    if not (good and math.isfinite(size_bytes) and size_bytes >= 0):
        raise BadOption(f"size_bytes is {size_bytes!r}; it must be a finite number, 0 or more.")
