"""What the catalogue says that autograd keeps of a block is what it keeps, at another size."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from agnews_cli.store.settings import catalogue  # noqa: E402
from benchmarks import activations  # noqa: E402

MODELS = catalogue.load().models
FEW = ("minilm-l6", "gemma-3-270m")
OTHERS = tuple({m.family.family: n for n, m in reversed(MODELS.items())}.values())
SHAPE = {"hidden": 96, "heads": 6, "intermediate": 168, "vocabulary": 99, "positions": 300}


@pytest.mark.parametrize("is_half", [False, True], ids=["fp32", "half"])
@pytest.mark.parametrize("is_trained", [True, False], ids=["trained", "frozen"])
@pytest.mark.parametrize(
    "name", [*FEW, *(pytest.param(n, marks=pytest.mark.slow) for n in OTHERS if n not in FEW)]
)
def test_a_block_keeps_what_the_catalogue_says(name: str, is_trained: bool, is_half: bool):
    model = activations.narrowed(MODELS[name])
    own = {"kv_heads": 2, "head_dim": 16, "embedding": 96}
    shape = SHAPE | {
        k: min(v, getattr(model.shape, k)) for k, v in own.items() if getattr(model.shape, k)
    }
    texts, length = 4, 48
    for place in ("cpu", "gpu"):
        kept = []
        for layers in (2, 3):
            small = activations.small(model, shape | {"layers": layers})
            built = activations.classifier(small, on_cpu=place == "cpu")
            kept.append(
                activations.kept_bytes(built, texts, length, is_half=is_half, is_trained=is_trained)
            )
        world = model.family.activations[f"{place}-{'half' if is_half else 'fp32'}"]
        said = (world.trained if is_trained else world.frozen).bytes_of(
            activations.sizes_of(small, texts, length)
        )
        within = 0.2 if model.family.family in ("xlnet", "longformer") else 0.05
        assert said == pytest.approx(kept[1] - kept[0], rel=within), place
