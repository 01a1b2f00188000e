"""Tracked files: small, free of hosts and machine paths, and of one mind about versions."""

from __future__ import annotations

import json
import re

import pytest
import yaml

MB = 1_000_000
REGISTRIES = re.compile(
    r"\b(?:"
    + "|".join(
        [
            r"pypi\.org",
            r"pythonhosted\.org",
            r"npmjs\.(?:org|com)",
            r"conda\.anaconda\.org",
            r"download\.pytorch\.org",
            r"deb\.debian\.org",
            r"proxy\.golang\.org",
            r"crates\.io",
        ]
    )
    + r")\b"
)
MACHINE = re.compile(r"(?<![\w.])/(?:work|opt|root|home/\w+|Users/\w+|tmp/kl)/[\w.]")


@pytest.fixture(scope="module")
def texts(tracked, root):
    """Tracked text files that are ours: path -> text."""
    found = {}
    for path in tracked:
        relative = path.relative_to(root)
        if relative.parts[:3] == ("book", "_static", "vendor"):
            continue
        try:
            found[relative.as_posix()] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    assert "README.md" in found
    return found


def test_no_registry_host_and_no_path_of_a_machine(texts):
    for name, text in texts.items():
        if name == "tests/house/test_files.py":
            continue
        assert not REGISTRIES.findall(text), name
        assert not MACHINE.findall(text), f"{name}: {MACHINE.findall(text)}"


def test_the_tracked_tree_is_small(tracked):
    assert sum(p.stat().st_size for p in tracked) <= 62 * MB
    weights = [p for p in tracked if p.suffix == ".safetensors"]
    assert sum(p.stat().st_size for p in weights) <= 50 * MB


def test_text_files_end_in_one_newline_and_have_no_stray_spaces(texts):
    for name, text in texts.items():
        if not text or name.endswith((".json", ".txt", ".ipynb", ".svg")):
            continue
        assert text.endswith("\n") and not text.endswith("\n\n"), name
        assert not re.search(r"[ \t]+$", text, flags=re.MULTILINE), name


def test_no_text_has_the_marks_of_a_merge(texts):
    for name, text in texts.items():
        assert not re.search("^(<{7}|>{7}) ", text, flags=re.MULTILINE), name


def test_notebooks_have_no_outputs(tracked):
    for path in tracked:
        if path.suffix == ".ipynb":
            cells = json.loads(path.read_text())["cells"]
            assert not any(c.get("outputs") or c.get("execution_count") for c in cells), path.name


def requirements(root):
    """Every requirement of pyproject.toml, extras included, as packaging sees it."""
    from packaging.requirements import Requirement

    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    return [Requirement(line) for line in lines]


def lock(root):
    """constraints.txt: (requirement pinned by ==) for each line."""
    from packaging.requirements import Requirement

    lines = (root / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_the_lock_pins_every_requirement_within_its_range(root, python):
    from packaging.utils import canonicalize_name

    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    pins = {}
    for pin in lock(root):
        (spec,) = pin.specifier
        assert spec.operator == "==" and "+" not in spec.version and pin.url is None, str(pin)
        if pin.marker is None or pin.marker.evaluate(environment):
            key = canonicalize_name(pin.name)
            assert key not in pins, f"{pin.name} is pinned twice for Python {python}"
            pins[key] = spec.version
    for wanted in requirements(root):
        if wanted.marker is not None and not wanted.marker.evaluate(environment):
            continue
        version = pins.get(canonicalize_name(wanted.name))
        assert version, f"{wanted.name} is not pinned for Python {python}"
        assert wanted.specifier.contains(version, prereleases=True), f"{wanted} but {version}"


def test_what_is_installed_is_the_lock(root):
    """The suite tests the tested versions: of each direct requirement."""
    from importlib import metadata

    pins = {p.name.lower(): p for p in lock(root) if p.marker is None or p.marker.evaluate()}
    for wanted in requirements(root):
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        pin = pins[wanted.name.lower().replace("_", "-")]
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            continue  # an extra that is not installed
        assert pin.specifier.contains(version.split("+")[0], prereleases=True), wanted.name


def test_conda_and_makefile_install_the_same(root):
    conda = yaml.safe_load((root / "environment.yml").read_text())
    pip = next(d["pip"] for d in conda["dependencies"] if isinstance(d, dict))
    assert "--constraint constraints.txt" in pip
    extras = "[book,test,laptop]"
    assert f"--editable .{extras}" in pip
    assert extras in (root / "Makefile").read_text()


def test_no_warning_filter_is_broad():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    from pathlib import Path

    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
    filters = tomllib.loads(text)["tool"]["pytest"]["ini_options"]["filterwarnings"]
    assert filters[0] == "error"
    for each in filters[1:]:
        action, message, *rest = each.split(":")
        assert action == "ignore" and message.strip() and rest, each
