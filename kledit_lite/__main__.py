"""``python -m kledit_lite`` is ``kledit``."""

from __future__ import annotations

import sys

from kledit_lite.cli import main

sys.exit(main())
