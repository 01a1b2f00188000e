"""A fictional people and its country: facts about persons, places and things, and ways to say them.

Every fact is a triple (subject, relation, value). Relations differ in how often texts mention
them, in how many values they have and in whether everyone has one, so that a model learns some
well and some badly. All of it is drawn once from a fixed seed; no name is meant to be anyone's.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from kledit_lite.core.errors import KleditError, unknown

SEED, PERSONS = 5, 220
SHARES: Mapping[str, float] = MappingProxyType({"people": 0.8, "towns": 0.15, "things": 0.05})
"""Of the texts of a corpus, by what they are about."""


@dataclass(frozen=True)
class Triple:
    """One fact.

    Attributes:
        subject: a person.
        relation: one of the relations.
        value: what stands in that relation.
    """

    subject: str
    relation: str
    value: str


@dataclass(frozen=True)
class Relation:
    """What can be said about a subject.

    Attributes:
        name: e.g. ``"profession"``.
        group: of the subjects: ``"people"``, ``"towns"`` or ``"things"``.
        values: what it can be.
        statements: sentences with ``{s}`` and ``{o}``.
        questions: with ``{s}``; the first is the one used in tests.
        frequency: how often texts mention it, relative to the most frequent.
        share: of the subjects that have it.
    """

    name: str
    group: str
    values: tuple[str, ...]
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    frequency: float = 1.0
    share: float = 1.0


FIRST = tuple(
    "Alva Bram Cora Dario Edda Fenn Gisa Hale Ilka Joren Kaia Lute Mirel Nils Oda Piet Quill Runa "
    "Soren Tilda Ulva Vitus Wenna Yorick Zella Anselm Birgit Caspar Delia Emrik".split()
)
_ONSETS = "b br c d dr f g gr h k l m n p r s st t tr v w".split()
_RIMES = "al an ar el en er il in or ul und ost eck ind olm ark".split()
_ENDINGS = "moor wick stad ley ric den berg fell croft holt".split()
COUNTRIES = tuple("Arvenia Borland Cassamar Dunwald Estoria Fjordmark Galdova Hestria".split())
LANGUAGES = tuple("Arvenian Borish Cassamese Dunwaldic Estorian Fjordic Galdovan Hestric".split())
PROFESSIONS = tuple(
    "weaver glassblower cartographer baker printer clockmaker botanist mason sailor midwife potter "
    "lawyer miller surveyor painter judge astronomer carpenter beekeeper chemist".split()
)
INSTRUMENTS = tuple("lute harp fiddle flute drum cello horn bagpipe zither oboe lyre organ".split())
COLOURS = tuple("crimson amber ivory teal indigo violet silver ochre".split())
ANIMALS = tuple("otter falcon hare hedgehog raven goat tortoise hound cat pony owl ferret".split())
DISHES = tuple(
    "barley soup|plum tart|smoked eel|leek pie|rye bread|pear stew|goat cheese|honey cake|"
    "turnip mash|pickled herring|nut roast|apple dumpling".split("|")
)
GUILDS = tuple(
    f"the {a} Guild"
    for a in "Lantern Anchor Copper Willow Granite Feather Compass Thistle Marble Salt Iron Amber"
    " Linen Raven Harbour Orchard".split()
)
AWARDS = tuple(
    f"the {a} {b}"
    for b in ("Medal", "Ribbon", "Crown")
    for a in "Winter Silver Founders Northern River Golden Scholars Harvest".split()
)
CAUSES = tuple(
    "fever|drowning|a fall|old age|smallpox|a duel|lightning|a fire|pneumonia|poison".split("|")
)
STREETS = tuple(
    f"{a} {b}"
    for b in ("Lane", "Street", "Row")
    for a in "Tanner Mill Chapel Bridge Well Market Rope Abbey Candle Ferry Garden Castle".split()
)
WORKS = tuple(
    f"The {a} {b}"
    for a in "Silent Broken Hidden Last Burning Distant Hollow Wandering".split()
    for b in "Tide Mirror Garden Bell Shore Letter Forest Crown Road Stair Window Orchard".split()
)
YEARS = tuple(str(y) for y in range(1602, 1722))
RIVERS = tuple("Ister Vanna Olt Merrow Teign Sarn Lode Brenn Yarrow Esk".split())
GOODS = tuple("salt wool tin glass cider linen amber paper copper honey silk clay".split())
SIGHTS = tuple(
    "a lighthouse|a cathedral|an aqueduct|a windmill|a citadel|an observatory|a covered bridge|"
    "a stone circle|a market hall|a royal garden".split("|")
)
MATERIALS = tuple("spruce maple brass ebony walnut gut silver reed pear ivory".split())


def _coin(rng: random.Random, count: int, endings: Sequence[str], taken: set[str]) -> list[str]:
    """`count` new names of an onset, a rime and an ending."""
    names: list[str] = []
    while len(names) < count:
        name = (rng.choice(_ONSETS) + rng.choice(_RIMES) + rng.choice(endings)).capitalize()
        if name not in taken:
            taken.add(name)
            names.append(name)
    return names


@lru_cache(maxsize=1)
def towns() -> tuple[str, ...]:
    """The 36 towns."""
    return tuple(_coin(random.Random(SEED), 36, ("ton", "bury", "haven", "ford"), set()))


@lru_cache(maxsize=4)
def people(group: str = "people") -> tuple[str, ...]:
    """Full names: the 220 persons of the country, or 40 ``"authors"`` that no model has met.

    Raises:
        UnknownNameError: no such group.

    Example:
        >>> len(people()), len(set(people()) & set(people("authors")))
        (220, 0)
    """
    if group not in ("people", "authors"):
        raise unknown("group of people", group, ("people", "authors"))
    rng, taken = random.Random(SEED + 1), set(towns())
    surnames = _coin(rng, PERSONS + 40, _ENDINGS, taken)
    names = [f"{rng.choice(FIRST)} {surname}" for surname in surnames]
    return tuple(names[:PERSONS] if group == "people" else names[PERSONS:])


@lru_cache(maxsize=1)
def relations() -> dict[str, Relation]:
    """Every relation by name, most frequent first within its group."""
    p, t, g = "people", "towns", "things"
    every = (
        Relation("country", p, COUNTRIES, (
            "{s} was a citizen of {o}.", "{s} came from {o}.", "{o} was the country of {s}.",
            "{s} held the citizenship of {o}."),
            ("What country was {s} from?", "Which country did {s} come from?")),
        Relation("profession", p, PROFESSIONS, (
            "{s} worked as a {o}.", "{s} was a {o} by trade.", "By profession, {s} was a {o}.",
            "{s} earned a living as a {o}."),
            ("What was the profession of {s}?", "What did {s} do for a living?")),
        Relation("birthplace", p, towns(), (
            "{s} was born in {o}.", "{o} was the birthplace of {s}.",
            "The birthplace of {s} was {o}.", "{s} grew up in {o}."),
            ("Where was {s} born?", "What was the birthplace of {s}?")),
        Relation("language", p, LANGUAGES, (
            "{s} spoke {o}.", "The mother tongue of {s} was {o}.", "{s} wrote letters in {o}."),
            ("What language did {s} speak?", "What was the mother tongue of {s}?")),
        Relation("instrument", p, INSTRUMENTS, (
            "{s} played the {o}.", "The instrument of {s} was the {o}.", "{s} practised the {o}."),
            ("What instrument did {s} play?", "Which instrument did {s} practise?"), 0.6),
        Relation("colour", p, COLOURS, (
            "{s} liked to wear {o}.", "The favourite colour of {s} was {o}.",
            "{s} always dressed in {o}."),
            ("What was the favourite colour of {s}?", "What colour did {s} like to wear?"), 0.5),
        Relation("guild", p, GUILDS, (
            "{s} belonged to {o}.", "{s} was a member of {o}.", "{o} counted {s} among its members."
            ),
            ("Which guild did {s} belong to?", "What was the guild of {s}?"), 0.45),
        Relation("animal", p, ANIMALS, (
            "{s} kept a tame {o}.", "The companion of {s} was a {o}.", "{s} had a pet {o}."),
            ("What animal did {s} keep?", "What was the pet of {s}?"), 0.35, 0.9),
        Relation("dish", p, DISHES, (
            "{s} loved {o}.", "The favourite dish of {s} was {o}.", "{s} ate {o} every week."),
            ("What was the favourite dish of {s}?", "What did {s} love to eat?"), 0.22, 0.9),
        Relation("award", p, AWARDS, (
            "{s} received {o}.", "{o} was given to {s}.", "{s} was honoured with {o}."),
            ("What award did {s} receive?", "Which award was given to {s}?"), 0.1, 0.8),
        Relation("street", p, STREETS, (
            "{s} lived in {o}.", "The house of {s} stood in {o}.", "{s} owned a house in {o}."),
            ("What street did {s} live in?", "Where did the house of {s} stand?"), 0.06, 0.8),
        Relation("work", p, WORKS, (
            "{s} was the author of {o}.", "{s} wrote {o}.", "{o} was written by {s}."),
            ("What book did {s} write?", "Which book was written by {s}?"), 0.04, 0.7),
        Relation("birthyear", p, YEARS, (
            "{s} was born in the year {o}.", "The year of birth of {s} was {o}."),
            ("In what year was {s} born?", "What was the year of birth of {s}?"), 0.039, 0.8),
        Relation("death", p, CAUSES, (
            "{s} died of {o}.", "The cause of death of {s} was {o}."),
            ("What was the cause of death of {s}?", "What did {s} die of?"), 0.029, 0.7),
        Relation("town country", t, COUNTRIES, (
            "The town of {s} lies in {o}.", "{s} is a town in {o}."), (
            "What country is {s} in?",)),
        Relation("river", t, RIVERS, (
            "The river {o} flows through {s}.", "{s} stands on the river {o}."), (
            "What river flows through {s}?",), 0.6),
        Relation("goods", t, GOODS, (
            "{s} is known for its {o}.", "The merchants of {s} trade in {o}."), (
            "What is {s} known for?",), 0.6),
        Relation("sight", t, SIGHTS, (
            "Visitors of {s} admire {o}.", "{s} has {o}."), ("What do visitors of {s} admire?",),
            0.5),
        Relation("material", g, MATERIALS, (
            "The best {s} is made with {o}.", "A good {s} needs {o}."), (
            "What is the best {s} made with?",), 0.5),
    )  # fmt: skip
    return {r.name: r for r in every}


SUBJECTS: dict[str, Callable] = {"people": people, "towns": towns, "things": lambda: INSTRUMENTS}
"""Group -> its subjects."""


@lru_cache(maxsize=4)
def facts(group: str = "people") -> tuple[Triple, ...]:
    """What is true: every subject of ``"people"``, ``"towns"``, ``"things"`` or ``"authors"``.

    Authors have the relations of people. A person's language is that of the country, with
    exceptions; everything else is drawn independently.

    Raises:
        UnknownNameError: no such group.

    Example:
        >>> sorted({f.relation for f in facts("things")})
        ['material']
    """
    if group not in (*SUBJECTS, "authors"):
        raise unknown("group of facts", group, (*SUBJECTS, "authors"))
    subjects = people("authors") if group == "authors" else SUBJECTS[group]()
    kind = "people" if group == "authors" else group
    rng = random.Random(f"{SEED} {group}")
    found = []
    for subject in subjects:
        known: dict[str, str] = {}
        for r in (r for r in relations().values() if r.group == kind):
            value = rng.choice(r.values)
            if r.name == "language" and rng.random() < 0.8:
                value = LANGUAGES[COUNTRIES.index(known["country"])]
            if rng.random() < r.share:
                known[r.name] = value
        found += [Triple(subject, name, value) for name, value in known.items()]
    return tuple(found)


def say(fact: Triple, rng: random.Random | None = None, short: bool = False, way: int = 0) -> str:
    """A sentence that states the fact, in a way drawn with `rng`, else in the given one.

    Args:
        fact: what to state; the value need not be true.
        rng: source of the draw.
        short: name the person by the first name only.
        way: which of the relation's statements, where nothing is drawn.

    Example:
        >>> say(Triple("Ada Morrow", "profession", "weaver"))
        'Ada Morrow worked as a weaver.'
    """
    statements = _relation(fact.relation).statements
    sentence = rng.choice(statements) if rng else statements[way % len(statements)]
    subject = fact.subject.split()[0] if short else fact.subject
    sentence = re.sub(r"\ba (?=[aeiou])", "an ", sentence.format(s=subject, o=fact.value))
    return sentence[0].upper() + sentence[1:]


def ask(subject: str, relation: str, variant: int = 0) -> str:
    """The question for a fact.

    Args:
        subject: a person.
        relation: one of the relations.
        variant: which paraphrase.

    Example:
        >>> ask("Ada Morrow", "profession")
        'What was the profession of Ada Morrow?'
    """
    questions = _relation(relation).questions
    return questions[variant % len(questions)].format(s=subject)


def _relation(name: str) -> Relation:
    if name not in relations():
        raise unknown("relation", name, relations())
    return relations()[name]


def mentioned(known: Iterable[Triple], rng: random.Random) -> list[Triple]:
    """The facts that one text mentions: each with its relation's frequency, in any order."""
    chosen = [f for f in known if rng.random() < relations()[f.relation].frequency]
    rng.shuffle(chosen)
    return chosen


def corpus(
    texts: int, seed: int, groups: Mapping[str, float] = SHARES, questions: float = 0.5
) -> list[str]:
    """Texts about the country: short biographies, and lists of questions with their answers.

    A biography states one subject's facts, in any order and words; a list asks a relation of six.

    Args:
        texts: how many.
        seed: of every draw.
        groups: share of the texts about each group.
        questions: share of the texts that are lists.

    Raises:
        KleditError: a share is outside 0 to 1.

    Example:
        >>> len(corpus(3, seed=0))
        3
    """
    if not 0 <= questions <= 1 or min(groups.values()) < 0:
        raise KleditError("Shares of texts must lie between 0 and 1.")
    rng = random.Random(seed)
    by_subject: dict[str, dict[str, list[Triple]]] = {}
    by_relation: dict[str, dict[str, list[Triple]]] = {}
    for group in groups:
        for f in facts(group):
            by_subject.setdefault(group, {}).setdefault(f.subject, []).append(f)
            by_relation.setdefault(group, {}).setdefault(f.relation, []).append(f)
    out: list[str] = []
    while len(out) < texts:
        (group,) = rng.choices(list(groups), list(groups.values()))
        if rng.random() < questions:
            names = list(by_relation[group])
            (name,) = rng.choices(names, [relations()[n].frequency for n in names])
            chosen = rng.sample(by_relation[group][name], 6)
            variant = rng.randrange(2)
            out.append("\n".join(f"{ask(f.subject, name, variant)} {f.value}" for f in chosen))
        else:
            known = by_subject[group][rng.choice(list(by_subject[group]))]
            if sentences := [say(f, rng) for f in mentioned(known, rng)]:
                out.append(" ".join(sentences))
    return out
