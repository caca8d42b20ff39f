"""What are convolutional networks made of: parameters, memory, operations, receptive fields?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from epochlab.component import Count
from epochlab.evidence import Evidence
from epochlab.networks import Network
from epochlab.studies import Study
from epochlab.studies._anatomy_alexnet import alexnet_evidence
from epochlab.studies._anatomy_fields import growth_evidence, stack_evidence
from epochlab.studies._anatomy_small import small_evidence
from epochlab.studies._anatomy_vgg import vgg_evidence
from epochlab.studies._anatomy_zoo import builtin, comparison_evidence, own_evidence
from epochlab.train.lab import Lab


@dataclass(frozen=True, kw_only=True)
class Anatomy(Study):
    """Take networks apart on paper: nothing is trained, every number is exact."""

    count: Literal["macs", "flops", "full"] = "macs"
    "operations in the comparison: multiply-accumulates, two per one, or all operations"
    largest: Count = 5
    "check stacks of up to so many layers and filters of up to so many pixels per side"
    also: tuple[Network, ...] = ()
    "further networks to take apart, on the images that they are known for"

    question: ClassVar[str] = (
        "What are convolutional networks made of: parameters, memory, operations, receptive fields?"
    )
    covers: ClassVar[tuple[str, ...]] = (
        "HW3A-P3.0", "HW3A-P3.1", "HW3A-P3.2", "HW3A-P3.T1", "HW3A-P3.3", "HW3A-P3.R",
        "HW3B-P2.0", "HW3B-P2.1", "HW3B-P2.2", "HW3B-P2.T1", "HW3B-P2.3", "HW3B-P2.R",
        "HW4-P3.2", "E661-L1.a", "E661-L3.0",
    )  # fmt: skip
    expectation: ClassVar[str] = (
        "Parameters and operations live in different places. In AlexNet and VGG the fully "
        "connected layers at the end hold most parameters, because each output has a weight of its "
        "own for every input; the convolutions do nearly all operations, because each of their few "
        "weights is used at every position of the image. Activations are largest early on, where "
        "the image is. Networks that end in a mean over all positions in place of fully connected "
        "layers (GoogLeNet, ResNet, SqueezeNet, MobileNet) need a fraction of the parameters. A "
        "sum of your own that differs has most often missed AlexNet's two towers, counted biases "
        "that should be left out, or taken the image size before a pooling for the one after it."
    )
    references: ClassVar[tuple[str, ...]] = (
        "A. Krizhevsky, I. Sutskever, G. E. Hinton, ImageNet Classification with Deep "
        "Convolutional Neural Networks, NIPS 2012 (section 3.5, Figure 2), "
        "https://papers.nips.cc/paper/4824.",
        "A. Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014, "
        "arXiv:1404.5997 (AlexNet in one column).",
        "K. Simonyan, A. Zisserman, Very Deep Convolutional Networks for Large-Scale Image "
        "Recognition, ICLR 2015, arXiv:1409.1556 (Table 1; section 2.3 on stacks of filters).",
        "C. Szegedy et al., Going Deeper with Convolutions, CVPR 2015, arXiv:1409.4842.",
        "K. He, X. Zhang, S. Ren, J. Sun, Deep Residual Learning for Image Recognition, CVPR 2016, "
        "arXiv:1512.03385 (section 4.2 for the networks of depth 6n + 2).",
        "Z. Lu, S. Rallapalli, K. Chan, T. La Porta, Modeling the Resource Requirements of "
        "Convolutional Neural Networks on Mobile Devices, ACM Multimedia 2017, arXiv:1709.09503.",
        "A. Araujo, W. Norris, J. Sim, Computing Receptive Fields of Convolutional Neural "
        "Networks, Distill 2019, doi:10.23915/distill.00021.",
        "V. Dumoulin, F. Visin, A guide to convolution arithmetic for deep learning, 2016, "
        "arXiv:1603.07285.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {}, "laptop": {}, "paper": {}}

    def evidence(self, lab: Lab) -> Iterator[Evidence]:
        """All networks side by side; then AlexNet, VGG19, receptive fields, and two small ones."""
        specimens = builtin()
        yield from comparison_evidence(list(specimens.values()), self.count)
        yield from alexnet_evidence(specimens)
        yield from vgg_evidence(specimens)
        yield from stack_evidence(self.largest)
        yield from growth_evidence(specimens)
        yield from small_evidence(specimens)
        yield from own_evidence(self.also, self.count)
