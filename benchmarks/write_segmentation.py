"""How long a DICOM Segmentation takes: ours, highdicom's constructor and dcmqi's itkimage2segimage, in one run.

    python benchmarks/write_segmentation.py [-n RUNS] [-o FILE.json] [--size COLUMNS ROWS SLICES]

A phantom's mask, three labels in lesions of several slices, is written on a classic series of the size given, from the
mask in memory to the file on disk. highdicom is given the same segments and leaves out empty frames, as we do. dcmqi is
a program, so its time holds its start and the reading of its inputs, the mask as NIfTI and the headers of the series;
what it takes to write one frame of eight by eight pixels is told beside it. Ways take turns. Each file is read back,
and the number of voxels of each label must be the mask's. Wall and processor time are told, medians over the runs.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

WAYS = ("ours", "ours_labelmap", "highdicom", "highdicom_labelmap", "dcmqi", "dcmqi_labelmap")
CODES = {1: ("6574001", "SCT", "Necrosis"), 2: ("79654002", "SCT", "Edema"), 3: ("C113842", "NCIt", "Enhancing Lesion")}
FEWEST = 2
CATEGORY = ("49755003", "SCT", "Morphologically Abnormal Structure")


@dataclass(frozen=True)
class Study:
    """A series on disk and a mask on it."""

    folder: Path
    nifti: Path
    context: Any
    labels: NDArray[np.uint8]


def main() -> None:
    """Measure and tell."""
    arguments = _parse()
    with tempfile.TemporaryDirectory(prefix="tds-bench-") as scratch:
        study = make_study(Path(scratch), tuple(arguments.size))
        small = make_study(Path(scratch) / "small", (8, 8, 2))
        begun = _seconds(write_with_dcmqi, small, Path(scratch) / "small.dcm", labelmap=False)
        runs: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        sizes: dict[str, int] = {}
        for _ in range(arguments.runs + 1):  # the first one warms up
            for way in WAYS:
                path = Path(scratch) / f"{way}.dcm"
                runs[way].append(measure(way, study, path))
                sizes[way] = path.stat().st_size
    document = {
        "size": arguments.size,
        "runs": arguments.runs,
        "wall_s": {way: round(median(wall for wall, _ in taken[1:]), 3) for way, taken in runs.items()},
        "cpu_s": {way: round(median(cpu for _, cpu in taken[1:]), 3) for way, taken in runs.items()},
        "bytes": sizes,
        "frames": int((study.labels.any(axis=(0, 1))).sum()),
        "dcmqi_smallest_s": round(begun, 3),
        "cores": len(os.sched_getaffinity(0)),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in ("tds-clinical", "highdicom", "dcmqi", "pydicom", "numpy")},
        "other_load": arguments.other_load,
    }
    tell(document)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def make_study(folder: Path, size: tuple[int, int, int]) -> Study:
    """Write a series and return it with a mask of three labels in two lesions."""
    import nibabel as nib  # noqa: PLC0415  # after the arguments are known to be right

    from tds_clinical.dicom import read_series, read_series_headers, read_source  # noqa: PLC0415  # each way is imported where it is timed
    from tds_clinical.findings import ResultContext, find_findings  # noqa: PLC0415  # each way is imported where it is timed
    from tds_clinical.testing import ClassicSeriesOptions, write_classic_series  # noqa: PLC0415  # each way is imported where it is timed
    from tds_clinical.uids import Uids  # noqa: PLC0415  # each way is imported where it is timed
    from tds_data.volume import Volume  # noqa: PLC0415  # each way is imported where it is timed

    rng = np.random.default_rng(7)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    voxels = rng.integers(0, 2000, size).astype(np.uint16)
    write_classic_series(Volume(voxels, affine), folder / "series", ClassicSeriesOptions())
    (series,) = read_series_headers(folder / "series")
    image, source = read_series(series), read_source(series)
    mask = image.with_voxels(draw(image.shape))
    nib.save(nib.Nifti1Image(mask.voxels, mask.ras_from_voxel), folder / "mask.nii.gz")
    uids = Uids("benchmark")
    context = ResultContext(
        source=source,
        findings=find_findings(mask, report_on(mask), uids),
        uids=uids,
        made_at=datetime(2024, 1, 1, tzinfo=UTC),
    )
    return Study(folder / "series", folder / "mask.nii.gz", context, np.asarray(mask.voxels))


def draw(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return two lesions, layered as tumours are; the larger one reaches through all slices."""
    grid = np.indices(shape, dtype=np.float32)
    labels = np.zeros(shape, np.uint8)
    for centre, size in (((0.4, 0.45, 0.5), (0.2, 0.2, 0.56)), ((0.8, 0.75, 0.4), (0.06, 0.06, 0.1))):
        offsets = [(g - c * (n - 1)) / max(s * n, 0.5) for g, c, n, s in zip(grid, centre, shape, size, strict=True)]
        distance = np.sqrt(sum(offset**2 for offset in offsets))
        for label, radius in ((2, 1.0), (3, 0.7), (1, 0.4)):
            labels[distance <= radius] = label
    return labels


def report_on(mask: Any) -> Any:  # noqa: ANN401  # volumes and reports are imported late
    """Return what a perfect program reports about a mask."""
    from scipy import ndimage  # noqa: PLC0415  # as above

    from tds_data.report import Lesion, LesionReport, ModelIdentity  # noqa: PLC0415  # each way is imported where it is timed
    from tds_data.vocabulary import REGION_LABELS, REGIONS, Modality  # noqa: PLC0415  # each way is imported where it is timed

    components, count = ndimage.label(mask.voxels, structure=np.ones((3, 3, 3)))
    lesions = []
    for number in range(1, count + 1):
        where = components == number
        places = np.argwhere(where) @ mask.ras_from_voxel[:3, :3].T + mask.ras_from_voxel[:3, 3]
        inside = mask.voxels[where]
        lesions.append(
            Lesion(
                number=number,
                centroid_mm=tuple(places.mean(axis=0).tolist()),
                bounding_box_mm=(tuple(places.min(axis=0).tolist()), tuple(places.max(axis=0).tolist())),
                longest_diameter_mm=float(np.linalg.norm(np.ptp(places, axis=0))),
                volume_ml={r: float(np.isin(inside, list(REGION_LABELS[r])).sum()) / 1000 for r in REGIONS},
            )
        )
    totals = {region: sum(lesion.volume_ml[region] for lesion in lesions) for region in REGIONS}
    model = ModelIdentity(name="benchmark", version="1", sha256="0" * 64, architecture="none", licence="MIT")
    return LesionReport(
        case="benchmark", modalities=(Modality.T1,), lesions=tuple(lesions), volume_ml=totals, quality=(), model=model
    )


def measure(way: str, study: Study, path: Path) -> tuple[float, float]:
    """Return wall and processor seconds of one writing, its file checked."""
    writer, _, kind = way.partition("_")
    write = {"ours": write_with_ours, "highdicom": write_with_highdicom, "dcmqi": write_with_dcmqi}[writer]
    cpu = _processor()
    wall = _seconds(write, study, path, labelmap=kind == "labelmap")
    cpu = _processor() - cpu
    check(study, path)
    return wall, cpu


def write_with_ours(study: Study, path: Path, *, labelmap: bool) -> None:
    """Write with tds_clinical."""
    from tds_clinical.dicom.writing.segmentation import SegmentationKind, build_segmentation  # noqa: PLC0415  # each way is imported where it is timed

    kind = SegmentationKind.LABELMAP if labelmap else SegmentationKind.BINARY
    build_segmentation(study.context, kind=kind).save_as(path, enforce_file_format=True)


def write_with_highdicom(study: Study, path: Path, *, labelmap: bool) -> None:
    """Write with highdicom's constructor, as its guide shows."""
    import highdicom as hd  # noqa: PLC0415  # as above
    from pydicom.sr.coding import Code  # noqa: PLC0415  # each way is imported where it is timed

    from tds_clinical.dicom.writing.segmentation import segment_numbers  # noqa: PLC0415  # each way is imported where it is timed

    algorithm = hd.AlgorithmIdentificationSequence(
        name="benchmark", version="1", family=Code("123110", "DCM", "Artificial Intelligence")
    )
    described = [
        hd.seg.SegmentDescription(
            segment_number=segment.number,
            segment_label=f"Lesion {segment.lesion} {segment.label.name}",
            segmented_property_category=Code(*CATEGORY),
            segmented_property_type=Code(*CODES[segment.label]),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            tracking_id=segment.tracking_id,
            tracking_uid=segment.tracking_uid,
        )
        for segment in study.context.findings.segments
    ]
    hd.seg.Segmentation(
        source_images=list(study.context.source.headers),
        pixel_array=segment_numbers(study.context.findings).transpose(2, 1, 0),
        segmentation_type="LABELMAP" if labelmap else "BINARY",
        segment_descriptions=described,
        series_instance_uid=hd.UID(),
        series_number=1,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="benchmark",
        manufacturer_model_name="benchmark",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=not labelmap,
    ).save_as(path)


def write_with_dcmqi(study: Study, path: Path, *, labelmap: bool) -> None:
    """Write with dcmqi's program: a segment for each label, because its labels are all that a mask holds."""
    described = path.with_suffix(".json")
    described.write_text(json.dumps(_dcmqi_metadata()), encoding="utf-8")
    program = Path(sys.executable).with_name("itkimage2segimage")
    inputs = ["--inputImageList", study.nifti, "--inputDICOMDirectory", study.folder, "--inputMetadata", described]
    kind = ["--segmentationType", "labelmap" if labelmap else "binary"]
    command = [program, *inputs, *kind, "--outputDICOM", path, "--skip", "1"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)  # noqa: S603  # a fixed program


def _dcmqi_metadata() -> dict[str, Any]:
    def code(value: str, scheme: str, meaning: str) -> dict[str, str]:
        return {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}

    segments = [
        {
            "labelID": label,
            "SegmentDescription": CODES[label][2],
            "SegmentAlgorithmType": "AUTOMATIC",
            "SegmentAlgorithmName": "benchmark",
            "SegmentedPropertyCategoryCodeSequence": code(*CATEGORY),
            "SegmentedPropertyTypeCodeSequence": code(*CODES[label]),
            "recommendedDisplayRGBValue": [200, 100, 0],
        }
        for label in CODES
    ]
    return {
        "ContentCreatorName": "benchmark",
        "SeriesNumber": "1",
        "InstanceNumber": "1",
        "segmentAttributes": [segments],
    }


def check(study: Study, path: Path) -> None:
    """Refuse a file that does not hold the voxels of each label."""
    from tds_clinical.dicom.reading_back import read_segmentation  # noqa: PLC0415  # as above

    mask, _ = read_segmentation(path)
    read, true = (np.bincount(np.asarray(v).ravel(), minlength=4)[1:] for v in (mask.voxels, study.labels))
    if not np.array_equal(read, true):
        message = f"{path.name} holds {read.tolist()} voxels of the labels, the mask {true.tolist()}"
        raise SystemExit(message)


def tell(document: dict[str, Any]) -> None:
    """Print a table."""
    print(f"{'way':20} {'wall s':>8} {'cpu s':>8} {'MiB':>8}")
    for way in WAYS:
        mib = document["bytes"][way] / 2**20
        print(f"{way:20} {document['wall_s'][way]:8.3f} {document['cpu_s'][way]:8.3f} {mib:8.2f}")
    print(f"dcmqi's smallest file: {document['dcmqi_smallest_s']} s")


def _seconds(write: Callable[..., None], study: Study, path: Path, *, labelmap: bool) -> float:
    begun = time.perf_counter()
    write(study, path, labelmap=labelmap)
    return time.perf_counter() - begun


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the writing of segmentations.")
    parser.add_argument("-n", "--runs", type=int, default=5, help="how many runs for each figure (default 5)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--size", type=int, nargs=3, default=[240, 240, 155], help="columns, rows, slices")
    arguments = parser.parse_args()
    if arguments.runs < 1 or min(arguments.size) < FEWEST:
        parser.error("-n takes 1 or more, --size 2 or more each")
    arguments.other_load = round(os.getloadavg()[0], 2)
    return arguments


if __name__ == "__main__":
    main()
