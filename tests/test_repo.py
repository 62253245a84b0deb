"""What holds for the whole tree: every YAML builds, every module is documented and short."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from vctool.config import build, read_yaml
from vctool.experiment import plan
from vctool.experiment import recipe as recipes
from vctool.features.settings import FeatureConfig
from vctool.models import base

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(path for path in (ROOT / "vctool").rglob("*.py"))


@pytest.mark.parametrize("name", recipes.recipes())
def test_every_recipe_builds(name: str) -> None:
    recipe = recipes.load(name)
    plan.check(recipe)
    assert recipe.roles


@pytest.mark.parametrize("path", sorted((ROOT / "conf" / "features").glob("*.yaml")), ids=str)
def test_every_feature_conf_builds(path: Path) -> None:
    build(FeatureConfig, read_yaml(path), str(path))


@pytest.mark.parametrize("family", base.families())
def test_every_family_conf_builds(family: str) -> None:
    paths = sorted((ROOT / "conf" / family).glob("*.yaml"))
    assert {"default.yaml", "tiny.yaml"} <= {path.name for path in paths}
    for path in paths:
        tree = read_yaml(path)
        assert tree["family"] == family
        build(base.family(family).Config, tree.get("model", {}), str(path))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_keeps_to_the_house_sheet(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says what it is"
    assert len(text.splitlines()) <= 400, "a file is read in one sitting"
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: bare except"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if getattr(node, "module", None) == "pickle":  # what others raise may be told in a line
                assert names == ["UnpicklingError"], f"line {node.lineno}: pickle"
            assert "pickle" not in names, f"line {node.lineno}: pickle"
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 100, f"{node.name} is too long"


def test_scripts_can_be_executed_and_parsed() -> None:
    for name in ("run.sh", "tests/run.sh", ".ci/run", "local/setup.sh"):
        path = ROOT / name
        assert path.stat().st_mode & 0o111, f"{name} is not executable"
        subprocess.run(["bash", "-n", str(path)], check=True)


def test_every_direct_requirement_is_pinned_once() -> None:
    pinned: list[str] = []
    for path in (*ROOT.glob("requirements*.txt"), ROOT / "constraints.txt"):
        for line in path.read_text().splitlines():
            if entry := line.split("#")[0].strip():
                assert entry.partition(";")[0].count("==") == 1, entry
                pinned.append(entry.split("==")[0].lower().replace("_", "-"))
    assert len(pinned) == len(set(pinned))


def test_every_debian_package_stands_once_with_its_reason() -> None:
    lines = (ROOT / "local" / "debian.txt").read_text().splitlines()
    entries = [line for line in lines if not line.startswith("#")]
    found = [re.fullmatch(r"([a-z0-9][a-z0-9.+-]+) +# \w.+", line) for line in entries]
    names = [one[1] for one in found if one is not None]
    assert None not in found and len(names) == len(set(names)) > 5


def imported(folder: Path, known: Mapping[str, list[str]]) -> set[str]:
    """Name the distributions that the modules of a folder import from, besides Python's own."""
    names: set[str] = set()
    paths = sorted(folder.rglob("*.py"))
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    roots = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"vctool", "tests"}
    roots -= {path.stem for path in paths} - known.keys()
    return {known.get(root, [root])[0].lower().replace("_", "-") for root in roots}


def asked_for(*extents: str) -> set[str]:
    """Name the distributions of requirements files."""
    paths = [ROOT / f"requirements{extent}.txt" for extent in extents]
    lines = [line.split("#")[0].strip() for path in paths for line in path.read_text().splitlines()]
    return {line.split("==")[0].lower().replace("_", "-") for line in lines if line}


def test_what_is_imported_is_asked_for() -> None:
    here = asked_for("", "-corpora", "-cluster", "-eval", "-export", "-stream")
    known = packages_distributions()
    assert imported(ROOT / "vctool", known) <= here
    assert imported(ROOT / "tests", known) <= here | asked_for("-dev")


def test_no_family_imports_another() -> None:
    for name in base.families():
        for path in (ROOT / "vctool" / "models" / name).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                module = getattr(node, "module", None) or ""
                if module.startswith("vctool.models"):
                    named = module.split(".")[2:3] or [alias.name for alias in node.names]
                    assert set(named) <= {name, "base"}, f"{path}: {named}"


def test_no_folder_holds_a_fifth_of_the_code() -> None:
    lines: Counter[str] = Counter()
    for path in MODULES:
        lines[path.relative_to(ROOT / "vctool").parts[0]] += len(path.read_text().splitlines())
    (folder, most), *_ = lines.most_common(1)
    assert most < sum(lines.values()) / 5, f"vctool/{folder} has {most} lines"
