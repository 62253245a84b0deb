"""Unpacking what nobody vouches for."""

import io
import os
import random
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from vctool.acquisition.unpack import unpack
from vctool.errors import DataError

BOUND = 1_000_000
GOOD = {"corpus/a.txt": b"one", "corpus/deep/b.wav": bytes(range(256)) * 40, "corpus/empty": b""}

Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, body: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(body)
    return info, body


def write_tar(path: Path, entries: list[Entry], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, body in entries:
            archive.addfile(info, io.BytesIO(body))
    return path


def write_zip(path: Path, entries: list[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in entries:
            archive.writestr(name, body)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".complete" not in path.parts
    }


def good(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"good.{kind}"
    if kind == "zip":
        return write_zip(path, [("corpus/", b""), *GOOD.items()])
    entries = [entry("./", kind=tarfile.DIRTYPE), entry("./corpus", kind=tarfile.DIRTYPE)]
    entries += [entry(f"./{name}", body) for name, body in GOOD.items()]
    packing = {"tar": "", "tgz": "gz", "tar.gz": "gz", "tar.bz2": "bz2", "tar.xz": "xz"}[kind]
    return write_tar(path, entries, f"w:{packing}")


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz", "tar.gz", "tar.bz2", "tar.xz"])
def test_every_format_gives_the_files_and_once_only(kind: str, tmp_path: Path) -> None:
    path, out = good(tmp_path, kind), tmp_path / "out"
    assert unpack(path, out, BOUND) == out
    assert contents(out) == GOOD
    (out / "corpus" / "a.txt").write_bytes(b"touched by the user")
    path.unlink()
    unpack(path, out, BOUND)
    assert (out / "corpus" / "a.txt").read_bytes() == b"touched by the user"


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_an_archive_cut_short_anywhere_is_never_taken_for_whole(kind: str, tmp_path: Path) -> None:
    whole = good(tmp_path, kind).read_bytes()
    # nobody misses the zeros that pad a tar behind the first block of its end mark
    size = 7 * 512 + 10240 if kind == "tar" else len(whole)
    cuts = sorted({round(share * size) for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9)} | {size - 1})
    for cut in cuts:
        path = tmp_path / f"cut-{cut}.{kind}"
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"is damaged .*delete it to fetch it again"):
            unpack(path, tmp_path / "out", BOUND)
    assert contents(tmp_path / "out") == {}


def test_damage_in_the_middle_is_seen(tmp_path: Path) -> None:
    for kind in ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz"):
        path = good(tmp_path, kind)
        spoilt = bytearray(path.read_bytes())
        middle = 1024 if kind == "tar" else len(spoilt) // 3
        spoilt[middle : middle + 8] = b"\xff" * 8
        path.write_bytes(spoilt)
        with pytest.raises(DataError, match="is damaged"):
            unpack(path, tmp_path / "out", BOUND)
    assert contents(tmp_path / "out") == {}


OUTSIDE = {
    "../x": "leads out",
    "corpus/../../x": "leads out",
    "corpus/..": "leads out",
    "..\\x": "leads out",
    "/tmp/x": "absolute",
    "//x": "absolute",
    "\\x": "absolute",
    "C:/x": "absolute",
    "c:x": "absolute",
    ".complete/x.json": "a record of this program",
}


@pytest.mark.parametrize(("name", "reason"), OUTSIDE.items())
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_no_name_leads_outside(name: str, reason: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"hostile.{kind}"
    if kind == "zip":
        write_zip(path, [("corpus/good.txt", b"x"), (zipfile.ZipInfo(name), b"x")])
    else:
        write_tar(path, [entry("corpus/good.txt", b"x"), entry(name, b"x")])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=f"refused, .*{reason}.*nothing was unpacked"):
        unpack(path, tmp_path / "out", BOUND)
    assert sorted(tmp_path.rglob("*")) == [*before[:1], tmp_path / "out"]


def zip_link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../secret", "../..", "absent.txt", "b", "\\x"], ids=str
)
@pytest.mark.parametrize("kind", ["zip", "symbolic", "hard"])
def test_no_link_leads_outside_nor_to_what_is_no_file(
    kind: str, target: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    path = tmp_path / ("hostile.zip" if kind == "zip" else "hostile.tar")
    if kind == "zip":
        write_zip(path, [("a/b/c.txt", b"x"), (zip_link("a/link"), target.encode())])
    else:
        link = tarfile.SYMTYPE if kind == "symbolic" else tarfile.LNKTYPE
        write_tar(path, [entry("a/b/c.txt", b"x"), entry("a/link", b"", link, target)], "w")
    with pytest.raises(DataError, match=r"refused, 'a/link"):
        unpack(path, tmp_path / "out", BOUND)
    assert contents(tmp_path / "out") == {}


def test_a_link_is_no_way_out_for_later_members(tmp_path: Path) -> None:
    for number, target in enumerate(["..", str(tmp_path), "folder"]):
        path = write_tar(
            tmp_path / f"hostile{number}.tar",
            [
                entry("folder/x", b"x"),
                entry("way", b"", tarfile.SYMTYPE, target),
                entry("way/escaped", b"x"),
            ],
            "w",
        )
        with pytest.raises(DataError):
            unpack(path, tmp_path / "out", BOUND)
        assert not (tmp_path / "escaped").exists()
    assert contents(tmp_path / "out") == {}


def test_a_link_within_becomes_the_file(tmp_path: Path) -> None:
    entries = [
        entry("a/early", b"", tarfile.SYMTYPE, "../b/file"),
        entry("a/chain", b"", tarfile.SYMTYPE, "early"),
        entry("b/file", b"sound"),
        entry("b/hard", b"", tarfile.LNKTYPE, "b/file"),
    ]
    out = unpack(write_tar(tmp_path / "links.tar", entries, "w"), tmp_path / "out", BOUND)
    assert contents(out) == dict.fromkeys(("a/early", "a/chain", "b/file", "b/hard"), b"sound")
    assert not any(path.is_symlink() for path in out.rglob("*"))
    zipped = write_zip(
        tmp_path / "links.zip", [("b/file", b"sound"), (zip_link("a/link"), b"../b/file")]
    )
    assert contents(unpack(zipped, tmp_path / "zip", BOUND)).keys() == {"a/link", "b/file"}
    circle = [entry(name, b"", tarfile.SYMTYPE, to) for name, to in (("a", "b"), ("b", "a"))]
    with pytest.raises(DataError, match="which is no file in it"):
        unpack(write_tar(tmp_path / "circle.tar", circle, "w"), tmp_path / "out", BOUND)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE], ids=str)
def test_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "device.tar", [entry("null", b"", kind)], "w")
    with pytest.raises(DataError, match="'null' is a device or another special file"):
        unpack(path, tmp_path / "out", BOUND)
    info = zipfile.ZipInfo("null")
    info.create_system, info.external_attr = 3, (stat.S_IFCHR | 0o666) << 16
    with pytest.raises(DataError, match="'null' is a device or another special file"):
        unpack(write_zip(tmp_path / "device.zip", [(info, b"")]), tmp_path / "out", BOUND)


def bombs(tmp_path: Path) -> list[Path]:
    """Archives that are small and grow: one big file, many of them, a header, a sparse file."""
    zeros = bytes(600_000)
    sparse = tarfile.TarInfo("sparse")
    sparse.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.size": "9000000000",
        "GNU.sparse.map": "0,0",
    }
    comment = tarfile.TarInfo("comment")
    comment.pax_headers = {"comment": "x" * (20 << 20)}
    lying = write_zip(tmp_path / "lying.zip", [("big", bytes(5_000_000))])
    data = bytearray(lying.read_bytes())
    for offset in (22, data.rindex(b"PK\x01\x02") + 24):  # both places that state the size
        assert data[offset : offset + 4] == (5_000_000).to_bytes(4, "little")
        data[offset : offset + 4] = (100).to_bytes(4, "little")
    lying.write_bytes(data)
    made = [
        write_zip(tmp_path / "one.zip", [("big", bytes(5_000_000))]),
        write_zip(tmp_path / "many.zip", [("a", zeros), ("b", zeros)]),
        write_tar(tmp_path / "one.tar.gz", [entry("big", bytes(5_000_000))]),
        write_tar(tmp_path / "many.tar.xz", [entry("a", zeros), entry("b", zeros)], "w:xz"),
        write_tar(tmp_path / "header.tar.gz", [(comment, b"")]),
        write_tar(tmp_path / "sparse.tar", [(sparse, b"")], "w"),
    ]
    assert all(path.stat().st_size < 100_000 for path in made)
    return [*made, lying]


def test_bombs_are_stopped_at_the_bound(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    for path in bombs(tmp_path / "made"):
        with pytest.raises(DataError, match=r"grows past|asks for|is damaged"):
            unpack(path, tmp_path / "out", BOUND)
        assert contents(tmp_path / "out") == {}, path.name
        assert [one.name for one in (tmp_path / "out").iterdir()] in ([], [".complete"])


def test_no_more_members_than_any_corpus_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vctool.acquisition.unpack.MOST_MEMBERS", 2)
    with pytest.raises(DataError, match="more than 2 members"):
        unpack(good(tmp_path, "zip"), tmp_path / "out", BOUND)


def test_what_python_cannot_read_is_told_with_the_way_round(tmp_path: Path) -> None:
    path = good(tmp_path, "zip")
    data = bytearray(path.read_bytes())
    for offset in (data.rindex(b"PK\x03\x04") + 8, data.rindex(b"PK\x01\x02") + 10):
        data[offset : offset + 2] = (9).to_bytes(2, "little")  # deflate64
    path.write_bytes(data)
    with pytest.raises(DataError, match="unpack it with another program and pass --downloads"):
        unpack(path, tmp_path / "out", BOUND)


def test_what_macos_adds_is_left_out(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "mac.zip", [("a.wav", b"x"), ("__MACOSX/._a.wav", b"x")])
    assert contents(unpack(path, tmp_path / "out", BOUND)) == {"a.wav": b"x"}


def test_archives_share_a_folder(tmp_path: Path) -> None:
    for number in (1, 2):
        path = write_zip(
            tmp_path / f"{number}.zip", [("C/readme", b"%d" % number), (f"C/s{number}/x", b"x")]
        )
        unpack(path, tmp_path / "out", BOUND)
    assert contents(tmp_path / "out") == {"C/readme": b"2", "C/s1/x": b"x", "C/s2/x": b"x"}


def test_what_a_killed_unpack_left_is_not_taken_over(tmp_path: Path) -> None:
    half = tmp_path / "out" / ".unpacking-good.zip" / "corpus" / "half.wav"
    half.parent.mkdir(parents=True)
    half.touch()
    assert contents(unpack(good(tmp_path, "zip"), tmp_path / "out", BOUND)) == GOOD


CHILD = """
import sys
from pathlib import Path
from vctool.corpora import unpack
print("begun", flush=True)
unpack.unpack(Path(sys.argv[1]), Path(sys.argv[2]), 10**9)
"""


def test_killed_it_is_done_again_cleanly(tmp_path: Path, root: Path) -> None:
    draw = random.Random(2)
    files = {f"corpus/{k:04d}.wav": draw.randbytes(2000) for k in range(2000)}
    path, out = write_zip(tmp_path / "many.zip", list(files.items())), tmp_path / "out"
    stamped = out / ".complete" / "many.zip.unpacked"
    killed = 0
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(out)],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": ""},
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(draw.uniform(0.0, 0.2))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        killed += not stamped.exists()
        if stamped.exists():
            break
        assert set(contents(out)) <= set(files) or (out / ".unpacking-many.zip").exists()
    assert killed
    unpack(path, out, 10**9)
    assert contents(out) == files
    assert not (out / ".unpacking-many.zip").exists()
