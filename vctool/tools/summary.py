"""Summarise a data dir by voice: amount, durations, levels and F0.

Durations come from the tables, so they cover all utterances; levels and F0 are measured on a sample
of every voice's utterances, spread over its recordings in order.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vctool import audio
from vctool.data.datadir import DataDir
from vctool.data.utterance import Utterance
from vctool.evaluation.page.figures import new_figure, save
from vctool.metrics.pitch import RATE, track
from vctool.workers import Workers

SAMPLE = 10
"""Utterances of a voice whose level and F0 are measured."""

DRAWN = 24
"""Maximum number of voices in a plot: those with most sound."""


@dataclass(frozen=True)
class Voice:
    """A speaker in a domain."""

    speaker: str
    domain: str
    durations: np.ndarray
    """(N,) of all utterances [s]."""
    levels: np.ndarray
    """(n,) active levels of the sampled ones [dB of full scale]."""
    f0: np.ndarray
    """(K,) of their voiced frames [Hz]."""
    rates: tuple[int, ...]
    """Sampling rates of the sampled ones [Hz], sorted."""

    @property
    def name(self) -> str:
        """Speaker and domain."""
        return f"{self.speaker} ({self.domain})"


def summarise(data: DataDir, *, sample: int = SAMPLE, nj: int = 1) -> list[Voice]:
    """Measure the voices of a data dir.

    Args:
        data: the data dir.
        sample: utterances of each voice whose level and F0 are measured.
        nj: number of processes.

    Returns:
        The voices, sorted by speaker and domain.

    Raises:
        AudioError: a sampled recording cannot be used.
    """
    own: dict[tuple[str, str], list[Utterance]] = defaultdict(list)
    for one in data:
        own[one.speaker, one.domain].append(one)
    chosen = {key: _spread(own[key], sample) for key in sorted(own)}
    queue = [one for some in chosen.values() for one in some]
    with Workers(nj, few=8, here=True) as workers:
        measured = list(workers.map(_measure, queue))
    heard = dict(zip([one.id for one in queue], measured, strict=True))
    voices = []
    for (speaker, domain), some in chosen.items():
        rates, levels, f0s = zip(*(heard[one.id] for one in some), strict=True)
        durations = np.array([one.duration for one in own[speaker, domain]])
        f0 = np.concatenate(f0s)
        voices.append(
            Voice(
                speaker, domain, durations, np.array(levels), f0[f0 > 0], tuple(sorted(set(rates)))
            )
        )
    return voices


def _spread(utterances: Sequence[Utterance], count: int) -> list[Utterance]:
    """Take some utterances, evenly spread over all."""
    places = np.linspace(0, len(utterances) - 1, min(count, len(utterances)))
    return [utterances[int(place)] for place in places]


def _measure(one: Utterance) -> tuple[int, float, np.ndarray]:
    """Return the file's rate [Hz], the utterance's level [dB] and its F0 (F,) [Hz]."""
    wave = one.load(RATE)
    level = audio.level_db(wave, RATE)
    return audio.info(one.wav).rate, level, track(wave.astype(np.float64))


HEADS = ("voice", "utt", "min", "duration [s]", "level [dB]", "F0 [Hz]")
LEGEND = "least, median and most of durations and levels; 5 %, median and 95 % of F0"


def total(data: DataDir, voices: Sequence[Voice]) -> str:
    """Return the totals in one line."""
    rates = sorted({rate for voice in voices for rate in voice.rates})
    texts = sum(one.text is not None for one in data)
    accomps = sum(bool(one.accomp) for one in data)
    speakers = "1 speaker" if len(data.speakers) == 1 else f"{len(data.speakers)} speakers"
    said = (
        f"{data.path}: {len(data)} utterances, {data.seconds / 60:.1f} min, {speakers}, "
        f"{', '.join(data.domains)}, {' and '.join(f'{rate} Hz' for rate in rates)}"
    )
    for count, what in ((texts, "with text"), (accomps, "with accompaniment")):
        said += f", {count} {what}" if count else ""
    return said


def row(voice: Voice) -> tuple[str, ...]:
    """Return a voice's row of the table, in the order of `HEADS`."""
    return (
        voice.name,
        str(len(voice.durations)),
        f"{voice.durations.sum() / 60:.1f}",
        _span(voice.durations, (0, 50, 100), 1),
        _span(voice.levels, (0, 50, 100), 0),
        _span(voice.f0, (5, 50, 95), 0) if len(voice.f0) else "unvoiced",
    )


def _span(values: np.ndarray, percentiles: tuple[int, int, int], digits: int) -> str:
    low, middle, high = np.percentile(values, percentiles)
    return f"{low:.{digits}f} {middle:.{digits}f} {high:.{digits}f}"


def draw(voices: Sequence[Voice], path: Path) -> None:
    """Plot the durations of all utterances, and the levels and F0 of every voice, as a PNG.

    Beyond `DRAWN` voices, those with most sound are drawn, and the title says so.
    """
    shown = sorted(voices, key=lambda voice: -float(voice.durations.sum()))[:DRAWN]
    shown.sort(key=lambda voice: (voice.domain, voice.speaker))
    figure = new_figure(9.0)
    lengths, loud, high = figure.subplots(3)
    domains = sorted({voice.domain for voice in voices})
    lengths.hist(
        [
            np.concatenate([voice.durations for voice in voices if voice.domain == domain])
            for domain in domains
        ],
        bins=40,
        stacked=True,
        label=domains,
    )
    lengths.set(xlabel="duration [s]", ylabel="utterances")
    lengths.legend()
    places = range(1, len(shown) + 1)
    loud.boxplot([voice.levels for voice in shown], positions=places, whis=(0, 100))
    loud.set(ylabel="active level [dB]", xticks=[])
    voiced = [(place, v.f0) for place, v in zip(places, shown, strict=True) if len(v.f0)]
    if voiced:
        high.boxplot(
            [f0 for _, f0 in voiced],
            positions=[place for place, _ in voiced],
            whis=(5, 95),
            showfliers=False,
        )
    high.set(ylabel="F0 [Hz]", yscale="log", xlim=loud.get_xlim())
    high.yaxis.set_major_formatter("{x:.0f}")
    high.yaxis.set_minor_formatter("{x:.0f}")
    high.set_xticks(list(places), [voice.name for voice in shown], rotation=60, ha="right")
    if len(shown) < len(voices):
        loud.set_title(f"{len(shown)} of {len(voices)} voices, those with most sound")
    save(figure, path)
