"""Every family of models that the catalogue has, shrunk: a few thousand weights, drawn here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

_BERT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 80,
}  # fmt: skip
_LLAMA = _BERT | {"num_key_value_heads": 1, "head_dim": 16, "bos_token_id": 1, "eos_token_id": 2}
_FALCON = {key: size for key, size in _BERT.items() if key != "intermediate_size"}
SIZES: dict[str, dict[str, Any]] = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "electra": _BERT | {"embedding_size": 16},
    "deberta-v2": _BERT
    | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
    "mpnet": _BERT,
    "albert": _BERT | {"embedding_size": 16, "num_hidden_groups": 1},
    "distilbert": {
        "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 80,
    },
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64},
    "longformer": _BERT | {"attention_window": 8},
    "modernbert": _BERT
    | {"global_attn_every_n_layers": 2, "local_attention": 8, "cls_token_id": 3, "sep_token_id": 2},
    "t5": {
        "d_model": 32, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2, "d_kv": 16,
        "d_ff": 64, "feed_forward_proj": "gated-gelu",
    },
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen3": _LLAMA,
    "gemma3_text": _LLAMA | {"sliding_window": 8, "query_pre_attn_scalar": 16},
    "phi": _LLAMA,
    "phi3": _LLAMA,
    "falcon": _FALCON | {"bos_token_id": 1, "eos_token_id": 2},
    "mixtral": _LLAMA | {"num_local_experts": 2, "num_experts_per_tok": 1},
    "mpt": {"d_model": 32, "n_heads": 2, "n_layers": 2, "max_seq_len": 80, "expansion_ratio": 2},
}  # fmt: skip
"""By transformers' model type."""
SIZES["gemma3"] = {
    "text_config": SIZES["gemma3_text"] | {"vocab_size": 64, "pad_token_id": 0},
    "vision_config": {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "image_size": 28, "patch_size": 14, "vision_use_head": False,
    },
    "mm_tokens_per_image": 4,
}  # fmt: skip
FAMILIES = tuple(SIZES)
PAD = 0
WORDS = 64


def make(folder: Path, family: str, other: dict[str, Any] | None = None, *, seed: int = 0) -> Path:
    """A classifier's pretrained weights in `folder`, without a head and a tokenizer."""
    special = {"pad_token_id": PAD} | (
        {"eos_token_id": 1, "decoder_start_token_id": 0} if family == "t5" else {}
    )
    sizes: dict[str, Any] = {"vocab_size": WORDS} | special | SIZES[family] | (other or {})
    config = AutoConfig.for_model(family, **sizes)
    torch.manual_seed(seed)
    whole: Any = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():  # as if pretrained: biases and norms, too, are at no start
        for weight in whole.parameters():
            weight.add_(0.05 * torch.randn(weight.shape))
    getattr(whole, whole.base_model_prefix).save_pretrained(folder)
    return folder


def batch(family: str) -> dict[str, torch.Tensor]:
    """Four texts of two lengths, padded on the right."""
    ids = torch.randint(5, WORDS, (4, 12), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    ids[2:, 9:], mask[2:, 9:] = PAD, 0
    if family == "t5":  # which reads a text's answer at its end
        ids[:2, 11], ids[2:, 8] = 1, 1
    return {"input_ids": ids, "attention_mask": mask}


def as_tokenizers_pad(family: str, given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same padded on the side that the family's tokenizer pads."""
    if family != "xlnet":
        return given
    return {n: torch.cat([t[:2], t[2:].roll(3, 1)]) for n, t in given.items()}
