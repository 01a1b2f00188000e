"""KLEdit-Lite: knowledge localization, editing and unlearning, small and tested.

Importing this package loads nothing heavy; import the part you need:
``kledit_lite.world``, ``kledit_lite.zoo``, ``kledit_lite.align`` and so on.
"""

from __future__ import annotations

import os

__version__ = "0.1.0"


def use_profile(name: str) -> None:
    """Choose which models fill the chapters' slots: ``"lite"``, ``"laptop"``, ``"gpu"`` or
    ``"rehearsal"``.

    Same as setting the environment variable ``KLEDIT_PROFILE``; see `kledit_lite.core.slots`.

    Raises:
        UnknownNameError: no such profile.

    Example:
        >>> use_profile("lite")
    """
    from kledit_lite.core import slots

    slots.use_profile(name)


__all__ = ["__version__", "use_profile"]

if "KLEDIT_USES" in os.environ:  # the book's engine asks which files a chapter opens
    from kledit_lite.core.uses import watch

    watch()
