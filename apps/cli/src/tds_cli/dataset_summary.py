"""What the commands on data sets tell of a manifest and of a conversion."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tds_cli import output
from tds_cli.errors import UsageFault
from tds_data.datasets import Conversion, Manifest, find_scheme, index_dataset, read_manifest
from tds_data.errors import DatasetError

_MAX_SHOWN: Final = 10


def open_dataset(  # passes on what `tds data index` takes
    source: Path,
    *,
    layout: str | None,
    scheme: str | None,
    strict: bool,
    workers: int | None,
    progress: Callable[[int, int, str], None],
) -> Manifest:
    """Return the manifest in a file, or that of the data set in a folder.

    Args:
        source: A manifest or a folder.
        layout: Layout of the folder; recognised if `None`.
        scheme: Label scheme of the folder's masks; found out if `None`.
        strict: Whether a problem in the data set refuses it.
        workers: How many files to hash at a time.
        progress: Told after each file.

    Raises:
        UsageFault: If there is nothing at the path, or a manifest is to be read as a layout or scheme.
        DatasetError: If the folder cannot be indexed or the manifest not be read, or `strict` meets a problem.
    """
    if not source.exists():
        message = f"there is no file or folder {str(source)!r}; check the path"
        raise UsageFault(message)
    if source.is_file():
        return _read_manifest(source, layout=layout, scheme=scheme, strict=strict)
    return index_dataset(source, layout=layout, scheme=scheme, strict=strict, workers=workers, progress=progress)


def _read_manifest(path: Path, *, layout: str | None, scheme: str | None, strict: bool) -> Manifest:
    if layout is not None or scheme is not None:
        message = "the layout and the scheme of a manifest are in it; leave those options out, or give its folder"
        raise UsageFault(message)
    manifest = read_manifest(path)
    if strict and manifest.problems:
        message = f"the manifest lists {len(manifest.problems)} files or cases that cannot be taken: "
        raise DatasetError(message + manifest.problems[0])
    return manifest


def summary(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest in numbers, as plain JSON types.

    Args:
        manifest: The data set.
    """
    images = Counter(key for case in manifest.cases for key in case.images)
    scheme = find_scheme(manifest.scheme, manifest.labels)
    return {
        "layout": manifest.layout,
        "cases": len(manifest.cases),
        "patients": len({case.patient for case in manifest.cases}),
        "phantoms": sum(case.phantom for case in manifest.cases),
        "images": dict(images),
        "masks": sum(case.mask is not None for case in manifest.cases),
        "scheme": manifest.scheme,
        "labels": dict(scheme.values),
        "scheme_told_by": manifest.attributes.get("scheme_told_by"),
        "unused_images": manifest.attributes.get("unused_images"),
        "licence": manifest.licence,
        "notes": {case.name: list(case.notes) for case in manifest.cases if case.notes},
        "problems": list(manifest.problems),
        "digest": manifest.digest,
    }


def say_summary(manifest: Manifest) -> None:
    """Print a manifest in numbers.

    Args:
        manifest: The data set.
    """
    told = summary(manifest)
    labels = ", ".join(f"{number} {tissue}" for tissue, number in told["labels"].items())
    rows = [
        ("layout", told["layout"]),
        ("cases", str(told["cases"])),
        ("patients", str(told["patients"])),
        *([("phantoms", str(told["phantoms"]))] if told["phantoms"] else []),
        *((key, str(count)) for key, count in told["images"].items()),
        ("masks", str(told["masks"])),
        ("labels", f"{told['scheme']}{f': {labels}' if labels else ''}"),
        ("licence", told["licence"] or "not stated"),
        ("problems", str(len(told["problems"]))),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        output.say(f"{name.ljust(width)}  {value}")
    if told["scheme_told_by"]:
        output.say(f"the labels' scheme was told by: {told['scheme_told_by']}")
    if told["unused_images"]:
        output.say(f"images of no case: {told['unused_images']}")
    _say_list("notes", [f"{name}: {note}" for name, notes in told["notes"].items() for note in notes])
    _say_list("problems", told["problems"])


def say_conversion(done: Conversion, manifest: Manifest, *, as_json: bool) -> None:
    """Print what a conversion did.

    Args:
        done: The conversion.
        manifest: What was converted.
        as_json: Whether as one JSON object.
    """
    document = {
        "output": str(done.target),
        "layout": done.layout,
        "cases": done.cases,
        "files": dict(done.files),
        "notes": list(done.notes),
        "problems": list(manifest.problems),
    }
    if as_json:
        output.say_json(document)
        return
    files = ", ".join(f"{count} {how}" for how, count in sorted(done.files.items()))
    output.say(f"{done.cases} cases in the layout {done.layout} written to {done.target} (files: {files})")
    _say_list("notes", list(done.notes))
    _say_list("problems of the source, which are not in the result", list(manifest.problems))


def _say_list(title: str, lines: list[str]) -> None:
    if not lines:
        return
    output.say(f"{title}:")
    for line in lines[:_MAX_SHOWN]:
        output.say(f"  {line}")
    if len(lines) > _MAX_SHOWN:
        output.say(f"  ... and {len(lines) - _MAX_SHOWN} more; --json shows all")
