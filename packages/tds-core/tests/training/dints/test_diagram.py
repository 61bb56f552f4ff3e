from tds_core.training.dints import Architecture, draw


def test_a_topology_is_drawn(found: Architecture) -> None:
    assert draw(found).splitlines()[:5] == [
        "1/2 o---3---o       .       .",
        r"     \z      \=",
        "1/4 o---y---o       o---3---o",
        r"             \x           =/",
        "1/8 .       .       o---z---o",
    ]
