import subprocess
import sys

import tds_cloud

PROBE = """
import sys, tds_cloud
loaded = {name.split(".")[0] for name in sys.modules}
heavy = {"numpy", "torch", "monai", "boto3", "azure", "google", "tds_data"} & loaded
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def test_import_brings_in_nothing_heavy() -> None:
    finished = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)  # noqa: S603  # our own text
    assert finished.returncode == 0, finished.stderr


def test_public_names_exist_and_are_sorted() -> None:
    assert list(tds_cloud.__all__) == sorted(tds_cloud.__all__)
    assert all(getattr(tds_cloud, name).__module__.startswith("tds_cloud.") for name in tds_cloud.__all__)
