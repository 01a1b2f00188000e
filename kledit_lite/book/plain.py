"""MyST as the plain Markdown that Jupyter, JupyterLab and Colab show.

A page of the site has badges, admonitions, dropdowns, citations and references. A notebook server
knows none of them and shows their source. So the pairs get what each would show::

    {bdg-light}`lite`, {term}`probe`      code, and the words
    {ref}`locogen`, {cite}`meng2022`      a link to the chapter; author and year, listed at the end
    {glue:text}`share`                    the name of the variable that the page shows, or its value
    :::{admonition} Title                 a quotation with a bold title
    :::{dropdown} Title                   a section that folds
    :::{exercise} Title                   a heading
    ```{literalinclude} file              the code itself
    ```{math}, $$ ... $$ (label)          an equation with a number

What is not in this list is refused, so that nothing raw reaches a learner.
"""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kledit_lite.book.discover import Chapter, discover
from kledit_lite.core.errors import KleditError

FENCE = re.compile(r"^(:{3,}|`{3,})(?:\{([\w:-]+)\})?[ \t]*(.*)$")
ROLE = re.compile(r"\{([\w:-]+)\}`([^`]+)`")
LABEL = re.compile(r"^\(([\w-]+)\)=\n+(?:#+ +(.+))?", re.MULTILINE)
NUMBERED = re.compile(r"^\$\$ *\(([\w-]+)\) *$", re.MULTILINE)
SOLUTION = "Solution"
"""How the title of a dropdown begins that a learner must not see."""


@dataclass(frozen=True)
class References:
    """What the words of every chapter may refer to.

    Attributes:
        labels: label -> (title, file of the chapter that has it).
        bibliography: key -> (authors in short, year, the whole entry).
    """

    labels: Mapping[str, tuple[str, str]]
    bibliography: Mapping[str, tuple[str, str, str]]

    @classmethod
    def of(cls, root: Path) -> References:
        """Those of a checkout; reads every chapter and the bibliography once."""
        return cls(labels(root), bibliography(root / "book" / "references.bib"))


@dataclass
class Plain:
    """One chapter's words in plain form, and what they have cited so far.

    Attributes:
        chapter: the chapter.
        book: what it may refer to.
        solutions: whether solutions stay.
        numbers: what `kledit_lite.book.say` was given, to be shown in place of the names.
        cited: keys cited so far.
        equations: labels of the equations met so far, whose numbers are their places.
    """

    chapter: Chapter
    book: References
    solutions: bool = False
    numbers: Mapping[str, str] = field(default_factory=dict)
    cited: list[str] = field(default_factory=list)
    equations: list[str] = field(default_factory=list)

    def markdown(self, text: str) -> str:
        """A cell of MyST as plain Markdown.

        Raises:
            KleditError: a directive or role that has no plain form, an unknown label or key.
        """
        return re.sub(r"\n{3,}", "\n\n", self._blocks(text.splitlines())).strip("\n")

    def references(self) -> str:
        """The entries cited so far, as a list; empty if there are none."""
        if not self.cited:
            return ""
        entries = sorted(self.book.bibliography[key][2] for key in dict.fromkeys(self.cited))
        return "\n".join(["## References", "", *(f"- {entry}" for entry in entries)])

    def _blocks(self, lines: Sequence[str]) -> str:
        """Directives replaced, the words between them put into plain form."""
        made: list[str] = []
        words: list[str] = []
        i = 0
        while i < len(lines):
            fence = FENCE.match(lines[i])
            if fence is None:
                words.append(lines[i])
                i += 1
                continue
            end = end_of(lines, i, fence[1])
            made.append(self._inline("\n".join(words)))
            words = []
            inside, code = lines[i + 1 : end], "\n".join(lines[i : end + 1])
            made.append(self._directive(fence[2], fence[3].strip(), inside) if fence[2] else code)
            i = end + 1
        return "\n".join([*made, self._inline("\n".join(words))])

    def _directive(self, name: str, title: str, lines: Sequence[str]) -> str:
        options, body = options_of(lines)
        if name == "literalinclude":
            path = self.chapter.source.parent / title
            if not path.is_file():
                raise self._refused(f"file {title}")
            return f"```python\n{_code(path, options)}\n```"
        if name == "math":
            return f"$$\n{chr(10).join(body)}\n{self._tag(options.get('label', ''))}$$"
        title = self._inline(title)
        if name == "dropdown":
            if title.startswith(SOLUTION) and not self.solutions:
                return ""
            inner = self._blocks(body)
            return f"\n<details>\n<summary>{as_html(title)}</summary>\n\n{inner}\n\n</details>\n"
        if name == "exercise":
            return f"\n### Exercise: {title}\n\n{self._blocks(body)}\n"
        if name in ("admonition", "note", "tip", "warning"):
            quoted = [f"**{title or name.capitalize()}**", "", *self._blocks(body).split("\n")]
            return "\n" + "\n".join(f"> {line}".rstrip() for line in quoted) + "\n"
        raise self._refused(f"directive {{{name}}}")

    def _inline(self, text: str) -> str:
        text = re.sub(r"^\([\w-]+\)=\n+", "", text, flags=re.MULTILINE)
        text = NUMBERED.sub(lambda m: f"{self._tag(m[1])}$$", text)
        return ROLE.sub(lambda m: self._role(m[1], m[2]), text)

    def _tag(self, label: str) -> str:
        """The number of an equation that has a label, in order of appearance."""
        if not label:
            return ""
        if label not in self.equations:
            self.equations.append(label)
        return rf"\tag{{{self.equations.index(label) + 1}}} "

    def _role(self, name: str, content: str) -> str:
        shown, target = content, content
        if pointed := re.fullmatch(r"(.+?)\s*<(.+)>", content, re.DOTALL):
            shown, target = pointed[1], pointed[2]
        if name.startswith("bdg-"):
            return f"`{shown}`"
        if name == "term":
            return shown
        if name == "glue:text":
            variable = shown.split(":")[0]
            return self.numbers.get(variable, f"`{variable}`")
        if name.startswith("py:"):
            return f"`{target.lstrip('~')}`"
        if name == "eq":
            return f"({self.equations.index(target) + 1})" if target in self.equations else "above"
        if name == "ref":
            if target not in self.book.labels:
                raise self._refused(f"label {target!r}")
            title, file = self.book.labels[target]
            return f"[{title if shown == target else shown}]({file})"
        if name in ("cite", "cite:t", "cite:p"):
            return self._cite(content, in_text=name == "cite:t")
        raise self._refused(f"role {{{name}}}")

    def _cite(self, keys: str, in_text: bool) -> str:
        said = []
        for key in (k.strip() for k in keys.split(",")):
            if key not in self.book.bibliography:
                raise self._refused(f"citation {key!r}")
            self.cited.append(key)
            who, year, _ = self.book.bibliography[key]
            said.append(f"{who} ({year})" if in_text else f"{who} {year}")
        return " and ".join(said) if in_text else f"({'; '.join(said)})"

    def _refused(self, what: str) -> KleditError:
        return KleditError(
            f"{self.chapter.source.name} has a {what} that has no plain form for notebooks; use "
            "one that kledit_lite.book.plain lists, or teach it this one."
        )


def as_html(words: str) -> str:
    """A line of plain Markdown as HTML, for places where Markdown is not read; TeX stays.

    Args:
        words: code, bold and italic words, equations.

    Example:
        >>> as_html("does *a < b* hold in `f`, where $a*b*c$?")
        'does <em>a &lt; b</em> hold in <code>f</code>, where $a*b*c$?'
    """
    made = []
    for part in re.split(r"(`[^`]+`|\$[^$]+\$)", words):
        part = html.escape(part, quote=False)
        if part.startswith("`"):
            part = f"<code>{part[1:-1]}</code>"
        elif not part.startswith("$"):
            part = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", part)
            part = re.sub(r"\*(.+?)\*", r"<em>\1</em>", part)
        made.append(part)
    return "".join(made)


def numbers(notebook: Mapping[str, Any]) -> dict[str, str]:
    """What `kledit_lite.book.say` was given in an executed chapter: name -> text.

    Args:
        notebook: as ``nbformat`` reads it.
    """
    found = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            for kind, value in output.get("data", {}).items():
                if name and kind.endswith("text/plain"):
                    found[name] = str(ast.literal_eval(value)) if value[:1] in "'\"" else value
    return found


def labels(root: Path) -> dict[str, tuple[str, str]]:
    """Every label of the chapters: the title it stands before, and the file of the pair.

    Of a page of prose in ``book/`` the file is the page itself.
    """
    found = {}
    for page in sorted((root / "book").glob("*.md")):
        for match in LABEL.finditer(page.read_text(encoding="utf-8")):
            if match[2]:
                found[match[1]] = (ROLE.sub(lambda m: m[2], match[2]), f"../book/{page.name}")
    for chapter in discover(root):
        for match in LABEL.finditer(chapter.text):
            title = ROLE.sub(lambda m: m[2], match[2] or chapter.title)
            place = "" if match[1] == chapter.slug else "#" + title.replace(" ", "-")
            found[match[1]] = (title, chapter.notebook.name + place)
    return found


def bibliography(path: Path) -> dict[str, tuple[str, str, str]]:
    """key -> (authors in short, year, the whole entry) of a BibTeX file; empty without a file."""
    if not path.is_file():
        return {}
    from pybtex.database import parse_file
    from pybtex.richtext import Text

    def text(value: str) -> str:
        return str(Text.from_latex(value))

    found = {}
    for key, entry in parse_file(str(path)).entries.items():
        people = entry.persons.get("author", entry.persons.get("editor", []))
        names = [text(" ".join([*p.prelast_names, *p.last_names])) for p in people] or [key]
        short = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        year = entry.fields.get("year", "")
        where = next((entry.fields[f] for f in ("booktitle", "journal") if f in entry.fields), "")
        rest = [text(v) for v in (where, entry.fields.get("note", ""), year) if v]
        whole = f"{', '.join(names)}. *{text(entry.fields['title'])}*. {', '.join(rest)}."
        found[key] = (short, year, whole)
    return found


def end_of(lines: Sequence[str], start: int, fence: str) -> int:
    """The line that closes the fence opened at `start`; the last one if none does.

    Args:
        lines: of the page.
        start: the line of the fence.
        fence: what it begins with, such as ``:::``.
    """
    closing = (i for i in range(start + 1, len(lines)) if lines[i].strip() == fence)
    return next(closing, len(lines) - 1)


def options_of(lines: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The ``:key: value`` lines at the head of a directive, and its body.

    Args:
        lines: between its fences.
    """
    options = {}
    rest = list(lines)
    while rest and (match := re.match(r"^:([\w-]+):\s*(.*)$", rest[0])):
        options[match[1]] = match[2]
        rest.pop(0)
    return options, rest


def _code(path: Path, options: Mapping[str, str]) -> str:
    """The source of a file, or of the function or class in it that ``:pyobject:`` names."""
    source = path.read_text(encoding="utf-8")
    if "pyobject" not in options:
        return source.rstrip()
    node: Any = ast.parse(source)
    for name in options["pyobject"].split("."):
        node = next(n for n in node.body if getattr(n, "name", None) == name)
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])
