"""One patient through `tds segment` and through MONAI's bundle pipeline, side by side on the same machine.

    python benchmarks/against_monai.py [PATIENT] [-n RUNS] [-o FILE.json]

PATIENT is a folder with four files named as in BraTS; without one a phantom of 1 mm stands in for it, and the artefact
says so.

MONAI's side is what its BraTS bundle does on a CPU: read four files, stack, z-score each over its non-zero voxels,
SegResNet with 16 filters over the whole volume, threshold, write the mask. Its weights are random: only time and memory
are compared. Each run is a process of its own; wall time is from process start to finished files, memory is the peak
resident set of that process. Needs `tds-cli` and `tds-core[train]`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from segment_time import make_study, processor

MODALITIES = ("t1ce", "t1", "t2", "flair")


def monai_pipeline(patient: Path, target: Path, precision: str) -> None:
    """Segment one patient as MONAI's bundle does."""
    import torch  # noqa: PLC0415  # only the child that measures MONAI pays for it
    from monai.inferers import SlidingWindowInferer  # noqa: PLC0415
    from monai.networks.nets import SegResNet  # noqa: PLC0415
    from monai.transforms import LoadImage, NormalizeIntensity, SaveImage  # noqa: PLC0415

    files = [str(next(patient.glob(f"*_{m}.nii.gz"))) for m in MODALITIES]
    image = NormalizeIntensity(nonzero=True, channel_wise=True)(LoadImage(ensure_channel_first=True)(files))
    network = SegResNet(
        spatial_dims=3,
        init_filters=16,
        in_channels=4,
        out_channels=3,
        blocks_down=(1, 2, 2, 4),
        blocks_up=(1, 1, 1),
        dropout_prob=0.2,
    ).eval()
    inferer = SlidingWindowInferer(roi_size=(240, 240, 160), sw_batch_size=1, overlap=0.5)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    with torch.inference_mode(), torch.autocast("cpu", dtype=kind, enabled=precision == "bf16"):
        logits = inferer(image[None], network)[0]
    mask = (logits > 0).to(torch.uint8)
    mask.affine = image.affine
    SaveImage(output_dir=target, separate_folder=False, print_log=False)(mask)


def measured(command: list[str]) -> dict[str, float]:
    """Run a command and return its wall time in seconds and its peak resident set in GB."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        start = time.perf_counter()
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  # our own commands
        wall = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
        answer = {"wall_s": wall, "peak_gb": peak, "rc": done.returncode, "error": done.stderr[-2000:]}
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = json.loads(stream.read())
    os.waitpid(child, 0)
    if answer["rc"] != 0:
        sys.exit(f"{command[0]} failed: {answer['error']}")
    return {"wall_s": answer["wall_s"], "peak_gb": answer["peak_gb"]}


def commands(patient: Path, scratch: Path) -> dict[str, list[str]]:
    """Return what is compared."""
    tds = [sys.executable, "-m", "tds_cli", "segment", str(patient), "-o", str(scratch / "tds"), "--overwrite"]
    child = [sys.executable, "-W", "ignore", __file__, str(patient), "--child", str(scratch / "monai"), "--precision"]
    return {"tds": tds, "monai_fp32": [*child, "fp32"], "monai_bf16": [*child, "bf16"]}


def compare(patient: Path, runs: int) -> dict[str, Any]:
    """Return medians over interleaved runs, and ratios to ours."""
    measurements: dict[str, list[dict[str, float]]] = {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as scratch:
            for name, command in commands(patient, Path(scratch)).items():
                measurements.setdefault(name, []).append(measured(command))
                print(name, measurements[name][-1], file=sys.stderr)
    result: dict[str, Any] = {
        name: {key: round(median(r[key] for r in entries), 2) for key in ("wall_s", "peak_gb")}
        for name, entries in measurements.items()
    }
    for name in ("monai_fp32", "monai_bf16"):
        for key in ("wall_s", "peak_gb"):
            result[name][f"{key}_ratio"] = round(result[name][key] / result["tds"][key], 2)
    return result


def main() -> None:
    """Compare, or be the child that runs MONAI."""
    parser = argparse.ArgumentParser(description="Time one patient through tds segment and through MONAI's pipeline.")
    parser.add_argument("patient", type=Path, nargs="?", help="study to segment; a phantom if left out")
    parser.add_argument("-n", "--runs", type=int, default=3, help="how often (default 3)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--precision", default="fp32", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        monai_pipeline(arguments.patient, arguments.child, arguments.precision)
        return
    with tempfile.TemporaryDirectory() as scratch:
        patient = arguments.patient or make_study(Path(scratch))
        document = {
            "benchmark": "against_monai",
            "case": "phantom" if arguments.patient is None else patient.name,
            "phantom": arguments.patient is None,
            "cores": len(os.sched_getaffinity(0)),
            "processor": processor(),
            "runs": arguments.runs,
            "versions": {name: version(name) for name in ("tds-cli", "monai", "torch", "openvino")},
            **compare(patient, arguments.runs),
        }
    text = json.dumps(document, indent=2) + "\n"
    if arguments.output:
        arguments.output.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
