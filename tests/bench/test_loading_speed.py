"""The digest's share of the time that loading a checkpoint takes.

Of the standard library's hashes CRC-32 is the fastest: 4.2 GB/s on one core, where SHA-256 makes
1.8 and BLAKE2b 0.9. Building a network and copying its weights is hardly slower than that, so the
share is a twentieth for a network of 9 MiB, and for one of 838 MiB a sixth of the processor's time,
which its threads halve on two idle cores.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vctool import checkpoints
from vctool.config import PROJECT_ROOT, build, merge, read_yaml
from vctool.engine import checkpoint
from vctool.experiment.recipe import resolve
from vctool.models.base import Context, family

MOST_SHARE = 0.2
RUNS = 5


def fastest(work: Callable[[], object]) -> float:
    """Return the least of several times [s]: other work only adds to it."""
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def save(name: str, conf: str, features: str, folder: Path) -> Path:
    """Save the untrained system of a conf."""
    tree = merge(
        read_yaml(PROJECT_ROOT / f"conf/{name}/{conf}.yaml"),
        {
            "name": "bench",
            "corpus": {"speech": "mini", "singing": "mini"},
            "features": f"conf/features/{features}.yaml",
        },
    )
    recipe = resolve(tree, conf)
    cls = family(recipe.family)
    context = Context(features=recipe.features, vocoder=recipe.vocoder, roles=("speech", "singing"))
    torch.manual_seed(0)
    system = cls(build(cls.Config, recipe.model, conf), context)
    return checkpoint.save(folder, system, family=recipe.family, step=0)


@pytest.mark.parametrize("conf", ["default", "published"])
def test_checking_the_weights_is_a_small_part_of_loading_them(
    conf: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save("vocal_cyclegan", conf, "44k", tmp_path)
    model = folder / checkpoints.MODEL
    whole = fastest(lambda: checkpoint.load(folder))
    digest = fastest(lambda: checkpoints.digest(model))
    with capsys.disabled():
        print(
            f"\n{conf}: {model.stat().st_size / 2**20:.0f} MiB in {whole:.2f} s, of which the "
            f"digest takes {digest:.3f} s, a share of {digest / whole:.1%}",
            end="",
        )
    assert digest < MOST_SHARE * whole
