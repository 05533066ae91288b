from __future__ import annotations

import pytest

from agnews_cli.core.saving.reserve import reserve_s


@pytest.mark.parametrize(
    ("durations_s", "kept_s"),
    [
        ([], 20 + 5),
        ([4.0], 1.5 * 4 + 5),
        ([1.0] * 18 + [4.0], 1.5 * 4 + 5),
        ([float(n) for n in range(100)], 95 + 5),
    ],
    ids=["none measured", "one", "nineteen", "a hundred"],
)
def test_a_reserve_is_the_95th_percentile_and_a_guard(durations_s, kept_s):
    assert reserve_s(durations_s, guess_s=20, guard_s=5) == kept_s
