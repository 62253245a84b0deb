"""Doubles of recordings for `vctool double`: any rate, channels and length, in bounded memory.

A double depends on nothing that is known at the end alone, such as the level of the whole, so that
a part of it (`at`) and a stream are the same samples.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from vctool import audio
from vctool.audio.loudness import PEAK
from vctool.audio.tracks import CHUNK_SECONDS, SpoolTrack
from vctool.errors import AudioError, ConfigError, VctoolError
from vctool.inference.double import Doubler, DoubleSettings
from vctool.inference.job import identities
from vctool.inference.outputs import Output, outputs
from vctool.progress import progress

logger = logging.getLogger(__name__)

NAME = "double"
"""What outputs are called after: `lead.double.wav`; of several takes `lead.double1.wav`..."""
RATES = 8000, 192000
"""Sampling rates at which doubles are made [Hz]."""
TAKE_DB = -6.0
"""Level of every take in a mix below that of the lead [dB]."""
SIDES = 2


def double_files(
    inputs: Sequence[str],
    *,
    settings: DoubleSettings | None = None,
    at: float = 0.0,
    out: Path | None = None,
    mix: bool = False,
    force: bool = False,
) -> list[Path]:
    """Double recordings.

    Args:
        inputs: files, folders and globs.
        settings: how far doubles go, and how many there are of each lead.
        at: moment of the leads at which the outputs begin [s].
        out: a WAV file for one double, or a folder; beside the leads where None.
        mix: write the lead with its doubles too, in stereo, as `*.mix.wav`.
        force: replace outputs that exist.

    Returns:
        The files that were written.

    Raises:
        ConfigError: a value cannot be.
        AudioError: the only lead cannot be doubled; of several, those that can are doubled first.
    """
    settings = DoubleSettings() if settings is None else settings
    if not 0 <= at < float("inf"):
        raise ConfigError(f"--at {at}: expected a moment of the lead in seconds, from 0 on")
    if not inputs:
        raise ConfigError("nothing to double; name a recording, a folder or a glob")
    takes = settings.takes
    names = [NAME] if takes == 1 else [f"{NAME}{take + 1}" for take in range(takes)]
    jobs = outputs(inputs, out, names)
    leads = identities(one.source for job in jobs for one in job)
    failed: list[str] = []
    written: list[Path] = []
    for job in progress(jobs, NAME, unit="file") if len(jobs) > 1 else jobs:
        files = [one.path for one in job] + [_mix_path(job)] * mix
        try:
            for path in files:
                if identities([path]) & leads:
                    raise AudioError(f"{path}: is an input; pass --out with another name")
                if path.exists() and not force:
                    raise AudioError(
                        f"{path}: exists already; pass --force to replace it, or --out"
                    )
            _double(job, settings, at, mix)
            written += files
        except VctoolError as error:
            if len(jobs) == 1:
                raise
            failed.append(str(error))
            logger.warning("%s", error)
    if failed:
        raise AudioError(f"{len(failed)} of {len(jobs)} leads were not doubled: {failed[0]}")
    return written


def _mix_path(job: Sequence[Output]) -> Path:
    """Name the mix of a lead's doubles: after the lead, or after the only double."""
    one = job[0].path
    if len(job) == 1:
        return one.with_suffix(".mix.wav")
    return one.with_name(one.name.removesuffix("1.wav") + ".mix.wav")


def _double(job: Sequence[Output], settings: DoubleSettings, at: float, mix: bool) -> None:
    """Write the doubles of one lead."""
    source = job[0].source
    known = audio.info(source)
    rate = known.rate
    if not RATES[0] <= rate <= RATES[1]:
        raise AudioError(
            f"{source}: has {rate} Hz; doubles are made at {RATES[0]} to {RATES[1]} Hz, so "
            "resample it first"
        )
    if not known.samples:
        raise AudioError(f"{source}: empty, so that there is nothing to double")
    first = round(at * rate)
    if first >= known.samples:
        raise AudioError(f"--at {at:g}: {source} holds only {known.seconds:.2f} s")
    levels = [audio.LevelMeter(rate) for _ in range(1 + len(job))]
    with ExitStack() as stack:
        folder = job[0].path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AudioError(f"{folder}: cannot be made: {error.strerror}; pass --out") from None
        spools = [stack.enter_context(SpoolTrack(folder)) for _ in range((1 + len(job)) * mix)]
        files = [stack.enter_context(audio.AudioWriter(one.path, rate)) for one in job]
        for lead, made in _blocks(source, rate, settings, first):
            for file, wave in zip(files, made, strict=True):
                file.write(wave)
            for meter, wave in zip(levels, (lead, *made), strict=True):
                meter.add(wave)
            for spool, wave in zip(spools, (lead, *made) if mix else (), strict=True):
                spool.append(wave)
        samples = files[0].samples
        if mix:
            _write_mix(_mix_path(job), spools, rate)
    if levels[0].level_db <= audio.SILENCE_DB:
        logger.info("%s: silent, and so are its doubles", source)
    for one, meter in zip(job, levels[1:], strict=True):
        logger.info(
            "%s: %.2f s, %d Hz, %.1f dB; the lead has %.1f dB",
            *(one.path, samples / rate, rate, meter.level_db, levels[0].level_db),
        )


def _blocks(
    source: Path, rate: int, settings: DoubleSettings, first: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a lead (T,) and its doubles (takes, T) from a sample on, piece by piece.

    What comes before the sample is read, and doubled where the doubles hang on it.
    """
    begin = first - Doubler.preroll(rate, first)
    doubler = Doubler(rate, settings, begin)
    late = doubler.latency
    held = np.empty(0, np.float32)
    place = 0  # of the next sample that is read
    due = begin - late  # of the next sample that the doubler returns

    def cut(lead: np.ndarray, made: np.ndarray, at: int) -> tuple[np.ndarray, np.ndarray]:
        skipped = max(0, first - at)
        return lead[skipped:], made[:, skipped:]

    blocks = audio.read_blocks(source, samples=round(CHUNK_SECONDS * rate))
    for block in blocks:
        new = block[max(0, begin - place) :]
        place += len(block)
        if not len(new):
            continue
        held = np.concatenate([held, new])
        made = doubler.process(new)
        early = min(max(0, begin - due), made.shape[1])
        made = made[:, early:]
        due += early
        lead, held = held[: made.shape[1]], held[made.shape[1] :]
        yield cut(lead, made, due)
        due += made.shape[1]
    made = doubler.flush()[:, max(0, begin - due) :]
    due = max(due, begin)
    yield cut(held, made[:, : len(held)], due)


def _write_mix(path: Path, tracks: Sequence[SpoolTrack], rate: int) -> None:
    """Write a lead in the middle and its takes from left to right, all softer if it would clip.

    Takes are panned at equal power: one in the middle, two hard left and right.
    """
    lead, *takes = tracks
    angles = np.linspace(0, np.pi / 2, len(takes)) if len(takes) > 1 else [np.pi / 4]
    pans = [10 ** (TAKE_DB / 20) * np.array([np.cos(one), np.sin(one)]) for one in angles]
    chunk = round(CHUNK_SECONDS * rate)

    def mixed() -> Iterator[np.ndarray]:
        for start in range(0, lead.samples, chunk):
            stop = min(start + chunk, lead.samples)
            both = np.sqrt(0.5) * lead.read(start, stop)[:, None] * np.ones(SIDES)
            for track, pan in zip(takes, pans, strict=True):
                both = both + track.read(start, stop)[:, None] * pan
            yield both

    peak = max(float(np.abs(wave).max()) for wave in mixed())
    master = min(1.0, PEAK / peak) if peak > 0 else 1.0
    with audio.AudioWriter(path, rate, SIDES) as file:
        for wave in mixed():
            file.write(master * wave)
    lowered = f", all {-20 * np.log10(master):.1f} dB softer so as not to clip" * (master < 1)
    logger.info("%s: stereo; every take %.0f dB below the lead%s", path, -TAKE_DB, lowered)
