"""From a path to the manifest to check, with what already speaks against the data set."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tds_data.datasets.index import SCHEME_EVIDENCE, index_dataset
from tds_data.datasets.manifest import Manifest, read_manifest
from tds_data.datasets.schemes import CUSTOM_SCHEME
from tds_data.errors import SchemeUndecided
from tds_data.quality.codes import flag
from tds_data.report import QualityFlag

Progress = Callable[[int, int, str], None]
"""Hears how many of how many are done, and what it is about."""

_ANY_LABEL: Final = {str(number): (number,) for number in range(1, 5)}
_STAND_IN: Final = "brats-2023"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A data set to check.

    Attributes:
        manifest: Its cases.
        flags: Findings about the data set as a whole.
    """

    manifest: Manifest
    flags: tuple[QualityFlag, ...] = ()


def open_source(
    path: Path,
    *,
    layout: str | None = None,
    scheme: str | None = None,
    workers: int = 2,
    progress: Progress | None = None,
) -> Source:
    """Return the data set at a path: a manifest as it is, or a folder in any layout, indexed now.

    Args:
        path: A `manifest.json` or the data set's folder.
        layout: The folder's layout, or `None` to recognise it.
        scheme: The label scheme of a folder's masks, or `None` to find it out.
        workers: How many files to hash at a time.
        progress: Told after each file.

    Raises:
        DataError: If there is no data set, or no layout that is known, or the manifest cannot be read.
    """
    if path.is_file():
        return _with_problems(read_manifest(path))

    def index(named: str | None) -> Manifest:
        return index_dataset(path, layout=layout, scheme=named, workers=workers, progress=progress)

    try:
        manifest = index(scheme)
    except SchemeUndecided as error:
        manifest = replace(index(_STAND_IN), scheme=CUSTOM_SCHEME, labels=_ANY_LABEL)
        return _with_problems(manifest, flag("SCHEME-UNDECIDED", str(error)))
    if manifest.problems and SCHEME_EVIDENCE in manifest.attributes:
        # A mask that could not be read kept its case out. Where the scheme is named, masks are not read for indexing.
        manifest = index(manifest.scheme)
    return _with_problems(manifest)


def _with_problems(manifest: Manifest, *flags: QualityFlag) -> Source:
    problems = (flag("INDEX-PROBLEM", problem) for problem in manifest.problems)
    return Source(manifest=manifest, flags=(*flags, *problems))
