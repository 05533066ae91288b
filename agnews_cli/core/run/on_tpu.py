"""What trains on a TPU: programs that XLA compiles once for each shape of a pass.

So a pass is filled up with texts that count for nothing (`learn.rows.shapes`); what mixes the rows
of a pass cannot have them, and what has kernels of its own for NVIDIA's cards none for a TPU.
"""

from __future__ import annotations

from agnews_cli.core.run.preset import Preset

UNSUITED = {
    "xlnet": "XLA refuses how XLNet cuts its memory (torch_xla 2.9)",
    "mixtral": "XLA has no way to send tokens to experts (aten::histc, torch_xla 2.9)",
}
"""By transformers' model type; of the other families in the catalogue each has the losses and
gradients that a CPU has (`tests/learn/test_xla.py`)."""


def refusal(preset: Preset, model_type: str | None) -> str | None:
    """Why it does not train there; None where nothing is known against it. `model_type`:
    transformers' word for its architecture, None where the catalogue does not know it."""
    training = preset.training
    if model_type in UNSUITED:
        return UNSUITED[model_type]
    if preset.method.kind == "qlora":
        return "its 4-bit weights (bitsandbytes) have no kernels for a TPU"
    if training.optimizer == "adamw_8bit":
        return "training.optimizer=adamw_8bit (bitsandbytes) has no kernels for a TPU"
    if training.swa:
        return "of training.swa XLA deletes the weights that were averaged (torch_xla 2.9)"
    for name in ("mixup", "contrastive"):
        if getattr(training, name):
            return f"training.{name} compares the rows of a pass, which a TPU has filled up"
    return None
