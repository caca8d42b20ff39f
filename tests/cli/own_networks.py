"""Networks of one's own for the tests of analyze and compare, and short ways to run a command."""

from __future__ import annotations

import json
from typing import Any

import pytest

from epochlab.cli import main

NETS = '''
import torch
import torch.nn.functional as F
from torch import nn

class TwoTowers(nn.Module):
    """One tower, used twice."""
    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(2 * 16 * 15 * 15, 1)
    def forward(self, left, right, scale=None):
        return self.head(torch.cat([self.tower(left), self.tower(right)], 1))

class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5000, 128)
        self.rnn = nn.LSTM(128, 256, batch_first=True)
        self.out = nn.Linear(256, 17)
    def forward(self, tokens):
        return self.out(self.rnn(self.embedding(tokens))[0])

class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
    def forward(self, x):
        return self.fc(x) if x.sum() > 0 else x

class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(100, 16)
        self.fc = nn.Linear(16, 32)
    def forward(self, ids, mask):
        x = self.embed(ids)
        return self.fc(x) if bool(mask.all()) else self.fc(x[mask])

class Uncountable(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
    def forward(self, x):
        return torch.special.airy_ai(self.fc(x).detach()).cholesky_inverse()

class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
    def forward(self, x):
        return {"scores": self.fc(x), "size": 3}

def functional():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(8, 3, 3, 3))
        def forward(self, x):
            return F.relu(F.conv2d(x, self.weight))
    return Functional()

def encoder():
    layer = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True)
    return nn.TransformerEncoder(layer, 2)

def long_names():
    inner = nn.Sequential()
    for depth in range(6):
        inner = nn.Sequential()
        inner.add_module("a_projection_with_a_rather_long_name", nn.Linear(4, 4))
        for level in range(4):
            outer = nn.Sequential()
            outer.add_module(f"transformer_encoder_stage_number_{level}", inner)
            inner = outer
    return inner

plain = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5))
square = nn.Linear(8, 8)
'''


def said(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words.split()) == 0
    return capsys.readouterr().out


def records(words: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(said(f"{words} --json", capsys))["rows"]
    return found


def total(words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return records(words, capsys)[-1]
