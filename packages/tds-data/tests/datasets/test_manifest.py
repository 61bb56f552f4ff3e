import copy
import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_data import VolumeWriteError
from tds_data.datasets import CaseEntry, FileEntry, Manifest, read_manifest, write_manifest
from tds_data.errors import ManifestError

HASH = "0" * 64


def file(path: str = "a/t1.nii.gz", **changes: Any) -> FileEntry:
    return FileEntry(**{"path": path, "sha256": HASH, "size_bytes": 12, **changes})


def case(name: str = "a", **changes: Any) -> CaseEntry:
    return CaseEntry(**{"name": name, "patient": name, "images": {"t1": file()}, **changes})


def manifest(root: Path, *cases: CaseEntry, **changes: Any) -> Manifest:
    values = {"layout": "brats", "scheme": "brats-2023", "root": root, "cases": cases or (case(),)}
    return Manifest(**{**values, **changes})


def document(tmp_path: Path) -> dict[str, Any]:
    full = case(mask=file("a/seg.nii.gz", index=2), attributes={"age": "61"}, notes=("missing: t2",), phantom=True)
    write_manifest(manifest(tmp_path, full, licence="CC0", labels={"WT": (1, 2)}), tmp_path / "m.json")
    found: dict[str, Any] = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    return found


def read(tmp_path: Path, content: object) -> Manifest:
    path = tmp_path / "changed.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_manifest(path)


def test_written_manifest_is_read_back_equal(tmp_path: Path) -> None:
    full = case(mask=file("a/seg.nii.gz", index=2), attributes={"age": "61"}, notes=("missing: t2",), phantom=True)
    written = manifest(
        tmp_path, full, case("ß b"), licence="CC0", labels={"WT": (1, 2)}, problems=("x: bad",), attributes={"k": "v"}
    )
    write_manifest(written, tmp_path / "m.json")
    found = read_manifest(tmp_path / "m.json")
    assert found.root.resolve() == tmp_path.resolve()
    assert (found.cases, found.labels, found.problems) == (written.cases, written.labels, written.problems)
    assert found.digest == written.digest


def test_manifest_beside_its_root_finds_the_root_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "runs").mkdir()
    write_manifest(manifest(tmp_path / "data"), tmp_path / "runs" / "m.json")
    assert json.loads((tmp_path / "runs" / "m.json").read_text(encoding="utf-8"))["root"] == "../data"
    assert read_manifest(tmp_path / "runs" / "m.json").root.resolve() == (tmp_path / "data").resolve()
    elsewhere = read_manifest(tmp_path / "runs" / "m.json", root=tmp_path)
    assert elsewhere.root == tmp_path


def test_digest_tells_content_and_not_place(tmp_path: Path) -> None:
    assert manifest(tmp_path).digest == manifest(tmp_path / "elsewhere").digest
    assert manifest(tmp_path).digest != manifest(tmp_path, case(attributes={"age": "1"})).digest
    assert manifest(tmp_path).digest != manifest(tmp_path, scheme="brats-2021").digest


def test_manifest_and_cases_travel_to_other_processes(tmp_path: Path) -> None:
    value = manifest(tmp_path, case(attributes={"age": "61"}), labels={"WT": (1, 2)})
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301  # our own bytes
    assert copy.deepcopy(value.cases[0]) == value.cases[0]


def test_mappings_of_a_case_cannot_be_changed() -> None:
    images = {"t1": file()}
    entry = case(images=images)
    images["t2"] = file("a/t2.nii.gz")
    assert list(entry.images) == ["t1"]
    with pytest.raises(TypeError):
        entry.images["t2"] = file()  # type: ignore[index]  # the point of the test


def test_case_is_found_by_name(tmp_path: Path) -> None:
    value = manifest(tmp_path, case("a"), case("b"))
    assert value.case("b").name == "b"
    assert [f.path for f in case(mask=file("a/seg.nii.gz")).files] == ["a/t1.nii.gz", "a/seg.nii.gz"]
    with pytest.raises(ManifestError, match="no case 'c' among its 2"):
        value.case("c")


@pytest.mark.parametrize(
    "path",
    [
        "../secret.nii.gz",
        "a/../../secret.nii.gz",
        "a/..",
        "/etc/passwd",
        "C:/Windows/a.nii",
        "C:a.nii",
        "\\\\server\\share\\a.nii",
        "a\\..\\..\\b.nii",
        "",
        ".",
        "./a.nii.gz",
        "a//b.nii.gz",
        "a/",
        "a\0b.nii",
        "a\nb.nii",
        "bad\udcff.nii",
        "x" * 5000,
    ],
)
def test_path_that_leaves_the_root_or_is_no_plain_path_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="relative to the root"):
        file(path)
    changed = document(tmp_path)
    changed["cases"][0]["images"]["t1"]["path"] = path
    with pytest.raises(ManifestError):
        read(tmp_path, changed)


@given(st.text(alphabet="ab./\\ :é", max_size=12))
def test_no_accepted_path_leaves_the_root(path: str) -> None:
    try:
        entry = file(path)
    except ManifestError:
        return
    root = Path("/somewhere/root")
    assert (root / entry.path).is_relative_to(root)
    assert ".." not in entry.path.split("/")


def test_link_that_leaves_the_root_is_refused_when_resolved(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (tmp_path / "secret.nii.gz").write_bytes(b"x")
    (root / "a" / "t1.nii.gz").symlink_to(tmp_path / "secret.nii.gz")
    value = manifest(root)
    with pytest.raises(ManifestError, match="leaves the root through a symbolic link"):
        value.path(file())


def test_folder_link_that_leaves_the_root_is_refused_when_resolved(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "other").mkdir()
    (root / "a").symlink_to(tmp_path / "other")
    with pytest.raises(ManifestError, match="leaves the root"):
        manifest(root).path(file())


def test_link_inside_the_root_is_followed(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "x").write_bytes(b"x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "t1.nii.gz").symlink_to("../store/x")
    assert manifest(tmp_path).path(file()) == (tmp_path / "store" / "x").resolve()


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "t1.nii.gz").symlink_to("t1.nii.gz")
    with pytest.raises((ManifestError, OSError)):
        manifest(tmp_path).path(file()).open("rb")


WRONG = {
    "unknown key": lambda d: d.update(surprise=1),
    "unknown key in a case": lambda d: d["cases"][0].update(surprise=1),
    "unknown key in a file": lambda d: d["cases"][0]["mask"].update(surprise=1),
    "no cases": lambda d: d.pop("cases"),
    "cases of another type": lambda d: d.update(cases={}),
    "case of another type": lambda d: d.update(cases=["a"]),
    "name of another type": lambda d: d["cases"][0].update(name=3),
    "no name": lambda d: d["cases"][0].pop("name"),
    "images of another type": lambda d: d["cases"][0].update(images=[]),
    "no image": lambda d: d["cases"][0].update(images={}),
    "image under a strange name": lambda d: d["cases"][0].update(images={"../t1": d["cases"][0]["mask"]}),
    "phantom as a number": lambda d: d["cases"][0].update(phantom=1),
    "attribute as a number": lambda d: d["cases"][0].update(attributes={"age": 61}),
    "attributes as a list": lambda d: d.update(attributes=[]),
    "notes as a text": lambda d: d["cases"][0].update(notes="x"),
    "notes as numbers": lambda d: d["cases"][0].update(notes=[1]),
    "size as a text": lambda d: d["cases"][0]["mask"].update(size_bytes="12"),
    "size as a truth value": lambda d: d["cases"][0]["mask"].update(size_bytes=True),
    "size below nothing": lambda d: d["cases"][0]["mask"].update(size_bytes=-1),
    "size beyond any disk": lambda d: d["cases"][0]["mask"].update(size_bytes=10**400),
    "size with a fraction": lambda d: d["cases"][0]["mask"].update(size_bytes=1.5),
    "index below nothing": lambda d: d["cases"][0]["mask"].update(index=-1),
    "index beyond any file": lambda d: d["cases"][0]["mask"].update(index=2**40),
    "hash too short": lambda d: d["cases"][0]["mask"].update(sha256="abc"),
    "hash in capitals": lambda d: d["cases"][0]["mask"].update(sha256="A" * 64),
    "labels as numbers": lambda d: d.update(labels={"WT": 1}),
    "labels below nothing": lambda d: d.update(labels={"WT": [-1]}),
    "labels beyond any type": lambda d: d.update(labels={"WT": [2**40]}),
    "licence as a number": lambda d: d.update(licence=4),
    "later version": lambda d: d.update(version="2.0"),
    "version of another type": lambda d: d.update(version=1),
    "absolute root": lambda d: d.update(root="/etc"),
    "root on a drive": lambda d: d.update(root="C:/"),
    "root with a backslash": lambda d: d.update(root="..\\.."),
    "name that is a path": lambda d: d["cases"][0].update(name="../a"),
    "name that is hidden": lambda d: d["cases"][0].update(name=".a"),
    "name with a line break": lambda d: d["cases"][0].update(name="a\nb"),
    "empty patient": lambda d: d["cases"][0].update(patient=""),
    "two cases of one name": lambda d: d["cases"].append(d["cases"][0]),
}


@pytest.mark.parametrize("fault", WRONG)
def test_manifest_with_a_fault_is_refused(fault: str, tmp_path: Path) -> None:
    changed = document(tmp_path)
    WRONG[fault](changed)
    with pytest.raises(ManifestError):
        read(tmp_path, changed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "{",
        '{"version": "1.0", "version": "1.0"}',
        '{"version": NaN}',
        "[" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
        "\xff",
    ],
)
def test_file_that_is_no_manifest_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ManifestError):
        read_manifest(path)


def test_missing_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"cannot read 'm\.json'"):
        read_manifest(tmp_path / "m.json")


def test_manifest_larger_than_any_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "m.json").open("wb") as stream:
        stream.truncate((1 << 30) + 1)
    with pytest.raises(ManifestError, match="larger than 1 GiB"):
        read_manifest(tmp_path / "m.json")


def test_minor_version_and_left_out_options_are_read(tmp_path: Path) -> None:
    changed = document(tmp_path)
    changed["version"] = "1.9"
    for key in ("root", "licence", "labels", "attributes", "problems"):
        del changed[key]
    for key in ("mask", "phantom", "attributes", "notes"):
        del changed["cases"][0][key]
    found = read(tmp_path, changed)
    assert found.cases[0] == case()
    assert found.root.resolve() == tmp_path.resolve()


def test_manifest_into_a_missing_folder_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(VolumeWriteError, match="No such file"):
        write_manifest(manifest(tmp_path), tmp_path / "absent" / "m.json")
    assert list(tmp_path.iterdir()) == []


def test_manifest_with_a_name_that_is_no_text_is_not_half_written(tmp_path: Path) -> None:
    with pytest.raises(VolumeWriteError):
        write_manifest(manifest(tmp_path, problems=("bad\udcff",)), tmp_path / "m.json")
    assert list(tmp_path.iterdir()) == []


def test_public_names_are_found_and_others_are_not(make: SimpleNamespace) -> None:
    import tds_data.datasets as package  # noqa: PLC0415  # the module itself is tested

    assert set(package.__all__) <= set(dir(package))
    assert all(getattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'surprise'"):
        _ = package.surprise
    assert make.SHAPE
