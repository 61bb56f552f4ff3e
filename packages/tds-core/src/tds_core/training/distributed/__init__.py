"""Several processes that train one network, each on its share of every batch."""

from tds_core.training.distributed.devices import choose_device
from tds_core.training.distributed.joining import join_world
from tds_core.training.distributed.launch import Launch, share_of
from tds_core.training.distributed.world import World

__all__ = ["Launch", "World", "choose_device", "join_world", "share_of"]
