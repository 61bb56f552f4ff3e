import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tds_core.pictures import encode_png
from tds_core.training.tracking.delivery import Delivery
from tds_core.training.tracking.journal import journal_path
from tds_core.training.tracking.positions import save_position
from tds_core.training.tracking.records import Record
from tds_core.training.tracking.tensorboard_sink import TENSORBOARD_FOLDER, TensorBoardSink

from .conftest import metric, run_record

Note = Callable[[list[Record]], None]


def deliver(folder: Path) -> None:
    carrier = Delivery(folder, TensorBoardSink(folder), "tensorboard")
    assert carrier.drain(), carrier.problem
    carrier.close()


def read(folder: Path) -> EventAccumulator:
    sizes = {"scalars": 0, "images": 0, "tensors": 0}
    return EventAccumulator(str(folder / TENSORBOARD_FOLDER), size_guidance=sizes).Reload()


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(e.step, e.value) for e in read(folder).Scalars(tag)]


def picture(folder: Path, step: int) -> Record:
    file = folder / "tracking" / f"{step}.png"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(encode_png(np.full((4, 6, 3), step, dtype=np.uint8)))
    return Record(kind="picture", time_ms=1, step=step, body={"name": "c-axial", "file": f"tracking/{step}.png"})


def test_scalars_pictures_events_and_the_configuration_are_there(run_folder: Path, note: Note) -> None:
    event = Record(kind="event", time_ms=1, step=2, body={"name": "rollback", "values": {"to": 1}})
    other = Record(kind="artefact", time_ms=1, step=2, body={"name": "x", "path": "x"})
    note([run_record(), metric(1, 1500, loss=0.5, odd="NaN"), picture(run_folder, 2), event, other])
    deliver(run_folder)
    there = read(run_folder)
    assert points(run_folder, "loss") == [(1, 0.5)]
    assert there.Scalars("loss")[0].wall_time == 1.5
    assert math.isnan(there.Scalars("odd")[0].value)
    (image,) = there.Images("overlays/c-axial")
    assert (image.step, image.width, image.height) == (2, 6, 4)
    assert b'"to": 1' in there.Tensors("events/rollback")[0].tensor_proto.string_val[0]
    assert b"dice_ce" in there.Tensors("run/config")[0].tensor_proto.string_val[0]
    assert b"not a medical device" in there.Tensors("run/facts")[0].tensor_proto.string_val[0]


def test_a_killed_and_resumed_run_shows_each_point_once(run_folder: Path, note: Note) -> None:
    note([run_record(), *(metric(n, loss=float(n)) for n in range(1, 6)), metric(5, val=0.5), picture(run_folder, 5)])
    deliver(run_folder)
    # The next process dies after step 8, resumes from step 5 and reaches step 9.
    note([metric(n, loss=float(n)) for n in range(6, 9)])
    deliver(run_folder)
    again = [metric(n, loss=float(n)) for n in range(6, 10)]
    note([run_record(resumed=True), Record(kind="rewind", time_ms=1, step=5), *again])
    deliver(run_folder)
    assert points(run_folder, "loss") == [(n, float(n)) for n in range(1, 10)]
    assert points(run_folder, "val") == [(5, 0.5)]
    assert [e.step for e in read(run_folder).Images("overlays/c-axial")] == [5]


def test_what_was_written_but_not_noted_as_delivered_shows_once(run_folder: Path, note: Note) -> None:
    note([run_record(), metric(1, a=1.0), metric(2, a=2.0), metric(2, b=9.0)])
    deliver(run_folder)
    carrier = Delivery(run_folder, TensorBoardSink(run_folder), "tensorboard")
    before = carrier._position
    note([metric(2, c=3.0), metric(3, a=3.0), metric(4, a=4.0)])
    assert carrier.drain()
    carrier.close()
    save_position(run_folder, "tensorboard", before)  # killed between the two
    deliver(run_folder)
    assert points(run_folder, "a") == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
    assert points(run_folder, "b") == [(2, 9.0)]
    assert points(run_folder, "c") == [(2, 3.0)]


def test_an_event_file_that_was_torn_in_half_is_read_and_gone_on_with(run_folder: Path, note: Note) -> None:
    note([run_record(), metric(1, a=1.0)])
    deliver(run_folder)
    carrier = Delivery(run_folder, TensorBoardSink(run_folder), "tensorboard")
    before = carrier._position
    note([metric(2, a=2.0), metric(3, a=3.0)])
    assert carrier.drain()
    carrier.close()
    newest = max((run_folder / TENSORBOARD_FOLDER).iterdir(), key=lambda p: p.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:-9])
    save_position(run_folder, "tensorboard", before)
    deliver(run_folder)
    assert points(run_folder, "a") == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_a_rollback_takes_the_steps_back_in_the_same_process(run_folder: Path, note: Note) -> None:
    note([run_record(), metric(1, a=1.0), metric(2, a=9.0), Record(kind="rewind", time_ms=1, step=1), metric(2, a=2.0)])
    deliver(run_folder)
    assert points(run_folder, "a") == [(1, 1.0), (2, 2.0)]


def test_a_resumed_run_that_notes_nothing_changes_nothing(run_folder: Path, note: Note) -> None:
    note([run_record(), metric(1, a=1.0)])
    deliver(run_folder)
    note([Record(kind="finish", time_ms=1, body={"status": "stopped"})])
    deliver(run_folder)
    assert points(run_folder, "a") == [(1, 1.0)]


def test_a_picture_that_is_gone_is_counted(run_folder: Path, note: Note) -> None:
    note([run_record(), picture(run_folder, 1)])
    (run_folder / "tracking" / "1.png").unlink()
    sink = TensorBoardSink(run_folder)
    carrier = Delivery(run_folder, sink, "tensorboard")
    assert carrier.drain()
    assert carrier._position.refused == 1
    carrier.close()


def test_a_folder_that_cannot_be_written_is_tried_again_later(run_folder: Path, note: Note) -> None:
    note([run_record(), metric(1, a=1.0)])
    (run_folder / TENSORBOARD_FOLDER).write_text("in the way")
    carrier = Delivery(run_folder, TensorBoardSink(run_folder), "tensorboard")
    assert not carrier.drain()
    (run_folder / TENSORBOARD_FOLDER).unlink()
    assert carrier.drain(), carrier.problem
    carrier.close()
    assert points(run_folder, "a") == [(1, 1.0)]
    assert journal_path(run_folder).exists()


def test_many_lives_show_each_point_once(run_folder: Path, note: Note) -> None:
    note([run_record()])
    for life in range(12):
        note([metric(life + 1, a=float(life))])
        deliver(run_folder)
    assert points(run_folder, "a") == [(n + 1, float(n)) for n in range(12)]
