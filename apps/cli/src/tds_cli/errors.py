"""What can go wrong in tds_cli itself.

::

    CliError
    ├── UsageFault (ValueError)      the command line asks for something that cannot be
    ├── ReferenceMissing (ValueError)  cases to be scored have no reference mask
    ├── OutputLost (OSError)         stdout takes nothing more
    └── TrainingStopped              a training run was asked to stop and can go on

    Stopped (BaseException)          a signal asks the program to stop

Exit codes are in `tds_cli.exit_codes` and nowhere else.
"""

from collections.abc import Sequence


class CliError(Exception):
    """Root of every error that tds_cli raises on purpose."""


class UsageFault(CliError, ValueError):
    """The command line asks for something that cannot be."""


class ReferenceMissing(CliError, ValueError):
    """Cases to be scored have no reference mask.

    Attributes:
        cases: Their names.
    """

    def __init__(self, cases: Sequence[str]) -> None:
        super().__init__(
            f"no reference mask for {', '.join(cases)}; add one named *_seg.nii.gz to each folder, "
            "or choose other cases with --case"
        )
        self.cases = tuple(cases)


class OutputLost(CliError, OSError):
    """Stdout takes nothing more: its reader has gone away, its disk is full or it is closed."""


class TrainingStopped(CliError):
    """A training run was asked to stop, kept what it had done, and can go on.

    Attributes:
        signal_name: The signal that asked, such as `SIGTERM`; empty if something else did.
    """

    def __init__(self, message: str, signal_name: str) -> None:
        super().__init__(message)
        self.signal_name = signal_name


class Stopped(BaseException):
    """A signal asks the program to stop. No `Exception`, so that nothing takes it for a failed study.

    Attributes:
        signal_number: The signal, such as 15.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number
