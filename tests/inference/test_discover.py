"""Which trained model is taken where none is named."""

import os
from collections.abc import Callable
from pathlib import Path

from vctool.inference import discover


def test_models_of_one_time_are_asked_in_the_order_of_their_names(
    tmp_path: Path, save_toy: Callable[..., Path]
) -> None:
    for name, seconds in (("dee", 2), ("abe", 1), ("eve", 2), ("bob", 2), ("cid", 3)):
        os.utime(save_toy(name) / "checkpoints/step-00000007/state.json", (seconds, seconds))
    refused: list[str] = []
    found = discover._trained(tmp_path / "exp", refused)
    names = [folder.parent.parent.name for folder in found]
    assert (names, refused) == (["cid", "bob", "dee", "eve", "abe"], [])
