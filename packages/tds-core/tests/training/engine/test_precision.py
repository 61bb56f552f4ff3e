from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tds_core.errors import ConfigError
from tds_core.training.config import Precision
from tds_core.training.engine.precision import ThinConvolutionsInFloat32, low_precision, number_format

CPU = torch.device("cpu")


def test_precisions_are_number_formats() -> None:
    assert number_format(Precision.FP32, CPU) is None
    assert number_format(Precision.BF16, CPU) is torch.bfloat16


def test_fp16_on_a_cpu_is_told_to_be_slow(caplog: pytest.LogCaptureFixture) -> None:
    assert number_format(Precision.FP16, CPU) is torch.float16
    assert "fp16_is_slow_on_cpu" in caplog.text


def test_gpu_without_bf16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with pytest.raises(ConfigError, match="set precision to fp16 or fp32"):
        number_format(Precision.BF16, torch.device("cuda"))


def test_without_a_format_everything_stays_in_float32() -> None:
    with low_precision(CPU, None):
        assert nn.Conv3d(2, 2, 3)(torch.zeros(1, 2, 8, 8, 8)).dtype == torch.float32


@pytest.mark.parametrize(
    ("layer", "shape", "dtype"),
    [
        (nn.Conv3d(16, 16, 3, padding=1), (4, 4, 4), torch.bfloat16),
        (nn.Conv3d(16, 16, 3, padding=1), (3, 9, 9), torch.float32),
        (nn.Conv3d(16, 16, 3, padding=1), (9, 9, 2), torch.float32),
        (nn.Conv3d(16, 16, 1), (2, 2, 2), torch.bfloat16),
        (nn.Conv3d(16, 16, 1), (1, 2, 2), torch.float32),
        (nn.Conv3d(16, 16, 3, padding=2, dilation=2), (6, 9, 9), torch.float32),
        (nn.Conv3d(16, 16, 3, padding=2, dilation=2), (7, 7, 7), torch.bfloat16),
        (nn.ConvTranspose3d(16, 16, 2, stride=2), (3, 3, 3), torch.bfloat16),
        (nn.ConvTranspose3d(16, 16, 2, stride=2), (2, 3, 3), torch.float32),
    ],
)
def test_convolutions_over_images_no_longer_than_the_kernel_stay_in_float32(
    layer: nn.Module, shape: tuple[int, int, int], dtype: torch.dtype
) -> None:
    with low_precision(CPU, torch.bfloat16):
        assert layer(torch.zeros(1, 16, *shape)).dtype == dtype


def gradient(layer: nn.Module, image: Tensor, **how: Any) -> Tensor:
    layer.zero_grad()
    with low_precision(CPU, **how):
        out = layer(image)
    (out.float() ** 2).sum().backward()
    weight = next(layer.parameters())
    assert weight.grad is not None
    return weight.grad.clone()


@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 8, 8), (8, 8, 1), (4, 4, 4)])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_of_weights_are_those_of_float32_but_for_rounding(shape: tuple[int, int, int], stride: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv3d(32, 32, 3, padding=1, stride=stride)
    image = torch.randn(2, 32, *shape)
    for _ in range(3):
        spoilt = [torch.full((1 << 16,), 3e38) for _ in range(4)]
        del spoilt  # so that memory that nobody wrote to shows
        exact, low = gradient(layer, image, dtype=None), gradient(layer, image, dtype=torch.bfloat16)
        assert (exact - low).abs().max() < 0.03 * exact.abs().max()


def test_arguments_may_have_names() -> None:
    image, weight = torch.zeros(1, 2, 2, 2, 2), torch.zeros(2, 2, 3, 3, 3)
    with low_precision(CPU, torch.bfloat16):
        assert torch.conv3d(input=image, weight=weight, padding=1).dtype == torch.float32
        assert torch.conv3d(image, weight=weight, padding=1, dilation=(1,)).dtype == torch.float32


def test_low_precision_ends_with_its_block() -> None:
    layer, image = nn.Conv3d(2, 2, 3, padding=1), torch.zeros(1, 2, 8, 8, 8)
    with low_precision(CPU, torch.bfloat16):
        pass
    assert layer(image).dtype == torch.float32
    with ThinConvolutionsInFloat32():
        assert layer(image).dtype == torch.float32
