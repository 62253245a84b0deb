"""`vctool package-vocoder`: write a trained vocoder as one small file with a model card.

    NAME.safetensors    16-bit weights and settings; a path for --vocoder
    NAME.md             what it was trained on, under which terms, and how good it is

The card quotes scores on held-out recordings (stage 6, or `vctool copy-synthesis --out`). Weights
are not packaged if the licence of a training corpus restricts their use.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vctool.data.atomic import write_bytes, write_text
from vctool.data.datadir import DataDir
from vctool.errors import ConfigError, DataError
from vctool.evaluation.page.report import MODEL
from vctool.evaluation.page.table import cell
from vctool.evaluation.vocoders.report import BASELINE
from vctool.experiment import terms
from vctool.markdown import table
from vctool.metrics.base import measures_on
from vctool.vocoders.stored import experiment, packaged
from vctool.vocoders.stored.experiment import Stored

LARGEST = 20_000_000
"""Maximum size of weights that ship with the project [bytes]."""
DECIDING = ("lsd", "mr_stft", "distillmos", "dnsmos_overall", "content")
"""Measures by which a vocoder is compared with Griffin-Lim."""


def run(trained: Path, out: Path, scores: Path | None = None, row: str | None = None) -> str:
    """Write a vocoder and its card.

    Args:
        trained: an experiment of a vocoder's family, or one of its checkpoints.
        out: the file, `*.safetensors`; the card stands beside it.
        scores: folder with `results.json`; None: the experiment's own, by stage 6.
        row: the vocoder's row there; None: `model`, or the path `trained`.

    Returns:
        What was written, and how it compares with Griffin-Lim.

    Raises:
        ConfigError: it is not a vocoder, it is too large for its place, its licence forbids
            sharing, or the name of `out` has another ending.
        CheckpointError: there is no checkpoint, or it is not readable.
        DataError: there are no scores of the vocoder.
    """
    if out.suffix != packaged.SUFFIX:
        raise ConfigError(f"--out {out}: end the name in {packaged.SUFFIX}")
    found = experiment.read(trained)
    licences = _licences(found)
    place = (scores or _experiment(found)) / "results.json"
    measures = _measures(place)
    row = _row(measures, row, trained, place)
    about = f"{found.name} of {found.state['recipe'].get('name', trained)}, step "
    content = packaged.content(
        found.name,
        found.state["config"],
        found.features,
        found.network,
        f"{about}{found.state['step']}",
    )
    if len(content) > LARGEST and out.resolve().parent == packaged.FOLDER:
        raise ConfigError(
            f"--out {out}: {len(content) / 1e6:.1f} MB; at most {LARGEST / 1e6:g} MB come with "
            "the project, so write it elsewhere, or train a smaller one"
        )
    verdict = compare(measures, row)
    write_bytes(out, content)
    card = _card(found, len(content), licences, measures, row, verdict)
    write_text(out.with_suffix(".md"), card)
    return "\n".join([f"wrote {out} ({len(content) / 1e6:.1f} MB) and its card", *verdict])


def _experiment(found: Stored) -> Path:
    """Return the experiment's folder: `exp/NAME/checkpoints/step-...` is two below it."""
    return found.folder.parent.parent


def _licences(found: Stored) -> dict[str, str]:
    """Return the licence terms of its training recordings, by corpus.

    Raises:
        ConfigError: the licence of a corpus does not let everybody use what is made from it.
    """
    known = terms.of_model(found.folder, found.state)
    terms.require_free(known, found.folder)
    return {one.corpus: one.line if one.homepage else one.licence for one in known}


def _measures(place: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Read the values of a copy-synthesis, `[measure][row]`.

    Raises:
        DataError: there are none.
    """
    advice = "run stage 6 (evaluate), or vctool copy-synthesis --out DIR and --scores DIR"
    try:
        found = json.loads(place.read_text("utf-8"))["measures"]
    except FileNotFoundError:
        raise DataError(f"{place}: no scores there to put onto the card; {advice}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{place}: not readable ({error}); {advice}") from None
    if "lsd" not in found or BASELINE not in found["lsd"]:
        raise DataError(f"{place}: holds no vocoder beside {BASELINE}; {advice}")
    measures: dict[str, dict[str, dict[str, Any]]] = found
    return measures


def _row(
    measures: Mapping[str, Mapping[str, Any]], row: str | None, trained: Path, where: Path
) -> str:
    """Find the vocoder's row.

    Raises:
        DataError: it is not in the table.
    """
    rows = list(measures["lsd"])
    for name in (row,) if row is not None else (MODEL, str(trained)):
        if name in rows:
            return name
    raise DataError(f"{where}: no row '{row or trained}'; name one with --row: {', '.join(rows)}")


def compare(measures: Mapping[str, Mapping[str, Any]], row: str) -> list[str]:
    """Say on which measures a vocoder is better or worse than Griffin-Lim.

    Args:
        measures: values by measure and row, with paired differences.
        row: the vocoder's.

    Returns:
        A line for each of `DECIDING` that was taken.
    """
    lines = []
    columns = measures_on("vocoders")
    for name in DECIDING:
        if row not in measures.get(name, {}) or BASELINE not in measures[name]:
            continue
        difference, low, high = measures[name][row]["versus"][BASELINE]
        sign = 1.0 if columns[name].better == "higher" else -1.0
        better = min(sign * low, sign * high)
        worse = max(sign * low, sign * high)
        word = "better" if better > 0 else "worse" if worse < 0 else "not told apart"
        lines.append(
            f"{columns[name].title}: {word} than {BASELINE}: {difference:+.3f} "
            f"({low:+.3f}..{high:+.3f})".replace("apart than", "apart from")
        )
    return lines


def _card(
    found: Stored,
    size: int,
    licences: Mapping[str, str],
    measures: Mapping[str, Mapping[str, Any]],
    row: str,
    verdict: Sequence[str],
) -> str:
    """Write the model card."""
    features = found.features
    count = sum(tensor.numel() for tensor in found.network.values())
    lines = [
        f"# {found.name}: mel to sound, {features.rate / 1000:g} kHz",
        "",
        f"A vocoder of vctool, {count / 1e6:.2f} million numbers in 16 bits ({size / 1e6:.1f} MB), "
        f"trained for {found.state['step']} steps.",
        "",
        f"- reads: log-mel of {features.n_mels} bins, {features.f_min:g} to "
        f"{features.f_max or features.rate / 2:g} Hz, FFT {features.n_fft}, window "
        f"{features.window}, hop {features.hop_length}, power {features.mel_power}",
        "- meant for: the output of voice conversion, speech of one voice at a time; not for music",
        "- misuse: do not imitate people who have not agreed to it",
        "",
        "## Trained on",
        "",
    ]
    lines += [f"- {name}: {terms}{_amount(name)}" for name, terms in licences.items()]
    lines += [
        "",
        "If you use the weights, name these sources, as their terms require.",
        "",
        "## Scores on held-out recordings",
        "",
        *_table(measures, row),
        "",
        *[f"- {line}" for line in verdict],
    ]
    return "\n".join(lines) + "\n"


def _amount(corpus: str) -> str:
    """Describe the training data of a corpus, if it is on this machine."""
    place = Path("data") / corpus / "train"
    if not (place / "wav.scp").is_file():
        return ""
    data = DataDir.read(place)
    return (
        f"; {len(data)} recordings, {data.seconds / 60:.0f} min, {len(data.speakers)} speakers: "
        f"{', '.join(data.speakers[:12])}{', ...' if len(data.speakers) > 12 else ''}"
    )


def _table(measures: Mapping[str, Mapping[str, Any]], row: str) -> list[str]:
    """Format the score table: the recordings, Griffin-Lim, other vocoders, the vocoder."""
    rows = [name for name in measures["lsd"] if name != row] + [row]
    columns = measures_on("vocoders")
    shown = [name for name in columns if name in measures]
    laid = []
    for one in rows:
        values = [measures[name].get(one, {}).get("value") for name in shown]
        cells = [cell(math.nan if value is None else value) for value in values]
        laid.append(["this vocoder" if one == row else one, *cells])
    return table(["", *[columns[name].title for name in shown]], laid)
