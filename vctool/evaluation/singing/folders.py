"""`vctool evaluate SUNG --task singing --reference SINGING --source SPEECH`: any system's singing.

They get the table that stage 6 writes for our own: the same measures and the same baselines.
Without time maps from the speech to its singing, outputs are taken to be lengthened evenly.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from vctool.errors import DataError
from vctool.evaluation.folders import LEAST, SEED, about, owners, partners, read, recordings, table
from vctool.evaluation.matching import match
from vctool.evaluation.singing.baselines import DRONE
from vctool.evaluation.singing.board import SingingTask
from vctool.evaluation.singing.report import SHUFFLED, SingingScoring
from vctool.metrics.pitch import RATE

LENGTHENED = 0.04
"""Outputs whose length differs from their source's by more than this count as lengthened [s]."""


def run_folder(
    converted: Path,
    out: Path,
    nj: int = 1,
    *,
    reference: Path,
    source: Path,
    accomp: Path | None = None,
) -> str:
    """Score recordings of any system.

    Args:
        converted: what it sang.
        out: folder that gets the results.
        nj: processes; the scores do not depend on it.
        reference: real singing, of any words; every second recording is what outputs are compared
            with, the others are the row of real singing.
        source: the speech.
        accomp: what was sung to: accompaniments called like the speech, and those of the reference
            called like it.

    Returns:
        The table, with what must be known of it.

    Raises:
        DataError: a folder is missing or empty, fewer than two conversions have a source or there
            are fewer than two references, or a name may belong to several.
        AudioError: a recording cannot be used.
    """
    places = [one for one in (out, converted, reference, source, accomp) if one is not None]
    made, spoken, sung = (
        recordings(place, what, [one for one in places if one != place])
        for place, what in (
            (converted, "conversions"),
            (source, "sources"),
            (reference, "references"),
        )
    )
    if len(sung) < LEAST:
        raise DataError(
            f"{reference}: holds {len(sung)} recording(s) of singing; at least {LEAST} are needed"
        )
    music = {} if accomp is None else recordings(accomp, "accompaniments", places[:-1])
    notes: list[str] = []
    owner = owners(converted, list(made), source, list(spoken), "source", notes)
    own, real = list(owner.values()), list(sung)
    outputs = read([made[name] for name in owner])
    task = SingingTask(
        RATE,
        read([spoken[name] for name in own]),
        read([sung[name] for name in real[::2]]),
        read([sung[name] for name in real[1::2]]),
        _accompaniments(own, music, accomp),
        _accompaniments(real[1::2], music, accomp),
        seed=SEED,
    )
    heard = chain(task.sources, task.real_a, task.real_b, task.accomps or ())
    job = SingingScoring(
        **about(converted, out, own, [own, real], heard, notes),
        task=task,
        outputs=outputs,
        model=f"the recordings in {converted}",
        time_maps=_even_maps(task.sources, outputs),
        absent={SHUFFLED: "whether the system heeds its accompaniment is not known of recordings"}
        | ({} if task.accomps is not None else {DRONE: "no accompaniment of the sources is known"}),
    )
    return table(job, nj)


def _accompaniments(
    names: Sequence[str], music: Mapping[str, Path], place: Path | None
) -> list[np.ndarray] | None:
    """Read the accompaniments of recordings by their names; None where none has any.

    Raises:
        DataError: some have one and others do not.
    """
    found = match(names, list(music), "accompaniment") if music else {}
    if not found or place is None:
        return None
    remedy = "give all of them one, or none"
    return read(partners(names, place, music, "accompaniment", remedy))


def _even_maps(
    sources: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
) -> list[np.ndarray] | None:
    """Return moments of source and output [s] where these differ in length, else None."""
    pairs = list(zip(sources, outputs, strict=True))
    if all(abs(len(one) - len(other)) <= LENGTHENED * RATE for one, other in pairs):
        return None
    return [np.array([[0.0, 0.0], [len(one) / RATE, len(other) / RATE]]) for one, other in pairs]
