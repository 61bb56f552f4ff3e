"""Bundles made on the command line: of runs, of other bundles, of MONAI bundles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tds_cli.errors import UsageFault
from tds_core.bundle import load_bundle
from tds_core.training.export import BundleNaming, EnsembleNaming, PackedBundle, export_run, make_ensemble
from tds_core.training.export.monai import ImportOptions, import_monai


@dataclass(frozen=True, slots=True, kw_only=True)
class MonaiRequest:
    """Which MONAI bundle to import, and what it does not say.

    Attributes:
        source: Folder or archive.
        target: Folder to make.
        naming: What to call the bundle.
        spacing_mm: Edges of the network's voxels along x, y, z.
        patch: Voxels of a window along x, y, z.
        orientation: Order of the axes that the network was trained on.
    """

    source: Path
    target: Path
    naming: BundleNaming
    spacing_mm: tuple[float, float, float] | None = None
    patch: tuple[float, float, float] | None = None
    orientation: str | None = None


def export(run: Path, target: Path, naming: BundleNaming) -> dict[str, Any]:
    """Return what was made of a run.

    Args:
        run: A folder of `tds train`.
        target: Folder to make.
        naming: What to call the bundle.

    Raises:
        CoreError: If the folder is no run, or its network cannot be exported.
        VolumeWriteError: If the target cannot be made.
    """
    return _told(export_run(run, target, naming=naming))


def import_from_monai(request: MonaiRequest) -> dict[str, Any]:
    """Return what was made of a MONAI bundle.

    Args:
        request: Which, and what it does not say.

    Raises:
        UsageFault: If a window has a fraction of a voxel.
        CoreError: If the bundle cannot be imported.
        DataError: If its archive is refused or the target cannot be made.
    """
    patch = None
    if request.patch is not None:
        if any(edge != int(edge) for edge in request.patch):
            message = f"--patch takes whole numbers of voxels; {request.patch} was given"
            raise UsageFault(message)
        x, y, z = (int(edge) for edge in request.patch)
        patch = (x, y, z)
    options = ImportOptions(
        name=request.naming.name,
        version=request.naming.version,
        licence=request.naming.licence,
        spacing_mm=request.spacing_mm,
        patch=patch,
        orientation=request.orientation,
    )
    return _told(import_monai(request.source, request.target, options=options))


def ensemble(
    folders: Sequence[Path],
    target: Path,
    *,
    trusted: Sequence[str],
    shares: Sequence[float] | None,
    naming: BundleNaming,
) -> dict[str, Any]:
    """Return what was made of several bundles.

    Args:
        folders: The bundles.
        target: Folder to make.
        trusted: SHA-256 values of their manifests.
        shares: How much each counts; all alike if `None`.
        naming: What to call the ensemble.

    Raises:
        ModelError: If a bundle is refused, or they do not fit together.
        VolumeWriteError: If the target cannot be made.
    """
    bundles = [load_bundle(folder, trusted=trusted) for folder in folders]
    usual = EnsembleNaming()
    named = EnsembleNaming(name=naming.name or usual.name, version=naming.version or usual.version)
    return _told(make_ensemble(bundles, target, shares=shares, naming=named))


def _told(packed: PackedBundle) -> dict[str, Any]:
    return {"output": str(packed.folder), "sha256": packed.sha256, "notes": list(packed.notes)}
