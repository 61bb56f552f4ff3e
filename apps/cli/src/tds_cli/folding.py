"""What `tds data folds` checks before its work and tells after it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from tds_cli import output
from tds_cli.errors import UsageFault
from tds_cli.target_file import check_target_file
from tds_data.curation import Folds, read_folds, read_nnunet_splits
from tds_data.datasets import Manifest
from tds_data.errors import FoldError


def check_targets(out: Path, nnunet: Path | None, *, overwrite: bool) -> None:
    """Refuse early, before long work, files that will not be written.

    Args:
        out: File of folds.
        nnunet: File of splits for nnU-Net, if it is asked for.
        overwrite: Whether earlier ones may be replaced.

    Raises:
        UsageFault: If a folder is missing or cannot be written to, a file is there that may not be replaced, or both
            are one.
    """
    targets = [out] if nnunet is None else [out, nnunet]
    for target in targets:
        if target.is_dir() or (target.exists() and not overwrite):
            message = f"{str(target)!r} exists; choose another name or add --overwrite to replace a file"
            raise UsageFault(message)
    if nnunet is not None and out.absolute() == nnunet.absolute():
        message = "-o and --nnunet name the same file; choose two"
        raise UsageFault(message)
    check_target_file(out, what="folds", read=read_folds)
    if nnunet is not None:
        check_target_file(nnunet, what="splits of nnU-Net", read=read_nnunet_splits)


def known_volumes(out: Path, manifest: Manifest) -> Mapping[str, float] | None:
    """Return the volumes that earlier folds of the same data set hold, or `None`.

    Args:
        out: File of folds, perhaps.
        manifest: The data set.
    """
    try:
        return read_folds(out, manifest=manifest).volumes_ml
    except FoldError:  # there are none, or of another data set
        return None


def fold_table(folds: Folds, manifest: Manifest) -> dict[str, Any]:
    """Return a split in numbers, as plain JSON types.

    Args:
        folds: The split.
        manifest: Its data set.
    """
    parts = [(f"fold {number}", names) for number, names in enumerate(folds.folds)]
    if folds.holdout:
        parts.append(("holdout", folds.holdout))
    return {
        "seed": folds.seed,
        "attribute": folds.attribute,
        "manifest_sha256": folds.manifest_sha256,
        "parts": [_part(name, names, folds, manifest) for name, names in parts],
        "left_out": list(folds.left_out),
        "leaks": 0,
    }


def say_folds(folds: Folds, manifest: Manifest) -> None:
    """Print a split as a table.

    Args:
        folds: The split.
        manifest: Its data set.
    """
    table = fold_table(folds, manifest)
    numbers = ("mean", "median", "smallest", "largest")
    rows = [
        [
            part["name"],
            str(part["patients"]),
            str(len(part["cases"])),
            *(f"{part['tumour_ml'][number]:.1f}" for number in numbers),
        ]
        for part in table["parts"]
    ]
    output.say_table(["part", "patients", "cases", *(f"{number} mL" for number in numbers)], rows)
    if folds.left_out:
        output.say(f"not used, for want of a mask or as asked: {len(folds.left_out)} cases")
    output.say("no leak: no patient and no image is in two parts")


def _part(name: str, names: Sequence[str], folds: Folds, manifest: Manifest) -> dict[str, Any]:
    patients = {case.name: case.patient for case in manifest.cases}
    volumes = [folds.volumes_ml[case] for case in names]
    return {
        "name": name,
        "patients": len({patients[case] for case in names}),
        "cases": list(names),
        "tumour_ml": {
            "mean": round(fmean(volumes), 3),
            "median": round(median(volumes), 3),
            "smallest": min(volumes),
            "largest": max(volumes),
        },
    }
