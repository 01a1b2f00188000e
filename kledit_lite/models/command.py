"""``kledit profile``: which model fills which slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from kledit_lite.core.commands import BARE, Command, Name
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.core.slots import current, get


@dataclass(frozen=True, kw_only=True)
class ProfileOptions:
    """Which profile to show.

    Attributes:
        name: lite, laptop, gpu or rehearsal (default: the one in force)
    """

    name: Annotated[Name, BARE] | None = None


def run(options: ProfileOptions) -> Results:
    """A row per slot; touches no network.

    Raises:
        UnknownNameError: no such profile.
    """
    from kledit_lite.models.profiles import table

    profile = get(options.name) if options.name else current()
    rows = table(profile)
    figures = {"slots": len(rows), "available": sum(r["available"] for r in rows)}
    where = context(profile=profile.name)
    return Results(f"profile {profile.name}", figures, {}, where, {"slots": rows})


def show(results: Results) -> None:
    """The profile's summary, and a line per slot."""
    profile = get(results.context["profile"])
    print(f"{profile.name}: {profile.summary}")
    for r in results.extra["slots"]:
        state = f"uses {r['uses']}" if r["available"] else "not here"
        if r["missing"]:
            optional = ", optional" if r["optional"] else ""
            state += f"; {r['ids'][0]} ({r['size_mb']:g} MB{optional}): {r['missing']}"
        print(f"  {r['slot']:<20} {r['loader']:<8} {state}")


COMMANDS = (
    Command("profile", "show which model fills which slot here", ProfileOptions, run, show),
)
