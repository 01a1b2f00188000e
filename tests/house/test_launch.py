"""No address of the book but the one setting; the recipes of its images, step by step."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kledit_lite import __version__
from kledit_lite.core.launch import Launch, launch

INVENTED = re.compile(
    r"(?:github\.com|github\.io|gitlab\.com|mybinder\.org|colab\.research\.google\.com)[/:]"
    r"[\w./-]*kledit|git\+https?://\S*kledit|pip install (?:-\S+ )*['\"]?kledit",
    re.IGNORECASE,
)


def test_no_address_is_invented(tracked, root):
    if launch(root).repository:
        pytest.skip("the setting names a repository")
    for path in tracked:
        if path.suffix in {".safetensors", ".npz", ".png", ".woff2"} or path == Path(__file__):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        assert not INVENTED.search(text), (path.name, INVENTED.search(text))


@pytest.mark.parametrize(
    "text",
    [
        "clone https://github.com/kledit-" + "lite/kledit-lite",
        "%pip install kledit-" + "lite",
        "'x @ git+https" + "://host.example/kledit-lite'",
    ],
)
def test_an_invented_address_is_seen(text):
    assert INVENTED.search(text)


def test_configurations_take_addresses_from_the_setting_alone(root):
    config = yaml.safe_load((root / "_config.yml").read_text())
    assert "repository" not in config and "launch_buttons" not in config
    assert not {"use_repository_button", "use_issues_button"} & set(config["html"])
    assert not {"github", "jupyter"} & set(
        yaml.safe_load((root / "myst.yml").read_text())["project"]
    )


def test_the_site_has_buttons_when_the_setting_says_where_the_sources_are(root, tmp_path):
    from kledit_lite.book import site

    for name in ("_config.yml", "pyproject.toml"):
        shutil.copyfile(root / name, tmp_path / name)
    assert "repository" not in yaml.safe_load(site._config(tmp_path))
    text = (tmp_path / "pyproject.toml").read_text()
    address = "https://sources.example/us/our-book"
    (tmp_path / "pyproject.toml").write_text(
        text.replace('repository = ""', f'repository = "{address}"')
    )
    config = yaml.safe_load(site._config(tmp_path))
    assert config["repository"]["url"] == address and "colab_url" in config["launch_buttons"]
    assert config["html"]["use_issues_button"] and config["html"]["home_page_in_navbar"]


def pages_of(root: Path, at: Launch, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the pages say about getting the book, with a setting."""
    import importlib.util

    import kledit_lite.core.launch as module

    monkeypatch.setattr(module, "launch", lambda folder: at)
    spec = importlib.util.spec_from_file_location("pages", root / "book/_ext/kledit_pages.py")
    extension = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)
    return "\n".join(extension.addresses(root).values())


def test_pages_name_a_clone_a_rocket_and_colab_only_with_a_repository(root, monkeypatch):
    without = pages_of(root, Launch(), monkeypatch)
    assert (
        not re.search(r"https?://|clone|[Rr]ocket|Colab|Binder", without) and "make book" in without
    )
    address = "https://sources.example/us/our-book"
    text = pages_of(root, Launch(repository=address, branch="second"), monkeypatch)
    assert f"git clone {address}\ncd our-book\nmake book" in text
    assert f"docker build -t kledit-lite {address}.git#second" in text and "Colab" in text


def test_every_notebook_begins_with_the_first_cell_of_the_setting(root):
    first = launch(root).bootstrap(__version__)
    pairs = sorted((root / "notebooks").glob("*.ipynb"))
    assert pairs
    for path in pairs:
        assert "".join(json.loads(path.read_text())["cells"][0]["source"]) == first, path.name


def instructions(root: Path) -> list[tuple[str, str]]:
    """The steps of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (root / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


def pinned(root: Path) -> set[str]:
    """Names in the lock."""
    lines = (root / "constraints.txt").read_text().splitlines()
    return {line.split("==")[0] for line in lines if "==" in line}


def test_each_step_of_the_image_has_what_it_needs(root, tracked, tmp_path):
    """Run as far as it goes without a daemon: every file is copied, and pip reads the project."""
    names = {p.relative_to(root).as_posix() for p in tracked}
    extras = set(re.findall(r"^(\w+) = \[", (root / "pyproject.toml").read_text(), re.MULTILINE))
    steps = instructions(root)
    assert [kind for kind, _ in steps][0] == "FROM" and [kind for kind, _ in steps][-1] == "CMD"
    installed = False
    for kind, said in steps:
        if kind == "FROM":
            image, version = said.removesuffix("-slim").split(":")
            assert image == "python" and (3, 10) <= tuple(map(int, version.split("."))) <= (3, 13)
        elif kind == "COPY":
            *sources, target = shlex.split(said)
            for source in sources:
                assert source in names or any(n.startswith(f"{source}/") for n in names), source
                if not installed:
                    place = tmp_path if target == "./" else tmp_path / target
                    copy(root / source, place / source if target == "./" else place)
        elif kind == "RUN" and "pip install" in said:
            words = shlex.split(said)
            assert words[words.index("--constraint") + 1] == "constraints.txt"
            asked = re.search(r"\.\[([\w,]+)\]", said)[1].split(",")
            assert set(asked) <= extras
            assert {"jupyterlab", "torch", "jupyter-book"} <= pinned(root)
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--dry-run",
                "--no-deps",
                "--quiet",
                "--no-build-isolation",
                "--constraint",
                "constraints.txt",
                ".",
            ]
            done = subprocess.run(
                command, cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr[-800:]
            installed = True
        elif kind == "USER":
            assert any(k == "RUN" and f"useradd --create-home {said}" in r for k, r in steps)
        elif kind == "CMD":
            assert json.loads(said)[:2] == ["jupyter", "lab"]
        else:
            assert kind in {"ARG", "ENV", "RUN", "WORKDIR", "EXPOSE"}, kind
    assert installed


def copy(source: Path, target: Path) -> None:
    """A file, or of a folder what setuptools looks at, without the weights."""
    if source.is_dir():
        heavy = shutil.ignore_patterns("weights", "__pycache__", "albums")
        shutil.copytree(source, target, ignore=heavy)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def test_binder_container_and_conda_agree(root):
    version = re.search(r"^FROM python:([\d.]+)", (root / "Dockerfile").read_text())
    version = version or re.search(r"\nFROM python:([\d.]+)", (root / "Dockerfile").read_text())
    python = version[1]
    assert (root / ".binder" / "runtime.txt").read_text().strip() == f"python-{python}"
    conda = yaml.safe_load((root / "environment.yml").read_text())
    assert f"python={python}" in conda["dependencies"]
    lines = (root / ".binder" / "requirements.txt").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    assert lines == ["--constraint ../constraints.txt", "--editable .[book,lab]"]
    assert (root / ".binder" / lines[0].split()[1]).resolve() == root / "constraints.txt"
    assert (root / ".binder" / "start").stat().st_mode & 0o100
    container = json.loads((root / ".devcontainer" / "devcontainer.json").read_text())
    build = container["build"]
    assert (root / ".devcontainer" / build["dockerfile"]).resolve() == root / "Dockerfile"
    assert (root / ".devcontainer" / build["context"]).resolve() == root
    assert container["hostRequirements"]["memory"] == "2gb"
    assert ("USER", container["remoteUser"]) in instructions(root)
