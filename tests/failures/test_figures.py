"""A list of modes shows what the search found; a figure, which modes keep their drop."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kledit_lite.failures import TagTable, find_modes
from kledit_lite.failures.figures import found_and_kept, listing


def test_a_list_names_the_tag_that_counts_most():
    has = np.array([[1, 1]] * 6 + [[1, 0]] * 2 + [[0, 1]] * 4 + [[0, 0]] * 8, bool)
    table = TagTable(("cat",), [0] * 20, [0] * 6 + [1] * 14, ("dark", "wet"), has)
    modes = find_modes(table, l=2, s=2, a=0.3, b={2: 0.2}).table
    shown = listing(modes, rows=1).data
    assert shown[["class", "tags", "support"]].values.tolist() == [["cat", "dark + wet", 6]]
    assert shown["easiest without"].tolist() == ["dark (40%)"]  # without wet: 25%
    assert listing(modes).data["tags"].tolist() == [" + ".join(t) for t in modes["tags"]]


def test_modes_that_are_not_judged_are_not_drawn():
    drops = pd.DataFrame({
        "drop": [0.5, 0.4, 0.9], "unseen_drop": [0.4, 0.1, np.nan], "unseen_images": [9, 7, 1],
    })  # fmt: skip
    plate = found_and_kept(drops)
    points = plate.axes[0].collections[0].get_offsets()
    assert np.asarray(points).tolist() == [[0.5, 0.4], [0.4, 0.1]]
    assert "2 modes: 50% keep 25 points" in plate.kl_alt
    assert found_and_kept(drops[2:]).kl_alt.endswith("0 modes: none can be judged.")
