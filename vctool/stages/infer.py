"""Stage 4: convert held-out utterances, for scoring.

    exp/<name>/infer/pairs.tsv            utt, target_utt: the song whose accompaniment is used,
                                          or the target's recording of the same sentence; of a
                                          triplet its own name and its target
                     pairs_shuffled.tsv   the same utterances, each with another's accompaniment
                     matched/<kind>/      the vocoder's input, a store per kind
                     shuffled/<kind>/
                     to_speech/<kind>/    some utterances, target to source
                     */outputs.tsv        utt, length [samples] and loudness of the output
                     time_map/<utt>.tsv   speech_seconds, converted_seconds: the time warp

Roles are those of the recipe: the first is the source (speech), the last the target (singing).
Where there are more than two, every ordered pair of them is a direction with a folder of its own
(`vctool.experiment.directions`). A family whose only targets are recordings converts the content of
every triplet with its style as the reference.
`vctool.inference.pairs` chooses the utterances and pairs them.

An utterance is done if it is in all stores of its set; a resumed run does not load it again.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from vctool import cluster, vocoders
from vctool.data.atomic import write_text
from vctool.data.store import StoreWriter
from vctool.errors import CheckpointError
from vctool.experiment import directions, hashes, written
from vctool.experiment.directions import Direction
from vctool.experiment.recipe import Recipe
from vctool.features.base import voice_kinds
from vctool.inference import reference
from vctool.inference.converter import Converter
from vctool.inference.pairs import HeldOut, Pair, choose, opposite, shuffle, triplets
from vctool.inference.request import Request
from vctool.inference.utterance import Outcome, Prepared, WorkerTask, finish, prepare, work
from vctool.models.base import Reference
from vctool.progress import progress
from vctool.workers import AHEAD, in_order, pool

logger = logging.getLogger(__name__)


def run(recipe: Recipe, device: str = "auto", nj: int = 1) -> None:
    """Convert the held-out utterances of a recipe; continues where it was stopped.

    Args:
        recipe: the experiment.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        nj: threads that prepare what the model is given.

    Raises:
        CheckpointError: nothing is trained, or it was trained with other features.
        DataError: a role has no held-out utterances, or an accompaniment is missing.
    """
    converter = Converter(recipe.exp, device, recipe.vocoder)
    if converter.features != recipe.features:
        raise CheckpointError(
            f"{recipe.exp}: was trained with other feature settings; train again with --fresh"
        )
    data = {name: hashes.of_data(Path("data") / name) for name in recipe.corpus.names}
    given = Given(recipe, converter, HeldOut(recipe), hashes.of_checkpoint(recipe.exp), data, nj)
    table = directions.table(recipe.exp)
    written.note(recipe.exp, "infer", [table])
    matched = {}
    referred = converter.system.only_references
    for way in directions.of(recipe):
        if referred:
            pairs, request = triplets(recipe, given.held), converter.request({})
        else:
            needed = converter.needs_accompaniment(way.target)
            pairs = choose(recipe, given.held, way.source, way.target, needed)
            request = _request(recipe, converter, way.target)
        digest = _digest(given, pairs, request)
        folder, times = recipe.exp / way.features, recipe.exp / way.times
        one = Set(folder, times, way.source, pairs, request, digest)
        _convert_set(given, one)
        if not way.name and not referred:
            _beside(given, way, one)
        matched[way] = pairs
    _write_pairs(table, matched)  # last: it marks the stage as complete


class Given(NamedTuple):
    """Settings common to all sets."""

    recipe: Recipe
    converter: Converter
    held: HeldOut
    model: str
    """Hash of the checkpoint."""
    data: Mapping[str, str]
    """Hashes of the corpora, recordings included."""
    nj: int
    """Number of threads that prepare the model's inputs."""


class Set(NamedTuple):
    """Utterances that are converted into one folder."""

    folder: Path
    """Output folder of a store per kind, and outputs.tsv."""
    times: Path
    """Output folder of the time maps."""
    role: str
    """Whose utterances they are."""
    pairs: Sequence[Pair]
    request: Request
    """Options of all conversions; of a triplet, without its reference."""
    digest: str
    """Hash of everything that the results depend on."""


def _request(recipe: Recipe, converter: Converter, to: str) -> Request:
    """Build a request for a role; the recipe's stretch applies to its target, the last role."""
    stretch = recipe.convert.stretch if to == list(recipe.roles)[-1] else 1.0
    return converter.request(to, stretch)


def _beside(given: Given, way: Direction, one: Set) -> None:
    """Convert with shuffled accompaniments, and some utterances from target to source."""
    infer, converter = one.folder.parent, given.converter
    if converter.needs_accompaniment(way.target):
        shuffled = shuffle(one.pairs)
        _convert_set(given, one._replace(folder=infer / "shuffled", pairs=shuffled))
        table = infer / "pairs_shuffled.tsv"
        written.note(given.recipe.exp, "infer", [table])
        _write_pairs(table, {way: shuffled})
    if way.source != way.target:
        needed = converter.needs_accompaniment(way.source)
        reverse = opposite(given.recipe, given.held, way.target, needed)
        request = converter.request(way.source, 1.0)
        folder = infer / f"to_{way.source}"
        _convert_set(given, Set(folder, one.times, way.target, reverse, request, one.digest))


def _convert_set(given: Given, job: Set) -> None:
    """Convert one set of utterances into one store per kind, skipping those that are done."""
    features, converter = given.recipe.features, given.converter
    table = job.folder / "outputs.tsv"
    stores = [job.folder / kind for kind in converter.gives]
    maps = [job.times / f"{pair.id}.tsv" for pair in job.pairs]
    written.note(given.recipe.exp, "infer", [table, *stores, *maps])
    outputs = Outputs(table)
    with ExitStack() as stack:
        writers = {
            kind: stack.enter_context(
                StoreWriter(job.folder / kind, kind, features.of_kind(kind), job.digest)
            )
            for kind in converter.gives
        }

        def wanted(name: str) -> bool:
            return any(name not in writer.done for writer in writers.values())

        mapped = _names(job.times)
        left = [
            pair
            for pair in job.pairs
            if wanted(name := pair.id) or name not in outputs or name not in mapped
        ]
        stack.enter_context(outputs)
        results = _results(given, job, left, wanted)
        for one in progress(results, f"infer {job.folder.name}", len(left)):
            # The stores last: what is in all of them is done.
            _write_time_map(job.times / f"{one.name}.tsv", one, converter)
            outputs.add(one.name, one.samples, one.level_db)
            for kind, values in one.features.items():
                if one.name not in writers[kind].done:
                    writers[kind].write(one.name, values)
    outputs.finish([pair.id for pair in job.pairs])
    to = job.request.to or "their styles"
    logger.info("%s: %d utterances to %s", job.folder, len(job.pairs), to)


class Outputs:
    """Table of the length and loudness of a set's outputs, appended to as the set is converted.

    Args:
        path: the table; complete lines in it are kept.

    Use as a context manager while lines are added.
    """

    HEADER = "utt\tsamples\tlevel_db\n"

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text("utf-8") if path.is_file() else ""
        lines = text.splitlines(keepends=True)[1:]
        self._lines = {line.split("\t")[0]: line for line in lines if line.endswith("\n")}

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def __enter__(self) -> None:
        write_text(self.path, self.HEADER + "".join(self._lines.values()))  # without a torn line
        self._file = self.path.open("a", encoding="utf-8")

    def add(self, name: str, samples: int, level_db: float) -> None:
        """Add an utterance: its length [samples] and its active level [dB of full scale]."""
        self._lines[name] = f"{name}\t{samples}\t{level_db:.4f}\n"
        self._file.write(self._lines[name])
        self._file.flush()

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def finish(self, names: Iterable[str]) -> None:
        """Write the table of the whole set, in this order."""
        write_text(self.path, self.HEADER + "".join(self._lines[name] for name in names))


def _names(folder: Path) -> set[str]:
    """List the utterances that have a time map; files that a crash left empty do not count."""
    if not folder.is_dir():
        return set()
    return {path.stem for path in folder.glob("*.tsv") if path.stat().st_size}


def _results(
    given: Given, job: Set, pairs: Sequence[Pair], wanted: Callable[[str], bool]
) -> Iterator[Outcome]:
    """Convert utterances in order: here, prepared on threads, or on the cluster in use."""
    held, converter, request = given.held, given.converter, job.request
    if cluster.in_use() is not None and pairs:
        yield from _elsewhere(given, job, pairs, wanted)
        return

    def prepared(pair: Pair) -> Prepared:
        return prepare(converter, held.features(job.role, pair.source.id), pair, request)

    held.stores(job.role)  # opened here, not by several threads at once
    asked = _asked(given, job, pairs)
    with ThreadPoolExecutor(given.nj) as threads:
        for one in in_order(threads, prepared, pairs, AHEAD * given.nj):
            yield finish(converter, one, next(asked), wanted(one.name))


def _asked(given: Given, job: Set, pairs: Iterable[Pair]) -> Iterator[Request]:
    """Yield the request of every pair: that of a triplet has the reference of its style."""
    known: dict[str, Reference] = {}  # a style stands in several triplets
    for pair in pairs:
        if pair.style is None:
            yield job.request
            continue
        name = pair.style.id
        if name not in known:
            entries = given.held.features(job.role, name)
            read = {kind: entries[kind].read() for kind in voice_kinds(given.converter.reads)}
            with torch.no_grad():
                made = given.converter.system.reference([read])
            known[name] = reference.checked(made, given.converter.path)
        yield replace(job.request, reference=known[name])


def _elsewhere(
    given: Given, job: Set, pairs: Sequence[Pair], wanted: Callable[[str], bool]
) -> Iterator[Outcome]:
    """Convert utterances in order on the cluster in use."""
    experiment, device = given.recipe.exp.absolute(), str(given.converter.device)
    vocoder, threads = vocoders.absolute(given.recipe.vocoder), torch.get_num_threads()
    tasks = (
        WorkerTask(
            experiment,
            given.model,
            device,
            vocoder,
            threads,
            {
                kind: entry.absolute()
                for kind, entry in given.held.features(job.role, pair.source.id).items()
            },
            pair,
            request,
            wanted(pair.id),
        )
        for pair, request in zip(pairs, _asked(given, job, pairs), strict=True)
    )
    with pool(1) as workers:
        yield from in_order(workers, work, tasks, AHEAD * workers.processes)


def _write_time_map(path: Path, one: Outcome, converter: Converter) -> None:
    seconds = 1 / converter.features.frame_rate
    rows = zip(one.warp.knots_in * seconds, one.warp.knots_out * seconds, strict=True)
    lines = [f"{before:.6f}\t{after:.6f}\n" for before, after in rows]
    write_text(path, "speech_seconds\tconverted_seconds\n" + "".join(lines))


def _write_pairs(path: Path, found: Mapping[Direction, Sequence[Pair]]) -> None:
    rows = {
        way: [(pair.id, pair.target.id if pair.target else "") for pair in pairs]
        for way, pairs in found.items()
    }
    directions.write(path, rows)


def _digest(given: Given, pairs: Sequence[Pair], request: Request) -> str:
    """Hash what the converted features depend on besides the recipe's settings."""
    ids = [
        (pair.source.id, pair.target.id if pair.target else "")
        + (() if pair.style is None else (pair.style.id, pair.id))
        for pair in pairs
    ]
    text = json.dumps([given.model, dict(given.data), ids, request.to, request.stretch])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
