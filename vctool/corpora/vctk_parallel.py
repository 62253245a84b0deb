"""VCTK 0.92 for conversion between its speakers: scored on sentences that all of them read.

Speakers are in all splits, for a one-to-one or many-to-many system must hear those it converts
between. Held out are sentences: those read by most speakers are for scoring, because
recordings of two speakers can be compared there; a tenth of every speaker's others validate. The
rest, newspaper sentences, differs between most speakers. See `vctk` for the recordings.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from vctool.acquisition import splits
from vctool.acquisition.clips import into_splits
from vctool.acquisition.report import Rejected, Report, finish
from vctool.corpora import vctk

INFO = replace(
    vctk.INFO, shares="vctk", name="vctk_parallel", title="VCTK 0.92 (disjoint by sentence)"
)

find = vctk.find


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs of microphone 1, disjoint by sentence.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    utterances, rejected = vctk.utterances_of(source, INFO, microphone="1", nj=nj)
    said = {one.id: one.sentence for one in utterances if one.sentence is not None}
    rejected += [
        Rejected(one.wav, "no transcript, so its sentence cannot be held out")
        for one in utterances
        if one.id not in said
    ]
    kept = [one for one in utterances if one.id in said]
    own: dict[str, set[str]] = {}
    for one in kept:
        own.setdefault(one.speaker, set()).add(said[one.id])
    readers = Counter(sentence for read in own.values() for sentence in read)
    common = {sentence for sentence, count in readers.items() if 2 * count > len(own)}
    drawn = splits.by_sentence(
        {speaker: read - common for speaker, read in own.items()}, seed, INFO.name, test=0
    ) | dict.fromkeys(common, "test")
    return finish(
        INFO.name,
        out,
        into_splits(kept, lambda one: drawn[said[one.id]]),
        disjoint_by="sentence",
        rejected=rejected,
        notes=(f"test is parallel: {len(common)} sentences that most speakers read",),
    )
