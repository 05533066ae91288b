"""How members become one: each kind has its own fields, and is one member of the union `Combiner`.

What a kind does is in `learn/combiners/KIND.py`. All of them map what members say of a row,
(members, classes) probabilities, to one row of probabilities; none reads a text.

A field at its default is not hashed (`core.run.identity`): a new field with a default that does
what was done before changes no id.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class Average(_Strict):
    kind: Literal["average"] = Field("average", description="The mean of members' probabilities.")


class Vote(_Strict):
    kind: Literal["vote"] = Field(
        "vote", description="The class that most members answer; a tie goes to the surer ones."
    )


class Rank(_Strict):
    kind: Literal["rank"] = Field(
        "rank", description="The mean of the ranks that members give a row's classes (Borda count)."
    )


class Confidence(_Strict):
    kind: Literal["confidence"] = Field(
        "confidence", description="Each row's mean, where a member counts as it is sure of the row."
    )
    sharpness: Annotated[float, Field(ge=0, le=100)] = Field(
        1.0, description="0: the plain average; the higher, the more the surest member decides."
    )


class Weighted(_Strict):
    kind: Literal["weighted"] = Field(
        "weighted", description="The weights of least log loss: none negative, together 1."
    )
    prior_rows: Annotated[float, Field(ge=0, le=1_000_000)] = Field(
        0.0,
        description="Draws the weights together, as if each member alone had explained so many "
        "rows before; `agnews auto --budget` takes 3.",
    )


class Best(_Strict):
    kind: Literal["best"] = Field(
        "best", description="The member that is right most often, alone: a yardstick."
    )


class Greedy(_Strict):
    kind: Literal["greedy"] = Field(
        "greedy",
        description="Members added one at a time, with replacement, each the one that lowers the "
        "log loss most (Caruana et al. 2004).",
    )
    picks: Annotated[int, Field(ge=1, le=1000)] = Field(20, description="At most so many.")
    keep: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="Only this share of the members, the best ones, may be picked (pruning)."
    )
    bags: Annotated[int, Field(ge=1, le=200)] = Field(
        1, description="So many selections, each from a random half of the members, averaged."
    )


class Bayesian(_Strict):
    kind: Literal["bayesian"] = Field(
        "bayesian",
        description="Model averaging by each member's likelihood on the rows (pseudo-BMA+, Yao et "
        "al. 2018).",
    )
    effective_rows: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="The evidence counts as that of so many rows; 0: the plain average; none: of "
        "all there are, where one member soon has all the weight.",
    )


class Blend(_Strict):
    kind: Literal["blend"] = Field(
        "blend",
        description="Weights learnt on a held-out part of the rows, and drawn towards equal ones "
        "as far as the other rows want it.",
    )
    dynamic: bool = Field(False, description="Each row's weights follow each member's uncertainty.")
    share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="The part of the rows that the weights are learnt on."
    )


By = Literal["logistic", "xgboost", "lightgbm", "catboost", "neural"]


class Stack(_Strict):
    kind: Literal["stack"] = Field(
        "stack", description="A model over what members say of rows they have not seen."
    )
    by: By = Field("logistic", description="Which model; boosters need the extra `boosters`.")


Plain = Annotated[
    Average | Vote | Rank | Confidence | Weighted | Best | Greedy | Bayesian | Blend | Stack,
    Field(discriminator="kind"),
]
"""All that do not choose among others."""


class Auto(_Strict):
    kind: Literal["auto"] = Field(
        "auto",
        description="The one of least loss by cross-validation inside the rows; where none beats "
        "the plain average beyond noise, the average.",
    )
    among: tuple[Plain, ...] = Field(
        (
            Weighted.model_construct(),
            Greedy.model_construct(),
            Bayesian.model_construct(),
            Confidence.model_construct(),
            Blend.model_construct(dynamic=True),
            Stack.model_construct(),
            Best.model_construct(),
        ),
        description="What is tried beside the average.",
    )
    folds: Annotated[int, Field(ge=2, le=20)] = Field(5, description="Parts of the rows.")


Combiner = Annotated[Plain | Auto, Field(discriminator="kind")]
"""How members become one. A further kind is a member of `Plain` and a file in `learn/combiners`."""
