"""`tds plan`: what to train with on a data set and a GPU, and why."""

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from tds_cli import logs
from tds_cli.errors import UsageFault
from tds_cli.options import AsJson, Verbose

Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="The data set's folder or manifest, or the YAML file of a training run.")
]
Target = Annotated[Path, typer.Option("--output", "-o", metavar="PLAN", help="YAML file to write.")]
Network = Annotated[str | None, typer.Option("--network", metavar="NAME", help="Network; segresnet by default.")]
TaskName = Annotated[
    str | None, typer.Option("--task", metavar="NAME", help="What is learned; brain-tumour by default.")
]
Vram = Annotated[
    str | None,
    typer.Option("--vram", metavar="SIZE", help="Memory of the GPU to stay below, such as 8GB, the default."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A value of the training configuration; repeatable."),
]
Workers = Annotated[int, typer.Option("--workers", min=1, metavar="N", help="Cases in work at the same time.")]

_SIZE: Final = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[MGT]i?B?)?", re.IGNORECASE)
_UNITS: Final = {"m": 1024**2, "g": 1024**3, "t": 1024**4}


def plan(  # noqa: PLR0913  # a command's parameters are its options
    data: Data,
    *,
    out: Target,
    network: Network = None,
    task: TaskName = None,
    vram: Vram = None,
    settings: Settings = None,
    workers: Workers = 2,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Look at a data set and choose voxel size, patch, batch and the network's shape for it, with reasons.

    The plan is a file to read and to change; `tds train` takes it as `plan: PLAN`.
    """
    logs.set_verbosity(verbose=verbose)
    chosen = [*(settings or ())]
    if network is not None:
        chosen.append(f"network.name={network}")
    if task is not None:
        chosen.append(f"task={task}")
    if vram is not None:
        chosen.append(f"safety.vram_target_bytes={parse_size(vram, '--vram')}")
    from tds_cli import planning  # noqa: PLC0415  # loads torch, which `tds --help` must not wait for

    request = planning.PlanRequest(data=data, target=out, settings=tuple(chosen), workers=workers)
    planning.plan_and_tell(request, as_json=as_json)


def parse_size(text: str, option: str) -> int:
    """Return a size in bytes; GB counts 1024 cubed, as it does on graphics cards.

    Args:
        text: Such as `8GB` or `512MB`; a number alone is in GB.
        option: Which option it is from, for the message.

    Raises:
        UsageFault: If it is no size above 0.

    Examples:
        >>> parse_size("8GB", "--vram") == 8 * 1024**3
        True
    """
    match = _SIZE.fullmatch(text.strip())
    size = int(float(match["number"]) * _UNITS[(match["unit"] or "g")[0].lower()]) if match else 0
    if size < 1:
        message = f"{option} takes a size such as 8GB; {text[:80]!r} was given"
        raise UsageFault(message)
    return size
