"""TensorBoard as a back end.

The event files are written with TensorBoard's own writer, because importing torch's takes half a gigabyte of memory in
the process that delivers. A run that goes on or goes back writes the mark that `purge_step` stands for: TensorBoard
then forgets what it read for that step and later ones, and what is still true of it is written again.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from tds_core.training.tracking.journal import journal_path, read_records
from tds_core.training.tracking.positions import Position
from tds_core.training.tracking.records import Record, decode_number
from tds_core.training.tracking.targets import without_credentials
from tds_core.training.tracking.timeline import live_records

if TYPE_CHECKING:  # extra `track`
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

TENSORBOARD_FOLDER: Final = "tensorboard"
"""Folder in the run folder that TensorBoard reads."""

_ON_STEPS: Final = frozenset({"metrics", "event", "picture", "rewind"})


class TensorBoardSink:
    """Event files in the run folder.

    Args:
        folder: The run folder.
    """

    name = "tensorboard"
    run = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: EventFileWriter | None = None
        self._offset = 0

    def begin(self, position: Position) -> None:
        """Note how far an earlier process got; the file is made with the first records.

        Args:
            position: That.
        """
        self._offset = position.offset

    def deliver(self, records: Sequence[Record]) -> int:
        """Write records and return how many pictures are gone.

        Args:
            records: In order.

        Raises:
            OSError: If they cannot be written.
        """
        if self._writer is None:
            from tensorboard.summary.writer.event_file_writer import (  # noqa: PLC0415  # extra `track`
                EventFileWriter,
            )

            self._writer = EventFileWriter(str(self._folder / TENSORBOARD_FOLDER))
            self._go_on()
        refused = sum(self._write(record) for record in records)
        self._writer.flush()
        return refused

    def close(self) -> None:
        """Close the file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _go_on(self) -> None:
        """Make TensorBoard forget what may be there twice, and write again what it forgets besides."""
        if not self._offset:
            return
        path = journal_path(self._folder)
        coming = (record for record, _ in read_records(path, self._offset) if record is not None)
        first = min((r.step + (r.kind == "rewind") for r in coming if r.kind in _ON_STEPS), default=None)
        if first is None:
            return
        self._purge(first)
        for record in live_records(path, self._offset):
            if record.step >= first:
                self._write(record)

    def _write(self, record: Record) -> int:
        match record.kind:
            case "run":
                self._run_text(record)
            case "rewind":
                self._purge(record.step + 1)
            case "metrics":
                values = ((name, decode_number(value)) for name, value in record.body["values"].items())
                self._add(record, _scalars(values))
            case "event":
                text = json.dumps(record.body["values"], ensure_ascii=False, indent=2)
                self._add(record, _text(f"events/{record.body['name']}", f"```json\n{text}\n```"))
            case "picture":
                path = self._folder / record.body["file"]
                if not path.is_file():
                    return 1
                self._add(record, _picture(f"overlays/{record.body['name']}", path.read_bytes()))
            case _:  # files are MLflow's
                pass
        return 0

    def _run_text(self, record: Record) -> None:
        body = record.body
        config = without_credentials(yaml.safe_dump(body["config"], sort_keys=False, allow_unicode=True))
        facts = yaml.safe_dump(body["tags"], sort_keys=True, allow_unicode=True)
        self._add(record, _text("run/config", f"```yaml\n{config}```"))
        self._add(record, _text("run/facts", f"```yaml\n{facts}```"))

    def _purge(self, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # noqa: PLC0415  # extra `track`

        self._put(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def _add(self, record: Record, summary: "Summary") -> None:
        from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415  # extra `track`

        self._put(Event(step=record.step, wall_time=record.time_ms / 1000, summary=summary))

    def _put(self, event: Any) -> None:  # noqa: ANN401  # made at run time from a protocol file
        if self._writer is not None:
            self._writer.add_event(event)


def _scalars(values: Iterable[tuple[str, float]]) -> "Summary":
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415  # extra `track`

    return Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values])


def _picture(tag: str, png: bytes) -> "Summary":
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415  # extra `track`

    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=png)
    return Summary(value=[Summary.Value(tag=tag, image=image)])


def _text(tag: str, text: str) -> "Summary":
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata  # noqa: PLC0415  # extra `track`
    from tensorboard.compat.proto.tensor_pb2 import TensorProto  # noqa: PLC0415  # as above

    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()])
    return Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)])
