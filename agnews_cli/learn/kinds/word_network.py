"""What a small network on word embeddings is: a module of `learn.networks`, named like its kind in
`core.run.network`, with

- `EXAMPLE`: its fields, small, for the suite that tests every network;
- `NETWORK`: its class.

It takes and answers what a classifier of transformers does, so that the loop, the options and the
predictor need not know that it is none.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

from agnews_cli.core.run.network import FILE, Network

_SCHEMA, _WEIGHTS = "agnews.network/1", "model.safetensors"


class WordNetwork(nn.Module):
    """Word embeddings, `states` of each token, the largest of each over the text, a last layer.

    words: (vocabulary, width), copied and trained.
    """

    def __init__(self, asked: Any, words: torch.Tensor, classes: int, pad_id: int) -> None:
        super().__init__()
        self.asked = asked
        self.words = nn.Embedding.from_pretrained(words.clone(), freeze=False)
        self.dropout = nn.Dropout(asked.dropout)
        self.classifier = nn.Linear(self.begin(words.shape[1]), classes)
        self.config = SimpleNamespace(
            num_labels=classes, pad_token_id=pad_id, model_type=asked.kind
        )

    def begin(self, width: int) -> int:
        """Make the layers on embeddings so wide; how wide its states are."""
        raise NotImplementedError

    def states(self, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """words: (rows, tokens, width), 0 at padding; mask: (rows, tokens), 0 there. Returns
        (rows, tokens, states), which depend on no padding."""
        raise NotImplementedError

    def get_input_embeddings(self) -> nn.Embedding:
        return self.words

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        output_hidden_states: bool = False,
        **_: Any,
    ) -> SequenceClassifierOutput:
        words = self.words(input_ids) if inputs_embeds is None else inputs_embeds
        mask = words.new_ones(words.shape[:2]) if attention_mask is None else attention_mask
        states = self.states(words * mask.unsqueeze(-1).to(words.dtype), mask)
        pooled = states.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(1)
        return SequenceClassifierOutput(
            logits=self.classifier(self.dropout(pooled)),
            hidden_states=(words, states) if output_hidden_states else None,
        )

    def save_pretrained(self, folder: Path) -> None:
        """All that predicts; `read` reads it."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "schema": _SCHEMA,
            "network": self.asked.model_dump(mode="json"),
            "classes": self.config.num_labels,
            "pad_token_id": self.config.pad_token_id,
        }
        (folder / FILE).write_text(json.dumps(facts, indent=2), "utf-8")
        tensors = {name: one.detach().cpu().contiguous() for name, one in self.state_dict().items()}
        save_file(tensors, folder / _WEIGHTS)


def read(folder: Path) -> tuple[Network, dict[str, Any], dict[str, torch.Tensor]]:
    """(the network, the other facts, its weights) of a folder."""
    facts = json.loads((folder / FILE).read_text("utf-8"))
    asked: Network = TypeAdapter(Network).validate_python(facts["network"])
    return asked, facts, load_file(folder / _WEIGHTS)
