"""LibriSpeech (Panayotov et al. 2015): read English speech, 16 kHz FLAC, with transcripts.

Where the folder holds the publisher's dev and test subsets, these are the splits. Otherwise whole
speakers are held out where there are eight or more, alternating between the sexes, and a block in
time of every speaker's reading where there are fewer.
"""

from pathlib import Path

from vctool.acquisition.archive import Archive, Subset
from vctool.acquisition.clips import by_speaker
from vctool.acquisition.info import CorpusInfo, locate
from vctool.acquisition.report import SPLITS, Report, finish
from vctool.acquisition.survey import LONGEST, seconds, survey
from vctool.data.datadir import Utterance
from vctool.errors import DataError

_MIRRORS = (
    "https://us.openslr.org",
    "https://openslr.elda.org",
    "https://openslr.magicdatatech.com",
)
"""In the US, the EU and China, as the publisher's page lists them."""


def _subset(
    name: str, hours: float, size: int, checksum: str, resource: int = 12, *, default: bool = False
) -> Subset:
    """Describe a subset: its length [h], its size [bytes], and the publisher's number for it."""
    path = f"resources/{resource}/{name}.tar.gz"
    archive = Archive(
        f"https://www.openslr.org/{path}",
        "checksum: torchaudio.datasets.librispeech; size: kaldi download_and_untar.sh"
        if resource == 12
        else "checksum: openslr.org/resources/31/md5sum.txt; rounded size: openslr.org/31",
        bytes=size if resource == 12 else None,
        about_bytes=size,
        checksum=checksum,
        mirrors=tuple(f"{mirror}/{path}" for mirror in _MIRRORS),
    )
    return Subset(name, (archive,), hours, default)


INFO = CorpusInfo(
    name="librispeech",
    title="LibriSpeech",
    hours=982.0,
    licence="CC BY 4.0",
    homepage="https://www.openslr.org/12",
    rate=16000,
    layout="LibriSpeech/<subset>/<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac",
    # hours: the corpus's paper, table 1; those of mini LibriSpeech: the names of its parts
    subsets=(
        _subset(
            "train-clean-100",
            100.6,
            6387309499,
            "sha256:d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
            default=True,
        ),
        _subset(
            "dev-clean",
            5.4,
            337926286,
            "sha256:76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
            default=True,
        ),
        _subset(
            "test-clean",
            5.4,
            346663984,
            "sha256:39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
            default=True,
        ),
        _subset(
            "train-clean-360",
            363.6,
            23049477885,
            "sha256:146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
        ),
        _subset(
            "train-other-500",
            496.7,
            30593501606,
            "sha256:ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
        ),
        _subset(
            "dev-other",
            5.3,
            314305928,
            "sha256:12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
        ),
        _subset(
            "test-other",
            5.1,
            328757843,
            "sha256:d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
        ),
        # for trying: utterances of train-clean-100 and dev-clean
        _subset("train-clean-5", 5.0, 332 * 10**6, "md5:5df7d4e78065366204ca6845bb08f490", 31),
        _subset("dev-clean-2", 2.0, 126 * 10**6, "md5:6d7ab67ac6a1d2c993d050e16d61080d", 31),
    ),
)

_SUBSETS = ("train-*", "dev-*", "test-*")


def find(downloads: Path) -> Path:
    """Return the folder that holds `train-clean-100` or another subset.

    Raises:
        DataError: there is none.
    """
    return locate(downloads, INFO, (f"{subset}/*/*/*-*-*.flac" for subset in _SUBSETS))


def prepare(source: Path, out: Path, *, seed: int, nj: int = 1) -> Report:
    """Write the data dirs of the subsets that are there.

    Raises:
        DataError: there is no usable recording, or too few for three splits.
    """
    found = sorted(file for subset in _SUBSETS for file in source.glob(f"{subset}/*/*/*-*-*.flac"))
    # mini LibriSpeech repeats utterances of the subsets that it is taken from
    files = list({file.stem: file for file in reversed(found)}.values())
    if not files:
        raise DataError(f"{source}: no LibriSpeech there; expected {INFO.layout}")
    usable, rejected = survey(files, nj=nj, longest=LONGEST, rate=INFO.rate)
    texts = _texts(source)
    utterances = [
        Utterance(
            id=file.stem,
            speaker=file.stem.split("-")[0],
            domain="speech",
            wav=file,
            duration=seconds(measured),
            text=texts.get(file.stem),
        )
        for file, measured in sorted(usable.items(), key=lambda item: item[0].stem)
    ]
    assigned, disjoint_by = _assign(utterances, source, seed)
    return finish(
        INFO.name,
        out,
        {split: [one for one in utterances if assigned[one.id] == split] for split in SPLITS},
        disjoint_by=disjoint_by,
        rejected=rejected,
    )


def _assign(utterances: list[Utterance], source: Path, seed: int) -> tuple[dict[str, str], str]:
    """Return the split of every utterance, and what the splits are disjoint by."""
    subsets = {one.id: one.wav.relative_to(source).parts[0].split("-")[0] for one in utterances}
    if set(subsets.values()) == set(SPLITS):
        return subsets, "speaker (the publisher's subsets)"
    return by_speaker(utterances, seed, INFO.name, sexes=_sexes(source))


def _texts(source: Path) -> dict[str, str]:
    """Read the transcripts, `<utterance> <WORDS>` lines, of all chapters."""
    found: dict[str, str] = {}
    for subset in _SUBSETS:
        for file in source.glob(f"{subset}/*/*/*.trans.txt"):
            rows = (line.split(" ", 1) for line in file.read_text("utf-8").split("\n") if line)
            found |= {row[0]: row[1].strip() for row in rows if len(row) == 2}
    return found


def _sexes(source: Path) -> dict[str, str]:
    """Read the sex of every reader from the corpus's own table, where it is there."""
    table = source / "SPEAKERS.TXT"
    if not table.is_file():
        return {}
    lines = table.read_text("utf-8", errors="replace").split("\n")
    rows = (line.split("|") for line in lines if not line.startswith(";"))
    return {row[0].strip(): row[1].strip() for row in rows if len(row) >= 2}
