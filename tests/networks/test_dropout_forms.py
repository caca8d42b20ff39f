"""The two forms of dropout are one method; the wrong factor is another."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from epochlab.layers.dropout import Dropout
from epochlab.networks.mlp import Mlp

WIDTHS = (32, 24)
IMAGES = (3, 4, 4)


def build(form: str) -> nn.Module:
    """Dropout as in the exercise: 0.2 of the inputs, 0.5 of the hidden units; double precision."""
    torch.manual_seed(0)
    network = Mlp(hidden=WIDTHS, input_dropout=0.2, hidden_dropout=0.5, dropout_form=form)  # type: ignore[arg-type]
    module = network.build(IMAGES, 10).double()
    # With torch's own small weights the biases decide, and every sample gets the same class.
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return module


def scale_weights_after_dropout(module: nn.Module, factor: Callable[[Dropout], float]) -> None:
    """Multiply the weights, not the biases, of each linear layer that follows a dropout."""
    last: Dropout | None = None
    for layer in module.children():
        if isinstance(layer, Dropout):
            last = layer
        elif isinstance(layer, nn.Linear) and last is not None:
            with torch.no_grad():
                layer.weight.mul_(factor(last))
            last = None


def samples() -> Tensor:
    return torch.randn(500, *IMAGES, generator=torch.Generator().manual_seed(1)).double()


def test_forms_predict_the_same_after_reparametrisation() -> None:
    scaling, inverted = build("weight_scaling"), build("inverted")
    scale_weights_after_dropout(inverted, lambda drop: 1 - drop.rate)
    x = samples()
    one, other = scaling.eval()(x), inverted.eval()(x)
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert torch.equal(one.argmax(1), other.argmax(1))
    assert len(one.argmax(1).unique()) == 10


def test_forms_train_the_same_after_reparametrisation() -> None:
    scaling, inverted = build("weight_scaling"), build("inverted")
    scale_weights_after_dropout(inverted, lambda drop: 1 - drop.rate)
    outputs = []
    for module in (scaling, inverted):
        torch.manual_seed(7)  # the same units are dropped
        outputs.append(module.train()(samples()))
    torch.testing.assert_close(*outputs, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(outputs[0], scaling.eval()(samples()))


def test_without_reparametrisation_the_forms_differ() -> None:
    x = samples()
    assert not torch.allclose(build("weight_scaling").eval()(x), build("inverted").eval()(x))


def test_wrong_factor_changes_outputs() -> None:
    """By the share dropped: the same for the hidden layers (0.5), wrong for the inputs (0.2)."""
    right, wrong = build("weight_scaling").eval(), build("weight_scaling").eval()
    for layer in wrong.modules():
        if isinstance(layer, Dropout):
            layer.evaluation_factor = layer.rate
    one, other = right(samples()), wrong(samples())
    assert (one - other).abs().max() > 0.05
    assert not torch.equal(one.argmax(1), other.argmax(1))


def test_evaluation_is_the_mean_of_training_for_a_linear_network() -> None:
    """Which factor is right, shown by the mean over many masks: 1 - p is, p is not."""
    torch.manual_seed(3)
    network = Mlp(hidden=(), input_dropout=0.2, dropout_form="weight_scaling")
    module = network.build((50,), 3).double()
    x = torch.randn(1, 50).double()
    with torch.no_grad():
        draws = module.train()(x.expand(40_000, 50))
        error = draws.std(0).norm() / 40_000**0.5
        assert (draws.mean(0) - module.eval()(x)[0]).norm() < 4 * error
        for layer in module.modules():
            if isinstance(layer, Dropout):
                layer.evaluation_factor = layer.rate
        assert (draws.mean(0) - module(x)[0]).norm() > 40 * error
