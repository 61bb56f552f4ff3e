"""What `tds plan` does, and what it tells."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tds_cli import output
from tds_cli.dataset_summary import open_dataset
from tds_cli.errors import UsageFault
from tds_core.errors import MissingDependency
from tds_core.training.config import TrainingConfig, apply_overrides, load_config, parse, to_document

if TYPE_CHECKING:
    from tds_core.training.planning import Plan, Source

_CONFIG_SUFFIXES: Final = (".yaml", ".yml")
_NEEDED: Final = ("torch", "monai")
_GIB: Final = 1024**3
_ANY_PATCH: Final = (64, 64, 64)
_NOTICE: Final = "Research use only. Not a medical device. The plan says what fits, not how well it will work."


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What is asked of `tds plan`.

    Attributes:
        data: A data set's folder or manifest, or the YAML file of a training run.
        target: File to write.
        settings: Values of the training configuration, `KEY=VALUE` each.
        workers: Cases in work at the same time.
    """

    data: Path
    target: Path
    settings: tuple[str, ...]
    workers: int


def plan_and_tell(request: PlanRequest, *, as_json: bool) -> None:
    """Make a plan, write it and print it.

    Args:
        request: What to plan.
        as_json: Whether a program reads along.

    Raises:
        UsageFault: If the target is there already, or the data set is not.
        MissingDependency: If the extra `train` is not installed.
        ConfigError: If a setting cannot be, or nothing fits.
        DataError: If a case cannot be read (from tds_data).
    """
    absent = next((name for name in _NEEDED if find_spec(name) is None), None)
    if absent is not None:
        raise MissingDependency(absent, "train")
    if request.target.exists():
        message = f"{str(request.target)!r} is there already and may have been changed; name another file or remove it"
        raise UsageFault(message)
    from tds_core.training.models import patch_factors  # noqa: PLC0415  # loads torch
    from tds_core.training.planning import make_plan, take_fingerprint, write_plan  # noqa: PLC0415  # as above

    config = _config(request)
    patch_factors(config.network, _ANY_PATCH)  # a network that cannot be is told of before any case is looked at
    with output.progress_on_stderr() as progress:

        def show(done: int, total: int, what: str) -> None:
            progress(f"{what}: {done} of {total}")

        sources = [_source(config, number, request.workers, show) for number in range(len(config.data.datasets))]
        fingerprint = take_fingerprint(sources, config.goal, workers=request.workers, progress=show)
        progress("fitting patch and network")
        made = make_plan(fingerprint, config, config.safety.vram_target_bytes)
    write_plan(made, request.target)
    if as_json:
        output.say_json({**to_document(made), "output": str(request.target)})
    else:
        _say(made, request.target)


def _config(request: PlanRequest) -> TrainingConfig:
    if not request.data.exists():
        message = f"there is no file or folder {str(request.data)!r}; check the path"
        raise UsageFault(message)
    if request.data.suffix in _CONFIG_SUFFIXES:
        from tds_core.training.run import with_absolute_paths  # noqa: PLC0415  # loads torch

        return with_absolute_paths(load_config(request.data, request.settings), request.data.resolve().parent)
    document: dict[str, Any] = {"name": "plan", "data": {"datasets": [{"path": str(request.data.resolve())}]}}
    return parse(TrainingConfig, apply_overrides(document, request.settings))


def _source(config: TrainingConfig, number: int, workers: int, show: Any) -> "Source":  # noqa: ANN401  # a callback
    from tds_core.training.planning import Source  # noqa: PLC0415  # loads torch

    dataset = config.data.datasets[number]
    if dataset.path is None:
        message = (
            f"data.datasets.{number} has phantoms, which are not there before the run; tds train plans for itself, or "
            "make them with tds data synth and give their folder"
        )
        raise UsageFault(message)
    manifest = open_dataset(dataset.path, layout=None, scheme=None, strict=False, workers=workers, progress=show)
    return Source(manifest=manifest, others=dataset.others)


def _say(plan: "Plan", target: Path) -> None:
    memory, micro = plan.memory, plan.micro_batch
    rows = [
        ("network", plan.network, "network"),
        ("spacing", f"{_times(plan.spacing_mm)} mm", "spacing_mm"),
        ("patch", f"{_times(plan.patch)} voxels", "patch"),
        ("batch", f"{plan.batch}" + ("" if micro is None else f", {micro} at a time"), "batch"),
        ("device memory", f"{memory['total'] / _GIB:.1f} of {plan.vram_target_bytes / _GIB:.1f} GiB", "memory"),
        ("host memory", f"{memory['host_total'] / _GIB:.1f} GiB", ""),
    ]
    output.say_table(("", "planned"), [(name, value) for name, value, _ in rows])
    output.say()
    for name, _, decision in rows:
        for sentence in plan.reasons.get(decision, ()):
            output.say(f"{name}: {sentence}")
    for warning in plan.warnings:
        output.say(f"warning: {warning}")
    output.say(f"written to {target}")
    output.say(_NOTICE)


def _times(numbers: tuple[float, float, float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
