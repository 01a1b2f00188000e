"""The settings of the closed-form methods: as published, and repaired for small models.

===============  ===================================  =======================  =========
method           matrices                             tokens                   lambda
===============  ===================================  =======================  =========
DiffQuickFix     ``out_proj`` of the text encoder's   last of the subject      0.01
                 first self-attention
LocoEdit         ``to_k``, ``to_v`` of the localized  last of the subject      0.01
                 cross-attention layers
UCE              ``to_k``, ``to_v`` of all layers     last of the subject      0.5
TIME             ``to_k``, ``to_v`` of all layers     all, aligned             0.1
===============  ===================================  =======================  =========

These are the **published** settings. (The public run of DiffQuickFix pairs all tokens from the
subject's last through the padding: ``tokens="to-padding"``.) On small models each falls short in
its own way, so every method also has a **repaired** setting (`REPAIRED`): the tokens after the
subject take part, padding included, and all tokens of the prompts to keep are kept. `solve` takes
either by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from kledit_lite.edit.concepts import Tokens


@dataclass(frozen=True)
class Method:
    """A closed-form edit.

    Attributes:
        name: Name in lower case.
        place: Which matrices: of the text encoder, or of the UNet's cross-attention.
        tokens: Which tokens of the prompts; see `concepts.token_pairs`.
        strength: The lambda of the equation.
        layers: The usual ones; None for all, empty where they have to be found first.
        source: Who published it.
        keep_tokens: Which tokens of prompts to keep, ``"last"`` or ``"all"``.
        needs_keep: Whether it makes no sense without prompts to keep.
    """

    name: str
    place: Literal["text-encoder", "cross-attention"]
    tokens: Tokens
    strength: float
    layers: tuple[int, ...] | None
    source: str
    keep_tokens: Literal["last", "all"] = "last"
    needs_keep: bool = False


DIFFQUICKFIX = Method(
    "diffquickfix", "text-encoder", "last-subject", 0.01, (0,), "thesis, section 5.4"
)
LOCOEDIT = Method(
    "locoedit", "cross-attention", "last-subject", 0.01, (), "prospectus, section 4.5"
)
UCE = Method("uce", "cross-attention", "last-subject", 0.5, None, "Gandikota et al. 2024")
TIME = Method("time", "cross-attention", "aligned", 0.1, None, "Orgad et al. 2023", "all")
METHODS = {m.name: m for m in (DIFFQUICKFIX, LOCOEDIT, UCE, TIME)}
REPAIRED = {
    name: replace(
        m, tokens="aligned" if m is TIME else "to-padding", keep_tokens="all", needs_keep=True
    )
    for name, m in METHODS.items()
}
PRESETS: dict[str, dict[str, Method]] = {"published": METHODS, "repaired": REPAIRED}
