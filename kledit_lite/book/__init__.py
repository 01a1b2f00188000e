"""The execution engine: chapters in, an executed and checked book out.

    chapters = discover(root)                       discover.py   notebooks/NN-slug.md
    run = execute(chapter, ...)                     execute.py    nbclient, seconds, peak memory
    store.get(key) / store.put(key, run)            cache.py      kept while its sources are
    checks = contract.check(run.figures)            contracts.py  bounds and negative controls
    report(...)                                     report.py     JSON and a page of the book
    build_book(root)                                build.py      all of it, then the site

A chapter itself needs two things from here: `record`, with which it writes the figures that its
contract checks, and `say`, which gives numbers to its prose.  Importing this package loads nothing
heavy, and nothing else of it: a chapter is executed anew when a module that it loaded has changed.
"""

from __future__ import annotations

from kledit_lite.book.discover import Chapter, discover, find_root
from kledit_lite.book.record import record
from kledit_lite.book.say import say

__all__ = ["Chapter", "discover", "find_root", "record", "say"]
