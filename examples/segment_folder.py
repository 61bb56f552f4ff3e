"""Segment every study below a folder: `python examples/segment_folder.py STUDIES OUT`.

Each sub-folder of STUDIES is one study. OUT gets a folder with mask, picture, report and numbers for each; a study that
is refused is told and left out. The model is loaded once. Needs tds-core and tds-clinical. Research use only.
"""

import json
import sys
from pathlib import Path

from tds_clinical.reports import write_html, write_overlay
from tds_core import Segmentation, TumorDetector
from tds_data import DataError, atomic_folder, write_volume


def main() -> None:
    """Segment the studies that the command line names."""
    if len(sys.argv) != len(("script", "STUDIES", "OUT")):
        sys.exit(__doc__)
    studies, out = Path(sys.argv[1]), Path(sys.argv[2])
    refused = segment_all(studies, out)
    sys.exit(1 if refused else 0)


def segment_all(studies: Path, out: Path) -> list[str]:
    """Segment every study and return the names of those that were refused.

    Args:
        studies: Folder with one sub-folder per study.
        out: Folder for the results; made if absent. Studies with a result there are skipped.
    """
    detector = TumorDetector()
    refused = []
    for study in sorted(path for path in studies.iterdir() if path.is_dir()):
        target = out / study.name
        if target.exists():
            print(f"{study.name}: has a result already")
            continue
        try:
            write_result(detector.predict(study), target)
        except DataError as error:
            print(f"{study.name}: refused: {error}")
            refused.append(study.name)
        else:
            print(f"{study.name}: done")
    return refused


def write_result(found: Segmentation, target: Path) -> None:
    """Write a result folder, whole or not at all.

    Args:
        found: What the detector returned.
        target: Folder to make.
    """
    with atomic_folder(target) as folder:
        write_volume(folder / "mask.nii.gz", found.mask)
        write_overlay(folder / "overlay.png", found.case, found.mask, found.report)
        write_html(folder / "report.html", found.case, found.mask, found.report)
        text = json.dumps(found.report.to_dict(), indent=2)
        (folder / "result.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
