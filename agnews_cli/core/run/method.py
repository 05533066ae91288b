"""What of a model is trained: one member of a union for each method, with the numbers that planning
needs. What a method does to a model is `learn/methods`, one file of the same name.

The head, and whatever else the pretrained weights do not have, is trained by all of them.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from agnews_cli.core.run import anatomy
from agnews_cli.core.run.anatomy import Anatomy

TRAINED_WEIGHT_BYTES = 16
"""The weight itself, its gradient and Adam's two moments, in fp32."""
_FULL_FLOPS = 6
_FROZEN_FLOPS = 4
"""Of a step, for each weight and token: 2 forwards and 4 backwards (Kaplan et al. 2020, arXiv
2001.08361, 2.1); a frozen weight needs no gradient of its own."""
Count = Annotated[int, Field(gt=0, le=1_000_000_000)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Virtual = Annotated[int, Field(gt=0, le=256)]


Leaves = Literal["whole", "both", "adapter"]
"""What is delivered: a whole model; with the adapter alone beside it; or that alone, which needs
the base model."""


class _Method(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)

    needs_weights: ClassVar[bool] = True
    """Whether it begins with a pretrained model."""
    frozen_weight_bytes: ClassVar[float] = 4
    flops_a_weight: ClassVar[float] = _FROZEN_FLOPS
    usual_rate: ClassVar[float] = 10
    """How many times full fine-tuning's learning rate it usually takes (docs/methods.md)."""
    leaves: ClassVar[Leaves] = "both"

    @property
    def virtual_tokens(self) -> int:
        """How many positions of a text the method takes for itself."""
        return 0


class Full(_Method):
    kind: Literal["full"] = Field("full", description="Every weight is trained.")

    flops_a_weight: ClassVar[float] = _FULL_FLOPS
    usual_rate: ClassVar[float] = 1
    leaves: ClassVar[Leaves] = "whole"

    def trained_parameters(self, model: Anatomy) -> int:
        return model.parameters


class Bitfit(_Method):
    kind: Literal["bitfit"] = Field(
        "bitfit", description="Only biases are trained, and the head (Ben-Zaken et al. 2022)."
    )

    usual_rate: ClassVar[float] = 50
    leaves: ClassVar[Leaves] = "whole"

    def trained_parameters(self, model: Anatomy) -> int:
        return model.biases + model.new


class _Targeted(_Method):
    targets: tuple[str, ...] = Field(
        (), description="Names of the modules adapted; empty takes every linear layer."
    )

    def adapts(self, layer: str) -> bool:
        """A target names a layer, or the end of its path."""
        return not self.targets or anatomy.ends(layer, self.targets)

    def _adapted(self, model: Anatomy) -> list[tuple[int, int]]:
        """How wide are input and output of each layer that is adapted."""
        return [(i, o) for name, i, o in model.linear if self.adapts(name)]


class _LowRank(_Targeted):
    rank: Count = Field(16, description="Rank r of the update (Hu et al. 2021).")
    alpha: Count = Field(32, description="The update is scaled by alpha / rank.")
    dropout: Dropout = Field(0.05, description="Dropout before the update.")

    def trained_parameters(self, model: Anatomy) -> int:
        """Two matrices of the rank for each adapted layer (Hu et al. 2021, 4.1), and the new."""
        return sum(self.rank * (i + o) for i, o in self._adapted(model)) + model.new


class Lora(_LowRank):
    kind: Literal["lora"] = Field(
        "lora", description="Small updates of frozen weights are trained, and the head."
    )


class Dora(_LowRank):
    kind: Literal["dora"] = Field(
        "dora",
        description="As lora, and the length of each row of a weight apart from its direction "
        "(Liu et al. 2024).",
    )

    def trained_parameters(self, model: Anatomy) -> int:
        """LoRA's, and a length for each output (Liu et al. 2024, arXiv 2402.09353, 4.1)."""
        lengths = sum(o for _, o in self._adapted(model))
        return super().trained_parameters(model) + lengths


class Qlora(_LowRank):
    kind: Literal["qlora"] = Field(
        "qlora",
        description="As lora, on frozen weights of 4 bits (NF4, Dettmers et al. 2023). Needs "
        "bitsandbytes.",
    )

    kept_out: ClassVar[tuple[str, ...]] = (
        *("classifier", "score", "pre_classifier", "classification_head", "logits_proj"),
        *("sequence_summary", "pooler", r".*\.pooler", "head"),
    )
    """Whatever classifiers of transformers have above their layers: a head is never quantised."""
    leaves: ClassVar[Leaves] = "adapter"
    frozen_weight_bytes: ClassVar[float] = 0.5 + (1 + 4 / 256) / 64
    """Four bits; of each 64 weights a scale of one byte, and of each 256 scales one of four: double
    quantisation (Dettmers et al. 2023, arXiv 2305.14314, 3)."""


class Vera(_Targeted):
    kind: Literal["vera"] = Field(
        "vera",
        description="Updates by two random matrices that all layers share; their scales are "
        "trained, and the head (Kopiczko et al. 2024).",
    )
    rank: Count = Field(256, description="Rank of the random matrices.")
    dropout: Dropout = Field(0.0, description="Dropout before the update.")

    usual_rate: ClassVar[float] = 100

    def trained_parameters(self, model: Anatomy) -> int:
        """A scale for each rank and each output (Kopiczko et al. 2024, arXiv 2310.11454, 3.2)."""
        return sum(self.rank + o for _, o in self._adapted(model)) + model.new


class Ia3(_Method):
    kind: Literal["ia3"] = Field(
        "ia3",
        description="Keys, values and what feeds each feed-forward's last layer are scaled, and "
        "the head is trained (Liu et al. 2022).",
    )

    usual_rate: ClassVar[float] = 100

    def trained_parameters(self, model: Anatomy) -> int:
        """A scale for each key and value, and each input of a feed-forward's last layer (Liu et al.
        2022, arXiv 2205.05638, 3.3)."""
        outputs = sum(o for name, _, o in model.linear if anatomy.is_key_or_value(name))
        inputs = sum(i for name, i, _ in model.linear if anatomy.is_forward_out(name))
        return outputs + inputs + model.new


class _Bottleneck(_Method):
    reduction: Count = Field(
        16, description="How many times narrower than the model's states a bottleneck is."
    )

    usual_rate: ClassVar[float] = 20
    leaves: ClassVar[Leaves] = "adapter"

    def width(self, hidden: int) -> int:
        """Of the bottleneck, where the states are `hidden` wide."""
        return max(1, hidden // self.reduction)

    def _of(self, hidden: int) -> int:
        """Down and up, each with its bias."""
        width = self.width(hidden)
        return 2 * hidden * width + width + hidden


class Houlsby(_Bottleneck):
    kind: Literal["houlsby"] = Field(
        "houlsby",
        description="Small bottlenecks after each attention and each feed-forward are trained, and "
        "the head (Houlsby et al. 2019).",
    )

    def trained_parameters(self, model: Anatomy) -> int:
        """Two bottlenecks a block (Houlsby et al. 2019, arXiv 1902.00751, 2.1)."""
        found = sum(self._of(o) for name, _, o in model.linear if self.adapts(name))
        return found + model.new

    def adapts(self, layer: str) -> bool:
        return anatomy.is_attention_out(layer) or anatomy.is_forward_out(layer)


class Pfeiffer(_Bottleneck):
    kind: Literal["pfeiffer"] = Field(
        "pfeiffer",
        description="A small bottleneck after each feed-forward is trained, and the head (Pfeiffer "
        "et al. 2021).",
    )

    def trained_parameters(self, model: Anatomy) -> int:
        """One bottleneck a block (Pfeiffer et al. 2021, arXiv 2005.00247)."""
        found = sum(self._of(o) for name, _, o in model.linear if anatomy.is_forward_out(name))
        return found + model.new


class _Virtual(_Method):
    tokens: Virtual = Field(20, description="Virtual tokens, beside those of the text.")

    usual_rate: ClassVar[float] = 100
    leaves: ClassVar[Leaves] = "adapter"

    @property
    def virtual_tokens(self) -> int:
        return self.tokens


class Prompt(_Virtual):
    kind: Literal["prompt"] = Field(
        "prompt",
        description="Embeddings of virtual tokens are trained, and the head (Lester et al. 2021).",
    )

    def trained_parameters(self, model: Anatomy) -> int:
        return self.tokens * model.embedding + model.new


class PTuning(_Virtual):
    kind: Literal["p_tuning"] = Field(
        "p_tuning",
        description="As prompt; a small network makes the embeddings while they are trained (Liu "
        "et al. 2021).",
    )
    width: Count = Field(128, description="Of the network's two hidden layers.")

    usual_rate: ClassVar[float] = 30

    def trained_parameters(self, model: Anatomy) -> int:
        """What goes in, and three layers with biases: to the width, within it, and back."""
        e, w = model.embedding, self.width
        return self.tokens * e + (e + 1) * w + (w + 1) * w + (w + 1) * e + model.new


class Prefix(_Virtual):
    kind: Literal["prefix"] = Field(
        "prefix",
        description="States of virtual tokens are trained in every layer, and the head (Li and "
        "Liang 2021).",
    )

    def trained_parameters(self, model: Anatomy) -> int:
        """A state for each virtual token and block."""
        return self.tokens * model.hidden * model.blocks + model.new


_CLASSIFIERS = {
    "both": "a linear model of words and characters",
    "naive_bayes": "complement naive Bayes of words and pairs of words",
    "svm": "a linear SVM of words and pairs of words",
    "logistic_regression": "logistic regression of words and pairs of words",
    "random_forest": "a random forest of words",
}


class WordCounts(_Method):
    kind: Literal["linear"] = Field(
        "linear",
        description="No pretrained model: words and characters are counted, and a classical "
        "model weighs them.",
    )
    classifier: Literal["both", "naive_bayes", "svm", "logistic_regression", "random_forest"] = (
        Field(
            "both",
            description="both: naive Bayes of words and a linear SVM of characters, averaged. Each "
            "other alone, of words and pairs of words (the forest of words).",
        )
    )

    needs_weights: ClassVar[bool] = False
    flops_a_weight: ClassVar[float] = _FULL_FLOPS
    usual_rate: ClassVar[float] = 1
    training_fields: ClassVar[frozenset[str]] = frozenset({"class_weights"})
    """All that there is to set of its training."""

    @property
    def title(self) -> str:
        """What it is, in words."""
        return _CLASSIFIERS[self.classifier]

    def trained_parameters(self, model: Anatomy) -> int:
        return model.parameters


Method = Annotated[
    Full
    | Lora
    | Qlora
    | Dora
    | Vera
    | Ia3
    | Houlsby
    | Pfeiffer
    | Prefix
    | Prompt
    | PTuning
    | Bitfit
    | WordCounts,
    Field(discriminator="kind"),
]
"""Each kind has its own fields, and no others can be set."""


def weights_bytes(method: Method, model: Anatomy) -> int:
    """Of weights, gradients and moments; activations come on top."""
    trained = method.trained_parameters(model)
    frozen = model.parameters - trained
    return int(method.frozen_weight_bytes * frozen) + TRAINED_WEIGHT_BYTES * trained
