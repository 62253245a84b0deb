"""The embedded corpus `mini`: synthetic speech, and singing to accompaniments, made on the spot.

Two voices of espeak-ng speak sentences of a slot grammar and sing others, re-synthesised with
WORLD on melodies that follow an accompaniment of chords, bass and drums, which is made as well. In
training nothing is paired: no sentence is both spoken and sung. The test split is paired, with the
map between the two times, so that scoring has a truth. No sentence and no melody is in two splits.
Nothing is fetched, and nobody was recorded.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vctool import audio
from vctool.acquisition.built import building
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import SPLITS, Report, finish
from vctool.corpora.synthetic import builder
from vctool.corpora.synthetic.builder import Item, Sizes
from vctool.corpora.synthetic.espeak import RATE
from vctool.corpora.synthetic.sentences import GRAMMAR
from vctool.corpora.synthetic.singing import STRETCH
from vctool.data.datadir import DataDir, Utterance
from vctool.errors import DataError

__all__ = ["INFO", "Sizes", "download", "find", "prepare"]

INFO = CorpusInfo(
    name="mini",
    title="the embedded synthetic corpus",
    hours=0.27,
    licence="CC0 1.0; synthetic, nobody was recorded",
    homepage="built here by `vctool download mini`",
    rate=RATE,
    layout="mini/corpus.json, as built by `vctool download mini`",
)

_VERSION = 1
"""Raised whenever the same seed and sizes give other bytes."""

_README = """\
The corpus `mini` is SYNTHETIC. Nobody was recorded.

  wav/       the voices, spoken and sung, 22.05 kHz, mono, 16 bit
  accomp/    the accompaniment of every sung sentence, as long as it and in time with it
  time_map/  for the paired test sentences: spoken time to sung time [s]
  corpus.json, grammar.json    what each file is; the slot grammar of the sentences

Speech: espeak-ng, voices {voices}, run in a process of its own.
Singing: the same voices' speech of (in training: other) sentences, analysed and re-synthesised
with WORLD: {stretch} times as long with most of the extra length in the vowels, syllables on the
song's sixteenths, F0 on a melody of chord tones with glides and vibrato, evened loudness, and a
singer's formant. Accompaniment: additive synthesis and noise.
Built from seed {seed} with {sizes} by vctool; the same seed and sizes give the same bytes.

Licence of the audio in this folder: CC0 1.0 (public domain dedication). espeak-ng itself is free
software under the GNU GPL version 3; it is not part of this folder.
"""


def download(root: Path, *, seed: int = 0, nj: int = 2, sizes: Sizes | None = None) -> Path:
    """Build the corpus in `root/mini`, unless it stands there already.

    Args:
        root: folder of all corpora.
        seed: of everything that is drawn; the same seed and sizes give the same bytes.
        nj: number of processes.
        sizes: number of sentences; about 13 minutes of training sound where not given.

    Returns:
        The corpus's folder.

    Raises:
        DataError: espeak-ng is not installed or fails, or the folder cannot be written to.
    """
    sizes = sizes or Sizes()
    target = Path(root) / "mini"
    made_from = {"version": _VERSION, "seed": seed, "sizes": asdict(sizes)}
    if _made_from(target) == made_from:
        return target
    with building(target) as beside:
        items = builder.build(beside, seed, sizes, nj)
        _describe(beside, items, made_from)
    return target


def find(downloads: Path) -> Path:
    """Locate a built corpus: the folder itself, or its parent.

    Raises:
        DataError: neither is one.
    """
    return locate(Path(downloads), INFO, ("corpus.json",))


def prepare(source: Path, out: Path, *, seed: int = 0, nj: int = 1) -> Report:
    """Write the data dirs `train`, `dev` and `test`, the last with `pairs` and `time_map.scp`.

    Args:
        source: the corpus's folder, from `download` or `find`.
        out: folder of the data dirs.
        seed: not used; the splits were drawn when the corpus was built.
        nj: not used.

    Raises:
        DataError: the corpus is incomplete.
    """
    source, out = Path(source), Path(out)
    items = [Item(**entry) for entry in _corpus(source)["items"]]
    splits = {
        split: [_utterance(source, item) for item in items if item.split == split]
        for split in SPLITS
    }
    notes = (f"synthetic, seed {_corpus(source)['seed']}",)
    report = finish("mini", out, splits, disjoint_by="sentence and melody", notes=notes)
    pairs = [(i.id, i.pair) for i in items if i.domain == "speech" and i.pair is not None]
    for split in SPLITS:
        data = DataDir.read(out / split)
        paired = tuple(pair for pair in pairs if pair[0] in data)
        replace(
            data,
            pairs=paired,
            time_maps={speech: source / "time_map" / f"{speech}.tsv" for speech, _ in paired},
            extra={"grammar.json": (source / "grammar.json").read_text("utf-8")},
        ).write()
    return report


def _utterance(source: Path, item: Item) -> Utterance:
    wav = source / "wav" / f"{item.id}.wav"
    sung = item.domain == "singing"
    return Utterance(
        id=item.id,
        speaker=item.speaker,
        domain=item.domain,
        wav=wav,
        duration=audio.info(wav).seconds,
        accomp=(source / "accomp" / wav.name,) if sung else (),
        text=item.text,
    )


def _describe(folder: Path, items: list[Item], made_from: dict[str, object]) -> None:
    """Write what the corpus is; `corpus.json` comes last, because it marks it as complete."""
    (folder / "README.txt").write_text(
        _README.format(
            voices=", ".join(voice.espeak for voice in builder.VOICES.values()),
            stretch=STRETCH,
            **made_from,
        )
    )
    (folder / "grammar.json").write_text(json.dumps({"positions": GRAMMAR}, indent=1) + "\n")
    corpus = {**made_from, "items": [asdict(item) for item in items]}
    (folder / "corpus.json").write_text(json.dumps(corpus, indent=1) + "\n")


def _made_from(folder: Path) -> dict[str, object] | None:
    """Return what a corpus was built from, or None where there is none."""
    if not (folder / "corpus.json").is_file():
        return None
    corpus = _corpus(folder)
    return {key: corpus.get(key) for key in ("version", "seed", "sizes")}


def _corpus(folder: Path) -> dict[str, Any]:
    """Read `corpus.json`."""
    path = folder / "corpus.json"
    try:
        corpus = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; delete {folder} to have it built anew") from None
    assert isinstance(corpus, dict), path
    return corpus
