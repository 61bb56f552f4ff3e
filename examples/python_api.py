"""Find a tumour from Python, without data of your own: `python examples/python_api.py [FOLDER]`.

FOLDER is a study; without one a phantom is made, for which `tds-data[phantom]` must be installed. Research use only.
"""

import sys
import tempfile
from pathlib import Path

from tds_core import Segmentation, quick_detect
from tds_data import PhantomConfig, make_phantom, write_volume


def main() -> None:
    """Segment a study and print what was found."""
    if len(sys.argv) > 1:
        tell(quick_detect(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_phantom(Path(folder), seed=7)
        print("This patient is a phantom: its figures say nothing about real ones.")
        tell(quick_detect(folder))


def write_phantom(folder: Path, *, seed: int) -> None:
    """Write a phantom patient as NIfTI files with plain names, its true mask among them.

    Args:
        folder: An existing folder.
        seed: Which phantom.
    """
    case = make_phantom(PhantomConfig(seed=seed, spacing_mm=2.0))
    for modality, volume in case.images.items():
        write_volume(folder / f"{modality}.nii.gz", volume)
    if case.reference is not None:
        write_volume(folder / "seg.nii.gz", case.reference)


def tell(found: Segmentation) -> None:
    """Print a segmentation in a few lines.

    Args:
        found: What `quick_detect` returned.
    """
    report = found.report
    print(report.notice)
    for region, volume_ml in report.volume_ml.items():
        print(f"{region}: {volume_ml:.1f} mL")
    for lesion in report.lesions:
        x, y, z = lesion.centroid_mm
        print(f"lesion {lesion.number}: centre at RAS ({x:.0f}, {y:.0f}, {z:.0f}) mm")
    if report.dice is not None:
        print("Dice:", ", ".join(f"{region} {value:.2f}" for region, value in report.dice.items()))


if __name__ == "__main__":
    main()
