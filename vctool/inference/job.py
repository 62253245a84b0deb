"""What a run of `vctool convert` has to do, settled before the weights of a model are loaded."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vctool.errors import AudioError, ConfigError
from vctool.inference import notes, target
from vctool.inference import options as own_options
from vctool.inference.discover import Candidate
from vctool.inference.outputs import Output, outputs

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Existing:
    """What becomes of outputs that exist; neither: they are refused."""

    force: bool = False
    """They are replaced."""
    skip: bool = False
    """They are left as they are, and not converted again."""

    def __post_init__(self) -> None:
        """Refuse both.

        Raises:
            ConfigError: both are wanted.
        """
        if self.force and self.skip:
            raise ConfigError("--force, --skip-existing: contradict each other; pass one of them")


@dataclass(frozen=True)
class Job:
    """Recordings and targets of one run."""

    targets: list[target.Target]
    options: dict[str, Any]
    """Options of the model's family, as typed."""
    made: list[list[Output]]
    """For every recording that is to be converted, its outputs."""
    skipped: list[Output]
    """Outputs that exist and are left as they are."""
    taken: set[tuple[int, int]]
    """Device and inode of every file that is read, which identify it under any name."""
    mix: bool
    existing: Existing
    midi: bool = False
    """Whether notes are written beside the outputs."""

    def check(self, output: Output, more: int = 0) -> None:
        """Refuse to overwrite an input or, without `force`, an existing file.

        Args:
            output: what is about to be written.
            more: how many others are known to exist.

        Raises:
            AudioError: the output exists, or is one of the inputs.
        """
        for path in _files(output, self.mix, self.midi):
            if identities([path]) & self.taken:
                raise AudioError(f"{path}: is an input; pass --out with another name")
            if path.exists() and not self.existing.force:
                told = f"{path} and {more} more exist" if more else f"{path}: exists"
                it = "them" if more else "it"
                raise AudioError(
                    f"{told} already; pass --force to replace {it}, --skip-existing to leave {it}, "
                    "or --out"
                )


def settle(
    model: Candidate,
    words: Sequence[str],
    wanted: Sequence[str | Path | None],
    out: Path | None,
    accomp: Path | None,
    mix: bool,
    existing: Existing,
    form: str = ".wav",
) -> Job:
    """Find the recordings, name their outputs, and look which of them exist.

    Args:
        model: the model that will convert.
        words: recordings, and options of the model's family.
        wanted: every `--to`.
        out: a file or a folder; beside the recordings where None.
        accomp: the accompaniment, which must not be replaced either.
        mix: whether mixes are written too.
        existing: what becomes of outputs that exist.
        form: ending of outputs that `out` does not name.

    Raises:
        ConfigError: nothing to convert, or no such target or option.
        AudioError: a file, folder or glob with nothing in it; or all outputs exist and are to be
            neither replaced nor left.
    """
    inputs, typed = own_options.split(words, model.system.Options, model.path)
    if not inputs:
        raise ConfigError("nothing to convert; name a recording, a folder or a glob")
    targets = target.resolve(wanted, model.roles, model.system.takes_reference, model.path)
    made = outputs(inputs, out, [one.name for one in targets], form)
    read = [*(several[0].source for several in made), *([accomp] if accomp is not None else [])]
    taken = identities([*read, *(path for one in targets for path in one.recordings)])
    sources = identities(several[0].source for several in made)
    for one in targets:
        if sources & identities(one.recordings):
            logger.info("--to %s: a recording is its own target, and stays much as it is", one.name)
    midi = notes.wanted(own_options.checked(typed, model.system.Options, model.path))
    skipped: list[Output] = []
    if existing.skip:
        skipped = [one for several in made for one in several if _complete(one, mix, midi)]
        left = ([one for one in several if not _complete(one, mix, midi)] for several in made)
        made = [several for several in left if several]
    job = Job(targets, typed, made, skipped, taken, mix, existing, midi)
    wanted_files = [one for several in made for one in several]
    if made and all(any(map(Path.exists, _files(one, mix, midi))) for one in wanted_files):
        job.check(wanted_files[0], len(wanted_files) - 1)  # before a model is loaded
    return job


def identities(paths: Iterable[Path]) -> set[tuple[int, int]]:
    """Return device and inode of the files that exist, which identify them under any name."""
    found = (path.stat() for path in paths if path.exists())
    return {(status.st_dev, status.st_ino) for status in found}


def _files(output: Output, mix: bool, midi: bool) -> tuple[Path, ...]:
    more = [output.mix] * mix + [output.midi] * midi
    return (output.path, *more)


def _complete(output: Output, mix: bool, midi: bool) -> bool:
    return all(path.exists() for path in _files(output, mix, midi))
