import pytest
import torch
from torch import Tensor

from tds_core.training.config import Heads
from tds_data.task import BRAIN_TUMOUR, Task


@pytest.fixture
def task() -> Task:
    return BRAIN_TUMOUR


@pytest.fixture
def labels() -> Tensor:
    """Three patches: a tumour with all labels, one with oedema alone, and none."""
    labels = torch.zeros(3, 8, 12, 16, dtype=torch.uint8)
    labels[0, 1:7, 2:10, 3:12] = 2
    labels[0, 2:5, 4:8, 5:10] = 3
    labels[0, 3:5, 5:7, 6:8] = 1
    labels[1, 5:, 8:, 2:4] = 2
    return labels


@pytest.fixture(params=list(Heads), ids=str)
def heads(request: pytest.FixtureRequest) -> Heads:
    return Heads(request.param)


@pytest.fixture
def logits(heads: Heads) -> Tensor:
    channels = 3 if heads is Heads.REGIONS else 4
    return 2 * torch.randn(3, channels, 8, 12, 16, generator=torch.Generator().manual_seed(0))
