import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from vctool.data import store as module
from vctool.data.store import FeatureStore, StoreWriter
from vctool.errors import DataError

SETTINGS = {"rate": 16000, "hop_length": 192}


def arrays(count: int = 10) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        f"spk-{index:03d}": random.standard_normal((5 + index, 3)).astype(np.float32)
        for index in range(count)
    }


def write(path: Path, features: dict[str, np.ndarray], source: str = "a") -> FeatureStore:
    with StoreWriter(path, "mel", SETTINGS, source) as writer:
        for name, array in features.items():
            if name not in writer.done:
                writer.write(name, array)
    return FeatureStore(path)


def digests(path: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in path.iterdir()}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD", 4)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    features = arrays()
    store = write(tmp_path / "mel", features)
    assert list(store) == sorted(features)
    assert store.kind == "mel"
    for name, array in features.items():
        np.testing.assert_array_equal(store[name], array)
        assert store.frames(name) == len(array)
    assert {path.name for path in store.path.glob("*.ark")} == {
        "feats-000.ark",
        "feats-001.ark",
        "feats-002.ark",
    }


def test_kaldi_reads_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = arrays()
    store = write(tmp_path / "mel", features)
    monkeypatch.chdir(store.path)  # the paths in feats.scp are relative
    read = kaldiio.load_scp("feats.scp")
    assert set(read) == set(features)
    for name, array in features.items():
        np.testing.assert_array_equal(read[name], array)


def test_a_torn_shard_is_continued_with_the_same_bytes(tmp_path: Path) -> None:
    features = arrays()
    whole = digests(write(tmp_path / "whole", features).path)
    for cut in (1, 9, 20, 60, 120):
        path = tmp_path / f"cut{cut}"
        write(path, features)
        (path / "feats.scp").unlink()
        (path / "feats-002.ark").unlink()
        shard = path / "feats-001.ark"
        shard.write_bytes(shard.read_bytes()[:-cut])
        with pytest.raises(DataError, match="not finished"):
            FeatureStore(path)
        assert digests(write(path, features).path) == whole, cut


def test_killed_at_random_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from vctool.data.store import StoreWriter\n"
        "with StoreWriter(Path(sys.argv[1]), 'mel', {}) as writer:\n"
        "    for index in range(3000):\n"
        "        name = f's-{index:05d}'\n"
        "        if name not in writer.done:\n"
        "            writer.write(name, np.full((40, 20), index, np.float32))\n"
    )

    def start(path: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", code, str(path)])

    assert start(tmp_path / "whole").wait() == 0
    path = tmp_path / "killed"
    for kilobytes in (100, 3000):
        process = start(path)
        while sum(ark.stat().st_size for ark in path.glob("*.ark")) < kilobytes * 1000:
            assert process.poll() is None
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not (path / "feats.scp").exists()
    assert start(path).wait() == 0
    assert digests(path) == digests(tmp_path / "whole")


def test_other_settings_or_sources_start_over(tmp_path: Path) -> None:
    path = tmp_path / "mel"
    write(path, arrays(10))
    assert len(StoreWriter(path, "mel", SETTINGS, "a").done) == 10
    assert len(write(path, arrays(3), source="b")) == 3
    assert not StoreWriter(path, "mel", {**SETTINGS, "hop_length": 256}, "b").done
    with pytest.raises(DataError, match="other settings"):
        write(path, arrays(3))
        FeatureStore(path, {"rate": 8000})


def test_a_folder_that_is_no_store_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("years of work")
    with pytest.raises(DataError, match=r"thesis\.doc"):
        StoreWriter(tmp_path, "mel", SETTINGS)
    assert (tmp_path / "thesis.doc").exists()


def test_an_error_leaves_the_store_unfinished(tmp_path: Path) -> None:
    path = tmp_path / "mel"
    with pytest.raises(RuntimeError), StoreWriter(path, "mel", SETTINGS) as writer:
        writer.write("spk-000", np.zeros((2, 3), np.float32))
        raise RuntimeError
    assert not (path / "feats.scp").exists()
    assert set(StoreWriter(path, "mel", SETTINGS).done) == {"spk-000"}


def test_a_store_that_grows_is_unfinished_until_it_is_finished(tmp_path: Path) -> None:
    path = write(tmp_path / "mel", arrays(2)).path
    writer = StoreWriter(path, "mel", SETTINGS, "a")
    assert (path / "feats.scp").exists()
    writer.write("spk-900", np.zeros((2, 3), np.float32))
    with pytest.raises(DataError, match="not finished"):
        FeatureStore(path)
    assert "spk-900" in writer.finish()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x touch pwned |", "command pipes"),
        ("x | touch pwned", "command pipes"),
        ("x /etc/feats.ark:3", "expected"),
        ("x ../feats-000.ark:3", "expected"),
        ("x feats-000.ark", "expected"),
        ("x gone.ark:3", "missing"),
        ("x feats-000.ark:3", "no float matrix"),
    ],
)
def test_bad_entries_are_refused_by_line(tmp_path: Path, line: str, message: str) -> None:
    store = write(tmp_path / "mel", arrays(2))
    with (store.path / "feats.scp").open("a") as scp:
        scp.write(line + "\n")
    with pytest.raises(DataError, match=rf"feats\.scp:3: .*{message}"):
        FeatureStore(store.path)
    assert not (store.path / "pwned").exists()


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    store = write(tmp_path / "mel", arrays(1))
    evil = b"cos\nsystem\n(S'touch pwned'\ntR."
    (store.path / "feats-000.ark").write_bytes(b"spk-000 PKL" + evil)
    with pytest.raises(DataError, match="no float matrix"):
        FeatureStore(store.path)


def test_damage_is_told_and_not_returned_as_features(tmp_path: Path) -> None:
    store = write(tmp_path / "mel", arrays(1))
    shard = store.path / "feats-000.ark"
    shard.write_bytes(shard.read_bytes()[:-4])
    with pytest.raises(DataError, match="ends inside 'spk-000'"):
        FeatureStore(store.path)["spk-000"]
    with pytest.raises(DataError, match="does not exist"):
        FeatureStore(tmp_path / "none")
    writer = StoreWriter(tmp_path / "new", "mel", SETTINGS)
    with pytest.raises(DataError, match="NaN"):
        writer.write("spk-001", np.full((2, 2), np.nan))
