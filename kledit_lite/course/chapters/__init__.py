"""The exercises, a pair per chapter: `locogen.md` has their words, `locogen.py` their checkers."""
