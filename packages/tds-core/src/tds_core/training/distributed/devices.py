"""Which device a process trains on."""

import torch

from tds_core.errors import ConfigError
from tds_core.training.config import Device
from tds_core.training.distributed.launch import Launch


def choose_device(wanted: Device, launch: Launch | None = None) -> torch.device:
    """Return the device of a process: each has a GPU of its own.

    Args:
        wanted: What the configuration says.
        launch: The place of the process; alone if `None`.

    Raises:
        ConfigError: If a GPU was asked for and there is none, or a machine runs more processes than it has GPUs.
    """
    place = launch or Launch()
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted is Device.CPU or (wanted is Device.AUTO and not gpus):
        return torch.device("cpu")
    if not gpus:
        message = f"device: cuda was asked for, but {_why_no_gpu()}; or set device: cpu or device: auto"
        raise ConfigError(message)
    if place.local_size > gpus:
        message = (
            f"{place.local_size} processes were started on a machine with {gpus} GPU(s), and each needs its own; "
            f"start torchrun with --nproc-per-node={gpus}, or set device: cpu"
        )
        raise ConfigError(message)
    return torch.device("cuda", place.local_rank)


def _why_no_gpu() -> str:
    if torch.version.cuda is None:
        return f"torch {torch.__version__} was built without CUDA: install a build with it"
    return (
        f"torch {torch.__version__}, built for CUDA {torch.version.cuda}, sees no GPU: look at nvidia-smi, the "
        "driver's version and CUDA_VISIBLE_DEVICES"
    )
