import subprocess
import sys
from pathlib import Path

import pytest

import tds_core
import tumor_detection
from tds_core import BundleAltered, BundleNotFound, MissingDependency
from tds_core.errors import CoreError

HEAVY = ("numpy", "scipy", "openvino", "torch", "monai", "yaml", "tds_data")


def modules_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the modules that it has loaded at the end."""
    code += "\nimport sys\nprint(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603  # our own code
    return set(printed.stdout.split())


def test_every_public_name_is_there() -> None:
    assert all(getattr(tds_core, name) is not None for name in tds_core.__all__)
    assert dir(tds_core) == sorted(tds_core.__all__)
    assert {name for names in tds_core._HOMES.values() for name in names} == set(tds_core.__all__)
    assert dir(tumor_detection) == sorted(tumor_detection.__all__)


@pytest.mark.parametrize("package", [tds_core, tumor_detection])
def test_unknown_names_are_attribute_errors(package: object) -> None:
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = package.absent  # type: ignore[attr-defined]  # that is the point


@pytest.mark.parametrize("package", ["tds_core", "tumor_detection", "tds_core.errors"])
def test_importing_the_package_loads_nothing_heavy(package: str) -> None:
    assert modules_after(f"import {package}").isdisjoint(HEAVY)


def test_inference_loads_no_training() -> None:
    loaded = modules_after("import tumor_detection.api, tds_core.evaluation, tds_core.golden\ntds_core.open_engine")
    assert "tds_core.inference" in loaded
    assert loaded.isdisjoint({"torch", "monai", "onnx", "safetensors", "tds_core.training"})


def test_training_without_torch_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("tds_core.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match=r"pip install 'tds-core\[train\]'") as caught:
        __import__("tds_core.training")
    assert (caught.value.package, caught.value.extra) == ("torch", "train")


def test_errors_are_of_one_tree_and_say_what_they_hold() -> None:
    assert issubclass(BundleNotFound, CoreError)
    altered = BundleAltered("model.onnx", "why")
    assert altered.file == "model.onnx"
    assert str(altered) == "model bundle refused: model.onnx: why; install it again from its source"
    assert "no bundle.yaml" in str(BundleNotFound(Path("models")))
