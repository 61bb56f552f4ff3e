from collections.abc import Callable

import pytest
import torch

from tds_core.errors import ConfigError
from tds_core.training.config import Device
from tds_core.training.distributed import Launch, choose_device

Gpus = Callable[..., None]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Gpus:
    def have(count: int, built: str | None = "13.2") -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.version, "cuda", built)

    return have


@pytest.mark.parametrize(
    ("wanted", "count", "chosen"), [("auto", 0, "cpu"), ("auto", 2, "cuda:0"), ("cpu", 2, "cpu"), ("cuda", 1, "cuda:0")]
)
def test_device_is_what_was_asked_for_and_what_there_is(gpus: Gpus, wanted: str, count: int, chosen: str) -> None:
    gpus(count)
    assert choose_device(Device(wanted)) == torch.device(chosen)


def test_each_process_of_a_machine_has_its_own_gpu(gpus: Gpus) -> None:
    gpus(4)
    launch = Launch(rank=6, size=8, local_rank=2, local_size=4)
    assert choose_device(Device.CUDA, launch) == torch.device("cuda", 2)


def test_gpu_that_is_not_there_is_refused_with_where_to_look(gpus: Gpus) -> None:
    gpus(0)
    with pytest.raises(ConfigError, match=r"cuda was asked for.*nvidia-smi.*device: cpu or device: auto"):
        choose_device(Device.CUDA)


def test_torch_without_cuda_is_said_to_be_the_cause(gpus: Gpus) -> None:
    gpus(0, None)
    with pytest.raises(ConfigError, match="built without CUDA"):
        choose_device(Device.CUDA)


@pytest.mark.parametrize("wanted", [Device.CUDA, Device.AUTO])
def test_more_processes_than_gpus_are_refused(gpus: Gpus, wanted: Device) -> None:
    gpus(2)
    with pytest.raises(ConfigError, match=r"3 processes .* 2 GPU.*--nproc-per-node=2"):
        choose_device(wanted, Launch(rank=0, size=3, local_rank=0, local_size=3))
