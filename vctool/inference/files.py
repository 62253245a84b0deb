"""`vctool convert`: files, folders and globs through one loaded model, whatever their length.

Every recording is decoded and resampled once into a nameless temporary file beside its output,
converted block by block into a second one, and written when its level is known. Memory does not
grow with length, and nothing half written ever stands under an output's name.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Literal

import numpy as np

from vctool import audio
from vctool.audio.tracks import CHUNK_SECONDS, Looped, SpoolTrack, Track, pieces, resampled
from vctool.errors import AudioError, ConfigError, VctoolError
from vctool.features.analysis import PEAK, Scan, level_gain
from vctool.inference import discover
from vctool.inference.converter import Converter
from vctool.inference.discover import Conversion
from vctool.inference.request import Request, require_length, require_offset

logger = logging.getLogger(__name__)


EVERYONE = "all"
"""What `--to` names to convert to every role of a model, where no role is called so."""


@dataclass
class Summary:
    """What became of every recording."""

    model: Path
    """The experiment or checkpoint that converted."""
    done: list[Conversion] = field(default_factory=list)
    """Recordings that were converted."""
    failed: list[tuple[Path, str]] = field(default_factory=list)
    """Recordings that were not, each with the reason in one line."""

    @property
    def exit_code(self) -> int:
        """0 where all went well, 1 where some recordings failed."""
        return 1 if self.failed else 0

    def lines(self) -> list[str]:
        """Say it for people: one line per failure, one for all."""
        told = dict.fromkeys(f"failed: {reason}" for _, reason in self.failed)
        total = len(self.done) + len(self.failed)
        return [*told, f"{len(self.done)} of {total} converted with {self.model}"]


Way = tuple[Request, Conversion]
"""What is asked of a recording, and where that goes."""


@dataclass(frozen=True)
class _Output:
    """How outputs are written."""

    rate: int | Literal["input"]
    """Sampling rate [Hz], or the input's."""
    mix: bool
    """Whether the mix is written too."""
    force: bool
    """Whether files that exist may be replaced."""


def convert_files(
    inputs: Sequence[str],
    *,
    model: Path | None = None,
    accomp: Path | None = None,
    to: str | None = None,
    out: Path | None = None,
    mix: bool = False,
    force: bool = False,
    stretch: float | None = None,
    transpose: float = 0.0,
    rate: str = "model",
    accomp_offset: float = 0.0,
    device: str = "auto",
    vocoder: str | None = None,
    experiments: Path = Path("exp"),
) -> Summary:
    """Convert recordings.

    Args:
        inputs: files, folders and globs.
        model: an experiment or a checkpoint; the newest that accepts the inputs where None.
        accomp: the accompaniment, looped or cut to each output.
        to: role to convert to, or `all` of them; the model's target where None.
        out: a file for one recording, or a folder; beside the recordings where None.
        mix: write the mix with the accompaniment too, as `*.mix.wav`.
        force: replace outputs that exist.
        stretch: length of the output over that of the input; the recipe's towards
            its target, and 1 the other way, where None.
        transpose: shift of the output's pitch [semitones].
        rate: sampling rate of the outputs: `model`, `input`, or a number [Hz].
        accomp_offset: second of the accompaniment at which the voice enters; may be negative.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        vocoder: a name or a path in place of that of the model's recipe.
        experiments: where trained models are looked for.

    Returns:
        What became of each recording; one that fails does not stop the others.

    Raises:
        VctoolError: nothing could be begun, or the only recording failed.
    """
    if mix and accomp is None:
        raise ConfigError("--mix: there is nothing to mix with; pass --accomp FILE")
    if accomp is not None:
        audio.info(accomp)  # before the model is loaded, which may take a while
    wanted = _rate(rate)
    require_offset(accomp_offset)
    # A folder holds outputs only of the role that is asked for, known once a model is.
    converter = (
        Converter(model, device, vocoder)
        if model is not None
        else discover.newest(
            experiments, None if to == EVERYONE else to, accomp is not None, device, vocoder
        )
    )
    everyone = to == EVERYONE and EVERYONE not in converter.roles
    roles = list(converter.roles) if everyone else [to]
    requests = [converter.request(role, stretch, transpose) for role in roles]
    named = [request.to for request in requests]
    by_role = [discover.jobs(inputs, role, out, named) for role in named]
    sources = [list(zip(requests, jobs, strict=True)) for jobs in zip(*by_role, strict=True)]
    step = converter.state["step"]
    logger.info("model: %s, step %d, to %s", converter.path, step, ", ".join(named))
    for role in named:
        if accomp is None and converter.needs_accompaniment(role):
            raise ConfigError(f"--to {role}: {converter.path} needs --accomp FILE for it")
        if accomp is not None and not mix and not converter.needs_accompaniment(role):
            logger.info("--accomp %s: not used when converting to %s", accomp, role)
    output = _Output(converter.rate if wanted == "model" else wanted, mix, force)
    summary = Summary(converter.path)
    with ExitStack() as stack:
        background = None
        if accomp is not None:
            background = stack.enter_context(SpoolTrack(_made(by_role[0][0].target.parent)))
            _fill(background, accomp, converter.rate)
        offset = round(accomp_offset * converter.rate)
        read = [job.source for job in by_role[0]] + ([] if accomp is None else [accomp])
        taken = _identities(read)
        for ways in _progress(sources):
            jobs = [job for _, job in ways]
            try:
                for job in jobs:
                    _check(job, output, taken)
                _convert(converter, ways, background, offset, output)
                summary.done += jobs
            except VctoolError as error:
                if len(sources) == 1:
                    raise
                logger.warning("%s", error)
                summary.failed += [(job.source, str(error)) for job in jobs]
    return summary


def _rate(text: str) -> int | Literal["model", "input"]:
    """Read `--rate`: `model`, `input`, or a number [Hz]."""
    if text == "model":
        return "model"
    if text == "input":
        return "input"
    if not text.isdigit() or not 4000 <= int(text) <= 384000:
        raise ConfigError(f"--rate {text}: expected model, input or a rate such as 44100")
    return int(text)


def _identities(paths: Iterable[Path]) -> set[tuple[int, int]]:
    """Tell files apart whatever they are called: device and inode of those that exist."""
    found = (path.stat() for path in paths if path.exists())
    return {(status.st_dev, status.st_ino) for status in found}


def _check(job: Conversion, output: _Output, taken: set[tuple[int, int]]) -> None:
    """Refuse what would destroy something.

    Raises:
        AudioError: the output exists, or is one of the inputs.
    """
    for target in (job.target, job.mix) if output.mix else (job.target,):
        if _identities([target]) & taken:
            raise AudioError(f"{target}: is an input; pass --out with another name")
        if target.exists() and not output.force:
            raise AudioError(f"{target}: exists already; pass --force to replace it, or --out")


def _made(folder: Path) -> Path:
    """Make an output's folder.

    Raises:
        AudioError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioError(f"{folder}: cannot be made: {error.strerror}; pass --out") from None
    return folder


def _fill(track: SpoolTrack, path: Path, rate: int) -> None:
    for block in audio.read_blocks(path, rate, samples=round(CHUNK_SECONDS * rate)):
        track.append(block)


def _convert(
    converter: Converter,
    ways: Sequence[Way],
    background: Track | None,
    offset: int,
    output: _Output,
) -> None:
    """Convert one recording, to every role that is asked for, and write what comes of it.

    All roles go through the recording side by side, so that it is read and analysed once.
    """
    source = ways[0][1].source
    folder = _made(ways[0][1].target.parent)
    with ExitStack() as stack:
        voice = stack.enter_context(SpoolTrack(folder))
        _fill(voice, source, converter.rate)
        require_length(voice.samples, converter.rate, str(source))
        known = converter.scan(voice, *(request for request, _ in ways))
        if known.silent:
            logger.info("%s: silent, and so is its output", source)
        takes = []
        for request, job in ways:
            samples = request.samples(voice.samples)
            accomp = None
            if background is not None:
                accomp = Looped(background, samples, offset)
                _tell_fit(background.samples - offset, samples, converter.rate, job)
            spool = stack.enter_context(SpoolTrack(folder))
            meter = audio.LevelMeter(converter.rate)
            takes.append(_Take(request, job, accomp, spool, meter))
        streams = [converter.pieces(voice, take.accomp, take.request, known) for take in takes]
        for waves in zip_longest(*streams):
            for take, wave in zip(takes, waves, strict=True):
                if wave is not None:
                    take.add(wave)
        for take in takes:
            samples = take.request.samples(voice.samples)
            assert take.converted.samples == samples, (take.converted.samples, samples)
            _finish(converter, take, known, output)


@dataclass
class _Take:
    """What one role makes of a recording."""

    request: Request
    job: Conversion
    accomp: Track | None
    converted: SpoolTrack
    meter: audio.LevelMeter
    peak: float = 0.0

    def add(self, wave: np.ndarray) -> None:
        """Take the next piece (T,)."""
        if len(wave):
            self.converted.append(wave)
            self.meter.add(wave)
            self.peak = max(self.peak, float(np.abs(wave).max()))


def _finish(converter: Converter, take: _Take, known: Scan, output: _Output) -> None:
    """Write what a role has made, as loud as its source."""
    job, converted, samples = take.job, take.converted, take.converted.samples
    level = take.meter.level_db
    gain = level_gain(known, level, take.peak)
    if output.rate == "input":  # the input's length exactly, not that of its resampling
        own = audio.measure(job.source)
        rate, length = own.rate, take.request.samples(own.samples)
    else:
        rate = output.rate
        length = audio.resampled_length(samples, converter.rate, rate)
    chunk = round(CHUNK_SECONDS * converter.rate)
    _write(job.target, _scaled(converted, chunk, gain), converter.rate, rate, length)
    if output.mix:
        assert take.accomp is not None
        mixed = _mixer(converter, converted, take.accomp, gain, level, chunk)
        _write(job.mix, mixed(), converter.rate, rate, length)


def _tell_fit(left: int, samples: int, rate: int, job: Conversion) -> None:
    """Say how the accompaniment was made to last as long as the output."""
    if left == samples:
        return
    what = "cut" if left > samples else "looped"
    logger.info("%s: the accompaniment is %s to %.2f s", job.source, what, samples / rate)


def _scaled(track: Track, chunk: int, gain: float) -> Iterator[np.ndarray]:
    for wave in pieces(track, chunk):
        yield wave * np.float32(gain)


def _mixer(
    converter: Converter, voice: Track, accomp: Track, gain: float, level: float, chunk: int
) -> Callable[[], Iterator[np.ndarray]]:
    """Return what goes through the mix of a converted voice and its accompaniment.

    The accompaniment is brought to the voice's loudness first; then the gains of the checkpoint's
    recipe apply. A mix that would clip is lowered as a whole.

    Args:
        converter: the model; its settings hold the gains.
        voice: the converted voice as the vocoder gave it.
        accomp: the accompaniment, as long.
        gain: gain that the voice alone is written with.
        level: active level of `voice` [dB of full scale].
        chunk: length of the pieces [samples].
    """
    meter = audio.LevelMeter(converter.rate)
    for wave in pieces(accomp, chunk):
        meter.add(wave)
    settings = converter.settings
    voice_gain = gain * 10 ** (settings.vocal_gain_db / 20)
    accomp_gain = 10 ** (settings.accomp_gain_db / 20)
    if level > audio.SILENCE_DB and meter.level_db > audio.SILENCE_DB:
        accomp_gain *= gain * 10 ** ((level - meter.level_db) / 20)

    def mixed(master: float = 1.0) -> Iterator[np.ndarray]:
        for start in range(0, voice.samples, chunk):
            stop = min(start + chunk, voice.samples)
            both = voice_gain * voice.read(start, stop) + accomp_gain * accomp.read(start, stop)
            yield (master * both).astype(np.float32)

    peak = max(float(np.abs(wave).max()) for wave in mixed())
    master = min(1.0, PEAK / peak) if peak > 0 else 1.0
    return lambda: mixed(master)


def _write(
    path: Path, waves: Iterable[np.ndarray], rate_in: int, rate_out: int, samples: int
) -> None:
    """Write pieces at `rate_in` as `samples` samples at `rate_out`; resamplers may be one off."""
    with audio.AudioWriter(path, rate_out) as file:
        for wave in resampled(waves, rate_in, rate_out):
            file.write(np.clip(wave[: samples - file.samples], -1.0, 1.0))
        if file.samples < samples:
            file.write(np.zeros(samples - file.samples, np.float32))


def _progress(jobs: Sequence[list[Way]]) -> Iterable[list[Way]]:
    """Show a bar over several recordings on a terminal."""
    if len(jobs) < 2 or not sys.stderr.isatty():
        return jobs
    from tqdm import tqdm

    bar: Iterable[list[Way]] = tqdm(jobs, unit="file", desc="convert")
    return bar
