"""The process that delivers a journal: `python -m tds_core.training.tracking RUN`.

It is a process of its own so that a slow, broken or hanging back end takes no time, memory or lock of the training's.
It outlives a training process that was killed by half a minute at most, to deliver what there is.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tds_core.training.tracking.delivery import Delivery
from tds_core.training.tracking.journal import TRACKING_FOLDER
from tds_core.training.tracking.lock import FileLock
from tds_core.training.tracking.mlflow_sink import MlflowSink
from tds_core.training.tracking.targets import Targets, address_tag, without_credentials
from tds_core.training.tracking.tensorboard_sink import TensorBoardSink

_LOCK_NAME: Final = "delivery.lock"
_ORPHAN_S: Final = 30.0
_POLL_S: Final = 0.25
_KINDNESS: Final = 5

# A back end that does not answer is tried again by the delivery; waiting inside MLflow would only hide it.
_ENVIRONMENT: Final = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
_OFFLINE: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "DO_NOT_TRACK": "true",
    "CUDA_VISIBLE_DEVICES": "",
}


class DiscreetFormatter(logging.Formatter):
    """Formats messages and tracebacks, of libraries too, without user and password in addresses."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record.

        Args:
            record: Of any logger.
        """
        return without_credentials(super().format(record))


def main(arguments: list[str] | None = None) -> int:
    """Deliver and return 0 if everything was delivered, 1 if something is left, 3 if another process delivers.

    Args:
        arguments: Of the command line.
    """
    parser = argparse.ArgumentParser(description="Deliver the journal of a training run.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--parent", type=int, help="deliver while this process lives; once if it is left out")
    chosen = parser.parse_args(arguments)
    _prepare()
    parent = chosen.parent
    orphaned = (lambda: False) if parent is None else (lambda: os.getppid() != parent)
    with FileLock(chosen.run / TRACKING_FOLDER / _LOCK_NAME) as lock:
        while not lock.take():
            if parent is None or orphaned():
                return 3
            time.sleep(_POLL_S)
        deliveries = open_deliveries(chosen.run, Targets.load(chosen.run))
        if parent is None:
            outcomes = [delivery.drain() for delivery in deliveries]  # each of them, whatever becomes of the first
            return 0 if all(outcomes) else 1
        return 0 if deliver_while(deliveries, orphaned) else 1


def open_deliveries(folder: Path, targets: Targets) -> list[Delivery]:
    """Return a delivery to each back end of a run.

    Args:
        folder: The run folder.
        targets: Which.
    """
    deliveries = []
    if targets.mlflow_uri is not None:
        tag = address_tag(f"{targets.mlflow_uri} {targets.experiment}")
        deliveries.append(Delivery(folder, MlflowSink(folder, targets), tag))
    if targets.tensorboard:
        deliveries.append(Delivery(folder, TensorBoardSink(folder), "tensorboard"))
    return deliveries


def deliver_while(deliveries: list[Delivery], orphaned: Callable[[], bool], *, orphan_s: float = _ORPHAN_S) -> bool:
    """Deliver until the run's end was delivered, or some time after the training process is gone.

    Args:
        deliveries: To each back end; a slow one does not hold up the others.
        orphaned: Tells whether it is gone.
        orphan_s: How long to go on then, in seconds.

    Returns:
        Whether everything was delivered.
    """
    stop, outcomes = threading.Event(), dict[int, bool]()

    def carry(number: int, delivery: Delivery) -> None:
        outcomes[number] = delivery.run(stop)
        delivery.close()

    threads = [threading.Thread(target=carry, args=pair, daemon=True) for pair in enumerate(deliveries)]
    for thread in threads:
        thread.start()
    end = float("inf")
    while any(thread.is_alive() for thread in threads) and time.monotonic() < end:
        time.sleep(_POLL_S)
        if orphaned() and not stop.is_set():
            stop.set()
            end = time.monotonic() + orphan_s
    return len(outcomes) == len(deliveries) and all(outcomes.values())


def _prepare() -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.update(_OFFLINE)
    handler = logging.StreamHandler()
    handler.setFormatter(DiscreetFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the training process decides when this one ends
    if sys.platform != "win32":
        os.nice(_KINDNESS)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a thread may hang in a back end that does not answer
