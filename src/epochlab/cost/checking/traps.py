"""The usual mistakes in tables of parameters, activations and operations, each by its name.

A trap either makes alternatives, what the whole table would be with this one mistake, or says
whether a single number was written in a wrong way. A wrong cell that equals the alternative's is
explained by the trap. A new trap is one entry in TRAPS, and a function where none fits yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from epochlab.cost.checking import alternatives as wrong
from epochlab.cost.checking.alternatives import Alternatives
from epochlab.cost.checking.cells import Given


@dataclass(frozen=True, kw_only=True)
class Trap:
    """One usual mistake."""

    name: str
    text: str
    "what went wrong, and how to do it right; one or two sentences"
    alternatives: Alternatives | None = None
    misread: Callable[[Given, int], bool] | None = None
    "for mistakes in writing a number: whether this cell is such a one, given the right number"


def _binary_letters(given: Given, right: int) -> bool:
    """147K for 150,528: divided by 1,024 once per letter in place of 1,000."""
    number = given.number
    if number is None:
        return False
    power = {"k": 1, "m": 2, "g": 3}.get(number.suffix, 0)
    return power > 0 and number.rounds(Fraction(right) * Fraction(1000, 1024) ** power)


def _cut_off(given: Given, right: int) -> bool:
    return given.number is not None and given.number.cut_off(right)


def _power_of_ten(given: Given, right: int) -> bool:
    """80K for 802,816; a single digit is too little to tell."""
    number = given.number
    if number is None or number.is_vague:
        return False
    return any(number.rounds(right * Fraction(10) ** n) for n in range(-9, 10) if n)


# Where two of them explain equally many cells, the earlier one is named.
TRAPS: tuple[Trap, ...] = (
    Trap(name="groups ignored", alternatives=wrong.rows_changed(wrong.ungrouped),
         text="A convolution with 2 groups (AlexNet's 2, 4 and 5: two towers) sees only half of "
              "the channels below. Divide the input channels by the number of groups: "
              "(5*5*48)*256, not (5*5*96)*256."),
    Trap(name="biases included", alternatives=wrong.other_biases(True),
         text="This table counts weights only. Leave out the one bias per filter or unit."),
    Trap(name="biases left out", alternatives=wrong.other_biases(False),
         text="This table counts biases. Add one per filter or unit to the weights."),
    Trap(name="MAC and FLOP mixed up", alternatives=wrong.other_count,
         text="A multiply-accumulate (MAC) is two floating-point operations. Say which of the two "
              "is counted, and double or halve accordingly."),
    Trap(name="pooling branch with too few input channels",
         alternatives=wrong.own_filters_after_pooling,
         text="Pooling keeps the number of channels, so the 1x1 convolution behind it sees all "
              "channels of the module's input (256), not as many as it has filters (64)."),
    Trap(name="1x1 reductions not counted",
         alternatives=wrong.rows_changed(wrong.without_reductions),
         text="The 1x1 convolutions in front of the larger ones do work too: input channels times "
              "filters times positions."),
    Trap(name="concatenation with the wrong pooling branch", alternatives=wrong.branch_forgotten,
         text="All four branches are put together along the channels, the pooling branch among "
              "them: it brings its input's channels, or those of the 1x1 convolution behind it."),
    Trap(name="input channels forgotten",
         alternatives=wrong.rows_changed(wrong.without_input_channels),
         text="Each filter reaches through all channels of its input: k*k*(input channels) weights "
              "per filter, not k*k."),
    Trap(name="number of filters forgotten", alternatives=wrong.rows_changed(wrong.one_filter),
         text="k*k*(input channels) is one filter. Multiply by the number of filters."),
    Trap(name="flattening forgotten", alternatives=wrong.unflattened,
         text="The image is flattened before the first fully connected layer, which sees height "
              "times width times channels numbers (7*7*512 in VGG)."),
    Trap(name="spatial size before pooling", alternatives=wrong.before_pooling,
         text="A pooling of stride 2 halves height and width; it and all layers behind it have the "
              "smaller size."),
    Trap(name="padding forgotten", alternatives=wrong.without_padding,
         text="The output size is (n + 2*padding - kernel)/stride + 1. A 3x3 convolution padded by "
              "1 keeps height and width."),
    Trap(name="stride forgotten", alternatives=wrong.window_sizes(stride=False),
         text="The output size is (n + 2*padding - kernel)/stride + 1: divide by the stride."),
    Trap(name="output size off by one", alternatives=wrong.off_by_one,
         text="The output size is (n + 2*padding - kernel)/stride + 1, the quotient rounded down: "
              "a window fits once more often than it can be moved."),
    Trap(name="another input size", alternatives=wrong.other_input,
         text="Everything after the input depends on its size. AlexNet's first layer gives 55x55 "
              "for 227x227 images only (the paper says 224); VGG takes 224x224."),
    Trap(name="channels forgotten", alternatives=wrong.rows_changed(wrong.one_channel),
         text="Activations are height times width times channels."),
    Trap(name="batch normalisation counted", alternatives=wrong.batch_norm_counted,
         text="This network has no batch normalisation, so there are no 2 extra parameters per "
              "channel."),
    Trap(name="batch normalisation left out", alternatives=wrong.batch_norm_times(0),
         text="Batch normalisation learns a scale and a shift: 2 parameters per channel."),
    Trap(name="running averages counted", alternatives=wrong.batch_norm_times(2),
         text="Batch normalisation learns 2 parameters per channel; its running mean and variance "
              "are not learned and do not count."),
    Trap(name="operations in the column of parameters",
         alternatives=wrong.other_column("parameters", "operations"),
         text="A weight is counted once here, however often it is used: do not multiply by the "
              "positions of the output."),
    Trap(name="parameters in the column of operations",
         alternatives=wrong.other_column("operations", "parameters"),
         text="A convolution uses each weight at every position: multiply by height and width of "
              "the output."),
    Trap(name="bytes in place of numbers", alternatives=wrong.in_bytes,
         text="The table counts numbers. Divide by 4 bytes per 32-bit number."),
    Trap(name="input left out of the total", alternatives=wrong.total_of("input"),
         text="The input is a row of this table, so its 'activations' belong into the total."),
    Trap(name="poolings left out of the total",
         alternatives=wrong.any_of(wrong.total_of("pooling"), wrong.total_of("input", "pooling")),
         text="The outputs of the poolings are rows of this table and belong into the total."),
    Trap(name="activation functions counted again",
         alternatives=wrong.any_of(wrong.total_of(hidden=True),
                                   wrong.total_of("input", hidden=True)),
         text="The output of a layer is counted once, after its ReLU; normalisation and dropout "
              "change its numbers in place."),
    Trap(name="K taken as 1,024", misread=_binary_letters,
         text="Here K is 1,000 and M 1,000,000, as on the sheet: 150,528 is 150K, not 147K."),
    Trap(name="decimal point or letter slipped", misread=_power_of_ten,
         text="The digits are right, but the number is ten, a hundred, a thousand ... times too "
              "large or too small. Count the zeros; K is a thousand, M a million."),
    Trap(name="digits cut off", misread=_cut_off,
         text="Round to the nearest: 802,816 is 803K or 800K, not 802K."),
)  # fmt: skip
