"""The page: well-formed, complete, self-contained, and safe against names that are markup."""

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool.evaluation.page import html, report

RATE = 16000
VOID = ("meta", "img", "br", "link", "input")
TEXT = """# <b>ann</b>: scores

| system | MCD [dB] | content |
|---|---|---|
| copy | 12.9 (12.1..13.8) | 1.00 |
| model | 7.10 (6.9..7.3) | **0.98** |

- *copy*: the source as it is
- *model*: the system & its `config`

## Gap closed

one line
and the next

## Plots

![one](plots/one.png)
![losses](plots/losses.png)
"""


class Page(HTMLParser):
    """Collects elements, texts and attributes, and checks that what opens is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def sources(self, tag: str) -> list[str]:
        return [str(attributes["src"]) for name, attributes in self.tags if name == tag]

    def of(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plots").mkdir()
    for name in ("one", "losses"):
        (tmp_path / "plots" / f"{name}.png").write_bytes(b"\x89PNG" + name.encode())
    return tmp_path


def exhibit(folder: Path, name: str = "one", seconds: float = 0.5) -> html.Exhibit:
    rng = np.random.default_rng(0)
    waves = {
        label: np.float32(np.rint(rng.uniform(-9000, 9000, round(seconds * RATE))) / 32768)
        for label in ("copy", "model")
    }
    return html.Exhibit(name, waves, folder / "plots" / "one.png")


def test_players_hold_the_same_samples_and_plots_the_same_bytes(folder: Path) -> None:
    shown = exhibit(folder)
    path = html.write(folder, TEXT, [shown], RATE, {"copy": "the source as it is"})
    page = Page(path.read_text("utf-8"))
    sounds = page.sources("audio")
    assert len(sounds) == 2
    for source, wave in zip(sounds, shown.waves.values(), strict=True):
        head, _, coded = source.partition(",")
        assert head == "data:audio/flac;base64"
        heard, rate = soundfile.read(io.BytesIO(base64.b64decode(coded)), dtype="float32")
        assert rate == RATE
        np.testing.assert_array_equal(heard, wave)
    plots = [base64.b64decode(one.partition(",")[2]) for one in page.sources("img")]
    # the utterance's own plot stands by its players, and there only
    assert plots == [b"\x89PNGone", b"\x89PNGlosses"]


def test_the_text_is_that_of_the_results(folder: Path) -> None:
    page = Page(html.page(folder, TEXT, [exhibit(folder)], RATE, {"copy": "the source as it is"}))
    assert page.of("th") == ["system", "MCD [dB]", "content"]
    assert page.of("td") == ["copy", "12.9", "1.00", "model", "7.10"]
    assert page.of("span")[:2] == ["(12.1..13.8)", "(6.9..7.3)"]
    assert (
        page.of("strong") == ["0.98"]
        and page.of("em") == ["copy", "model"]
        and page.of("code") == ["config"]
    )
    assert page.of("h2") == ["Listen", "Gap closed", "Plots"]
    assert "one line\nand the next" in page.of("p")
    assert ("tr", {"class": "model"}) in page.tags
    assert "the source as it is" in page.of("small")


def test_nothing_is_loaded_from_anywhere(folder: Path) -> None:
    text = html.page(folder, TEXT, [exhibit(folder)], RATE, {})
    page = Page(text)
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "a", "object", "embed")
        for name in ("src", "href", "srcset", "action"):
            assert str(attributes.get(name, "data:")).startswith("data:")
    for scheme in ("http:", "https:", "file:", "@import", "url("):
        assert scheme not in text
    policies = [a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a]
    assert policies and str(policies[0]).startswith("default-src 'none'")


def test_names_that_are_markup_are_text(folder: Path) -> None:
    bad = '<script>alert("x")</script>'
    shown = exhibit(folder, name=bad)._replace(waves={bad: np.zeros(100)})
    text = TEXT.replace("| copy |", f"| {bad} |")
    page = Page(html.page(folder, text, [shown], RATE, {bad: bad}))
    assert [tag for tag, _ in page.tags].count("script") == 1  # the page's own
    assert page.of("h1") == ["<b>ann</b>: scores"]
    assert page.of("title") == ["<b>ann</b>: scores"]
    assert page.of("h3") == [bad] and bad in page.of("td") and page.of("small") == [bad]


def test_names_that_are_markdown_lead_nowhere(folder: Path) -> None:
    bad = [
        "[a](https://b.c)",
        "<https://b.c>",
        "![a](https://b.c/d.png)",
        "![a](/etc/hostname)",
        "![a](../other.png)",
        "[a]: https://b.c",
        "&lt;b&gt;",
    ]
    (folder.parent / "other.png").write_bytes(b"another's")
    text = TEXT + "\n" + "\n\n".join(bad) + "\n"
    page = Page(html.page(folder, text, [], RATE, {}))
    assert page.of("p")[-len(bad) :] == bad
    assert len(page.sources("img")) == 2 and "a" not in [tag for tag, _ in page.tags]


def test_every_name_of_a_plot_is_found(folder: Path) -> None:
    names = ["my song (2)", "a[b", "a]b", "50 %20", "f\u00fcr", "back\\slash", "a*b*c"]
    plots = [folder / "plots" / f"{name}.png" for name in names]
    for plot in plots:
        plot.write_bytes(plot.stem.encode())
    text = "\n".join(report.plot_line(folder, plot) for plot in plots)
    page = Page(html.page(folder, text, [], RATE, {}))
    held = [base64.b64decode(one.partition(",")[2]).decode() for one in page.sources("img")]
    assert held == names
    assert report.plot_line(folder, folder / "plots" / "a-b_1.png") == "![a-b_1](plots/a-b_1.png)"


def test_long_recordings_are_cut_and_loud_ones_scaled(folder: Path) -> None:
    long = exhibit(folder, seconds=html.LONGEST + 5)
    page = Page(html.page(folder, TEXT, [long], RATE, {}))
    assert page.of("small") == ["(the first 20 s)"] * 2
    coded = page.sources("audio")[0].partition(",")[2]
    heard, _ = soundfile.read(io.BytesIO(base64.b64decode(coded)))
    assert len(heard) == html.LONGEST * RATE
    coded = html.sound_uri(np.array([0.5, -2.0, 1.0]), RATE).partition(",")[2]
    heard, _ = soundfile.read(io.BytesIO(base64.b64decode(coded)))
    np.testing.assert_array_equal(heard, [0.25, -1.0, 0.5])


def test_without_utterances_there_is_the_text_alone(folder: Path) -> None:
    page = Page(html.page(folder, TEXT, [], RATE, {}))
    assert page.of("h2") == ["Gap closed", "Plots"] and len(page.sources("img")) == 2
