"""The house stays one in which people find their way: `benchmarks/house.py` says how big it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from benchmarks import house

FILE, FUNCTION = 500, 80
LONG_FILES = {
    "core/plan/dispatch.py": 660,
    "workflows/wizard/questions.py": 505,
    "store/hours/ledger.py": 570,
    "store/transfer/parcels.py": 531,
    "core/machine/markers.py": 530,  # a table
}
"""What is longer, and may hardly grow."""
LONG_FUNCTIONS: dict[str, int] = {}


def test_no_file_is_too_long():
    assert {n: s for n, s in house.files().items() if s > LONG_FILES.get(n, FILE)} == {}


def test_no_function_is_too_long():
    bodies = {(n.partition(":")[0], n.rpartition(" ")[2]): s for n, s in house.functions().items()}
    most = {name: LONG_FUNCTIONS.get(" ".join(name), FUNCTION) for name in bodies}
    assert {name: lines for name, lines in bodies.items() if lines > most[name]} == {}


def test_no_class_name_stands_for_two_things():
    assert house.namesakes() == {}
    assert len(house.functions()) > 1000  # it looks


def test_no_benchmark_has_the_name_of_a_package():
    """Its folder is searched first where a benchmark runs: it would be imported instead."""
    names = [path.stem for path in Path(house.__file__).parent.glob("*.py")]
    assert [name for name in names if importlib.util.find_spec(name)] == []
