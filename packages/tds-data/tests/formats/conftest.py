from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from tds_data import Volume
from tds_data.formats import write_image

RAMP = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
ORIGIN = (11.0, -22.0, 33.0)
WRITTEN = ("v.nii", "v.nii.gz", "v.nrrd", "v.mha", "v.npz")


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Turn about x, then y, then z; angles in radians."""
    turns = []
    for axis, angle in enumerate((x, y, z)):
        turn = np.eye(3)
        first, second = [other for other in range(3) if other != axis]
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        turns.append(turn)
    return turns[2] @ turns[1] @ turns[0]


def affine_of(directions: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.5, 2.5)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions * spacing, ORIGIN
    return affine


def axis_orientations() -> list[np.ndarray]:
    """Directions of all 48 ways in which voxel axes can run along those of space."""
    return [
        np.eye(3)[:, list(order)] * signs
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    ]


@pytest.fixture
def ramp() -> Volume:
    return Volume(RAMP, affine_of(rotation(0.2, -0.1, 0.3)))


@pytest.fixture(params=WRITTEN)
def written(request: pytest.FixtureRequest, tmp_path: Path, ramp: Volume) -> Path:
    """A file of each format, with a space and an umlaut in its path."""
    folder = tmp_path / "ein Ördner"
    folder.mkdir()
    path = folder / f"Müller {request.param}"
    write_image(path, ramp)
    return path


@pytest.fixture
def nrrd(tmp_path: Path) -> Callable[..., Path]:
    """Write a NRRD file of the ramp with some fields changed; `None` drops one."""

    def write(*, data: bytes = RAMP.tobytes(order="F"), name: str = "v.nrrd", **changes: str | None) -> Path:
        fields: dict[str, str | None] = {
            "type": "short",
            "dimension": "3",
            "space": "left-posterior-superior",
            "sizes": "2 3 4",
            "space directions": "(1,0,0) (0,2,0) (0,0,3)",
            "space origin": "(10,20,30)",
            "encoding": "raw",
            "endian": "little",
        }
        fields |= {key.replace("_", " "): value for key, value in changes.items()}
        lines = [f"{key}: {value}" for key, value in fields.items() if value is not None]
        path = tmp_path / name
        path.write_bytes("\n".join(["NRRD0005", *lines]).encode() + b"\n\n" + data)
        return path

    return write


@pytest.fixture
def meta(tmp_path: Path) -> Callable[..., Path]:
    """Write a MetaImage file of the ramp with some fields changed; `None` drops one."""

    def write(*, data: bytes = RAMP.tobytes(order="F"), name: str = "v.mha", **changes: str | None) -> Path:
        fields: dict[str, str | None] = {
            "ObjectType": "Image",
            "NDims": "3",
            "BinaryData": "True",
            "BinaryDataByteOrderMSB": "False",
            "TransformMatrix": "1 0 0 0 1 0 0 0 1",
            "Offset": "10 20 30",
            "ElementSpacing": "1 2 3",
            "DimSize": "2 3 4",
            "ElementType": "MET_SHORT",
            **changes,
        }
        fields |= {"ElementDataFile": fields.pop("ElementDataFile", "LOCAL")}
        lines = [f"{key} = {value}" for key, value in fields.items() if value is not None]
        path = tmp_path / name
        path.write_bytes("\n".join(lines).encode() + b"\n" + data)
        return path

    return write


@pytest.fixture
def orientations() -> list[np.ndarray]:
    return [affine_of(directions) for directions in axis_orientations()]
