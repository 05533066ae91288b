"""Kim's convolutional network (Kim 2014, arXiv 1408.5882), "non-static": filters over neighbouring
words, rectified, and the largest of each over the text. Its word vectors are the base model's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from agnews_cli.learn.kinds.word_network import WordNetwork

EXAMPLE: dict[str, object] = {"filters": 4, "widths": (2, 3)}


class CnnStates(WordNetwork):
    def begin(self, width: int) -> int:
        for tokens in self.asked.widths:  # by name, and no list: they are not one above the other
            convolution = nn.Conv1d(width, self.asked.filters, tokens)
            self.add_module(f"convolution{tokens}", convolution)
        return int(self.asked.filters * len(self.asked.widths))

    def states(self, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        across = words.transpose(1, 2)
        found = []
        for tokens in self.asked.widths:
            padded = F.pad(across, ((tokens - 1) // 2, tokens // 2))
            found.append(F.relu(self.get_submodule(f"convolution{tokens}")(padded)))
        return torch.cat(found, 1).transpose(1, 2)


NETWORK = CnnStates
