"""List the corpora: hours, size, licence, and what of them is on this machine."""

from pathlib import Path
from typing import Any

from vctool import corpora
from vctool.acquisition.archive import Archive, human, total_size
from vctool.acquisition.info import CorpusInfo
from vctool.acquisition.obtain import ALL, ARCHIVES, fetched, is_here, terms
from vctool.stages.download import DOWNLOADS, read_stamp

HEADS = ("name", "hours", "to fetch", "here", "licence")


def rows() -> list[tuple[str, ...]]:
    """List all corpora, a row each with the columns of `HEADS`."""
    infos = {name: corpora.get(name).INFO for name in corpora.names()}
    return [
        (name, info.length, _size(_archives(info)), state(name), _licence(info))
        for name, info in infos.items()
    ]


def plain() -> list[dict[str, Any]]:
    """Describe all corpora as JSON has them."""
    return [described(name) for name in corpora.names()]


def described(name: str) -> dict[str, Any]:
    """Describe one corpus as JSON has it.

    Raises:
        ConfigError: there is no such corpus.
    """
    info: CorpusInfo = corpora.get(name).INFO
    archives = _archives(info)
    return {
        "name": name,
        "title": info.title,
        "hours": info.hours,
        "hours_estimated": info.hours_estimated,
        "rate": info.rate,
        "licence": info.licence,
        "non_commercial": info.non_commercial,
        "homepage": info.homepage,
        "to_fetch_bytes": total_size(archives) if archives else 0,
        "subsets": [part.name for part in info.subsets],
        "here": state(name),
    }


def details(name: str) -> list[str]:
    """Describe one corpus in full: its terms, layout and parts, and where to get each.

    Raises:
        ConfigError: there is no such corpus.
    """
    module = corpora.get(name)
    info: CorpusInfo = module.INFO
    lines = [*terms(info), f"{info.length} h, {info.rate} Hz; here: {state(name)}"]
    lines.append(f"layout: {info.layout}")
    if info.consent is not None:
        lines.append(f"to get it: {info.consent}")
    lines += [_source(one, DOWNLOADS / info.folder) for one in info.archives]
    for part in info.subsets:
        hours = "" if part.hours is None else f", {part.hours:g} h"
        usual = ", taken unless others are chosen" if part.default else ""
        lines.append(f"--subset {part.name}{hours}{usual}")
        lines += [_source(one, DOWNLOADS / info.folder) for one in part.archives]
    if info.subsets:
        lines.append(f"--subset {ALL}")
    return lines


def state(name: str) -> str:
    """Say in a few words how much of a corpus is on this machine."""
    module = corpora.get(name)
    info: CorpusInfo = module.INFO
    folder = DOWNLOADS / info.folder
    if read_stamp(Path("data") / name) is not None:
        return "prepared"
    if done := len(fetched(folder)):
        total = len(_archives(info))
        return "fetched" if done == total else f"{done} of {total} files fetched"
    if any(folder.glob(f"{ARCHIVES}/*")):
        return "half fetched"
    if hasattr(module, "download") and not _archives(info):
        return "built when needed"
    return "no" if info.consent is None else "no: must be asked for"


def _archives(info: CorpusInfo) -> list[Archive]:
    parts = [one for part in info.subsets for one in part.archives]
    return list(dict.fromkeys((*info.archives, *parts)))


def _size(archives: list[Archive]) -> str:
    if not archives:
        return "-"
    size = total_size(archives)
    return "unstated" if size is None else human(size)


def _licence(info: CorpusInfo) -> str:
    if info.non_commercial and "commercial" not in info.licence:
        return f"{info.licence} (non-commercial)"
    return info.licence


def _source(archive: Archive, folder: Path) -> str:
    size = "size unstated" if archive.size is None else human(archive.size)
    sum_ = "no checksum is stated" if archive.checksum is None else archive.checksum.split(":")[0]
    here = ", here" if is_here(archive, folder) else ""
    return f"  {archive.url} ({size}, {sum_}{here}; from {archive.source})"
