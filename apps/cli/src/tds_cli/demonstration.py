"""A phantom patient, written as files and segmented as any other study."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tds_cli.output import Progress
from tds_cli.pipeline import SegmentRequest, segment_into
from tds_cli.results import HTML_NAME, MASK_NAME, OVERLAY_NAME, PDF_NAME
from tds_cli.study import StudyRequest
from tds_data.atomic import RESULT_MARKER, atomic_folder, check_target
from tds_data.case import Case
from tds_data.errors import DataError
from tds_data.nifti import write_volume
from tds_data.phantom import PhantomConfig, make_phantom
from tds_data.report import LesionReport

PHANTOM_FOLDER: Final = "phantom"
"""Where the phantom's own files are inside the demo's folder."""

_RESULT_FILES: Final = frozenset({MASK_NAME, OVERLAY_NAME, HTML_NAME, PDF_NAME, RESULT_MARKER})
_PHANTOM_FILE: Final = re.compile(r"phantom-\d{4,}_(?:t1|t1ce|t2|flair|seg)\.nii\.gz")


def demonstrate(out: Path, *, seed: int, progress: Progress, spacing_mm: float = 1.0) -> LesionReport:
    """Make a phantom, segment it from its files and return what was found.

    Args:
        out: Folder to make; an earlier demo in its place is replaced.
        seed: Which phantom.
        progress: Hears of each stage.
        spacing_mm: Edge of the phantom's voxels.

    Raises:
        VolumeWriteError: If the folder cannot be made, or holds something that no demo wrote.
        DataError: If nilearn, which ships the anatomy, is not installed.
        ModelError: If the shipped model was altered.
    """
    overwrite = is_demo(out)
    check_target(out, overwrite=overwrite)
    progress("making a phantom patient")
    case = make_phantom(PhantomConfig(seed=seed, spacing_mm=spacing_mm))
    with atomic_folder(out, overwrite=overwrite) as folder:
        files = folder / PHANTOM_FOLDER
        write_brats(case, files)
        request = SegmentRequest(study=StudyRequest(path=files))
        return segment_into(folder, request, progress=progress)


def write_brats(case: Case, folder: Path) -> None:
    """Write a case as files named as in BraTS.

    Args:
        case: With or without a reference mask.
        folder: Made if absent.

    Raises:
        VolumeWriteError: If a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    volumes = {str(modality): volume for modality, volume in case.images.items()}
    if case.reference is not None:
        volumes["seg"] = case.reference
    with ThreadPoolExecutor(len(volumes), thread_name_prefix="phantom") as pool:
        tasks = [pool.submit(write_volume, folder / f"{case.name}_{n}.nii.gz", v) for n, v in volumes.items()]
        for task in tasks:
            task.result()


def is_demo(folder: Path) -> bool:
    """Tell whether a folder holds an earlier demo and nothing else: not one file or folder that no demo writes.

    Args:
        folder: Any path.
    """
    try:
        if not _holds_only_ours(folder):
            return False
        document = json.loads((folder / RESULT_MARKER).read_text(encoding="utf-8"))
        return LesionReport.from_dict(document).phantom
    except (OSError, ValueError, DataError):
        return False


def _holds_only_ours(folder: Path) -> bool:
    phantom = folder / PHANTOM_FOLDER
    others = [path for path in folder.iterdir() if path != phantom]
    return (
        _is_plain(phantom, folder=True)
        and all(path.name in _RESULT_FILES and _is_plain(path) for path in others)
        and all(_PHANTOM_FILE.fullmatch(path.name) and _is_plain(path) for path in phantom.iterdir())
    )


def _is_plain(path: Path, *, folder: bool = False) -> bool:
    return not path.is_symlink() and (path.is_dir() if folder else path.is_file())
