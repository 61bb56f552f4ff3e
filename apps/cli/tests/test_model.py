import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tds_core.bundle import DEFAULT_BUNDLE, GOLDEN_NAME, write_manifest

Tds = Callable[..., tuple[int, str, str]]


def test_shipped_model_is_described(tds: Tds) -> None:
    code, out, err = tds("model", "show")
    assert (code, err) == (0, "")
    fields = dict(line.split(": ", 1) for line in out.splitlines() if ": " in line)
    assert fields["name"] == "tds-default"
    assert fields["licence"] == "MIT"
    assert fields["modalities"] == "t1, t1ce, t2, flair"
    assert "provenance:" in out


def test_description_as_json(tds: Tds) -> None:
    document = json.loads(tds("model", "show", "--json")[1])
    assert {"name", "version", "sha256", "architecture", "licence", "modalities", "provenance"} <= set(document)


def test_shipped_model_is_intact(tds: Tds) -> None:
    code, out, err = tds("model", "verify")
    assert (code, err) == (0, "")
    assert "is intact" in out


def test_verification_as_json(tds: Tds) -> None:
    document = json.loads(tds("model", "verify", DEFAULT_BUNDLE, "--json")[1])
    assert document["verified"] is True


def test_model_that_gives_another_mask_than_its_golden_case_is_refused(tds: Tds, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(DEFAULT_BUNDLE, folder)
    with np.load(folder / GOLDEN_NAME) as archive:
        arrays = dict(archive)
    arrays["image"] = np.flip(arrays["image"], axis=1)
    np.savez_compressed(folder / GOLDEN_NAME, **arrays)
    sha256 = write_manifest(folder)
    assert tds("model", "show", folder)[0] == 4
    assert tds("model", "show", folder, "--trust", sha256.upper())[0] == 0
    code, out, err = tds("model", "verify", folder, "--trust", sha256)
    assert (code, out) == (4, "")
    assert GOLDEN_NAME in err
