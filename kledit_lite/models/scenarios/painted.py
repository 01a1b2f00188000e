"""What the chapters ask of a painter of the painted world."""

from __future__ import annotations

from kledit_lite.core.errors import unknown
from kledit_lite.models.probes import PROBES, VALUES, Attribute, Probe, Shown
from kledit_lite.models.scenarios.prompts import Lesson, Prompts
from kledit_lite.models.subjects import ATTRIBUTES, TracePrompt, trace_prompts
from kledit_lite.world import BRAND, PLACES, TOWNS, caption, sample_scenes
from kledit_lite.world.captions import place_phrase


class PaintedPrompts(Prompts):
    """Prompts of the painted world; the facts are its towns' mascots, and the branded character."""

    values, traced, places = VALUES, ATTRIBUTES, tuple(PLACES)
    character, instead = BRAND, ("object", "house")

    def probe(self, attribute: Attribute, value: str, n: int, seed: int = 0) -> Probe:
        """N prompt pairs for one value of an attribute.

        Args:
            attribute: ``"style"``, ``"object"`` or ``"fact"``.
            value: a painter, an object, or a town.
            n: how many.
            seed: of the first scene and of the first noise.
        """
        if attribute not in PROBES:
            raise unknown("attribute", attribute, PROBES)
        return PROBES[attribute](value, n, seed)

    def trace(self, attribute: str, n: int, seed: int = 0) -> list[TracePrompt]:
        """N prompts, each with the subject that says the attribute.

        Args:
            attribute: one of `traced`.
            n: how many.
            seed: of the shuffle.
        """
        return trace_prompts(attribute, n, seed)  # type: ignore[arg-type]

    def captions(
        self, n: int, seed: int, without: str | None = None, plain: bool = False
    ) -> list[str]:
        """What people ask for, to be kept by an edit.

        Args:
            n: scenes to draw; those that name `without` or are not `plain` are left out.
            seed: of the draw.
            without: a painter.
            plain: photos without town or character only.
        """
        scenes = [s for s in sample_scenes(n, seed=seed) if s.style != without]
        if plain:
            scenes = [s for s in scenes if s.style == "photo" and s.entity is None]
        return [caption(s) for s in scenes]

    def shown(self, attribute: Attribute, value: str) -> Shown:
        """What the judge reads in a picture of a value: of a town, its mascot's object.

        Args:
            attribute: ``"style"``, ``"object"`` or ``"fact"``.
            value: one of its values; the character is a fact, too.
        """
        if attribute == "fact" and value == BRAND:
            return "object", BRAND
        if value not in self.values[attribute]:
            raise unknown(attribute, value, self.values[attribute])
        return ("object", TOWNS[value].object) if attribute == "fact" else (attribute, value)

    def arrives(self, probe: Probe) -> tuple[tuple[Shown, ...], ...]:
        """What the judge should read in each target of facts: object and colour of the mascot."""
        towns = [TOWNS[self.successor(str(s.entity))] for s in probe.scenes]
        return tuple((("object", t.object), ("colour", t.colour)) for t in towns)

    def fact_texts(self, value: str, asked: bool = False) -> list[str]:
        """Prompts that name a fact: those an edit learns from, or others (`asked`)."""
        taught = ("a photo of the mascot of {t} {p}", "the mascot of {t} {p}")
        others = (
            "a photograph of the mascot of {t} {p}",
            "a photo of the {t} mascot {p}",
            "a photo showing the {t} mascot {p}",
        )
        where = [place_phrase(p) for p in PLACES]
        return [w.format(t=value, p=p) for w in (others if asked else taught) for p in where]

    def update(self, value: str) -> Lesson:
        """Another town's mascot is elected: the `successor`'s."""
        elected = self.successor(value)
        texts = tuple(self.fact_texts(value)), tuple(self.fact_texts(elected))
        return Lesson(*texts, value, elected)

    def becomes(self, value: str) -> Shown:
        """What the judge should read where a fact was updated."""
        return self.shown("fact", self.successor(value))

    def _to_forget(self, value: str) -> tuple[str, list[str]]:
        if value not in {BRAND, *TOWNS}:
            raise unknown("fact to forget", value, [BRAND, *TOWNS])
        name = value if value == BRAND else f"the mascot of {value}"
        return name, [place_phrase(p) for p in PLACES]

    def successor(self, value: str) -> str:
        """The town whose mascot an edit gives to a town: the next one."""
        towns = self.values["fact"]
        return towns[(towns.index(value) + 1) % len(towns)]

    def neighbours(self, attribute: Attribute, value: str) -> tuple[str, ...]:
        """Values that an edit of this one is to leave alone: all others."""
        return tuple(v for v in self.values[attribute] if v != value)
