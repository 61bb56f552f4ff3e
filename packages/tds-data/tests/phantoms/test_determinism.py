"""The same seed gives the same voxels, whatever the machine computes with."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from tds_data.phantoms import PhantomConfig, TumourKind, synthesize

CONFIGS = (
    PhantomConfig(seed=3, spacing_mm=4.0, tumours=2),
    PhantomConfig(seed=4, spacing_mm=4.0, kind=TumourKind.RESECTED, motion=1.0),
    PhantomConfig(seed=5, spacing_mm=4.0, kind=TumourKind.LOW_GRADE, with_skull=True),
)
PINNED = (
    "12bacaf018054aa104926fb3",
    "883a6252ae21e47f56244df0",
    "163e7d43d3f3a5486403585c",
)
SCRIPT = "import test_determinism as t; print(*[t.digest(c) for c in t.CONFIGS])"


def digest(config: PhantomConfig) -> str:
    phantom = synthesize(config)
    total = hashlib.sha256()
    for modality, image in phantom.case.images.items():
        total.update(modality.encode())
        total.update(np.ascontiguousarray(image.voxels).tobytes())
    total.update(np.ascontiguousarray(phantom.reference.voxels).tobytes())
    total.update(np.ascontiguousarray(phantom.cavity).tobytes())
    # These are not rounded as images are, so that a difference in a last bit shows.
    for share in phantom.tissues.values():
        total.update(np.ascontiguousarray(share).tobytes())
    for how in phantom.acquisitions.values():
        total.update(repr((how.gain, how.scan, dict(how.signals))).encode())
    return total.hexdigest()[:24]


def vector_units() -> str:
    """Name every set of instructions that NumPy would choose on this processor beyond those of the oldest ones."""
    core = np._core if hasattr(np, "_core") else np.core
    found = core._multiarray_umath
    return " ".join(name for name in found.__cpu_dispatch__ if found.__cpu_features__[name])


@pytest.mark.parametrize(("config", "pinned"), list(zip(CONFIGS, PINNED, strict=True)))
def test_voxels_are_those_of_every_other_machine(config: PhantomConfig, pinned: str) -> None:
    assert digest(config) == pinned


@pytest.mark.parametrize(
    "environment",
    [
        {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
        {"OPENBLAS_CORETYPE": "Prescott", "OMP_NUM_THREADS": "1", "NPY_DISABLE_CPU_FEATURES": vector_units()},
    ],
    ids=["another-blas-and-two-threads", "no-vector-instructions"],
)
def test_blas_threads_and_vector_instructions_decide_nothing(environment: dict[str, str]) -> None:
    here = os.path.dirname(__file__)  # noqa: PTH120  # for the path of imports, which is text
    ran = subprocess.run(  # noqa: S603  # our own interpreter and script
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join([here, *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert tuple(ran.stdout.split()) == PINNED
