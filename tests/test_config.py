"""Settings trees: where files are looked up, and errors that name the field and little else."""

import logging
from pathlib import Path
from typing import Literal

import pytest

from vctool.config import PROJECT_ROOT, Config, Origin, build, find, names, override, read_yaml
from vctool.errors import ConfigError


class Inner(Config):
    """One field that must be given."""

    rate: int


class Outer(Config):
    """A tree of settings."""

    inner: Inner
    width: int = 1
    gain: float = 1.0


class Names(Config):
    """Fields that are text, and some that are not."""

    one: str = "x"
    maybe: str | None = "x"
    some: tuple[str, ...] = ()
    pair: tuple[str, int] = ("x", 1)
    listed: list[str] = []
    named: dict[str, str] = {}
    choice: Literal["off", "on"] = "on"
    count: int = 1
    number: float | Literal["auto"] = 1.0
    flag: bool = True


def test_a_missing_field_is_named_alone() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Outer, {"inner": {}, "width": 12345}, "recipes/x.yaml")
    assert str(caught.value) == "recipes/x.yaml: inner.rate is missing"


ODD = ("0010", "1:30", "no", "1e3", "2024-01-02", "0x1F", "1_000", ".5", "true", "12.50")


@pytest.mark.parametrize("text", ODD)
def test_a_name_is_the_text_that_was_typed(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        f"one: {text}\nmaybe: {text}\nsome: [{text}, a]\npair: [{text}, 3]\n"
        f"listed:\n- {text}\nnamed: {{{text}: {text}}}\n"
    )
    expected = Names(
        one=text,
        maybe=text,
        some=(text, "a"),
        pair=(text, 3),
        listed=[text],
        named={text: text},
    )
    assert build(Names, read_yaml(path), "x") == expected
    settings = (f"one={text}", f"maybe={text}", f"some=[{text}, a]", f"pair=[{text}, 3]")
    settings += (f"listed=[{text}]", f"named={{{text}: {text}}}")
    assert build(Names, override({}, settings), "x") == expected
    assert build(Names, override({}, (f"named.x={text}",)), "x").named == {"x": text}


def test_what_is_no_name_is_a_value() -> None:
    def of(*settings: str) -> Names:
        return build(Names, override({}, settings), "x")

    assert of("choice=off").choice == "off"
    assert of("maybe=null").maybe is None and of("maybe=").maybe is None
    assert of("maybe='null'").maybe == "null" and of("some=[null]").some == ("null",)
    assert of("count=1e3").count == 1000 and of("count=0010").count == 10
    assert of("count='7'").count == 7
    assert of("number=1e-3").number == 1e-3 and of("number=auto").number == "auto"
    assert of("flag=no").flag is False and of("flag=true").flag is True


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("width=x", "width = 'x': Input should be a valid integer"),
        ("width=2024-13-45", "width = '2024-13-45': Input should be a valid integer"),
        (
            f"width={'9' * 5000}",
            r"width = 9{80}\.\.\. \(5000 characters\): a number of 5",
        ),
        ("width=1e30", "width = 1e.30: .* exceeded maximum size"),
        ("gain=.inf", "gain = inf: Input should be a finite number"),
        ("gain=1e999", "gain = inf: Input should be a finite number"),
        ("widht=3", "no field 'widht'; did you mean 'width'"),
        ("inner.rat=3", r"no field 'inner.rat'; did you mean 'rate'"),
        ("inner={rat: 3}", r"no field 'inner.rat'; did you mean 'rate'"),
        ("width=[1", "value is not YAML: .*expected ',' or ']'"),
        (f"width={'[' * 5000}", "value is not YAML: more than 16 levels"),
        ("width=&a [*a]", r"value is not YAML: '\*a' holds itself"),
        (f"{'a.' * 3000}a=1", "no field has 3001 parts"),
        ("width", "expected FIELD=VALUE"),
    ],
)
def test_errors_of_set_name_the_option(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        settings = (setting, "inner.rate=1")
        build(Outer, override({"inner": {}}, settings), Origin("x.yaml", settings))
    assert str(caught.value).startswith(f"--set {setting[:60]}")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_the_last_override_of_a_field_is_blamed_and_the_file_for_its_own() -> None:
    origin = Origin("x.yaml", ("a.b=1", "a=2", "c.d=3", "ab=4"))
    blamed = {field: origin.of(field) for field in ("a.b", "a", "c", "c.d.e", "c.x", "abc", "b")}
    assert blamed == {
        "a.b": "--set a=2",
        "a": "--set a=2",
        "c": "--set c.d=3",
        "c.d.e": "--set c.d=3",
        "c.x": "x.yaml",
        "abc": "x.yaml",
        "b": "x.yaml",
    }


def write(path: str, text: str) -> Path:
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: conf/features/16k.yaml/x.yaml", "16k.yaml/x.yaml: no such file, here or in "),
        ("base: conf/features", "conf/features: is a folder or a device"),
        ("base: /dev/zero", "/dev/zero: is a folder or a device"),
        ("base: [a]", r"x.yaml: base = \['a'\]: expected a YAML file's path"),
        ("base:", r"x.yaml: base = '': expected a YAML file's path"),
        ("base: x.yaml", "x.yaml: is its own base, through "),
        ("a: {base: ./../%s/x.yaml}", "x.yaml: is its own base, through "),
        (f"base: {'n' * 5000}", r"n{80}\.\.\. \(5000 characters\): no such file"),
        ("base: bases/0.yaml", "is one base too many; 8 below one another"),
        ("base: many.yaml", "is one base too many; .* and 100 in all"),
        ("- a", r"expected `field: value` lines, not \['a'\]"),
        ("a: [", "x.yaml: not readable as YAML: "),
    ],
)
def test_impossible_bases_are_refused_in_a_line(workdir: Path, text: str, message: str) -> None:
    for index in range(9):
        write(f"bases/{index}.yaml", f"base: bases/{index + 1}.yaml\n")
    write("bases/9.yaml", "a: 1\n")
    write("leaf.yaml", "a: 1\n")
    write("many.yaml", "".join(f"f{index}: {{base: leaf.yaml}}\n" for index in range(101)))
    path = write("x.yaml", text.replace("%s", workdir.name))
    with pytest.raises(ConfigError, match=message) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_a_field(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfinner: {rate: 1}\nwidth: 3\n")
    assert build(Outer, read_yaml(path), "x").width == 3


@pytest.mark.parametrize("name", ["x.yaml/y.yaml", f"{'n' * 5000}.yaml", "a\0.yaml"])
def test_a_path_that_cannot_be_is_refused_in_a_line(workdir: Path, name: str) -> None:
    write("x.yaml", "a: 1")
    with pytest.raises(ConfigError, match=r"^.{1,200}: (cannot be read|not readable|no such)"):
        read_yaml(Path(name))


def test_the_work_folder_comes_before_what_comes_with_vctool(
    workdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shipped = PROJECT_ROOT / "conf/features/16k.yaml"
    assert find("conf/features/16k.yaml") == shipped
    own = write("conf/features/16k.yaml", shipped.read_text())
    assert find(own) == own
    assert not caplog.records  # the same text
    write("conf/features/44k.yaml", "n_mels: 3\n")
    own = write("conf/features/own.yaml", "base: conf/features/44k.yaml\n")
    for _ in range(2):
        assert read_yaml(own) == {"n_mels": "3"}
    path = workdir / "conf/features/44k.yaml"
    assert [(one.levelno, one.getMessage()) for one in caplog.records] == [
        (logging.WARNING, f"{path}: used in place of the one that comes with vctool")
    ]


def test_a_file_may_be_laid_over_the_one_that_it_hides(workdir: Path) -> None:
    shipped = read_yaml(PROJECT_ROOT / "recipes/mini.yaml")
    own = write("recipes/mini.yaml", "base: recipes/mini.yaml\nname: mine\n")
    assert read_yaml(own) == shipped | {"name": "mine"}


def test_names_are_those_of_both_folders_each_once(workdir: Path) -> None:
    write("recipes/mini.yaml", "")
    write("recipes/own.yaml", "")
    write("recipes/notes.txt", "")
    there = {path.stem for path in (PROJECT_ROOT / "recipes").glob("*.yaml")}
    assert names("recipes") == sorted(there | {"own"})
