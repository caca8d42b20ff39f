"""Finding a network by what the user writes: components, nicknames, options, code of one's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from epochlab.cost.loading import FoundNetwork, find_network, with_options
from epochlab.errors import BadOption, BadShape, UnknownName
from epochlab.networks.resnet import ResNet
from epochlab.networks.resnet_cifar import ResNetCifar
from epochlab.networks.vgg import Vgg
from epochlab.optimizers.sgd import Sgd
from epochlab.registry import names

NETS = '''
from dataclasses import dataclass
import torch
from torch import nn
from epochlab.component import Count
from epochlab.networks import Network

class Small(nn.Module):
    """Takes no arguments."""
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
    def forward(self, x):
        return self.fc(x)

class Sized(nn.Module):
    def __init__(self, width, *, depth, bias=True):
        super().__init__()

def small():
    return Small()

def sized(width=5, *rest, **options):
    return nn.Linear(width, width)

def huge():
    return nn.Linear(10**7, 10**7)

def reads_numbers():
    rates = [r.item() for r in torch.linspace(0, 0.5, 3)]
    return nn.Sequential(*(nn.Dropout(r) for r in rates))

def text():
    print("building")
    return "no module"

def fails():
    raise ValueError("no weights here")

@dataclass(frozen=True, kw_only=True)
class Wide(Network):
    """A component of one's own."""
    natural_input = (2, 5)
    natural_outputs = 3
    width: Count = 6
    "units"
    def build(self, input_shape, outputs):
        first, last = nn.Linear(10, self.width), nn.Linear(self.width, outputs)
        return nn.Sequential(nn.Flatten(), first, last)

ready = nn.Sequential(nn.Linear(2, 2))
wide = Wide(width=9)
settings = {"lr": 0.1}
'''


@pytest.fixture(autouse=True)
def fresh_imports(tmp_path: Path) -> Iterator[None]:
    """Forget the modules that a test makes."""
    before, path_before = set(sys.modules), list(sys.path)
    yield
    assert sys.path == path_before
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


@pytest.fixture
def nets() -> Path:
    path = Path("nets.py")
    path.write_text(NETS)
    return path


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def options_of(found: FoundNetwork) -> dict[str, Any]:
    assert found.component is not None
    return vars(found.component)


# --- components -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names("networks"))
def test_every_component_is_found_and_fits_its_natural_input(name: str) -> None:
    found = find_network(name)
    assert found.component is not None
    assert type(found.component).__module__ == f"epochlab.networks.{name}"
    assert found.natural_input is not None
    assert found.natural_outputs is not None
    module = found.build()
    assert all(t.is_meta for t in module.parameters())
    with torch.device("meta"):
        module.eval()(torch.empty(2, *found.natural_input))


@pytest.mark.parametrize(("text", "cls", "name", "options"), [
    ("vgg", Vgg, "vgg19", {"depth": 19}),
    ("VGG", Vgg, "vgg19", {"depth": 19}),
    ("vgg19", Vgg, "vgg19", {"depth": 19, "batch_norm": False}),
    ("VGG-16", Vgg, "vgg16", {"depth": 16}),
    ("vgg16_bn", Vgg, "vgg16_bn", {"depth": 16, "batch_norm": True}),
    ("vgg:depth=11", Vgg, "vgg11", {"depth": 11}),
    ("vgg:depth=16,batch_norm=true", Vgg, "vgg16(batch_norm=true)",
     {"depth": 16, "batch_norm": True}),
    (" vgg11:batch-norm , hidden=64 ", Vgg, "vgg11(batch_norm=true, hidden=64)",
     {"depth": 11, "batch_norm": True, "hidden": 64}),
    ("resnet", ResNet, "resnet50", {"depth": 50}),
    ("resnet50", ResNet, "resnet50", {"depth": 50}),
    ("ResNet-18", ResNet, "resnet18", {"depth": 18}),
    ("resnet_152", ResNet, "resnet152", {"depth": 152}),
    ("resnet50:version=v1", ResNet, "resnet50(version=v1)", {"version": "v1"}),
    ("resnet20", ResNetCifar, "resnet20", {"depth": 20, "shortcut": "A"}),
    ("resnet44:shortcut=B", ResNetCifar, "resnet44(shortcut=B)", {"depth": 44, "shortcut": "B"}),
    ("resnet_cifar50", ResNetCifar, "resnet_cifar50", {"depth": 50}),
    ("resnet-cifar", ResNetCifar, "resnet_cifar20", {"depth": 20}),
])  # fmt: skip
def test_nicknames_and_options(text: str, cls: type, name: str, options: dict[str, Any]) -> None:
    found = find_network(text)
    assert type(found.component) is cls
    assert found.name == name
    assert found.text == text.strip()
    assert options.items() <= options_of(found).items()


@pytest.mark.parametrize(("text", "file"), [
    ("lenet-5", "lenet5"), ("LeNet5", "lenet5"), ("mobilenetv2", "mobilenet_v2"),
    ("MobileNet-V2", "mobilenet_v2"), ("mobilenet_v2", "mobilenet_v2"), ("AlexNet", "alexnet"),
    ("SimpleNN", "simple_nn"), ("fashion-cnn", "fashion_cnn"),
])  # fmt: skip
def test_ways_to_write_a_name(text: str, file: str) -> None:
    found = find_network(text)
    assert type(found.component).__module__ == f"epochlab.networks.{file}"
    assert found.name == file


@pytest.mark.parametrize(("text", "options"), [
    ("mlp:hidden=300,100", {"hidden": (300, 100)}),
    ("mlp:hidden=300, 100,batch_norm,activation=tanh",
     {"hidden": (300, 100), "batch_norm": True, "activation": "tanh"}),
    ("mlp:hidden=none", {"hidden": ()}),
    ("mlp:hidden_dropout=0.5,batch_norm=no", {"hidden_dropout": 0.5, "batch_norm": False}),
    ("squeezenet:version=1.1", {"version": "1.1"}),
    ("mobilenet_v1:width=0.25", {"width": 0.25}),
    ("mobilenet_v1:width=2", {"width": 2.0}),
    ("alexnet:towers=single", {"towers": "single"}),
    ("lenet5:", {"padding": True}),
])  # fmt: skip
def test_options_have_their_declared_types(text: str, options: dict[str, Any]) -> None:
    found = options_of(find_network(text))
    for name, value in options.items():
        assert found[name] == value
        assert type(found[name]) is type(value)


def test_options_of_other_components() -> None:
    assert with_options(Sgd, "momentum=0.9,nesterov,lr=1e-3") == Sgd(
        momentum=0.9, nesterov=True, lr=1e-3
    )
    assert with_options(Sgd, "", {"lr": 0.5}) == Sgd(lr=0.5)


def test_input_and_outputs_can_be_chosen() -> None:
    assert size(find_network("vgg19").build()) == 143_667_240
    found = find_network("lenet5")
    assert size(found.build()) == 61_706
    assert size(found.build((1, 28, 28), 100)) == 61_706 + 90 * 85
    with pytest.raises(BadShape, match="1 x 28"):
        find_network("vgg19").build((1, 28))


@pytest.mark.parametrize(("text", "error", "parts"), [
    ("lenet", UnknownName, ["'lenet'", "Did you mean 'lenet5'", "path/file.py:Name"]),
    ("vg16", UnknownName, ["Did you mean 'vgg16'"]),
    ("rensnet20", UnknownName, ["Did you mean 'resnet20'"]),
    ("resnet_18_bn", UnknownName, ["There is no network named"]),
    ("", UnknownName, ["There is no network named ''"]),
    ("vgg17", BadOption, ["'vgg17'", "depth", "11, 13, 16, 19"]),
    ("resnet21", BadOption, ["18, 34, 50, 101, 152", "20 and 26"]),
    ("vgg:depth=17", BadOption, ["depth' is 17", "11, 13, 16, 19"]),
    ("vgg:depth=sixteen", BadOption, ["'sixteen'", "11, 13, 16, 19"]),
    ("vgg:depht=16", UnknownName, ["Did you mean 'depth'"]),
    ("vgg16:depth=16", BadOption, ["depth twice"]),
    ("vgg:depth=16,depth=19", BadOption, ["depth", "twice"]),
    ("vgg:batch_norm=maybe", BadOption, ["'maybe'", "true or false"]),
    ("mlp:hidden=300,x", BadOption, ["'x'", "whole number"]),
    ("linear:width=3", UnknownName, ["width", "none here"]),
    ("torch.nn.Linear", UnknownName, ["Did you mean torch.nn:Linear?"]),
])  # fmt: skip
def test_mistakes_in_names_and_options(text: str, error: type[Exception], parts: list[str]) -> None:
    with pytest.raises(error) as caught:
        find_network(text)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


# --- the user's own code --------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "parameters"), [
    ("nets.py:Small", 15), ("nets.py:small", 15), ("nets.py:sized", 30), ("nets.py:ready", 6),
    ("nets:Small", 15), ("nets:ready", 6), ("./nets.py:small", 15), ("torch.nn:Identity", 0),
])  # fmt: skip
@pytest.mark.usefixtures("nets")
def test_own_modules(text: str, parameters: int) -> None:
    found = find_network(text)
    assert found.name == text.rpartition(":")[2]
    assert found.component is None
    assert found.natural_input is None
    assert found.natural_outputs is None
    assert size(found.build()) == parameters


@pytest.mark.parametrize(("text", "name", "width"), [
    ("nets.py:Wide", "Wide", 6), ("nets.py:Wide:width=7", "Wide(width=7)", 7),
    ("nets.py:wide", "wide", 9), ("nets:Wide:width=7", "Wide(width=7)", 7),
])  # fmt: skip
@pytest.mark.usefixtures("nets")
def test_own_components(text: str, name: str, width: int) -> None:
    found = find_network(text)
    assert (found.name, options_of(found)) == (name, {"width": width})
    assert (found.natural_input, found.natural_outputs) == ((2, 5), 3)
    module = found.build()
    assert size(module) == 11 * width + 3 * (width + 1)
    assert all(p.is_meta for p in module.parameters())


@pytest.mark.usefixtures("nets")
def test_nothing_is_allocated_where_that_can_be_avoided() -> None:
    module = find_network("nets.py:huge").build()  # 400 TB of numbers
    assert size(module) == 10**14 + 10**7
    assert all(p.is_meta for p in module.parameters())


@pytest.mark.usefixtures("nets")
def test_constructors_that_read_numbers_get_them() -> None:
    module = find_network("nets.py:reads_numbers").build()
    assert [layer.p for layer in module.children()] == [0.0, 0.25, 0.5]


@pytest.mark.usefixtures("nets")
def test_a_module_that_is_built_already_is_taken_as_it_is() -> None:
    found = find_network("nets.py:ready")
    assert found.build() is found.build()


def test_the_only_network_of_a_file_needs_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    Path("one.py").write_text(
        "import torch\nfrom torch.nn import Linear, Module, ReLU, functional\n"
        "print('imported')\n"
        "def scale(x, factor): return factor * x\n"
        "class Only(Linear):\n    def __init__(self):\n        super().__init__(3, 2)\n"
    )
    found = find_network("one.py")
    assert found.name == "Only"
    assert size(found.build()) == 8
    captured = capsys.readouterr()
    assert captured.out == "", "what the user's code prints would spoil a table"
    assert "imported" in captured.err


def test_files_find_those_beside_them(tmp_path: Path) -> None:
    """Each folder its own, as when Python runs a file there; imports may come late."""
    for folder, width in (("a", 3), ("b", 5)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "blocks.py").write_text(
            f"from torch import nn\ndef block():\n    return nn.Linear({width}, 1)\n"
        )
        (tmp_path / folder / "late.py").write_text(f"WIDTH = {width}\n")
        (tmp_path / folder / "net.py").write_text(
            "from torch import nn\nfrom blocks import block\n"
            "def net():\n    from late import WIDTH\n"
            "    return nn.Sequential(block(), nn.Linear(WIDTH, 1))\n"
        )
    first, second = find_network("a/net.py:net"), find_network("b/net.py:net")
    for found, width in ((second, 5), (first, 3), (second, 5)):
        assert size(found.build()) == 2 * (width + 1)


def test_libraries_are_not_mistaken_for_files_beside_the_network(tmp_path: Path) -> None:
    for name in ("torch", "json", "epochlab"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong one')\n")
    (tmp_path / "net.py").write_text("from torch import nn\nimport json\nnet = nn.Linear(1, 1)\n")
    before = sys.modules["torch"]
    assert size(find_network("net.py:net").build()) == 2
    assert sys.modules["torch"] is before


@pytest.mark.parametrize(("text", "error", "parts"), [
    ("nets.py", BadOption, ["Small", "wide", "nets.py:Name"]),
    ("nets.py:", BadOption, ["nets.py:Name"]),
    ("nets.py:redy", UnknownName, ["network in nets.py", "Did you mean 'ready'", "huge"]),
    ("nets:redy", UnknownName, ["network in nets", "Did you mean 'ready'"]),
    ("nest.py:Small", UnknownName, ["file", "Did you mean 'nets.py'"]),
    ("nest:Small", UnknownName, ["'nest'", "no module"]),
    ("models.small:Net", BadOption, ["no module 'models.small'", "file.py:Name"]),
    ("nets.py:Sized", BadOption, ["needs arguments: width, depth", "Sized(width=..., depth=...)"]),
    ("nets.py:settings", BadOption, ["nets.py:settings", "type dict"]),
    ("nets.py:small:depth=3", BadOption, ["'depth=3'", "components"]),
    ("nets.py:Wide:wdth=3", UnknownName, ["Did you mean 'width'"]),
    ("torch.nn:Lineer", UnknownName, ["Did you mean 'Linear'"]),
    ("broken.py:Net", BadOption, ["broken.py", "No module named 'not_there_at_all'"]),
    ("broken:Net", BadOption, ["broken", "No module named 'not_there_at_all'"]),
    ("script.py:Net", BadOption, ["ends the program", "__main__"]),
    ("script:Net", BadOption, ["ends the program", "__main__"]),
    ("empty.py", BadOption, ["no module", "empty.py:Name"]),
])  # fmt: skip
@pytest.mark.usefixtures("nets")
def test_mistakes_in_own_code(text: str, error: type[Exception], parts: list[str]) -> None:
    Path("broken.py").write_text("import not_there_at_all\n")
    Path("script.py").write_text("raise SystemExit(3)\n")
    Path("empty.py").write_text("size = 3\n")
    with pytest.raises(error) as caught:
        find_network(text)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "part"), [
    ("nets.py:text", "of type str"), ("nets.py:fails", "ValueError: no weights here"),
])  # fmt: skip
@pytest.mark.usefixtures("nets")
def test_what_makes_no_module_is_refused_when_built(
    text: str, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadOption, match=part):
        find_network(text).build()
    assert capsys.readouterr().out == ""
