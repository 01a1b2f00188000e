"""``kledit``: one thin command over the library.

The commands are those of every ``command.py`` in the library's folders, whose dataclasses say what
their options are. Progress goes to stderr.  With ``--json`` stdout is exactly one JSON object.  The
exit status is 0 when every target is met, 1 when one is not, 2 on bad input (an unknown name, a
damaged file), 130 when it is interrupted, and 141 when whoever reads the output stops (``head``).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kledit_lite import __version__
from kledit_lite.core.commands import Parser, execute, register
from kledit_lite.core.errors import KleditError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Example:
        >>> main(["profile", "no-such-profile"])
        2
    """
    try:
        return _status(arguments)
    except BrokenPipeError:  # Python would meet it again when it flushes stdout at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _status(arguments: Sequence[str] | None) -> int:
    try:
        return execute(parser().parse_args(arguments))
    except KleditError as error:
        print(f"kledit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("kledit: interrupted", file=sys.stderr)
        return 130
    finally:
        sys.stdout.flush()


def parser() -> argparse.ArgumentParser:
    """The command line's grammar; loads nothing heavy."""
    top = Parser(prog="kledit", description="Build, check and measure the book and its models.")
    top.add_argument("--version", action="version", version=f"kledit-lite {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    library = Path(__file__).parent
    found = sorted([*library.glob("*/command.py"), *library.glob("*/*/command.py")])
    names = [".".join(p.relative_to(library.parent).with_suffix("").parts) for p in found]
    register(commands, zip(found, names, strict=True))
    return top


if __name__ == "__main__":
    sys.exit(main())
