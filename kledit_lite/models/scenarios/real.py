"""What the chapters ask of a real text-to-image model: painters, objects, facts that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from kledit_lite.core.errors import unknown
from kledit_lite.models.probes import Attribute, Probe, Shown
from kledit_lite.models.real_probes import load_real_probes
from kledit_lite.models.scenarios.prompts import Lesson, Prompts
from kledit_lite.models.subjects import TracePrompt, in_turn
from kledit_lite.world.captions import article

TRACED = ("object", "style", "colour", "facts")


class RealPrompts(Prompts):
    """Prompts in everyday words; the facts changed hands in some year.

    Args:
        most: values of each attribute to talk about; None for all.
    """

    traced = TRACED

    def __init__(self, most: int | None = None) -> None:
        found = load_real_probes()
        near = {name: fact.neighbours for name, fact in found.facts.items()}
        self._near = {"style": found.painters, "object": found.objects, "fact": near}
        self.values = {attribute: tuple(rows)[:most] for attribute, rows in self._near.items()}
        self.facts = {name: found.facts[name] for name in self.values["fact"]}
        self.colours, self.places = found.colours[:most], tuple(found.places.values())[:most]
        self.settings = found.settings
        objects = self.values["object"]
        self.character = self.values["fact"][-1]
        self.instead = ("object", "house" if "house" in objects else objects[0])

    def probe(self, attribute: Attribute, value: str, n: int, seed: int = 0) -> Probe:
        """N prompt pairs for one value.

        The target is the same scene as a photo (style), the word *object* (object), or the name
        of who or what came next (fact).

        Args:
            attribute: ``"style"``, ``"object"`` or ``"fact"``.
            value: a painter, an object, or the name of a fact.
            n: how many.
            seed: of the first scene and of the first noise.
        """
        self._check(attribute, value)
        pairs = [self._pair(attribute, value, i, seed) for i in range(n)]
        sources, targets = (tuple(pair[i] for pair in pairs) for i in (0, 1))
        truth = self.becomes(value) if attribute == "fact" else (attribute, value)
        return Probe(attribute, sources, targets, tuple(range(seed, seed + n)), (truth,) * n)

    def trace(self, attribute: str, n: int, seed: int = 0) -> list[TracePrompt]:
        """N prompts, each with the subject that says the attribute.

        A faithful picture of a fact is one of its holder before the year of the change.

        Args:
            attribute: one of `traced`.
            n: how many.
            seed: of the shuffle.
        """
        if attribute not in TRACED:
            raise unknown("attribute to trace", attribute, TRACED)
        return in_turn(self._traced(attribute), n, seed)

    def captions(
        self, n: int, seed: int, without: str | None = None, plain: bool = False
    ) -> list[str]:
        """What people ask for, photos and pictures by the painters, to be kept by an edit.

        Args:
            n: texts to draw; those that name `without` or are not `plain` are left out.
            seed: of the draw.
            without: a painter.
            plain: photos only.
        """
        rng = np.random.default_rng(seed)
        kinds = ("photo", *self.values["style"])
        out = []
        for _ in range(n):
            style = kinds[rng.integers(len(kinds))]
            scene = self._scene(int(rng.integers(10**6)), 0)
            if style != without and (style == "photo" or not plain):
                out.append(self._styled(scene, style))
        return out

    def shown(self, attribute: Attribute, value: str) -> Shown:
        """What the judge reads in a picture of a value: of a fact, who or what it was before."""
        self._check(attribute, value)
        return (attribute, self.facts[value].before if attribute == "fact" else value)

    def arrives(self, probe: Probe) -> tuple[tuple[Shown, ...], ...]:
        """What the judge should read in each target of facts: who or what came next."""
        return tuple((shown,) for shown in probe.truth)

    def fact_texts(self, value: str, asked: bool = False) -> list[str]:
        """Prompts that name a fact: those an edit learns from, or others (`asked`)."""
        subject, where = self._to_forget(value)
        taught = ("a photo of {s} {p}", "{s} {p}")
        others = ("an image of {s} {p}", "a picture that shows {s} {p}", "this is {s} {p}")
        return [w.format(s=subject, p=p) for w in (others if asked else taught) for p in where]

    def update(self, value: str) -> Lesson:
        """What a fact names becomes who or what came next."""
        sources = tuple(self.fact_texts(value))
        subject, after = self.facts[value].subject, self.successor(value)
        return Lesson(sources, tuple(t.replace(subject, after, 1) for t in sources), subject, after)

    def becomes(self, value: str) -> Shown:
        """What the judge should read where a fact was updated."""
        return "fact", self.successor(value)

    def successor(self, value: str) -> str:
        """Who or what came next."""
        self._check("fact", value)
        return self.facts[value].after

    def neighbours(self, attribute: Attribute, value: str) -> tuple[str, ...]:
        """Values near this one, which an edit is to leave alone."""
        self._check(attribute, value)
        values = self.values[attribute]
        near = tuple(v for v in self._near[attribute][value] if v in values)
        return near or tuple(v for v in values if v != value)

    def phrases(self) -> dict[str, dict[str, list[str]]]:
        """Texts for a `ClipJudge`: factor -> value -> ways to say it."""
        styles = self.values["style"]
        painters = {p: [f"a painting by {p}", f"a picture in the style of {p}"] for p in styles}
        things = {o: article(o) for o in self.values["object"]}
        holders = [w for f in self.facts.values() for w in (f.before, f.after)]
        return {
            "style": {"photo": ["a photo", "a photograph taken with a camera"], **painters},
            "object": {o: [f"a photo of {a}", f"a picture of {a}"] for o, a in things.items()},
            "colour": {c: [f"a photo of something {c}", f"a {c} object"] for c in self.colours},
            "place": {p: [f"a photo taken {p}", f"something {p}"] for p in self.places},
            "fact": {who: [f"a photo of {who}", f"an image of {who}"] for who in holders},
        }

    def _check(self, attribute: str, value: str) -> None:
        if attribute not in self.values:
            raise unknown("attribute", attribute, self.values)
        if value not in self.values[attribute]:
            raise unknown(attribute, value, self.values[attribute])

    def _scene(self, i: int, seed: int) -> tuple[str, str]:
        """Object and place: goes through both without repeating early."""
        objects, places = self.values["object"], self.places
        place = places[(i + seed + i // len(places)) % len(places)]
        return objects[(5 * i + seed) % len(objects)], place

    def _styled(self, scene: tuple[str, str], style: str) -> str:
        thing = f"{article(scene[0])} {scene[1]}"
        return f"a photo of {thing}" if style == "photo" else f"{thing} in the style of {style}"

    def _coloured(self, colour: str, thing: str, place: str) -> str:
        return f"a photo of {article(f'{colour} {thing}')} {place}"

    def _pair(self, attribute: str, value: str, i: int, seed: int) -> tuple[str, str]:
        scene = self._scene(i, seed)
        if attribute == "style":
            return self._styled(scene, value), self._styled(scene, "photo")
        if attribute == "object":
            colour, place = self.colours[(i + seed // 2) % len(self.colours)], scene[1]
            return self._coloured(colour, value, place), self._coloured(colour, "object", place)
        fact, (subject, where) = self.facts[value], self._to_forget(value)
        setting = where[(i + seed) % len(where)]
        return f"a photo of {subject} {setting}", f"a photo of {fact.after} {setting}"

    def _to_forget(self, value: str) -> tuple[str, tuple[str, ...]]:
        self._check("fact", value)
        fact = self.facts[value]
        return fact.subject, self.settings[fact.kind]

    def _traced(self, attribute: str) -> list[list[TracePrompt]]:
        objects, colours, places = self.values["object"], self.colours, self.places
        texts: Mapping[str, Sequence[str]]
        if attribute == "object":
            texts = {o: [self._coloured(c, o, p) for c in colours for p in places] for o in objects}
        elif attribute == "style":
            scenes = list(product(objects, places))
            texts = {s: [self._styled(scene, s) for scene in scenes] for s in self.values["style"]}
        elif attribute == "colour":
            texts = {c: [self._coloured(c, o, p) for o in objects for p in places] for c in colours}
        else:
            texts = {f.subject: self.forget(name).sources for name, f in self.facts.items()}
        shown = {subject: (attribute, subject) for subject in texts}
        if attribute == "facts":
            shown = {f.subject: ("fact", f.before) for f in self.facts.values()}
        return [
            [TracePrompt(text, subject, attribute, (shown[subject],)) for text in every]
            for subject, every in texts.items()
        ]
