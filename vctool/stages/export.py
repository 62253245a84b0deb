"""Stage 7: write a model that runs in real time for hosts without Python.

    exp/<name>/export/model.onnx   the network, in one file, with its facts as metadata
                      model.json   the same facts, voices, licence, sha256
                      host.c       a host in C
                      EXPORT.md    how close it is to the network, its size, its cost

Of a family that does not run in real time there is only EXPORT.md, which says why.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vctool import __version__, checkpoints
from vctool.data.atomic import write_bytes, write_text
from vctool.engine import checkpoint
from vctool.errors import ConfigError, ExportError
from vctool.experiment import terms
from vctool.experiment.recipe import Recipe
from vctool.export.runtime import CARD, MODEL, Exported
from vctool.extras import require
from vctool.markdown import table
from vctool.models.base import Condition, System
from vctool.nn.streaming import NotRealTime, Stream

logger = logging.getLogger(__name__)

REPORT = "EXPORT.md"
HOST = Path(__file__).parents[1] / "export" / "host.c"

LARGEST_MB = 200
"""Maximum size of a model [MB]."""


def run(recipe: Recipe, benchmark: bool = False) -> None:
    """Export an experiment to its own folder.

    Args:
        recipe: the experiment, trained.
        benchmark: measure what it costs, too.

    Raises:
        ExportError: the exported model is not the network; see `export.checks`.
    """
    export(recipe.exp, recipe.exp / "export", benchmark=benchmark)


def export(
    experiment: Path, out: Path | None = None, *, benchmark: bool = False, seconds: float = 10.0
) -> str:
    """Export a trained model, or say why it has no form that runs in real time.

    Args:
        experiment: an experiment, or one of its checkpoints.
        out: the folder to write; `export/` in the experiment where None.
        benchmark: measure what it costs, too.
        seconds: length of each sound that it is compared on [s].

    Returns:
        A line that says what was written, or why nothing was.

    Raises:
        CheckpointError: there is no checkpoint, or it is of a changed family.
        ExportError: the exported model is not the network, or is too large.
        DataError: onnx or onnxruntime is not installed, or the folder cannot be written to.
    """
    folder = checkpoints.find(experiment)
    place = out or folder.parents[1] / "export"
    system, state = checkpoint.load(folder)
    stream = system.streamable()
    name = state["recipe"].get("name") or str(experiment)
    if isinstance(stream, NotRealTime):
        line = f"{name} does not run in real time: {stream.reason}"
        write_text(place / REPORT, f"# {name}\n\n{line}; there is nothing to export.\n")
        logger.info("%s; nothing is exported", line)
        return line
    require("onnx", "export", "models are written with it")
    from vctool.export import checks, parity
    from vctool.export import onnx as writing

    voices = _voices(system)
    content = checks.require(writing.graph(stream, voices), stream)
    if len(content) > LARGEST_MB * 1e6:
        raise ExportError(
            f"{name}: {len(content) / 1e6:.0f} MB, and {LARGEST_MB} is the most; make the model "
            "smaller"
        )
    controls = next(reversed(voices.values()), {})
    exported = Exported(content, name)
    found = parity.measure(stream, lambda: exported.run(controls), controls, seconds)
    card = _card(name, folder, state, stream, voices, content)
    write_bytes(place / MODEL, content)
    write_text(place / CARD, json.dumps(card, indent=1) + "\n")
    write_bytes(place / "host.c", HOST.read_bytes())
    report = _report(card, found)
    if benchmark:
        report += _costs(stream, content, controls)
    write_text(place / REPORT, report)
    late = f"{card['latency_ms']} ms late"
    line = f"{place}: {len(content) / 1e6:.1f} MB, {late}, voices: {', '.join(voices) or 'none'}"
    logger.info("%s", line)
    return line


def _voices(system: System) -> dict[str, dict[str, np.ndarray]]:
    """Return the control values of every role of a system."""
    condition = Condition(options=system.Options())
    return {role: system.controls(condition, role) for role in system.context.roles}


def _card(
    name: str,
    folder: Path,
    state: dict[str, Any],
    stream: Stream,
    voices: dict[str, dict[str, np.ndarray]],
    content: bytes,
) -> dict[str, Any]:
    """Describe an export, as JSON has it."""
    controls = {one: list(value.shape) for one, value in stream.controls.items()}
    wave, packed = [1, 1, f"{stream.granule} * k"], [1, stream.state_size]
    try:
        known = terms.of_model(folder, state)
        licence = [one.line for one in known]
    except ConfigError:  # a checkpoint that was made by hand
        known, licence = [], ["unknown: the checkpoint does not say what it was trained on"]
    return {
        "model": name,
        "family": state["family"],
        "step": state["step"],
        "vctool": __version__,
        "rate": stream.rate,
        "granule": stream.granule,
        "latency": stream.latency,
        "latency_ms": round(1000 * stream.latency / stream.rate, 1),
        "state": stream.state_size,
        "inputs": {"wave": wave, **controls, "state": packed},
        "outputs": {"wave_out": wave, "state_out": packed},
        "voices": {
            voice: {one: np.ravel(value).tolist() for one, value in values.items()}
            for voice, values in voices.items()
        },
        "licence": licence,
        "non_commercial": any(one.non_commercial for one in known),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _report(card: dict[str, Any], found: Any) -> str:
    """Say what was exported and how close it is."""
    rows = [
        (row.sound, *(f"{one:.1e}" for one in row[2:]), f"{row.peak:.3f}") for row in found.rows
    ]
    heads = ("sound", "streamed torch", "ONNX Runtime", "peak")
    voices = ", ".join(card["voices"])
    return f"""# {card["model"]} in real time

{card["family"]}, step {card["step"]}; voices: {voices or "none"}. `host.c` runs it:

    cc -std=c99 -O2 host.c -o host -L ORT/lib -lonnxruntime -lpthread -lm

| | |
|---|---|
| rate | {card["rate"]} Hz |
| granule | {card["granule"]} samples: a chunk is a multiple of it |
| latency | {card["latency"]} samples ({card["latency_ms"]} ms); by an impulse {found.latency} |
| state | {card["state"]} values |
| size | {card["bytes"] / 1e6:.2f} MB, at most {LARGEST_MB} |
| sha256 of model.onnx | `{card["sha256"]}` |
| trained on | {"; ".join(card["licence"])} |

## Parity

{found.seconds:g} s of each sound, in chunks of 1 to 8 and of 32 granules, against torch over the
whole: the largest difference of a sample, of the peak. Streamed torch may differ by 1e-6, ONNX
Runtime by 1e-5. All
{found.blocks} ways of cutting the voice into blocks of a host (1, 17, 64, 441, 512, 1000, 4096 and
random) gave the same bytes.

{_laid(heads, rows)}
"""


def _laid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(table(heads, rows, numbers=True))


def _costs(stream: Stream, content: bytes, controls: dict[str, np.ndarray]) -> str:
    from vctool.export import benchmark

    found = benchmark.measure(stream, content, controls)
    rows = [
        (
            str(one.block),
            f"{one.torch:.3f}",
            f"{one.onnx:.3f}",
            f"{one.faster:.2f}",
            f"{one.ten:.2f}",
            f"{one.sharing:.2f}",
        )
        for one in found.costs
    ]
    heads = (
        "samples at once",
        "torch",
        "ONNX Runtime",
        "faster",
        "ten instances",
        "over ten alone",
    )
    return f"""
## Cost

CPU seconds for each second of sound, on one thread each; ten instances share one session. Bars:
ONNX Runtime at least 1.5 times as fast as torch; ten instances at most 1.1 times ten single ones,
and 1.0 at 1,024 samples and 1.7 at 512.

{_laid(heads, rows)}

One stream takes {found.memory:.0f} MB, the session included, and nine more {found.more:.0f} MB.
"""
