import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from vctool import locks
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
    with StoreWriter(path, "mel", SETTINGS, "a") as writer:
        assert len(writer.done) == 10
    assert len(write(path, arrays(3), source="b")) == 3
    with StoreWriter(path, "mel", {**SETTINGS, "hop_length": 256}, "b") as writer:
        assert not writer.done
    with pytest.raises(DataError, match="other settings"):
        write(path, arrays(3))
        FeatureStore(path, {"rate": 8000})


def test_a_folder_that_is_no_store_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("years of work")
    with pytest.raises(DataError, match=r"thesis\.doc"), StoreWriter(tmp_path, "mel", SETTINGS):
        pass
    assert (tmp_path / "thesis.doc").exists()


def test_an_error_leaves_the_store_unfinished(tmp_path: Path) -> None:
    path = tmp_path / "mel"
    with pytest.raises(RuntimeError), StoreWriter(path, "mel", SETTINGS) as writer:
        writer.write("spk-000", np.zeros((2, 3), np.float32))
        raise RuntimeError
    assert not (path / "feats.scp").exists()
    with StoreWriter(path, "mel", SETTINGS) as writer:
        assert set(writer.done) == {"spk-000"}


def test_a_store_that_grows_is_unfinished_until_it_is_finished(tmp_path: Path) -> None:
    path = write(tmp_path / "mel", arrays(2)).path
    with StoreWriter(path, "mel", SETTINGS, "a") as writer:
        assert (path / "feats.scp").exists()
        writer.write("spk-900", np.zeros((2, 3), np.float32))
        with pytest.raises(DataError, match="not finished"):
            FeatureStore(path)
    assert "spk-900" in FeatureStore(path)


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
    with StoreWriter(tmp_path / "new", "mel", SETTINGS) as writer:
        with pytest.raises(DataError, match="NaN"):
            writer.write("spk-001", np.full((2, 2), np.nan))


def flip(shard: Path, place: int) -> None:
    content = bytearray(shard.read_bytes())
    content[place] ^= 1
    shard.write_bytes(content)


def append(shard: Path, content: bytes) -> None:
    shard.write_bytes(shard.read_bytes() + content)


def drop(path: Path, line: int) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:line] + lines[line + 1 :]))


DAMAGE: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "a bit": (lambda p: flip(p / "feats-001.ark", 80), ["spk-004"], "'spk-004' is damaged"),
    "a header": (lambda p: flip(p / "feats-000.ark", 9), ["spk-000"], "'spk-000' is damaged"),
    "an id": (lambda p: flip(p / "feats-002.ark", 1), ["spk-008"], "'spk-008' is damaged"),
    "the end": (
        lambda p: os.truncate(p / "feats-001.ark", 200),
        ["spk-005", "spk-006", "spk-007"],
        "'spk-005' and 2 more are damaged",
    ),
    "a shard": (
        lambda p: (p / "feats-000.ark").unlink(),
        ["spk-000", "spk-001", "spk-002", "spk-003"],
        "'spk-000' and 3 more are damaged",
    ),
    "two shards": (
        lambda p: (flip(p / "feats-000.ark", 80), flip(p / "feats-002.ark", -1)),
        ["spk-000", "spk-009"],
        "'spk-000' and 1 more are damaged",
    ),
    "something behind": (
        lambda p: append(p / "feats-001.ark", b"spk-900 \0BFM "),
        [],
        "feats-001.ark holds what feats.scp does not name",
    ),
    "a shard more": (
        lambda p: (p / "feats-003.ark").write_bytes(b"torn"),
        [],
        "feats-003.ark holds what feats.scp does not name",
    ),
    "an outdated index": (
        lambda p: drop(p / "feats.scp", 3),
        [],
        "feats.scp does not name what the shards hold",
    ),
    "a spoilt index": (
        lambda p: (p / "feats.scp").write_bytes(b"\xff\0"),
        [],
        "feats.scp does not name what the shards hold",
    ),
    "digests": (lambda p: drop(p / "utt2crc32", 6), ["spk-006"], "'spk-006' is damaged"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_damaged_is_named_and_that_alone_is_written_again(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage, names, told = DAMAGE[what]
    features = arrays()
    path = write(tmp_path / "mel", features).path
    whole = digests(path)
    assert module.problem(path) == ""
    damage(path)
    assert module.problem(path) == told
    written = []
    with StoreWriter(path, "mel", SETTINGS, "a") as writer:
        for name, array in features.items():
            if name not in writer.done:
                written.append(name)
                writer.write(name, array)
    assert written == names
    assert not names or told in caplog.text
    assert digests(path) == whole
    assert module.problem(path) == ""


def test_a_damaged_store_names_the_damage_when_it_is_opened(tmp_path: Path) -> None:
    path = write(tmp_path / "mel", arrays()).path
    flip(path / "feats-000.ark", 9)
    flip(path / "feats-001.ark", 80)
    told = r"no float matrix at .*'spk-000' and 1 more are damaged.*; run the stage that wrote it"
    with pytest.raises(DataError, match=told):
        FeatureStore(path)


def test_a_store_without_digests_is_valid_and_gets_them_when_it_is_written(tmp_path: Path) -> None:
    path = write(tmp_path / "mel", arrays()).path
    whole = digests(path)
    (path / "utt2crc32").unlink()
    assert module.problem(path) == ""
    assert len(FeatureStore(path)) == 10
    write(path, arrays())
    assert digests(path) == whole
    (path / "utt2crc32").unlink()
    flip(path / "feats-001.ark", 9)
    os.truncate(path / "feats-002.ark", 100)
    assert module.problem(path) == "'spk-004' and 2 more are damaged"
    assert digests(write(path, arrays()).path) == whole


def test_mending_that_is_stopped_goes_on_and_what_cannot_be_mended_is_left_out(
    tmp_path: Path,
) -> None:
    features = arrays()
    path = write(tmp_path / "mel", features).path
    whole = digests(path)
    flip(path / "feats-000.ark", 80)
    flip(path / "feats-002.ark", 80)
    with pytest.raises(RuntimeError), StoreWriter(path, "mel", SETTINGS, "a") as writer:
        writer.write("spk-000", features["spk-000"])
        raise RuntimeError
    assert module.problem(path) == "'spk-008' is damaged"
    assert len(FeatureStore(path)) == 10, "a store that is being mended cannot be opened"
    assert digests(write(path, features).path) == whole
    flip(path / "feats-002.ark", 80)
    with StoreWriter(path, "mel", SETTINGS, "a"):
        pass
    assert list(FeatureStore(path)) == [name for name in features if name != "spk-008"]
    assert module.problem(path) == ""


def test_what_a_power_cut_left_half_on_the_disk_is_written_again(tmp_path: Path) -> None:
    features = arrays(6)
    path = tmp_path / "mel"
    whole = digests(write(tmp_path / "whole", features).path)
    with pytest.raises(RuntimeError), StoreWriter(path, "mel", SETTINGS, "a") as writer:
        for name, array in features.items():
            writer.write(name, array)
        raise RuntimeError
    with (path / "feats-001.ark").open("r+b") as ark:  # it has its length, and not its content
        ark.seek(40)
        ark.write(bytes(40))
    with StoreWriter(path, "mel", SETTINGS, "a") as writer:
        assert list(writer.done) == list(features)[:4]
    assert digests(write(path, features).path) == whole


def test_a_store_is_cleared_and_its_folder_stays_where_it_links_to(tmp_path: Path) -> None:
    module.clear(tmp_path / "none")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mel").symlink_to("elsewhere")
    path = write(tmp_path / "mel", arrays(3)).path
    module.clear(path)
    assert path.is_symlink() and list(path.iterdir()) == []
    with StoreWriter(path, "mel", SETTINGS, "a") as writer:
        assert not writer.done


def test_the_second_of_two_writers_waits_and_finds_all_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.1)
    path = tmp_path / "mel"
    done: list[int] = []

    def second() -> None:
        with StoreWriter(path, "mel", SETTINGS, "a") as late:
            done.append(len(late.done))

    thread = threading.Thread(target=second)
    with caplog.at_level(logging.INFO), StoreWriter(path, "mel", SETTINGS, "a") as writer:
        thread.start()
        while "waiting for process" not in caplog.text:
            assert thread.is_alive(), "it did not wait"
            time.sleep(0.01)
        for name, array in arrays(4).items():
            writer.write(name, array)
        assert done == []
    thread.join(timeout=10)
    assert done == [4]


def test_all_is_on_the_disk_before_the_index_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(file: int) -> None:
        calls.append(Path(os.readlink(f"/proc/self/fd/{file}")).name)
        fsync(file)

    def renamed(source: Path, target: Path) -> None:
        calls.append(f"to {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    features = arrays()
    path = write(tmp_path / "mel", features).path
    before = calls[: calls.index("to feats.scp")]
    assert [call for call in before if call.endswith(".ark")] == [
        f"feats-{number:03d}.ark" for number in range(3)
    ]
    assert [call for call in before if call.startswith("to utt2")][-2:] == [
        "to utt2crc32",
        "to utt2num_frames",
    ]
    assert calls[-1] == "mel", "the folder, last"
    assert len(calls) < 20, "not for every utterance"
    calls.clear()
    flip(path / "feats-001.ark", 80)
    write(path, features)
    assert calls[:2] == [".feats-001.ark.tmp", "to feats-001.ark"]
