"""Which methods train which families of models, before anything of a model is there.

A family is transformers' model type. Those that are named here are tested with every method
(tests/learn/test_methods.py); of others nobody has said anything, and a method that finds nothing
to train in one says so when the model is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping

_NO_BIASES = "its layers have no biases"
_EXPERTS = "its feed-forward is made of experts, which are no layers that could be adapted"

TESTED: tuple[str, ...] = (
    *("bert", "roberta", "xlm-roberta", "electra", "deberta-v2", "mpnet", "albert", "distilbert"),
    *("xlnet", "longformer", "modernbert", "t5", "llama", "mistral", "qwen3", "gemma3_text"),
    *("phi", "phi3", "falcon", "mixtral", "mpt"),
)
_REFUSED: Mapping[str, Mapping[str, str]] = {
    "bitfit": dict.fromkeys(
        (
            *("modernbert", "t5", "llama", "mistral", "qwen3", "gemma3_text", "phi3", "mixtral"),
            "mpt",
        ),
        _NO_BIASES,
    ),
    "houlsby": {
        "xlnet": "its attention ends in no layer whose output could be adapted",
        "mixtral": _EXPERTS,
    },
    "pfeiffer": {"mixtral": _EXPERTS},
    "ia3": {"mixtral": _EXPERTS},
}


def is_refused_somewhere(method: str) -> bool:
    """Whether it matters to the method which family a model is of."""
    return method in _REFUSED


def refusal(method: str, family: str) -> str | None:
    """Why a method, by its kind, does nothing for a family; None: nothing is known against it."""
    return _REFUSED.get(method, {}).get(family)
