import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from tds_data import MODALITIES, Case, Volume, write_volume
from tds_data.testing import draw_brain

CODE = """
import json, sys, time
from importlib import import_module
from pathlib import Path
from tds_data import load_case
from tds_data.discover import discover
module, name = sys.argv[1].split(":")
check = getattr(import_module(module), name)
for folder in sys.argv[2:]:
    case = load_case(discover(Path(folder)))
    start = time.process_time()
    flags = check(case)
    print(json.dumps([time.process_time() - start, [[flag.severity, flag.code] for flag in flags]]))
"""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Timed:
    """What a check said of a case, as severities and codes, and how long it took."""

    seconds: float
    flags: list[tuple[str, str]]


@pytest.fixture
def timed() -> Callable[[str, Iterable[Path]], list[Timed]]:
    """Run a check, `module:name`, over studies in a process with one linear-algebra thread.

    Several such threads that wait for each other on a busy machine use processor time without doing anything.
    """

    def run(check: str, folders: Iterable[Path]) -> list[Timed]:
        command = [sys.executable, "-c", CODE, check, *map(str, folders)]
        environment = {**os.environ, **ONE_THREAD}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: S603  # our own code
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return [Timed(seconds, [(severity, code) for severity, code in flags]) for seconds, flags in lines]

    return run


@pytest.fixture(scope="session")
def textured() -> Case:
    """A stripped head at 3 mm of about 1300 mL whose four sequences have tissues of their own, and noise."""
    rng = np.random.default_rng(3)
    shape = (52, 64, 50)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside = x**2 + y**2 + z**2 < 0.82
    patterns = [ndimage.gaussian_filter(rng.normal(size=shape), 2.5) for _ in range(3)]
    images = {}
    for modality in MODALITIES:
        mixed = sum(weight * pattern for weight, pattern in zip(rng.normal(size=3), patterns, strict=True))
        voxels = 600 + 150 * mixed / mixed.std() + rng.normal(0, 10, shape)
        images[modality] = np.where(inside, np.clip(voxels, 5, None), 0).astype(np.int16)
    affine = np.array([[-3.0, 0, 0, 75], [0, -3, 0, 95], [0, 0, 3, -70], [0, 0, 0, 1]])
    return Case(name="textured", images={m: Volume(v, affine) for m, v in images.items()})


@pytest.fixture
def dataset(textured: Case, tmp_path: Path) -> Callable[..., Path]:
    """Write cases as plain folders of files, changed as asked, and return the data set's folder."""

    def write(**cases: Case | None) -> Path:
        root = tmp_path / "set"
        for name, case in cases.items():
            write_case(root / name, case or textured)
        return root

    return write


def write_case(folder: Path, case: Case) -> None:
    folder.mkdir(parents=True)
    for modality, volume in case.images.items():
        write_volume(folder / f"{modality}.nii.gz", volume)
    if case.reference is not None:
        write_volume(folder / "seg.nii.gz", case.reference)


@pytest.fixture
def noisier() -> Callable[[int], Case]:
    """Return another patient's brain, with a lesion of three labels."""

    def make(seed: int) -> Case:
        brain = draw_brain(seed=seed)
        labels = np.array(brain.reference.voxels)
        places = np.argwhere(labels)
        for label, share in ((3, 0.6), (1, 0.3)):
            middle = places.mean(axis=0)
            near = np.linalg.norm(places - middle, axis=1) < share * np.linalg.norm(places - middle, axis=1).max()
            labels[tuple(places[near].T)] = label
        return Case(name="other", images=brain.images, reference=brain.grid.with_voxels(labels))

    return make
