"""Networks on OpenVINO: converted once, kept in a folder, made again when anything about them has changed, and run."""

import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from tds_data.errors import MissingDependency, VolumeWriteError

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Takes one tensor and returns the first output."""

_GRAPH: Final = "model.xml"
_WEIGHTS: Final = "model.bin"
_HASHES: Final = "sha256.json"

logger = logging.getLogger(__name__)


def load_openvino() -> Any:  # noqa: ANN401  # OpenVINO carries no annotations
    """Return OpenVINO.

    Raises:
        MissingDependency: If it is not installed.
    """
    try:
        import openvino  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MissingDependency("openvino", "strip") from error
    return openvino


def cached_model(folder: Path | None, name: str, convert: Callable[[], Any]) -> Any:  # noqa: ANN401  # as above
    """Return a model, from a folder if it is there and undamaged, else made and put there.

    Args:
        folder: Where converted models are kept, one sub-folder each; made if need be. With `None` nothing is kept.
        name: Stands for all that the model depends on but the version of OpenVINO, which is added.
        convert: Makes the model.

    Raises:
        VolumeWriteError: If the folder cannot be written to.
        MissingDependency: If OpenVINO is not installed.
    """
    openvino = load_openvino()
    if folder is None:
        return convert()
    place = folder / f"{name}-openvino-{openvino.__version__.partition('-')[0]}"
    if not _is_sound(place):
        _keep(convert(), place)
        logger.info("network_converted name=%s", place.name)
    return openvino.Core().read_model(place / _GRAPH)


def compiled(model: Any, shape: tuple[int, ...], threads: int | None = None) -> Network:  # noqa: ANN401  # as above
    """Return a model ready to run on tensors of one shape, on the CPU and in float32 whatever the processor offers.

    Single precision everywhere, so that the same image gives the same mask on every machine.

    Args:
        model: From `cached_model`.
        shape: Shape of the tensors.
        threads: Threads to use; all cores of the process if `None`.
    """
    openvino = load_openvino()
    properties = openvino.properties
    options = {
        properties.hint.inference_precision: openvino.Type.f32,
        properties.hint.num_requests: 1,
        properties.inference_num_threads: threads or _process_cores(),
    }
    model.reshape(list(shape))
    network = openvino.Core().compile_model(model, "CPU", options)
    return lambda tensor: np.array(network(tensor, share_inputs=True)[0], dtype=np.float32)


def _keep(model: Any, place: Path) -> None:  # noqa: ANN401  # as above
    partial = place.with_name(f".{place.name}.partial-{os.getpid()}-{uuid4().hex[:8]}")
    try:
        partial.mkdir(parents=True)
        load_openvino().save_model(model, partial / _GRAPH, compress_to_fp16=False)
        (partial / _HASHES).write_text(json.dumps(_hashes(partial)), encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)
        partial.rename(place)
    except OSError as error:
        if not _is_sound(place):  # or else another process has put it there meanwhile
            raise VolumeWriteError(place, f"{error.strerror or error}; choose another cache folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_sound(place: Path) -> bool:
    if not place.exists():
        return False
    try:
        expected = json.loads((place / _HASHES).read_text(encoding="utf-8"))
        sound: bool = expected == _hashes(place)
    except (OSError, ValueError):
        sound = False
    if not sound:
        logger.warning("cached_network_damaged name=%s: it is made again", place.name)
    return sound


def _hashes(place: Path) -> dict[str, str]:
    hashes = {}
    for name in (_GRAPH, _WEIGHTS):
        with (place / name).open("rb") as file:
            hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _process_cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
