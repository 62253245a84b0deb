"""CMU ARCTIC (Kominek and Black 2004): 18 readers of the same 1132 English sentences, 16 kHz.

One archive a speaker, `cmu_us_<speaker>_arctic`, with the words in Festival's format. Some speakers
read only the first half. Everybody is in all splits, and sentences are held out, the same ones for
all, so test is parallel; so are train and dev, which a system that claims to learn without parallel
recordings should know of.
"""

import re
from pathlib import Path

from vctool.acquisition import splits
from vctool.acquisition.archive import Archive, Subset
from vctool.acquisition.clips import absent, clip, into_splits, measured, read_text
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import Report, finish

_CHECKSUMS = {
    "bdl": "26b91aaf48b2799b2956792b4632c2f926cd0542f402b5452d5adecb60942904",
    "slt": "7c173297916acf3cc7fcab2713be4c60b27312316765a90934651d367226b4ea",
    "rms": "c6dc11235629c58441c071a7ba8a2d067903dfefbaabc4056d87da35b72ecda4",
    "clb": "3f16dc3f3b97955ea22623efb33b444341013fc660677b2e170efdcc959fa7c6",
    "jmk": "3a37c0e1dfc91e734fdbc88b562d9e2ebca621772402cdc693bbc9b09b211d73",
    "awb": "d74a950c9739a65f7bfc4dfa6187f2730fa03de5b8eb3f2da97a51b74df64d3c",
    "ksp": "8029cafce8296f9bed3022c44ef1e7953332b6bf6943c14b929f468122532717",
    "aew": "645cb33c0f0b2ce41384fdd8d3db2c3f5fc15c1e688baeb74d2e08cab18ab406",
    "ahw": "024664adeb892809d646a3efd043625b46b5bfa3e6189b3500b2d0d59dfab06c",
    "aup": "2c55bc3050caa996758869126ad10cf42e1441212111db034b3a45189c18b6fc",
    "axb": "dd65c3d2907d1ee52f86e44f578319159e60f4bf722a9142be01161d84e330ff",
    "eey": "8a0ee4e5acbd4b2f61a4fb947c1730ab3adcc9dc50b195981d99391d29928e8a",
    "fem": "3fcff629412b57233589cdb058f730594a62c4f3a75c20de14afe06621ef45e2",
    "gka": "dc82e7967cbd5eddbed33074b0699128dbd4482b41711916d58103707e38c67f",
    "ljm": "b23993765cbf2b9e7bbc3c85b6c56eaf292ac81ee4bb887b638a24d104f921a0",
    "lnh": "4faf34d71aa7112813252fb20c5433e2fdd9a9de55a00701ffcbf05f24a5991a",
    "rxr": "1fa4271c393e5998d200e56c102ff46fcfea169aaa2148ad9e9469616fbfdd9b",
    "slp": "54345ed55e45c23d419e9a823eef427f1cc93c83a710735ec667d068c916abf1",
}
"""SHA-256 of every speaker's archive; the seven speakers of the first release come first."""


def _archive(speaker: str) -> Archive:
    return Archive(
        f"http://festvox.org/cmu_arctic/packed/cmu_us_{speaker}_arctic.tar.bz2",
        checksum=f"sha256:{_CHECKSUMS[speaker]}",
        source="torchaudio.datasets.cmuarctic",
    )


INFO = CorpusInfo(
    name="cmu_arctic",
    title="CMU ARCTIC",
    hours=13.0,
    hours_estimated=True,
    licence="free to use and share, the notice kept (Carnegie Mellon University)",
    licence_source=(
        "the corpus's report, CMU-LTI-03-177; that the notice is kept, from COPYING in its "
        "archives as others quote it, unverified"
    ),
    homepage="http://festvox.org/cmu_arctic",
    rate=16000,
    layout="ARCTIC/cmu_us_<speaker>_arctic/wav/arctic_<a or b><number>.wav",
    subsets=tuple(Subset(speaker, (_archive(speaker),)) for speaker in _CHECKSUMS),
)

_FOLDER = re.compile(r"cmu_us_(?P<speaker>[a-z]+)_arctic")
_SENTENCE = re.compile(r"arctic_[ab]\d{4}")
_LINE = re.compile(r'\(\s*(?P<sentence>arctic_[ab]\d{4})\s+"(?P<text>.*)"\s*\)')


def find(downloads: Path) -> Path:
    """Return the folder that holds the speakers' folders.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, ("cmu_us_*_arctic/wav/arctic_*.wav",))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs, disjoint by sentence.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    clips = []
    for folder in sorted(source.glob("cmu_us_*_arctic")):
        if match := _FOLDER.fullmatch(folder.name):
            texts = _texts(folder / "etc" / "txt.done.data")
            clips += [
                clip(file, match["speaker"], file.stem, text=texts.get(file.stem), sentence=name)
                for file in sorted((folder / "wav").glob("*.wav"))
                if _SENTENCE.fullmatch(name := file.stem)
            ]
    if not clips:
        absent(source, INFO)
    utterances, rejected = measured(clips, INFO, nj=nj)
    own: dict[str, list[str]] = {}
    for one in utterances:
        own.setdefault(one.speaker, []).append(str(one.sentence))
    drawn = splits.by_sentence(own, seed, INFO.name)
    return finish(
        INFO.name,
        out,
        into_splits(utterances, lambda one: drawn[str(one.sentence)]),
        disjoint_by="sentence",
        rejected=rejected,
        notes=("train is parallel too: all speakers read the same sentences",),
    )


def _texts(table: Path) -> dict[str, str]:
    """Read the words of every sentence, `( <sentence> "<Words>" )` lines."""
    if not table.is_file():
        return {}
    lines = map(_LINE.fullmatch, map(str.strip, read_text(table).splitlines()))
    return {match["sentence"]: match["text"].strip() for match in lines if match}
