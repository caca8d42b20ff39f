"""Counts that the networks' authors publish, against the definitions in `truth`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import truth
from peers import fvcore
from torch import nn
from vision_import import import_torchvision

# Millions of parameters and thousand millions of multiply-accumulates, both to two decimals, by
# name and side of the image: Wightman, pytorch-image-models, file
# results/benchmark-infer-amp-nchw-pt240-cu124-rtx3090.csv at commit 7479d45 (2024).
TIMM: dict[tuple[str, int], tuple[float, float]] = {
    ("lcnet_050", 224): (1.88, 0.05), ("efficientvit_m0", 224): (2.35, 0.08),
    ("mobilenetv3_small_100", 224): (2.54, 0.06), ("mobilenetv4_conv_small", 224): (3.77, 0.19),
    ("levit_128s", 224): (7.78, 0.31), ("regnetx_002", 224): (2.68, 0.2),
    ("levit_conv_128s", 224): (7.78, 0.31), ("regnety_002", 224): (3.16, 0.2),
    ("repghostnet_050", 224): (2.31, 0.05), ("efficientvit_b0", 224): (3.41, 0.1),
    ("vit_tiny_r_s16_p8_224", 224): (6.34, 0.44), ("pit_ti_224", 224): (4.85, 0.7),
    ("cs3darknet_s", 256): (3.28, 0.72), ("gernet_s", 224): (8.17, 0.75),
    ("hardcorenas_a", 224): (5.26, 0.23), ("mixer_s32_224", 224): (19.1, 1.0),
    ("mobilenetv1_100", 224): (4.23, 0.58), ("nf_regnet_b0", 192): (8.76, 0.37),
    ("deit_tiny_patch16_224", 224): (5.72, 1.26), ("vit_tiny_patch16_224", 224): (5.72, 1.26),
    ("deit_tiny_distilled_patch16_224", 224): (5.91, 1.27), ("ghostnet_100", 224): (5.18, 0.15),
    ("mnasnet_100", 224): (4.38, 0.33), ("resnet18", 224): (11.69, 1.82),
    ("convnext_atto", 224): (3.7, 0.55), ("seresnet18", 224): (11.78, 1.82),
    ("mobilenetv2_100", 224): (3.5, 0.31), ("legacy_seresnet18", 224): (11.78, 1.82),
    ("hgnetv2_b0", 224): (6.0, 0.33), ("edgenext_xx_small", 256): (1.33, 0.26),
    ("repvgg_a0", 224): (9.11, 1.52), ("efficientnet_lite0", 224): (4.65, 0.4),
    ("mobilevit_xxs", 256): (1.27, 0.42), ("xcit_nano_12_p16_224", 224): (3.05, 0.56),
    ("mobilevitv2_050", 256): (1.37, 0.48), ("efficientnet_b0", 224): (5.29, 0.4),
    ("rexnet_100", 224): (4.8, 0.41), ("visformer_tiny", 224): (10.32, 1.27),
    ("pvt_v2_b0", 224): (3.67, 0.57), ("fbnetv3_b", 224): (8.6, 0.42),
    ("ese_vovnet19b_dw", 224): (6.54, 1.34), ("repvit_m0_9", 224): (5.49, 0.83),
    ("crossvit_tiny_240", 240): (7.01, 1.57), ("tf_efficientnet_b0", 224): (5.29, 0.4),
    ("mobilenetv4_hybrid_medium", 224): (11.07, 0.98), ("hrnet_w18_small", 224): (13.19, 1.61),
    ("skresnet18", 224): (11.96, 1.82), ("ghostnetv2_100", 224): (6.16, 0.18),
    ("selecsls42", 224): (30.35, 2.94), ("tiny_vit_5m_224", 224): (12.08, 1.28),
    ("convnextv2_atto", 224): (3.71, 0.55), ("mixnet_s", 224): (4.13, 0.25),
    ("vit_base_patch32_clip_224", 224): (88.22, 4.41), ("resnetrs50", 160): (35.69, 2.29),
    ("eva02_tiny_patch14_224", 224): (5.5, 1.7), ("dla34", 224): (15.74, 3.07),
    ("resmlp_12_224", 224): (15.35, 3.01), ("gmixer_12_224", 224): (12.7, 2.67),
    ("gmlp_ti16_224", 224): (5.87, 1.34), ("efficientnet_cc_b0_4e", 224): (13.31, 0.41),
    ("efficientformer_l1", 224): (12.29, 1.3), ("poolformer_s12", 224): (11.92, 1.82),
    ("deit3_small_patch16_224", 224): (22.06, 4.61), ("resnet50", 160): (25.56, 2.1),
    ("resnext50_32x4d", 160): (25.03, 2.17),
}  # fmt: skip
# Where torchvision counted at another size than its weights' preprocessing says.
FILM_SHAPES = {"swin3d": (16, 224, 224), "mvit": (16, 224, 224), "s3d": (16, 224, 224)}
GIANTS = 400e6
"weights beyond which a network of torchvision is left out"


@dataclass(frozen=True)
class Published:
    """A published count beside the one by definition."""

    name: str
    shape: tuple[int, ...]
    macs: int
    published_macs: float
    parameters: int
    published_parameters: float
    rounding: float
    "half a unit of the last decimal published, in multiply-accumulates"
    parameter_rounding: float
    as_fvcore: bool = False
    "it differs, and is what fvcore counts, which takes normalisation in"

    @property
    def error(self) -> float:
        return self.published_macs / self.macs - 1

    @property
    def agrees(self) -> bool:
        return abs(self.published_macs - self.macs) <= max(0.01 * self.macs, self.rounding)

    @property
    def parameters_agree(self) -> bool:
        return abs(self.parameters - self.published_parameters) <= self.parameter_rounding


def comparisons() -> dict[str, Callable[[], Published]]:
    """Networks that can be compared, each with what does it."""
    models = import_torchvision().models
    found: dict[str, Callable[[], Published]] = {
        f"timm/{name}": partial(_timm_count, name, side) for name, side in TIMM
    }
    for group in (models, models.segmentation, models.video):
        for name in models.list_models(module=group):
            weights = next(iter(models.get_model_weights(name)))
            if weights.meta["num_params"] <= GIANTS:
                found[f"torchvision/{name}"] = partial(_torchvision_count, models, name, weights)
    return found


def _timm_count(name: str, side: int) -> Published:
    import timm

    millions, giga = TIMM[name, side]
    with torch.device("meta"):
        module = timm.create_model(name, pretrained=False).eval()
    found = truth.count(module, (torch.empty(1, 3, side, side, device="meta"),), {})
    compared = Published(
        f"timm/{name}", (3, side, side), found.macs, giga * 1e9, found.parameters, millions * 1e6,
        0.005e9, 0.00501e6,
    )  # fmt: skip
    if compared.agrees:
        return compared
    # The table was made with attention as products that fvcore sees.
    torch.set_num_threads(1)
    timm.layers.set_fused_attn(False)
    real = timm.create_model(name, pretrained=False).eval()
    theirs = fvcore(real, (torch.rand(1, 3, side, side),), {}).macs
    return replace(compared, as_fvcore=abs(theirs - giga * 1e9) <= 0.00501e9)


def _torchvision_count(models: Any, name: str, weights: Any) -> Published:
    shape = _shape(name, weights.transforms.keywords)
    options: dict[str, Any] = {}
    if _has_backbone(name):
        options = {"weights_backbone": None}
        if not name.startswith("lraspp"):
            options["aux_loss"] = True
    if name in ("googlenet", "inception_v3"):
        # The side branches stay in the published weights of the second only.
        options = {"init_weights": False, "aux_logits": name == "inception_v3"}
    # Its RegNets work out their widths with tensors that must have values.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        module: nn.Module = models.get_model(name, weights=None, **options).eval()
    module = module.to("meta")
    found = truth.count(module, (torch.empty(1, *shape, device="meta"),), {})
    return Published(
        f"torchvision/{name}", shape, found.macs, weights.meta["_ops"] * 1e9, found.parameters,
        weights.meta["num_params"], 0.0005e9, 0.0,
    )  # fmt: skip


def _has_backbone(name: str) -> bool:
    return name.startswith(("fcn", "deeplab", "lraspp"))


def _shape(name: str, settings: dict[str, Any]) -> tuple[int, ...]:
    for start, film in FILM_SHAPES.items():
        if name.startswith(start):
            return (3, *film)
    side = settings.get("crop_size") or settings.get("resize_size")
    if name.startswith(("r3d", "mc3", "r2plus1d")):
        return (3, 16, 112, 112)
    number = side[0] if isinstance(side, (tuple, list)) else side
    return (3, number, number)
