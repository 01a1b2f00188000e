"""Which model fills which slot: ``lite``, ``laptop``, ``gpu`` or ``rehearsal``; one switch for all.

The profile in force is the one given to `use_profile`, else ``KLEDIT_PROFILE``, else ``lite``.
A slot names a loader and one or more ids, tried in order:

    zoo:NAME               a model shipped with this package                       (never downloads)
    package:NAME           weights that an installed Python package carries        (never downloads)
    timm:NAME              a timm model; from the local hub cache or downloaded
    torchvision:NAME       a torchvision model; likewise
    open_clip:ARCH/TAG     an open_clip model; likewise
    open_clip:ARCH/FILE    an open_clip architecture with weights of your own, such as fine-tuned.pt
    dino:ARCH              a DINO checkpoint of its authors that timm does not carry; likewise
    diffusers:REPOSITORY   a text-to-image pipeline; likewise
    transformers:REPOSITORY  a causal language model, or one that sees; likewise
    miniature:NAME         a model of the papers, shrunk, random weights          (never downloads)
    DIRECTORY              a local copy of any of these, or of an image folder

``KLEDIT_SLOT_<NAME>`` (upper case, ``-`` as ``_``) puts any id into a slot of any profile, and
``KLEDIT_IMAGENET`` a folder of images into the slot ``images``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kledit_lite import zoo
from kledit_lite.core import slots
from kledit_lite.core.errors import KleditError
from kledit_lite.core.slots import Profile, Slot, current, get
from kledit_lite.models import miniatures

HUBS = {"package", "timm", "torchvision", "open_clip", "dino", "diffusers", "transformers"}


class SlotUnavailable(KleditError):
    """A slot whose weights cannot be had; names the slot, the id, its size and three ways out."""


@dataclass(frozen=True)
class Filled:
    """What fills a slot.

    Attributes:
        slot: the slot.
        id: the id that was used, which may be a stand-in.
        model: an encoder, a CLIP model, the path of an image folder, or None for ``world:painted``.
        note: empty, or one sentence that says which wanted id could not be had.
    """

    slot: Slot
    id: str
    model: Any
    note: str = ""


def resolve(slot: Slot | str) -> Filled:
    """Load what fills a slot: the first of its ids that can be had.

    Only ``timm:``, ``open_clip:``, ``dino:``, ``diffusers:`` and ``transformers:`` ids
    ever download; lite has none.

    Args:
        slot: a slot, or the name of one of the profile in force.

    Raises:
        SlotUnavailable: none of the ids can be had; the message says how to provide one.

    Example:
        >>> len(resolve("clip").model.encode_text(["a red cat", "a boat"]))
        2
    """
    slot = current().slot(slot) if isinstance(slot, str) else slot
    reasons: list[str] = []
    for slot_id in slot.choices:
        missing = why_missing(slot, slot_id, reach_out=True)
        try:
            model = None if missing else _load(slot, slot_id)
        except OSError as error:  # what hubs raise when a download fails
            missing = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        if missing:
            reasons.append(missing)
            continue
        note = ""
        if reasons:
            note = f"{slot.choices[0]} cannot be had here ({reasons[0]}); {slot_id} stands in."
            print(f"kledit: slot {slot.name}: {note}", file=sys.stderr)
        return Filled(slot, slot_id, model, note)
    raise _unavailable(slot, slot.choices[0], reasons[0])


def resolve_encoders(chapter: str) -> tuple[list[Filled], dict[str, str]]:
    """Every vision encoder of a chapter that can be had, and why the optional others cannot.

    Returns:
        The loaded encoders in the profile's order; and slot name -> reason for those missing.

    Raises:
        SlotUnavailable: an encoder that is not optional is missing.
    """
    filled, missing = [], {}
    for slot in current().encoders(chapter):
        try:
            filled.append(resolve(slot))
        except SlotUnavailable as error:
            if not slot.optional:
                raise
            missing[slot.name] = str(error)
    return filled, missing


def why_missing(slot: Slot, slot_id: str, reach_out: bool = False) -> str | None:
    """Why an id cannot be had, in a few words, or None when it can.

    Args:
        slot: that the id is to fill.
        slot_id: one of ``slot.choices``.
        reach_out: ask the hub whether it answers (a few seconds at most, once a process);
            otherwise only what is on this machine counts.
    """
    scheme, _, rest = slot_id.partition(":")
    if scheme == "world" and slot.loader == slots.IMAGES:
        return None
    if scheme == "folder":
        return f"{rest} is not set to a folder of images"
    if scheme == "zoo":
        return None if rest in zoo.names() else "its weights are not among those shipped"
    if scheme == miniatures.SCHEME:
        return None if rest in miniatures.names() else "there is no miniature of this name"
    if scheme in HUBS and slot.loader != slots.IMAGES:
        from kledit_lite.models import sources

        return sources.why_missing(slot_id, reach_out)
    strange = "no such directory, and not an id with a known scheme"
    return None if Path(slot_id).is_dir() else strange


def table(profile: Profile) -> list[dict[str, Any]]:
    """One row a slot for people and programs: name, loader, id in force, size, at hand or not.

    Touches no network: a model that would have to be downloaded is not at hand.
    """
    return [_row(slot) for slot in profile.slots]


def _row(slot: Slot) -> dict[str, Any]:
    reasons = {i: why_missing(slot, i) for i in slot.choices}
    at_hand = next((i for i, reason in reasons.items() if reason is None), None)
    return {
        "slot": slot.name,
        "loader": slot.loader,
        "ids": list(slot.choices),
        "size_mb": slot.size_mb,
        "chapters": list(slot.chapters),
        "optional": slot.optional,
        "available": at_hand is not None,
        "uses": at_hand,
        "missing": reasons[slot.choices[0]] or "",
    }


def fingerprint(name: str) -> str:
    """What fills each slot on this machine now, as text: part of the key of cached results."""
    return json.dumps([(r["slot"], r["ids"], r["uses"]) for r in table(get(name))])


def _load(slot: Slot, slot_id: str) -> Any:
    scheme, _, rest = slot_id.partition(":")
    if slot.loader == slots.IMAGES:
        if miniatures.name_of(slot_id, miniatures.FOLDERS):
            from kledit_lite.models.miniatures.vision import picture_folder

            return picture_folder()
        return None if scheme == "world" else Path(slot_id)
    if slot.loader == slots.LANGUAGE:
        from kledit_lite.models.writers import open_writer

        return open_writer(rest if scheme in {"zoo", "transformers"} else slot_id)
    if slot.loader == slots.SEER:
        from kledit_lite.models.multimodal import open_seer

        return open_seer(rest if scheme in {"zoo", "transformers"} else slot_id)
    if slot.loader == slots.PIPELINE:
        from kledit_lite.models.pipelines import open_pipeline

        return open_pipeline(rest if scheme in {"zoo", "diffusers"} else slot_id)
    if scheme == "zoo":
        return zoo.load_clip(rest) if slot.loader == slots.CLIP else zoo.load_encoder(rest)
    from kledit_lite.models import external

    if slot.loader == slots.CLIP:
        return external.load_external_clip(slot_id)
    return external.load_external_encoder(slot_id)


def _unavailable(slot: Slot, slot_id: str, reason: str) -> SlotUnavailable:
    scheme, _, rest = slot_id.partition(":")
    shipped = next(s.ids[0] for s in get("lite").slots if s.loader == slot.loader)
    if slot.loader == slots.IMAGES:
        slot_id = f"a folder of images, {slot_id}"
        ways = (
            "set KLEDIT_IMAGENET to a folder with one sub-folder a class, set "
            f"{slot.variable}={shipped} to use the painted world, or choose profile lite"
        )
    else:
        install = "connect to the model hub once so that it can be downloaded and kept"
        if scheme == "package":
            install = f"run `pip install {rest}`"
        ways = (
            f"{install}, set {slot.variable} to a local directory that holds it, or set "
            f"{slot.variable} to another id such as {shipped}"
        )
    return SlotUnavailable(
        f"Slot {slot.name!r} needs {slot_id} (about {slot.size_mb:g} MB): {reason}; {ways}."
    )
