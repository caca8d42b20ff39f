"""Architectures that others wrote: how each is built from its configuration, and what it is fed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from vision_import import import_torchvision

Inputs = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and named arguments of a forward call."""


@dataclass(frozen=True)
class Architecture:
    """One network: `build` works inside `with torch.device("meta")` as well."""

    name: str
    "package/model"
    task: str
    build: Callable[[], nn.Module]
    shapes: Mapping[str, tuple[int, ...]]
    "argument -> shape, batch axis included; names that end in `ids` are integers"
    positional: bool
    "the one argument is given by position"
    boxed: bool = False
    "the argument is a list of images, each without a batch axis, as detectors want it"

    @property
    def package(self) -> str:
        return self.name.partition("/")[0]

    def module(self, device: str) -> nn.Module:
        """A fresh instance in evaluation mode, with reproducible random weights."""
        torch.manual_seed(0)
        with torch.device(device):
            module = self.build()
        return module.eval()

    def inputs(self, device: str) -> Inputs:
        """Arguments of one forward call with one sample."""
        torch.manual_seed(1)
        made = {name: _filled(name, shape, device) for name, shape in self.shapes.items()}
        if self.boxed:
            return ([tensor[0] for tensor in made.values()],), {}
        return (tuple(made.values()), {}) if self.positional else ((), made)


def _filled(name: str, shape: tuple[int, ...], device: str) -> Tensor:
    # Small numbers are allowed in every vocabulary here; 0 to 9 are often special tokens.
    if name.endswith("ids"):
        return torch.randint(10, 90, shape, device=device)
    return torch.rand(shape, device=device)


def zoo() -> list[Architecture]:
    """Every architecture, by package and name; raises if two carry one name."""
    import_torchvision()  # the other packages import it too, plainly
    everything = [*_timm(), *_torchvision(), *_transformers()]
    names = [one.name for one in everything]
    assert len(names) == len(set(names)), "two architectures of one name"
    return everything


# One or two small members of each family of timm; a number after a colon is the side of the image.
TIMM = """
beit_base_patch16_224 beitv2_base_patch16_224 botnet26t_256 halonet26t lambda_resnet26t
eca_botnext26ts_256 gernet_s mobileone_s0 repvgg_a0 regnetz_b16 resnet50_clip gcresnext26ts
bat_resnext26ts cait_xxs24_224 coat_lite_tiny coat_tiny convit_tiny convmixer_768_32 convnext_atto
convnextv2_atto convnext_tiny crossvit_tiny_240 csatv2 cspresnet50 cs3darknet_s darknet21
cspnext_tiny davit_tiny deit_tiny_patch16_224 deit_tiny_distilled_patch16_224
deit3_small_patch16_224 densenet121 dla34 dpn48b edgenext_xx_small efficientformer_l1
efficientformerv2_s0 efficientnet_b0 efficientnet_lite0 efficientnetv2_rw_t tf_efficientnet_b0
efficientnet_cc_b0_4e mixnet_s mnasnet_100 mobilenetv1_100 mobilenetv2_100 efficientvim_m1
efficientvit_b0 efficientvit_l1 efficientvit_m0 eva02_tiny_patch14_224 vit_small_patch16_rope_224
vit_small_patch16_dinov3 fasternet_t0 fastvit_t8 focalnet_tiny_srf gcvit_xxtiny ghostnet_100
ghostnetv2_100 hardcorenas_a hgnetv2_b0 hiera_tiny_224 hrnet_w18_small iformer_t
inception_next_atto inception_resnet_v2 inception_v4 lcnet_050 levit_128s levit_conv_128s
lowformer_b0 mambaout_femto coatnet_nano_rw_224 maxvit_pico_rw_256 maxvit_tiny_tf_224
maxxvitv2_nano_rw_256 caformer_s18 poolformer_s12 mixer_s32_224 gmlp_ti16_224 resmlp_12_224
gmixer_12_224 mobilenetv3_small_100 mobilenetv4_conv_small mobilenetv4_hybrid_medium fbnetv3_b
mobilevit_xxs mobilevitv2_050 mvitv2_tiny naflexvit_base_patch16_gap nest_tiny nextvit_small
eca_nfnet_l0 nf_regnet_b0 pit_ti_224 pvt_v2_b0 rdnet_tiny regnetx_002 regnety_002 repghostnet_050
repvit_m0_9 res2net50_26w_4s resnest14d resnet18 resnet50 resnet50_gn resnetrs50 resnext50_32x4d
seresnet18 ecaresnet26t resnetblur50 resnetv2_50x1_bit rexnet_100 selecsls42 legacy_seresnet18
sequencer2d_s shvit_s1 skresnet18 starnet_s1 swiftformer_xs swin_tiny_patch4_window7_224
swinv2_tiny_window8_256 swinv2_cr_tiny_224 tiny_vit_5m_224 tnt_s_patch16_224 tresnet_m
twins_pcpvt_small twins_svt_small vgg11 visformer_tiny vit_tiny_patch16_224 flexivit_small
vit_base_patch32_clip_224 vit_base_patch16_siglip_gap_224
vit_tiny_r_s16_p8_224 vit_relpos_small_patch16_224 samvit_base_patch16_224 vitamin_small_224
volo_d1_224 ese_vovnet19b_dw legacy_xception xception41 xcit_nano_12_p16_224
"""


def _timm() -> list[Architecture]:
    import timm
    from timm.models import get_pretrained_cfg

    found = []
    for word in TIMM.split():
        name, _, side = word.partition(":")
        options: dict[str, Any] = {"img_size": int(side)} if side else {}
        size = (3, int(side), int(side)) if side else tuple(get_pretrained_cfg(name).input_size)

        def build(name: str = name, options: dict[str, Any] = options) -> nn.Module:
            return timm.create_model(name, pretrained=False, **options)

        found.append(Architecture(f"timm/{name}", "images", build, {"x": (1, *size)}, True))
    return found


# Side of the image; video: frames x side.
CLASSIFIERS = {
    "alexnet": 224, "googlenet": 224, "inception_v3": 299, "squeezenet1_1": 224,
    "shufflenet_v2_x1_0": 224, "mnasnet0_5": 224, "mobilenet_v3_large": 224, "vgg16_bn": 224,
    "densenet121": 224, "resnet50": 224, "wide_resnet50_2": 224, "efficientnet_v2_s": 384,
    "convnext_tiny": 236, "vit_b_32": 224, "swin_v2_t": 256, "maxvit_t": 224,
}  # fmt: skip
SEGMENTERS = ("fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")
FILMS = {"r3d_18": (16, 112), "mc3_18": (16, 112), "r2plus1d_18": (16, 112), "s3d": (16, 224),
         "mvit_v2_s": (16, 224), "swin3d_t": (8, 224)}  # fmt: skip
DETECTORS = {"fasterrcnn_mobilenet_v3_large_320_fpn": 320, "retinanet_resnet50_fpn": 320,
             "ssdlite320_mobilenet_v3_large": 320, "ssd300_vgg16": 300, "fcos_resnet50_fpn": 320,
             "maskrcnn_resnet50_fpn": 320, "keypointrcnn_resnet50_fpn": 320}  # fmt: skip
# Fewer proposals than the default thousand: what they cost is mostly ours, in Python.
PROPOSALS = {"rpn_pre_nms_top_n_test": 200, "rpn_post_nms_top_n_test": 100,
             "box_detections_per_img": 20}  # fmt: skip


def _torchvision() -> list[Architecture]:
    models = import_torchvision().models

    def builder(group: Any, name: str, **options: Any) -> Callable[[], nn.Module]:
        return lambda: getattr(group, name)(weights=None, **options)

    found = []

    def add(name: str, task: str, build: Callable[[], nn.Module], shape: tuple[int, ...],
            boxed: bool = False) -> None:  # fmt: skip
        found.append(Architecture(f"torchvision/{name}", task, build, {"x": shape}, True, boxed))

    for name, side in CLASSIFIERS.items():
        more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        add(name, "images", builder(models, name, **more), (1, 3, side, side))
    for name in SEGMENTERS:
        build = builder(models.segmentation, name, weights_backbone=None)
        add(name, "segmentation", build, (1, 3, 256, 256))
    for name, (frames, side) in FILMS.items():
        add(name, "video", builder(models.video, name), (1, 3, frames, side, side))
    for name, side in DETECTORS.items():
        sizes = {} if name.startswith("ssd") else {"min_size": side, "max_size": side}
        if "rcnn" in name:
            sizes |= PROPOSALS
        build = builder(models.detection, name, weights_backbone=None, **sizes)
        add(name, "detection", build, (1, 3, side, side), boxed=True)
    flow = builder(models.optical_flow, "raft_small")
    pair = {"image1": (1, 3, 128, 160), "image2": (1, 3, 128, 160)}
    found.append(Architecture("torchvision/raft_small", "optical flow", flow, pair, True))
    return found


def _transformers() -> list[Architecture]:
    import transformers
    from zoo_transformers import MODELS

    found = []
    for name, (config, options, shapes, task) in MODELS.items():

        def build(config: str = config, options: Mapping[str, Any] = options) -> nn.Module:
            settings = {key: value(transformers) if callable(value) else value
                        for key, value in options.items()}  # fmt: skip
            made = getattr(transformers, config)(**settings)
            return transformers.AutoModel.from_config(made)

        found.append(Architecture(f"transformers/{name}", task, build, shapes, False))
    return found
