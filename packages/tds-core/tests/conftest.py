import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tds_core import Bundle, Engine, load_bundle, open_engine
from tds_core.bundle import DEFAULT_BUNDLE, write_manifest
from tds_data import Case, PhantomConfig, make_phantom

# Training comes with the extra `train`; without it there is nothing to test there.
collect_ignore = [] if all(importlib.util.find_spec(name) for name in ("torch", "monai", "onnx")) else ["training"]


class BrightEngine:
    """An engine without weights: tumour is where FLAIR is bright, core where it is brighter still."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        self.shapes.append(tensor.shape)
        flair = tensor[:, 3]
        return np.stack([(flair - level) * 10 for level in (1.5, 2.0, 2.5)], axis=1)


@pytest.fixture(scope="session")
def bright() -> BrightEngine:
    return BrightEngine()


@pytest.fixture(scope="session")
def phantom() -> Case:
    if importlib.util.find_spec("nilearn") is None:
        pytest.skip("phantoms need the anatomy of the extra tds-data[phantom]")
    return make_phantom(PhantomConfig(seed=7, spacing_mm=3.0))


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return load_bundle()


@pytest.fixture(scope="session")
def coarse_bundle(bundle: Bundle) -> Bundle:
    """The shipped network on voxels of 4 mm, without mirroring: not accurate, but quick."""
    return replace(
        bundle,
        preprocess=replace(bundle.preprocess, spacing_mm=4.0),
        postprocess=replace(bundle.postprocess, mirror=()),
    )


@pytest.fixture(scope="session")
def engine(bundle: Bundle) -> Engine:
    return open_engine(bundle.graph)


@pytest.fixture
def bundle_copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEFAULT_BUNDLE, tmp_path / "bundle"))


@pytest.fixture
def edit_description(bundle_copy: Path) -> Callable[[str, str], str]:
    """Replace a piece of text in the copy's bundle.yaml and return the hash of its new manifest."""

    def edit(old: str, new: str) -> str:
        path = bundle_copy / "bundle.yaml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return write_manifest(bundle_copy)

    return edit
