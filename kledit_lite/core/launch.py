"""Where the book can be found: one setting of the checkout, empty until someone publishes it.

In ``pyproject.toml``::

    [tool.kledit]
    repository = "https://github.com/OWNER/NAME"   # where the sources are
    branch = "main"
    site = "https://OWNER.github.io/NAME"          # where the built site is served

Whatever names an address takes it from here: the site's buttons, the pages, and the first cell of
every notebook. Where the setting is empty nothing does, because an address that nobody owns yet can
become anybody's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kledit_lite.core.errors import KleditError

WHEELS = "_static/wheels"
"""Folder of the site that serves it."""
SETTINGS = ("repository", "branch", "site")
BOOTSTRAP = """\
try:
    import kledit_lite
except ModuleNotFoundError:  # take the wheel that the book's own site carries
    %pip install --quiet {place}/{wheel}"""


@dataclass(frozen=True)
class Launch:
    """The setting.

    Attributes:
        repository: address of the sources, or empty.
        branch: of the repository that holds them.
        site: address of the built site, or empty.
    """

    repository: str = ""
    branch: str = "main"
    site: str = ""

    @property
    def name(self) -> str:
        """Of the folder that a clone makes; the project's own where there is no repository."""
        return self.repository.rstrip("/").rpartition("/")[2] or "kledit-lite"

    def config(self) -> dict[str, Any]:
        """What the site's configuration takes from the setting: buttons, or none."""
        if not self.repository:
            return {}
        return {
            "repository": {"url": self.repository, "branch": self.branch, "path_to_book": ""},
            "launch_buttons": {
                "notebook_interface": "jupyterlab",
                "binderhub_url": "https://mybinder.org",
                "colab_url": "https://colab.research.google.com",
            },
            "html": {"use_repository_button": True, "use_issues_button": True},
        }

    def bootstrap(self, version: str) -> str:
        """The first cell of a notebook: import the library, else install the site's wheel.

        Without an address of the site, the wheel is looked for where the site's own folder has it,
        seen from a notebook in it.

        Args:
            version: of the library.
        """
        place = f"{self.site.rstrip('/') or '..'}/{WHEELS}"
        return BOOTSTRAP.format(place=place, wheel=wheel(version))


def wheel(version: str) -> str:
    """File name of the library's wheel.

    Example:
        >>> wheel("0.1.0")
        'kledit_lite-0.1.0-py3-none-any.whl'
    """
    return f"kledit_lite-{version}-py3-none-any.whl"


def launch(root: Path) -> Launch:
    """The setting of a checkout; all empty where it has none.

    Args:
        root: the checkout.

    Raises:
        KleditError: an unknown key, or an address that does not begin with https://.
    """
    path = root / "pyproject.toml"
    found = _table(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for key, value in found.items():
        address = key in ("repository", "site")
        if key not in SETTINGS or (address and value and not value.startswith("https://")):
            raise KleditError(
                f"{path}: [tool.kledit] has {key} = {value!r}; expected repository and site with "
                "addresses that begin with https://, or empty, and branch."
            )
    return Launch(**found)


def _table(text: str) -> dict[str, str]:
    """The table ``[tool.kledit]``, whose values are plain strings (3.10 has no TOML reader)."""
    section = re.search(r"^\[tool\.kledit\]\n((?:(?!\[).*\n?)*)", text, re.MULTILINE)
    lines = re.findall(r'^(\w+) *= *"([^"]*)"', section[1] if section else "", re.MULTILINE)
    return dict(lines)
