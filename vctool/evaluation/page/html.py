"""report.html: RESULTS.md as one file that opens from disk, with players and without a network.

The text is that of RESULTS.md, so the two cannot disagree. Sounds (FLAC) and plots (PNG) are data
URIs; a content security policy forbids the browser to load anything else.
"""

import base64
import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import soundfile
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from vctool.data.atomic import write_text
from vctool.evaluation.page.report import MODEL

NAME = "report.html"
LONGEST = 20.0
"""Players hold at most this much of a recording [s]; with three utterances and ten rows, a page
stays below 20 MB at 44.1 kHz."""
PLAYERS = "Listen"
"""Heading of the players; they stand before the second heading of the text."""
POLICY = "default-src 'none'; img-src data:; media-src data:; " + (
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)

STYLE = """
:root { color-scheme: light dark; --line: #8886; --mark: #4a90d922; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid var(--line); padding: .25rem .55rem; text-align: right; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; }
th { cursor: pointer; user-select: none; vertical-align: bottom; }
th[data-down]::after { content: " \\2193"; } th[data-up]::after { content: " \\2191"; }
tr.model { background: var(--mark); font-weight: 600; }
td .interval { display: block; opacity: .65; font-size: .8em; white-space: nowrap; }
li > p { margin: 0; }
li:has(> p > em:first-child) + li:has(> p > strong:first-child) { margin-top: 1em; }
img { display: block; max-width: 100%; margin: 1em 0; }
.players { display: grid; grid-template-columns: max-content minmax(12rem, 26rem) 1fr;
  gap: .35rem 1rem; align-items: center; }
.players small { opacity: .75; } audio { width: 100%; height: 2.2rem; }
"""
SCRIPT = """
document.addEventListener("play", (event) => {  // one sound at a time
  for (const other of document.querySelectorAll("audio"))
    if (other !== event.target) other.pause();
}, true);
for (const head of document.querySelectorAll("th"))
  head.addEventListener("click", () => {  // sort by a column; what has no number stays below
    const place = head.cellIndex, table = head.closest("table"), down = !("down" in head.dataset);
    for (const other of table.querySelectorAll("th")) {
      delete other.dataset.up; delete other.dataset.down;
    }
    head.dataset[down ? "down" : "up"] = "";
    const key = (row) => parseFloat(row.cells[place].textContent);
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      const [s, t] = [a, b].map((row) => row.cells[place].textContent);
      if (isNaN(x) && isNaN(y)) return down ? s.localeCompare(t) : t.localeCompare(s);
      return isNaN(x) ? 1 : isNaN(y) ? -1 : down ? y - x : x - y;
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(compare));
  });
"""


class Exhibit(NamedTuple):
    """One utterance to look at and listen to."""

    name: str
    """The utterance."""
    waves: Mapping[str, np.ndarray]
    """(T,) by row of the table."""
    plot: Path | None = None
    """Its spectrograms, a PNG."""


def exhibits(
    names: Sequence[str], systems: Mapping[str, Sequence[np.ndarray]], plots: Sequence[Path]
) -> list[Exhibit]:
    """Choose the utterances that have a plot.

    Args:
        names: the N utterances.
        systems: for every row of the table, N waves (T,) in the same order.
        plots: PNGs, those of utterances called like these.
    """
    drawn = {plot.stem: plot for plot in plots}
    return [
        Exhibit(name, {row: waves[place] for row, waves in systems.items()}, drawn[name])
        for place, name in enumerate(names)
        if name in drawn
    ]


def write(
    folder: Path,
    text: str,
    exhibits: Sequence[Exhibit],
    rate: int,
    meanings: Mapping[str, str],
) -> Path:
    """Write report.html.

    Args:
        folder: gets the page; the plots that the text names lie below it.
        text: RESULTS.md.
        exhibits: utterances with players.
        rate: of their waves [Hz].
        meanings: what every row is, by its name.

    Returns:
        The page's path.
    """
    path = folder / NAME
    write_text(path, page(folder, text, exhibits, rate, meanings))
    return path


def page(
    folder: Path,
    text: str,
    exhibits: Sequence[Exhibit],
    rate: int,
    meanings: Mapping[str, str],
) -> str:
    """Build the page; arguments as for `write`."""
    shown = {exhibit.plot.resolve() for exhibit in exhibits if exhibit.plot is not None}
    reader, known = _reader(), {"folder": folder, "shown": shown}
    tokens = reader.parse(text, known)
    headings = [place for place, token in enumerate(tokens) if token.type == "heading_open"]
    place = next((one for one in headings if tokens[one].tag == "h2"), len(tokens))
    title = next((line[2:] for line in text.splitlines() if line.startswith("# ")), "results")
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title>",
            f"<style>{STYLE}</style></head><body>",
            reader.renderer.render(tokens[:place], reader.options, known),
            *(_players(exhibits, rate, meanings) if exhibits else ()),
            reader.renderer.render(tokens[place:], reader.options, known),
            f"<script>{SCRIPT}</script></body></html>\n",
        ]
    )


def _players(exhibits: Sequence[Exhibit], rate: int, meanings: Mapping[str, str]) -> Iterator[str]:
    yield f"<h2>{PLAYERS}</h2>"
    for exhibit in exhibits:
        yield f"<h3>{html.escape(exhibit.name)}</h3>"
        yield '<div class="players">'
        for label, wave in exhibit.waves.items():
            cut = f" (the first {LONGEST:g} s)" if len(wave) > LONGEST * rate else ""
            yield (
                f"<span>{html.escape(label)}</span>"
                f'<audio controls preload="none" src="{sound_uri(wave, rate)}"></audio>'
                f"<small>{html.escape(meanings.get(label, '') + cut)}</small>"
            )
        yield "</div>"
        if exhibit.plot is not None:
            yield f"<p>{_image(exhibit.plot, exhibit.name)}</p>"


def sound_uri(wave: np.ndarray, rate: int) -> str:
    """Turn the first `LONGEST` seconds of a wave (T,) into a data URI of FLAC in 16 bits.

    A wave that exceeds full scale is scaled to it.
    """
    wave = wave[: round(LONGEST * rate)]
    wave = wave / max(float(np.max(np.abs(wave), initial=0.0)), 1.0)
    samples = np.clip(np.rint(wave * 32768.0), -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _image(path: Path, title: str) -> str:
    coded = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<img alt="{html.escape(title)}" src="data:image/png;base64,{coded}">'


def _reader() -> MarkdownIt:
    """Make the reader of RESULTS.md: plain Markdown and tables; a name's markup stays text."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.disable(["link", "autolink", "reference", "entity"])
    reader.core.ruler.push("results", _mark)
    reader.add_render_rule("image", _image_of)
    reader.add_render_rule("table_open", lambda *_: '<div class="wide"><table>')
    reader.add_render_rule("table_close", lambda *_: "</table></div>")
    return reader


def _mark(state: StateCore) -> None:
    """Mark the row of the model in every table, and set intervals below their values."""
    for place, token in enumerate(state.tokens):
        if token.type == "tr_open" and state.tokens[place + 2].content == MODEL:
            token.attrSet("class", MODEL)
        if token.type == "td_open":
            cell = state.tokens[place + 1]
            cell.children = [part for one in cell.children or () for part in _value(one)]


def _value(token: Token) -> Iterator[Token]:
    """Split a text such as `0.71 (0.65..0.78)` into the value and its interval."""
    if token.type != "text":
        yield token
        return
    for place, part in enumerate(re.split(r" (\(\S+\.\.\S+\))", token.content)):
        if place % 2:
            span = f' <span class="interval">{html.escape(part)}</span>'
            yield Token("html_inline", "", 0, content=span)
        elif part:
            yield Token("text", "", 0, content=part)


def _image_of(
    renderer: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, env: EnvType
) -> str:
    """Embed an image of the page's folder, unless it is shown elsewhere on the page."""
    source = str(tokens[place].attrs["src"])
    title = renderer.renderInlineAsText(tokens[place].children, options, env)
    name = Path(unquote(source))
    path = env["folder"] / name
    if path.resolve() in env["shown"]:
        return ""
    if name.is_absolute() or ".." in name.parts or not path.is_file():
        return html.escape(f"![{title}]({source})")  # not an image of the report, so part of a name
    return _image(path, title)
