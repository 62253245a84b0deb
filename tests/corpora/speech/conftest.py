"""Makes small corpora in their true layouts, and prepares them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from tests.sounds import sine
from vctool.acquisition.report import Report
from vctool.data.datadir import DataDir, Utterance, check

Put = Callable[..., None]


@pytest.fixture
def put() -> Put:
    """Writes a recording: a tone, or what `wave` says, in the format of its ending."""

    def write(path: Path, rate: int, seconds: float = 0.4, wave: np.ndarray | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if wave is None:
            wave = sine(seconds, 220, rate)
        file_format = "NIST" if path.suffix == ".sph" else None
        soundfile.write(path, wave, rate, format=file_format, subtype="PCM_16")

    return write


@dataclass
class Prepared:
    """The data dirs of a corpus, and what its preparer said."""

    report: Report
    splits: dict[str, DataDir]

    @property
    def all(self) -> dict[str, Utterance]:
        """All utterances by id."""
        return {one.id: one for data in self.splits.values() for one in data}

    def of(self, trait: Callable[[Utterance], object]) -> dict[str, set[object]]:
        """What is found of a trait in every split."""
        return {split: {trait(one) for one in data} for split, data in self.splits.items()}

    def apart(self, trait: Callable[[Utterance], object]) -> bool:
        """Whether no two splits share a value of a trait."""
        return not any(a & b for a, b in combinations(self.of(trait).values(), 2))

    @property
    def rejected(self) -> dict[str, str]:
        """Why each file was left out, by its name."""
        return {one.file.name: one.reason for one in self.report.rejected}


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., Prepared]:
    """Finds and prepares a corpus, and sees that its data dirs are sound and repeatable."""

    def run(module: ModuleType, downloads: Path, seed: int = 0) -> Prepared:
        source = module.find(downloads)
        assert module.find(source) == source
        out = tmp_path / "data" / module.INFO.name
        module.prepare(source, out, seed=seed, nj=1)
        files = [file for file in sorted(out.rglob("*")) if file.is_file()]
        before = {file: file.read_bytes() for file in files}
        report = module.prepare(source, out, seed=seed, nj=2)
        assert {file: file.read_bytes() for file in files} == before
        splits = {split: DataDir.read(out / split) for split in report.splits}
        assert all(check(data.path) == [] for data in splits.values())
        for data in splits.values():
            one = data.utterances[0]
            assert len(one.load(8000)) == pytest.approx(8000 * one.duration, abs=1)
        return Prepared(report, splits)

    return run
