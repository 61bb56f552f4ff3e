import subprocess
import sys

import tds_serve

PROBE = """
import sys, tds_serve
loaded = {name.split(".")[0] for name in sys.modules}
heavy = {"torch", "monai", "pydicom", "tds_core", "tds_clinical", "tds_cloud"} & loaded
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def test_import_brings_in_nothing_heavy() -> None:
    finished = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)  # noqa: S603  # our own text
    assert finished.returncode == 0, finished.stderr


def test_public_names_exist_and_are_sorted() -> None:
    assert list(tds_serve.__all__) == sorted(tds_serve.__all__)
    assert all(getattr(tds_serve, name).__module__.startswith("tds_serve.") for name in tds_serve.__all__)
