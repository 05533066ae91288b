"""What a platform forbids is refused, and nothing else is."""

from __future__ import annotations

import pytest

from agnews_cli.core.machine.terms import refuse_if_forbidden
from agnews_cli.errors import ForbiddenByTerms


@pytest.mark.parametrize("tier", ["free", None])
@pytest.mark.parametrize("action", ["serve", "tunnel", "work for others"])
def test_free_colab_refuses_with_the_reason(action, tier):
    with pytest.raises(ForbiddenByTerms) as refused:
        refuse_if_forbidden(action, "colab", tier)
    assert "its terms forbid" in refused.value.message
    assert "colaboratory/faq" in refused.value.message
    assert refused.value.exit_code == 77


def test_paid_colab_and_other_platforms_refuse_nothing():
    refuse_if_forbidden("serve", "colab", "paid")
    refuse_if_forbidden("serve", "local", None)
    refuse_if_forbidden("tunnel", "kaggle", None)
