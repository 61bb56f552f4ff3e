import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # drawn.py and faults.py, which benchmarks use too
from drawn import drawn_case

from tds_data import Case


@pytest.fixture(scope="session")
def drawn() -> Case:
    return drawn_case()
