"""Small networks on word embeddings, one module each, named by `network.kind`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from agnews_cli.core.run.network import FILE, Network
from agnews_cli.learn.kinds.registry import modules
from agnews_cli.learn.kinds.word_network import WordNetwork, read


def build(asked: Network, base: Any, labels: Sequence[str], *, pad_id: int, seed: int) -> nn.Module:
    """On the word embeddings of `base`, which is needed no more; all else is drawn from `seed`."""
    words = base.get_input_embeddings().weight.detach().float()
    torch.manual_seed(seed)
    return _kind(asked)(asked, words, len(labels), pad_id)


def is_one(folder: Path) -> bool:
    """Whether a network lies there."""
    return (folder / FILE).is_file()


def open_folder(folder: Path) -> nn.Module:
    """As it was written, ready to predict."""
    asked, facts, tensors = read(folder)
    words = tensors["words.weight"]
    model = _kind(asked)(asked, words, facts["classes"], facts["pad_token_id"])
    model.load_state_dict(tensors)
    return model.eval()


def _kind(asked: Network) -> type[WordNetwork]:
    found: type[WordNetwork] = modules(sys.modules[__name__])[asked.kind].NETWORK
    return found
