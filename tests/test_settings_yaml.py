"""YAML of settings: what was typed is kept, and nothing costs more than it is long."""

import math
import time

import pytest

from vctool.settings_yaml import Plain, read, write

ODD = ["0010", "1:30", "no", "1e3", "2024-01-02", "0x1F", "1_000", ".5", "true", "~", "a b", "-"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("-8", -8),
        ("0010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e-3", 1e-3),
        ("+.5", 0.5),
        ("3.", 3.0),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("", None),
        ("-.inf", -math.inf),
        ("no", "no"),
        ("1:30", "1:30"),
        ("2024-01-02", "2024-01-02"),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("3 kg", "3 kg"),
    ],
)
def test_a_plain_scalar_is_what_yaml_1_2_makes_of_it(text: str, value: object) -> None:
    plain = read(f"x: {text}")["x"]
    assert type(plain) is Plain and plain == text
    assert (plain.value, type(plain.value)) == (value, type(value))


@pytest.mark.parametrize("form", ["'8'", '"8"', "!!str 8"])
def test_what_is_quoted_is_text(form: str) -> None:
    assert type(read(f"x: {form}")["x"]) is str


def test_names_of_fields_are_text() -> None:
    assert read("{1: a, no: b, 0010: c}") == {"1": "a", "no": "b", "0010": "c"}


def test_anchors_and_merges_work() -> None:
    text = "a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\n"
    assert read(text) == {
        "a": {"x": "1", "y": "2"},
        "b": {"x": "1", "y": "2"},
        "c": {"x": "1", "y": "3"},
    }


@pytest.mark.parametrize("text", ODD)
def test_what_is_written_is_read_as_the_same(text: str) -> None:
    for kind in (str, Plain):
        back = read(write({"x": [kind(text)]}))["x"][0]
        meant = text if kind is str else Plain(text).value
        assert (back, getattr(back, "value", back)) == (text, meant)


def test_values_are_written_as_values() -> None:
    tree = {"a": [1, 2.5, None, True], "b": {"c": "é"}}
    back = read(write(tree))
    assert [one.value for one in back["a"]] == tree["a"]
    assert "é" in write(tree)


DEEP = "\n".join(["a0: &a0 {}", *(f"a{i}: &a{i} {{x: *a{i - 1}}}" for i in range(1, 2000))])
LAUGHS = "\n".join(
    ["a0: &a0 [ha]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10))]
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 50_000, "more than 16 levels"),
        (DEEP, "more than 16 levels"),
        (LAUGHS, "more than 20000 values"),
        ("a: &a [1, *a]", r"'\*a' holds itself"),
        ("a: &a {<<: *a}", r"'\*a' holds itself"),
        ("x" * 200_000, "longer than 131072 characters"),
        ("a: !!timestamp 2024-13-45", "tag 'tag:yaml.org,2002:timestamp' has no meaning here"),
        ("a: !!python/object/apply:os.system [x]", "has no meaning here"),
        ("a: 1\na: 2", "field 'a' stands there twice"),
        ("? [a]\n: 1", "a field's name must be text"),
        ("a: [1", "expected ',' or ']'"),
        ("a: \x00", "special characters are not allowed"),
        ("a: 1\n---\nb: 2", "expected a single document"),
    ],
)
def test_what_no_settings_need_is_refused_in_a_line_and_at_once(text: str, message: str) -> None:
    begin = time.process_time()
    with pytest.raises(ValueError, match=message) as caught:
        read(text)
    assert time.process_time() - begin < 5
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_numbers_that_no_setting_means_are_refused() -> None:
    assert Plain("9" * 18).value == 10**18 - 1
    with pytest.raises(ValueError, match="a number of 5000 digits; at most 18"):
        _ = Plain("9" * 5000).value
