"""What stage 7 writes, what that says of itself, and what is refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from tests.export.networks import Smooth
from vctool import cli, extras
from vctool.data import atomic
from vctool.errors import ConfigError, DataError, ExportError
from vctool.export import onnx as exporting
from vctool.export import parity
from vctool.export.runtime import Exported
from vctool.export.stream import Streamed, TorchRun
from vctool.inference.converter import Converter
from vctool.nn.streaming import Stream
from vctool.stages import export as stage

SECONDS = 0.2
"""Length of the sounds that an export is compared on here [s]; users get 10 s."""


@pytest.fixture
def model(save_shade: Any) -> Path:
    path: Path = save_shade()
    return path


def test_four_files_say_the_same(model: Path) -> None:
    line = stage.export(model, seconds=SECONDS)
    folder = model / "export"
    assert {one.name for one in folder.iterdir()} == {
        "model.onnx",
        "model.json",
        "host.c",
        "EXPORT.md",
    }
    content = (folder / "model.onnx").read_bytes()
    card = json.loads((folder / "model.json").read_text())
    assert card["sha256"] == hashlib.sha256(content).hexdigest() and card["bytes"] == len(content)
    facts = Exported.read(folder).facts
    for field in ("rate", "granule", "latency", "state"):
        assert card[field] == getattr(facts, field)
    graph = onnx.load_from_string(content).graph
    assert [one.name for one in graph.input] == list(card["inputs"]) == ["wave", "voice", "state"]
    assert [one.name for one in graph.output] == list(card["outputs"])
    assert card["inputs"]["state"] == [1, facts.state] and card["inputs"]["voice"] == [1, 4]
    assert list(card["voices"]) == list(facts.voices) == ["ann", "ben lee"]
    for voice, values in card["voices"].items():
        np.testing.assert_array_equal(np.float32(values["voice"]), facts.voices[voice]["voice"][0])
    report = (folder / "EXPORT.md").read_text()
    assert card["sha256"] in report and f"{facts.latency} samples (12.5 ms)" in report
    assert [row.split(" | ")[0] for row in report.splitlines() if row.startswith("| v")] == [
        "| voice"
    ]
    assert "ann, ben lee" in line and "12.5 ms late" in line


def test_every_voice_sounds_as_vctool_convert_has_it(model: Path) -> None:
    stage.export(model, seconds=SECONDS)
    exported, converter = Exported.read(model / "export"), Converter(model)
    wave = parity.sounds(converter.rate, 1.0)["voice"]
    heard = {}
    for voice, controls in exported.facts.voices.items():
        made = np.concatenate(list(Streamed(exported.run(controls)).through([wave])))
        expected, _ = converter.convert(wave, converter.rate, to=voice)
        np.testing.assert_allclose(made, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        heard[voice] = made
    assert np.abs(heard["ann"] - heard["ben lee"]).max() > 1e-3


def test_a_family_that_does_not_stream_says_why(save_echo: Any) -> None:
    model = save_echo()
    line = stage.export(model)
    assert "echo does not run in real time: " in line
    assert {one.name for one in (model / "export").iterdir()} == {"EXPORT.md"}
    assert line in (model / "export" / "EXPORT.md").read_text()


def test_a_wrong_latency_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Converter(model).stream
    assert isinstance(right, Stream)

    class Early(type(right)):  # type: ignore[misc]
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.latency -= 1

    module = type(Converter(model).system).streamable.__globals__
    monkeypatch.setitem(module, "Shade", Early)
    told = f"an impulse is {right.latency} samples late, and the network declares"
    with pytest.raises(ExportError, match=told):
        stage.export(model, seconds=SECONDS)
    assert not (model / "export").exists(), "what is refused is not written"


def test_a_network_that_depends_on_how_it_is_cut_is_refused() -> None:
    class Levelled(Smooth):
        def step(self, wave, controls, memory, start):  # type: ignore[no-untyped-def]
            made, after = super().step(wave, controls, memory, start)
            return made * (0.5 + wave.square().mean()), after  # a statistic over the chunk

    stream = Levelled()
    with pytest.raises(
        ExportError, match="voice: cut into chunks, the network differs from itself by"
    ):
        parity.measure(stream, lambda: TorchRun(stream), {}, 0.2)


def test_an_export_that_is_off_is_refused() -> None:
    stream = Smooth()

    class Louder(Smooth):
        def step(self, wave, controls, memory, start):  # type: ignore[no-untyped-def]
            made, after = super().step(wave, controls, memory, start)
            return made * 1.0001, after

    with pytest.raises(ExportError, match="voice: ONNX Runtime differs from torch by "):
        parity.measure(stream, lambda: TorchRun(Louder()), {}, 0.2)


def test_a_damaged_or_foreign_model_is_one_line(model: Path, tmp_path: Path) -> None:
    stage.export(model, seconds=SECONDS)
    folder = model / "export"
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[:-100])
    foreign = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("Identity", ["x"], ["y"])],
            "foreign",
            [onnx.helper.make_tensor_value_info("x", 1, [1])],
            [onnx.helper.make_tensor_value_info("y", 1, [1])],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=8,
    )
    (tmp_path / "foreign.onnx").write_bytes(foreign.SerializeToString())
    (tmp_path / "cut.onnx").write_bytes(content[: len(content) // 2])
    other = onnx.load_from_string(content)
    onnx.helper.set_model_props(other, {"vctool": "2"})
    (tmp_path / "newer.onnx").write_bytes(other.SerializeToString())
    for path, text in [
        (folder, "not the file that .*model.json describes"),
        (tmp_path / "cut.onnx", "not a model that ONNX Runtime can run"),
        (tmp_path / "foreign.onnx", "not exported by vctool"),
        (tmp_path / "newer.onnx", "of another version"),
        (tmp_path / "none.onnx", "No such file"),
    ]:
        with pytest.raises(ExportError, match=text) as told:
            Exported.read(path)
        assert "\n" not in str(told.value) and str(path) in str(told.value)


def test_a_full_disk_leaves_no_half_file(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "replace", full)
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"model\.onnx: cannot be written: No space left"):
        stage.export(model, out, seconds=SECONDS)
    assert not list(out.iterdir())


def test_without_the_extra_it_names_it(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "onnx" else object())
    with pytest.raises(DataError, match=r"onnx: not installed, .* extra export, or: pip"):
        stage.export(model)


def test_the_same_network_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        torch.manual_seed(len(name))
        stage.export(model, tmp_path / name, seconds=0.05)
    for file in ("model.onnx", "model.json", "host.c", "EXPORT.md"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_weights_of_8_bits_are_refused_by_name(tmp_path: Path) -> None:
    said = CliRunner().invoke(cli.app, ["export", str(tmp_path), "--int8"])
    assert isinstance(said.exception, ConfigError) and not list(tmp_path.iterdir())
    assert str(said.exception).startswith("--int8: not written: ")


def test_a_control_of_a_taken_name_is_refused() -> None:
    stream = Smooth()
    stream.controls = {"state": torch.zeros(1, 1)}
    with pytest.raises(ExportError, match="a control input is called state"):
        exporting.graph(stream)


def test_what_it_costs_is_measured(model: Path) -> None:
    from vctool.export import benchmark

    stage.export(model, seconds=SECONDS)
    found = benchmark.measure(
        Converter(model).stream,
        (model / "export" / "model.onnx").read_bytes(),
        Exported.read(model / "export").facts.voices["ann"],
        0.1,
    )
    assert [one.block for one in found.costs] == [512, 1024]
    assert found.memory > 0.5, "in a process where nothing was freed before"
    for one in found.costs:
        assert 0 < one.onnx < 5 and 0 < one.torch < 50 and one.ten > one.onnx
