"""Batch conversion for `vctool convert`: files, folders and globs of any length, with one model.

Every recording is decoded and resampled once into an unnamed temporary file beside its output,
converted block by block into a second one, and written once its level is known. Memory use does
not grow with length, and a partial output never appears under its final name.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from vctool import audio, packs, vocoders
from vctool.audio.tracks import CHUNK_SECONDS, Looped, SpoolTrack, Track
from vctool.errors import AudioError, Cancelled, ConfigError, VctoolError
from vctool.experiment.places import EXPERIMENTS
from vctool.inference import account, discover, mixing, notes, untrained
from vctool.inference.converter import Converter
from vctool.inference.job import Existing, Job, settle
from vctool.inference.outputs import Output, require_inputs
from vctool.inference.request import Request, require_length, require_offset
from vctool.inference.sides import Sides
from vctool.inference.takes import Format, Take, finish
from vctool.inference.watch import Moved, Progress, Watch
from vctool.progress import progress as shown

Load = Callable[[discover.Candidates, str, str | None, int | None], Converter]
"""Loads the first of the models that can be loaded; called as `discover.load` is."""

logger = logging.getLogger(__name__)


@dataclass
class Summary:
    """Result of a batch conversion: which recordings were converted and which failed."""

    model: Path
    """The experiment or checkpoint that converted."""
    done: list[Output] = field(default_factory=list)
    """Recordings that were converted."""
    skipped: list[Output] = field(default_factory=list)
    """Outputs that existed and were left as they were (`skip_existing`)."""
    failed: list[tuple[Path, str]] = field(default_factory=list)
    """Recordings that failed, each with the reason in one line."""
    mix: bool = False
    """Whether a mix stands beside each output."""

    @property
    def exit_code(self) -> int:
        """0 if all recordings were converted, 1 if some failed."""
        return 1 if self.failed else 0

    def lines(self) -> list[str]:
        """Return the printed summary: one line per failure, and one with the total."""
        told = dict.fromkeys(f"failed: {reason}" for _, reason in self.failed)
        total = len(self.done) + len(self.failed) + len(self.skipped)
        left = f"; {len(self.skipped)} existed already" if self.skipped else ""
        return [*told, f"{len(self.done)} of {total} converted with {self.model}{left}"]

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""

        def named(one: Output) -> dict[str, Any]:
            mix = str(one.mix) if self.mix else None
            return {"source": str(one.source), "to": one.to, "output": str(one.path), "mix": mix}

        return {
            "model": str(self.model),
            "done": [named(one) for one in self.done],
            "skipped": [named(one) for one in self.skipped],
            "failed": [{"source": str(path), "reason": reason} for path, reason in self.failed],
        }


def convert_files(
    inputs: Sequence[str],
    *,
    model: Path | str | None = None,
    accomp: Path | None = None,
    to: str | Path | Sequence[str | Path] | None = None,
    out: Path | None = None,
    mix: bool = False,
    vocal_gain: float | None = None,
    accomp_gain: float | None = None,
    force: bool = False,
    skip_existing: bool = False,
    stretch: float | None = None,
    transpose: float | str = 0.0,
    dry: float = 0.0,
    stereo: bool = False,
    rate: str = "model",
    accomp_offset: float = 0.0,
    device: str = "auto",
    vocoder: str | None = None,
    options: Mapping[str, Any] | None = None,
    experiments: Path = EXPERIMENTS,
    form: str = ".wav",
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    moved: Moved | None = None,
    load: Load = discover.load,
) -> Summary:
    """Convert recordings.

    Args:
        inputs: files, folders, globs, and options of the family as typed (`--amount`, `0.6`).
        model: an experiment, checkpoint or pack, or its name; where None, the newest that fits.
        accomp: the accompaniment, looped or cut to each output.
        to: role or recordings (`inference.target`), or several; the model's target where None.
        out: a file for one recording, or a folder; beside the recordings where None.
        mix: write the mix with the accompaniment too, as `*.mix.wav` (`inference.mixing`).
        vocal_gain: dB of the voice in the mix over the accompaniment; the recipe's where None.
        accomp_gain: dB of the accompaniment over its own level; the recipe's where None.
        force: replace outputs that exist.
        skip_existing: leave outputs that exist, and convert the others.
        stretch: length of the output over the input's; where None, the recipe's, or 1.
        transpose: shift of the pitch [semitones]; `auto`: octaves into the target's range.
        dry: share of the recording in the output, from 0 to 1.
        stereo: restore left and right of a stereo recording (`inference.stereo`).
        rate: sampling rate of the outputs: `model`, `input`, or a number [Hz].
        accomp_offset: time in the accompaniment at which the voice enters [s]; may be negative.
        device: as for `Converter`.
        vocoder: as for `Converter`.
        options: options of the model's family, by name.
        experiments: folder in which trained models are searched, besides `$VCTOOL_MODELS`.
        form: ending of outputs, `.wav` or `.flac`, unless `out` is a file.
        progress: is told how far it is (`watch.Progress`), in place of a bar over several.
        cancelled: is asked, again and again, whether the conversion is no longer wanted.
        moved: is told where moments of a stretched recording went.
        load: loads the model; a caller that converts again may keep what it loaded.

    Returns:
        The recordings converted and failed; a failure does not stop the others.

    Raises:
        VctoolError: the conversion could not start, or the only recording failed.
        Cancelled: it is no longer wanted; what is not complete leaves no file.
    """
    existing, wanted_rate = Existing(force, skip_existing), _rate(rate)
    _require(inputs, accomp, mix, vocoder, accomp_offset, (vocal_gain, accomp_gain))
    wanted = [to] if to is None or isinstance(to, str | Path) else list(to)
    asked = discover.Asked(wanted, accomp is not None, inputs)
    found = discover.fitting(experiments, asked) if model is None else discover.named(Path(model))
    job = settle(found.fitting[0], inputs, wanted, out, accomp, mix, existing, form)
    summary = Summary(found.fitting[0].path, skipped=job.skipped, mix=mix)
    if found.instead:
        logger.warning("%s", found.instead)
    if not job.made:
        return summary
    watch = Watch(progress, cancelled, moved)
    converter = load(found, device, vocoder, _rate_of(found.fitting[0], job))
    if converter.path != summary.model:  # which cannot be loaded
        used = next(one for one in found.fitting if one.path == converter.path)
        job = settle(used, inputs, wanted, out, accomp, mix, existing, form)
        summary = Summary(converter.path, skipped=job.skipped, mix=mix)
    _tell(converter, job, accomp, mix)
    chosen = {**(options or {}), **job.options}
    requests = [converter.request(one, stretch, transpose, chosen, watch) for one in job.targets]
    sides = Sides(dry, stereo, requests)
    account.tell_choices(requests, stretch, accomp is not None)
    gains = mixing.gains(converter.settings, vocal_gain, accomp_gain) if mix else None
    with ExitStack() as stack:
        background = mixed = None
        if accomp is not None:
            folder = _made(job.made[0][0].path.parent)
            background = stack.enter_context(SpoolTrack(folder))
            _fill(background, accomp, converter.rate, watch)
            if gains is not None:
                backing = mixing.open_backing(accomp, converter.rate, folder, stack)
                mixed = mixing.Mix(backing, accomp_offset, gains)
        written = Format(converter.rate if wanted_rate == "model" else wanted_rate, mixed, sides)
        offset = round(accomp_offset * converter.rate)
        _convert_all(converter, requests, job, background, offset, written, summary, watch)
    return summary


def _require(
    inputs: Sequence[str],
    accomp: Path | None,
    mix: bool,
    vocoder: str | None,
    offset: float,
    gains: tuple[float | None, float | None],
) -> None:
    """Refuse what cannot be used, before a model is looked for and loaded."""
    require_inputs(inputs)
    if mix and accomp is None:
        raise ConfigError("--mix: there is nothing to mix with; pass --accomp FILE")
    if accomp is not None:
        audio.info(accomp)
    if vocoder is not None:
        vocoders.require(vocoder)
    require_offset(offset)
    mixing.require_gains(*gains)


def _tell(converter: Converter, job: Job, accomp: Path | None, mix: bool) -> None:
    """Log which model converts to what, and refuse targets that lack an accompaniment."""
    path, names = converter.path, ", ".join(one.name for one in job.targets)
    if not untrained.is_one(path):
        logger.info("model: %s, step %d, to %s", path, converter.state["step"], names)
    else:
        logger.info("model: %s, which needs no training, to %s", path, names)
    if packs.is_pack(path):
        data = "; ".join(map(str, packs.read_header(path).card["data"]))
        logger.info("%s is made of: %s; name that where its terms ask for it", path.name, data)
    for one in job.targets:
        needed = converter.needs_accompaniment(one.role)
        if accomp is None and needed:
            raise ConfigError(f"--to {one.name}: {path} needs --accomp FILE for it")
        if accomp is not None and not mix and not needed:
            logger.info("--accomp %s: not used when converting to %s", accomp, one.name)
        account.tell_source(path, converter.state["recipe"], one.role)


def _rate_of(model: discover.Candidate, job: Job) -> int | None:
    """Choose the rate of a model that needs no training; None for others, which have their own."""
    if not untrained.is_one(model.path):
        return None
    targets = (path for one in job.targets for path in one.recordings)
    return untrained.rate_of([*(several[0].source for several in job.made), *targets])


def _convert_all(
    converter: Converter,
    requests: Sequence[Request],
    job: Job,
    background: Track | None,
    offset: int,
    form: Format,
    summary: Summary,
    watch: Watch,
) -> None:
    """Convert every recording of a job; a failure does not stop the others of several."""
    by_name = {request.name: request for request in requests}
    several = len(job.made) > 1
    lengths = [_seconds(made[0].source) for made in job.made] if watch.tells else []
    watch.total = sum(lengths)
    bar = several and not watch.tells
    for made in shown(job.made, "convert", unit="file") if bar else job.made:
        watch.begin(lengths.pop(0) if lengths else 0.0)
        try:
            for output in made:
                job.check(output)
            own = [by_name[output.to] for output in made]
            _convert(converter, own, made, background, offset, form, watch)
            summary.done += made
        except Cancelled:
            raise
        except VctoolError as error:
            if not several:
                raise
            logger.warning("%s", error)
            summary.failed += [(output.source, str(error)) for output in made]
        watch.end()


def _seconds(path: Path) -> float:
    """Return the length of a recording by its header [s]; 0 where it has none that can be read."""
    try:
        return audio.info(path).seconds
    except AudioError:  # which is told when its turn comes
        return 0.0


def _rate(text: str) -> int | Literal["model", "input"]:
    """Read `--rate`: `model`, `input`, or a number [Hz]."""
    if text == "model":
        return "model"
    if text == "input":
        return "input"
    if not text.isdigit() or not 4000 <= int(text) <= 384000:
        raise ConfigError(f"--rate {text}: expected model, input or a rate such as 44100")
    return int(text)


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


def _fill(
    track: SpoolTrack,
    path: Path,
    rate: int,
    watch: Watch,
    meter: audio.LevelMeter | None = None,
) -> None:
    for block in audio.read_blocks(path, rate, samples=round(CHUNK_SECONDS * rate)):
        watch.check()
        track.append(block)
        if meter is not None:
            meter.add(block)


def _convert(
    converter: Converter,
    requests: Sequence[Request],
    made: Sequence[Output],
    background: Track | None,
    offset: int,
    form: Format,
    watch: Watch,
) -> None:
    """Convert one recording to every target and write the outputs.

    All targets are converted in parallel, block by block, so each block is analysed once.
    """
    source = made[0].source
    folder = _made(made[0].path.parent)
    with ExitStack() as stack:
        spooled = stack.enter_context(SpoolTrack(folder))
        heard = audio.LevelMeter(converter.rate)
        _fill(spooled, source, converter.rate, watch, heard)
        voice = watch.track(spooled)
        require_length(voice.samples, converter.rate, str(source))
        known = converter.scan(voice, *requests)
        if known.silent:
            logger.info("%s: silent, and so is its output", source)
        elif converter.searches_f0:
            account.tell_range(source, voice, converter.features)
        own = form.sides.open(source, spooled, converter.rate, folder, stack)
        requests = [converter.settled(one, voice, known, str(source)) for one in requests]
        takes = []
        for request, output in zip(requests, made, strict=True):
            samples = request.samples(voice.samples)
            accomp = None
            if background is not None:
                accomp = Looped(background, samples, offset)
                _tell_fit(background.samples - offset, samples, converter.rate, source)
            spool = stack.enter_context(SpoolTrack(folder))
            meter = audio.LevelMeter(converter.rate)
            takes.append(Take(request, output, accomp, spool, meter, own))
        streams = [
            converter.pieces(voice, take.accomp, take.request, known, watch) for take in takes
        ]
        total = sum(request.samples(voice.samples) for request in requests)
        for waves in zip_longest(*streams):
            for take, wave in zip(takes, waves, strict=True):
                if wave is not None:
                    take.add(wave)
            watch.at(sum(take.voice.samples for take in takes) / total)
        for take in takes:
            samples = take.request.samples(voice.samples)
            assert take.voice.samples == samples, (take.voice.samples, samples)
            finish(converter, take, known, form, heard, watch)
            if notes.wanted(take.request.options):
                blocks = converter.blocks(voice, known) if not known.silent else ()
                found = notes.of_blocks(converter.system, blocks, take.request, converter.rate)
                notes.write(take.output.midi, found)
                logger.info("%s: %d notes", take.output.midi, len(found))


def _tell_fit(left: int, samples: int, rate: int, source: Path) -> None:
    """Log whether the accompaniment was cut or looped to the output's length."""
    if left == samples:
        return
    what = "cut" if left > samples else "looped"
    logger.info("%s: the accompaniment is %s to %.2f s", source, what, samples / rate)
