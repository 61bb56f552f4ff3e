import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tds_core import (
    Bundle,
    BundleAltered,
    BundleIncompatible,
    BundleNotFound,
    BundleUntrusted,
    ModelError,
    load_bundle,
)
from tds_core._pinned import DEFAULT_BUNDLE_SHA256
from tds_core.bundle import DEFAULT_BUNDLE, MANIFEST_NAME, PostprocessConfig, write_manifest
from tds_data import REGIONS, Modality, Region

FILES = ["MODEL_CARD.md", "bundle.yaml", "golden.npz", "model.onnx", "weights.safetensors"]
MAX_BYTES = 15_000_000


def rewrite_manifest(folder: Path, change: Callable[[dict[str, object]], None]) -> str:
    path = folder / MANIFEST_NAME
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_shipped_bundle_is_the_pinned_one(bundle: Bundle) -> None:
    manifest = (DEFAULT_BUNDLE / MANIFEST_NAME).read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == DEFAULT_BUNDLE_SHA256 == bundle.identity.sha256
    assert bundle.preprocess.modalities == (Modality.T1, Modality.T1CE, Modality.T2, Modality.FLAIR)
    assert set(bundle.postprocess.thresholds) == set(REGIONS)
    assert bundle.graph.is_file()


def test_shipped_bundle_is_small_enough_and_lists_each_file_once() -> None:
    assert sorted(p.name for p in DEFAULT_BUNDLE.iterdir()) == sorted([*FILES, MANIFEST_NAME])
    assert sum(p.stat().st_size for p in DEFAULT_BUNDLE.iterdir()) <= MAX_BYTES


def test_copy_of_the_shipped_bundle_is_trusted_by_its_hash(bundle_copy: Path) -> None:
    assert load_bundle(bundle_copy).folder == bundle_copy


def test_writing_the_manifest_again_gives_the_same_identity(bundle_copy: Path) -> None:
    assert write_manifest(bundle_copy) == DEFAULT_BUNDLE_SHA256


@pytest.mark.parametrize("name", FILES)
def test_altered_file_is_refused(bundle_copy: Path, name: str) -> None:
    data = bytearray((bundle_copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle_copy / name).write_bytes(data)
    with pytest.raises(BundleAltered, match=f"{name}: its hash is") as caught:
        load_bundle(bundle_copy)
    assert caught.value.file == name
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_refused(bundle_copy: Path, name: str) -> None:
    (bundle_copy / name).unlink()
    with pytest.raises(BundleAltered, match=f"{name}: the file is missing"):
        load_bundle(bundle_copy)


@pytest.mark.parametrize("name", FILES)
def test_manifest_that_leaves_out_a_file_is_refused_even_if_trusted(bundle_copy: Path, name: str) -> None:
    trusted = rewrite_manifest(bundle_copy, lambda document: document["files"].pop(name))  # type: ignore[attr-defined]  # JSON
    with pytest.raises(BundleAltered, match=f"{name}: the manifest does not list it"):
        load_bundle(bundle_copy, trusted=[trusted])


def test_file_that_the_manifest_does_not_list_is_refused(bundle_copy: Path) -> None:
    (bundle_copy / "extra.bin").write_bytes(b"more weights")
    with pytest.raises(BundleAltered, match=r"extra\.bin: it lies in the bundle"):
        load_bundle(bundle_copy)


def test_altered_manifest_is_a_bundle_that_nobody_knows(bundle_copy: Path) -> None:
    with (bundle_copy / MANIFEST_NAME).open("a") as file:
        file.write("\n")
    sha256 = hashlib.sha256((bundle_copy / MANIFEST_NAME).read_bytes()).hexdigest()
    with pytest.raises(BundleUntrusted, match=sha256) as caught:
        load_bundle(bundle_copy)
    assert (caught.value.path, caught.value.sha256) == (bundle_copy, sha256)
    assert isinstance(caught.value, PermissionError)
    assert load_bundle(bundle_copy, trusted=[sha256.upper()]).identity.sha256 == sha256


def test_shipped_bundle_with_another_manifest_is_altered_not_unknown(
    bundle_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tds_core.bundle.DEFAULT_BUNDLE", bundle_copy)
    rewrite_manifest(bundle_copy, lambda document: document.update(note="x"))
    with pytest.raises(BundleAltered, match=r"manifest\.json: its hash is .* pinned is"):
        load_bundle()


def test_folder_without_a_bundle_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFound, match="no model bundle at") as caught:
        load_bundle(tmp_path)
    assert caught.value.path == tmp_path
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, ModelError)


@pytest.mark.parametrize(
    "text", ["{", "[]", "3", '{"format": 1}', '{"format": 1, "files": []}', '{"format": 1, "files": {"a": {}}}']
)
def test_manifest_that_cannot_be_read_is_refused(bundle_copy: Path, text: str) -> None:
    (bundle_copy / MANIFEST_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(BundleAltered, match=r"manifest\.json: it cannot be read"):
        load_bundle(bundle_copy, trusted=[hashlib.sha256(text.encode()).hexdigest()])


def test_later_format_is_incompatible_whatever_else_it_holds(bundle_copy: Path) -> None:
    text = '{"format": 3, "parts": []}'
    (bundle_copy / MANIFEST_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(BundleIncompatible, match="has format 3; this version of tds-core reads formats 1 and 2"):
        load_bundle(bundle_copy, trusted=[hashlib.sha256(text.encode()).hexdigest()])


def test_description_and_manifest_of_different_formats_do_not_belong_together(bundle_copy: Path) -> None:
    trusted = write_manifest(bundle_copy, version=2)
    with pytest.raises(BundleIncompatible, match=r"bundle\.yaml has format 1, manifest\.json has 2"):
        load_bundle(bundle_copy, trusted=[trusted])


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "sub/file", "..\\secret", "C:\\secret"])
def test_manifest_that_names_a_file_elsewhere_is_refused(bundle_copy: Path, name: str) -> None:
    trusted = rewrite_manifest(bundle_copy, lambda document: document["files"].update({name: {"sha256": "0"}}))  # type: ignore[attr-defined]  # JSON
    with pytest.raises(BundleAltered, match="it names a file outside the bundle"):
        load_bundle(bundle_copy, trusted=[trusted])


@pytest.mark.parametrize("name", ["..", ".", ""])
def test_manifest_that_names_a_folder_is_refused(bundle_copy: Path, name: str) -> None:
    trusted = rewrite_manifest(bundle_copy, lambda document: document["files"].update({name: {"sha256": "0"}}))  # type: ignore[attr-defined]  # JSON
    with pytest.raises(BundleAltered):
        load_bundle(bundle_copy, trusted=[trusted])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("- WT\n- TC\n- ET", "- ET\n- TC\n- WT", "predicts .* in that order"),
        ("- flair", "- adc", "lacks or garbles a field"),
        ("spacing_mm: 2.0", "spacing_mm: wide", "lacks or garbles a field"),
        ("spacing_mm: 2.0", "edge_mm: 2.0", "lacks or garbles a field: 'spacing_mm'"),
        ("name: tds-default", "name: [", "lacks or garbles a field"),
        ("format: 1", "- 1", "lacks or garbles a field"),
        ("min_lesion_ml: 0.1", "min_lesion_ml: -1", "drops lesions below -1.0 mL"),
        ("min_lesion_ml: 0.1", "min_lesion_ml: .nan", "drops lesions below nan mL"),
        ("    WT: 0.5\n", "", "needs a threshold between 0 and 1 for WT"),
        ("    WT: 0.5\n", "    WT: 50\n", "needs a threshold between 0 and 1 for WT"),
        ("regions:\n- WT", "reliable_with:\n- adc\nregions:\n- WT", "lacks or garbles a field"),
        ("mirror:\n  - 0", "mirror:\n  - 3", "mirrors axes"),
        ("mirror:\n  - 0", "mirror:\n  - 0\n  - 0", "mirrors axes"),
    ],
)
def test_trusted_bundle_that_cannot_be_run_is_incompatible(
    bundle_copy: Path, edit_description: Callable[[str, str], str], old: str, new: str, message: str
) -> None:
    trusted = edit_description(old, new)
    with pytest.raises(BundleIncompatible, match=message):
        load_bundle(bundle_copy, trusted=[trusted])


def test_postprocessing_holds_what_it_was_given() -> None:
    config = PostprocessConfig(thresholds=dict.fromkeys(REGIONS, 0.25), min_lesion_ml=0.0, mirror=(2, 0))
    assert config.thresholds[Region.ET] == 0.25
