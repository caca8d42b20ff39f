"""Inception v3 as PALEO describes it: 299 x 299 images, no auxiliary head, no normalisation.

After TalwalkarLab/paleo, nets/inception_v3.json. Its modules follow C. Szegedy and others,
Rethinking the Inception Architecture for Computer Vision, CVPR 2016.
"""

from __future__ import annotations

from epochlab.predict.paleo.drawing import Drawing
from epochlab.predict.paleo.layers import PaleoNetwork

# A branch: (kernel, channels), a third entry for stride 2 without padding; "average" and "maximum"
# are 3 x 3 windows, the latter with stride 2; a list at the end is two convolutions side by side.
Step = tuple[int | tuple[int, int], int] | tuple[int | tuple[int, int], int, int] | str
Branch = list[Step | list[Step]]

_ROW, _COLUMN = (1, 7), (7, 1)


def inception_v3() -> PaleoNetwork:
    """The layers, named module/branch/place."""
    net = Drawing((299, 299, 3))
    net.convolution("Conv2d_1a_3x3", 3, 32, stride=2, padding="VALID")
    net.convolution("Conv2d_2a_3x3", 3, 32, padding="VALID")
    net.convolution("Conv2d_2b_3x3", 3, 64)
    net.pool("MaxPool_3a_3x3", 3, stride=2)
    net.convolution("Conv2d_3b_1x1", 1, 80, padding="VALID")
    net.convolution("Conv2d_4a_3x3", 3, 192, padding="VALID")
    net.pool("MaxPool_5a_3x3", 3, stride=2)
    for letter, pooled in (("b", 32), ("c", 64), ("d", 64)):
        _module(net, f"Mixed_5{letter}", _thirty_five(pooled))
    # In the published network the second branch has one more 3 x 3 convolution.
    _module(net, "Mixed_6a", [[(3, 384, 2)], [(1, 64), (3, 96, 2)], ["maximum"]])
    for letter, width in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
        _module(net, f"Mixed_6{letter}", _seventeen(width))
    _module(net, "Mixed_7a", [
        [(1, 192), (3, 320, 2)], [(1, 192), (_ROW, 192), (_COLUMN, 192), (3, 192, 2)], ["maximum"],
    ])  # fmt: skip
    for letter in "bc":
        _module(net, f"Mixed_7{letter}", _eight())
    net.pool("AvgPool_1a_8x8", 8, stride=2)
    net.dropout("Dropout_1b")
    net.convolution("Conv2d_1c_1x1", 1, 1000)
    return net.network("inception_v3", "softmax")


def _thirty_five(pooled: int) -> list[Branch]:
    """A module at 35 x 35."""
    return [[(1, 64)], [(1, 48), (5, 64)], [(1, 64), (3, 96), (3, 96)], ["average", (1, pooled)]]


def _seventeen(w: int) -> list[Branch]:
    """A module at 17 x 17, whose 7 x 7 convolutions are made of a row and a column."""
    return [
        [(1, 192)], [(1, w), (_ROW, w), (_COLUMN, 192)],
        [(1, w), (_COLUMN, w), (_ROW, w), (_COLUMN, w), (_ROW, 192)], ["average", (1, 192)],
    ]  # fmt: skip


def _eight() -> list[Branch]:
    """A module at 8 x 8, which ends in rows and columns side by side."""
    sides: list[Step] = [((1, 3), 384), ((3, 1), 384)]
    return [[(1, 320)], [(1, 384), sides], [(1, 448), (3, 384), sides], ["average", (1, 192)]]


def _module(net: Drawing, name: str, branches: list[Branch]) -> None:
    start, ends = net.size, []
    for number, branch in enumerate(branches):
        net.size = start
        for place, step in enumerate(branch):
            if isinstance(step, list):
                before, sides = net.size, []
                for side, each in enumerate(step):
                    net.size = before
                    _step(net, f"{name}/{number}/{place}.{side}", each)
                    sides.append(net.size)
                net.join(f"{name}/{number}/concat", sides)
            else:
                _step(net, f"{name}/{number}/{place}", step)
        ends.append(net.size)
    net.join(f"{name}/concat", ends)


def _step(net: Drawing, name: str, step: Step) -> None:
    if step == "average":
        net.pool(name, 3, stride=1, padding="SAME")
    elif step == "maximum":
        net.pool(name, 3, stride=2)
    else:
        assert not isinstance(step, str)
        halving = len(step) == 3
        net.convolution(name, step[0], step[1], stride=2 if halving else 1,
                        padding="VALID" if halving else "SAME")  # fmt: skip
