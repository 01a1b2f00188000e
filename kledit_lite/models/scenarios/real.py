"""What the chapters ask of a real text-to-image model: painters, objects, facts that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kledit_lite.core.errors import unknown
from kledit_lite.models.probes import Attribute, Probe
from kledit_lite.models.real_probes import RealFact, load_real_probes
from kledit_lite.models.scenarios.painted import Lesson, Shown
from kledit_lite.models.subjects import TracePrompt, in_turn
from kledit_lite.world.captions import article

TRACED = ("object", "style", "colour", "facts")


class RealPrompts:
    """Prompts in everyday words, with the interface of `PaintedPrompts`.

    Args:
        most: values of each attribute to talk about; None for all.

    Attributes:
        values: painters, objects, names of facts.
        traced: attributes that can be traced.
        character: a fact that `forget` takes beside others.
        instead: what takes the place of what an edit forgets.
    """

    traced: tuple[str, ...] = TRACED

    def __init__(self, most: int | None = None) -> None:
        found = load_real_probes()
        self.facts: Mapping[str, RealFact] = dict(list(found.facts.items())[:most])
        self.values: Mapping[str, tuple[str, ...]] = {
            "style": tuple(found.painters)[:most],
            "object": tuple(found.objects)[:most],
            "fact": tuple(self.facts),
        }
        self.colours, self.places = found.colours[:most], tuple(found.places.values())[:most]
        self.settings = found.settings
        objects = self.values["object"]
        self.character = self.values["fact"][-1]
        self.instead: Shown = ("object", "house" if "house" in objects else objects[0])
        self._near = {
            "style": found.painters,
            "object": found.objects,
            "fact": {k: f.neighbours for k, f in found.facts.items()},
        }

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
        factor, goal = self.shown(attribute, value)
        if attribute == "fact":
            goal = self.facts[value].after
        return Probe(
            attribute,
            tuple(a for a, _ in pairs),
            tuple(b for _, b in pairs),
            tuple(range(seed, seed + n)),
            ((factor, goal),) * n,
        )

    def mixed(
        self, attribute: Attribute, n: int, seed: int = 0, values: Sequence[str] | None = None
    ) -> Probe:
        """N prompt pairs that go through values in turn.

        Args:
            attribute: ``"style"``, ``"object"`` or ``"fact"``.
            n: how many.
            seed: of the first scene and of the first noise.
            values: which of them; default all.
        """
        if attribute not in self.values:
            raise unknown("attribute", attribute, self.values)
        values = values or self.values[attribute]
        parts = [self.probe(attribute, values[i % len(values)], 1, seed + i) for i in range(n)]
        return Probe(
            attribute,
            *(
                tuple(getattr(p, field)[0] for p in parts)
                for field in ("sources", "targets", "seeds", "truth")
            ),
        )

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

    def place_in(self, prompt: str) -> str:
        """The words of a prompt that name the place."""
        return next(w for w in self.places if w in prompt)

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
        self._check("fact", value)
        fact = self.facts[value]
        taught = ("a photo of {s} {p}", "{s} {p}")
        others = ("an image of {s} {p}", "a picture that shows {s} {p}", "this is {s} {p}")
        return [
            w.format(s=fact.subject, p=p)
            for w in (others if asked else taught)
            for p in self.settings[fact.kind]
        ]

    def update(self, value: str) -> Lesson:
        """What a fact names becomes who or what came next."""
        self._check("fact", value)
        fact = self.facts[value]
        sources = tuple(self.fact_texts(value))
        targets = tuple(t.replace(fact.subject, fact.after, 1) for t in sources)
        return Lesson(sources, targets, fact.subject, fact.after)

    def becomes(self, value: str) -> Shown:
        """What the judge should read where a fact was updated."""
        return "fact", self.successor(value)

    def forget(self, value: str) -> Lesson:
        """What a fact names becomes what stands `instead`."""
        self._check("fact", value)
        fact, goal = self.facts[value], self.instead[1]
        where = self.settings[fact.kind]
        return Lesson(
            tuple(f"a photo of {fact.subject} {p}" for p in where),
            tuple(f"a photo of {article(goal)} {p}" for p in where),
            fact.subject,
            goal,
        )

    def recall(self, value: str) -> list[str]:
        """Other prompts that name what `forget` takes away."""
        self._check("fact", value)
        fact = self.facts[value]
        return [f"an image of {fact.subject} {p}" for p in self.settings[fact.kind]]

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
        style = {
            p: [f"a painting by {p}", f"a picture in the style of {p}"]
            for p in self.values["style"]
        }
        holders = [w for f in self.facts.values() for w in (f.before, f.after)]
        return {
            "style": {"photo": ["a photo", "a photograph taken with a camera"], **style},
            "object": {
                o: [f"a photo of {article(o)}", f"a picture of {article(o)}"]
                for o in self.values["object"]
            },
            "colour": {c: [f"a photo of something {c}", f"a {c} object"] for c in self.colours},
            "place": {p: [f"a photo taken {p}", f"something {p}"] for p in self.places},
            "fact": {
                who: [f"a photo of {who}", f"an image of {who}"] for who in dict.fromkeys(holders)
            },
        }

    def _check(self, attribute: str, value: str) -> None:
        if attribute not in self.values:
            raise unknown("attribute", attribute, self.values)
        if value not in self.values[attribute]:
            raise unknown(attribute, value, self.values[attribute])

    def _scene(self, i: int, seed: int) -> tuple[str, str]:
        """Object and place: goes through both without repeating early."""
        objects, places = self.values["object"], self.places
        return (
            objects[(5 * i + seed) % len(objects)],
            places[(i + seed + i // len(places)) % len(places)],
        )

    def _styled(self, scene: tuple[str, str], style: str) -> str:
        thing = f"{article(scene[0])} {scene[1]}"
        return f"a photo of {thing}" if style == "photo" else f"{thing} in the style of {style}"

    def _pair(self, attribute: str, value: str, i: int, seed: int) -> tuple[str, str]:
        scene = self._scene(i, seed)
        if attribute == "style":
            return self._styled(scene, value), self._styled(scene, "photo")
        if attribute == "object":
            colour = self.colours[(i + seed // 2) % len(self.colours)]
            return tuple(  # type: ignore[return-value]
                f"a photo of {article(f'{colour} {what}')} {scene[1]}" for what in (value, "object")
            )
        fact = self.facts[value]
        where = self.settings[fact.kind]
        setting = where[(i + seed) % len(where)]
        return f"a photo of {fact.subject} {setting}", f"a photo of {fact.after} {setting}"

    def _traced(self, attribute: str) -> list[list[TracePrompt]]:
        objects, places = self.values["object"], self.places

        def many(subject: str, shown: Shown, texts: Sequence[str]) -> list[TracePrompt]:
            return [TracePrompt(text, subject, attribute, (shown,)) for text in texts]

        if attribute == "object":
            return [
                many(
                    o,
                    ("object", o),
                    [f"a photo of {article(f'{c} {o}')} {p}" for c in self.colours for p in places],
                )
                for o in objects
            ]
        if attribute == "style":
            return [
                many(s, ("style", s), [self._styled((o, p), s) for o in objects for p in places])
                for s in self.values["style"]
            ]
        if attribute == "colour":
            return [
                many(
                    c,
                    ("colour", c),
                    [f"a photo of {article(f'{c} {o}')} {p}" for o in objects for p in places],
                )
                for c in self.colours
            ]
        return [
            many(
                f.subject,
                ("fact", f.before),
                [f"a photo of {f.subject} {p}" for p in self.settings[f.kind]],
            )
            for f in self.facts.values()
        ]
