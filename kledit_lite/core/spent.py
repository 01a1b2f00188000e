"""What has gone through models in this process, so that a run can say what it cost."""

from __future__ import annotations

from collections import Counter

SPENT: Counter[str] = Counter()
"""Unit -> how many so far; ``unet_rows`` are counted where pictures are sampled."""
