from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tds_core import Bundle, BundleAltered, Engine, load_bundle, open_engine, verify_golden
from tds_core.bundle import GOLDEN_NAME, WEIGHTS_NAME, write_manifest
from tds_core.golden import golden_hash


def test_shipped_model_gives_its_golden_mask(bundle: Bundle, engine: Engine) -> None:
    verify_golden(bundle, engine)


def test_other_weights_under_a_trusted_manifest_give_another_mask(bundle_copy: Path) -> None:
    path = bundle_copy / WEIGHTS_NAME
    data = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    weights = np.frombuffer(bytes(data[start:]), np.float16).copy()
    weights[::3] *= -1
    path.write_bytes(bytes(data[:start]) + weights.tobytes())
    altered = load_bundle(bundle_copy, trusted=[write_manifest(bundle_copy)])
    with pytest.raises(BundleAltered, match=r"golden\.npz: the model gives mask"):
        verify_golden(altered, open_engine(altered.graph))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_golden_case_that_cannot_be_read_is_refused(bundle_copy: Path, engine: Engine, content: bytes) -> None:
    (bundle_copy / GOLDEN_NAME).write_bytes(content)
    broken = load_bundle(bundle_copy, trusted=[write_manifest(bundle_copy)])
    with pytest.raises(BundleAltered, match="it holds no golden case"):
        verify_golden(broken, engine)


def test_description_without_the_hash_is_refused(
    bundle_copy: Path, edit_description: Callable[[str, str], str]
) -> None:
    trusted = edit_description("golden:\n  sha256", "golden:\n  hash")
    with pytest.raises(ValueError, match="lacks or garbles a field: 'sha256'"):
        load_bundle(bundle_copy, trusted=[trusted])


def test_only_sure_voxels_count_in_the_hash() -> None:
    labels = np.array([[[0, 1, 2, 3]]], np.uint8)
    sure = np.array([[[True, True, True, False]]])
    assert golden_hash(labels, sure) == golden_hash(np.array([[[0, 1, 2, 1]]], np.uint8), sure)
    assert golden_hash(labels, sure) != golden_hash(np.array([[[0, 2, 2, 3]]], np.uint8), sure)
