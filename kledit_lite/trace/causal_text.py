"""Causal tracing of the text encoder: which layer, at which token, holds the subject?

Clean, corrupted and restored prompts go through the encoder in **one** batch (Basu et al. 2024;
thesis 5.2.4): row 0 is clean, row 1 corrupted, and row i + 2 is corrupted but for one site, whose
output at one token is copied from row 0. The encoded rows then condition the sampler, all from the
same initial noise.
In a causal encoder nothing before the subject changes, so that many rows come out equal to the
corrupted one, or to the clean one; those are painted once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from kledit_lite.core.errors import KleditError, check_known
from kledit_lite.inside.decoding import decode
from kledit_lite.inside.fired import Fired
from kledit_lite.inside.hooks import edit
from kledit_lite.inside.sampler import (
    Text,
    counted,
    encode_prompts,
    latents_for,
    sample,
    text_encoders,
    tokenizers,
)
from kledit_lite.inside.tokens import subject_positions, words_of
from kledit_lite.models.subjects import TracePrompt
from kledit_lite.trace.corrupt import Noise, Tracing, check_inputs, draw_noise, noisy_words
from kledit_lite.trace.effects import Score, Trace
from kledit_lite.trace.kept import Kept, Marks
from kledit_lite.trace.lanes import from_first

TextKind = Literal["self-attn", "mlp", "layer"]
TEXT_KINDS: tuple[TextKind, ...] = ("self-attn", "mlp", "layer")
ROLES = ("before", "subject", "last subject", "after", "end", "padding")
"""What a token is to the subject; ``subject`` are its tokens but the last."""

_MODULE = re.compile(r"(?:^|\.)encoder\.layers\.(\d+)(\.self_attn|\.mlp|)$")
_KIND: dict[str, TextKind] = {".self_attn": "self-attn", ".mlp": "mlp", "": "layer"}


@dataclass(frozen=True)
class TextSite:
    """One layer's module at one token.

    Attributes:
        encoder: 0, or 1 for SDXL's second text encoder.
        layer: Number of the layer, from 0.
        kind: ``self-attn`` and ``mlp`` are what the module adds to the hidden state; ``layer`` is
            the hidden state that leaves the layer.
        position: Position of the token; the start token is 0.
        token: The token as people read it.
        role: One of `ROLES`.
    """

    encoder: int
    layer: int
    kind: TextKind
    position: int
    token: str
    role: str

    @property
    def name(self) -> str:
        """E.g. ``"self-attn-0 at gogh (8)"``."""
        where = f"{self.kind}-{self.layer} at {self.token} ({self.position})"
        return f"encoder {self.encoder + 1} {where}" if self.encoder else where


def text_modules(encoder: Any) -> dict[tuple[int, TextKind], torch.nn.Module]:
    """The modules of a CLIP text encoder by layer and kind.

    Raises:
        KleditError: an encoder built otherwise, e.g. T5.
    """
    found = {
        (int(match[1]), _KIND[match[2]]): module
        for name, module in encoder.named_modules()
        if (match := _MODULE.search(name))
    }
    if not found:
        raise KleditError(
            f"No CLIP layers in the text encoder {type(encoder).__name__}; its tokens cannot be "
            "traced, trace the UNet instead."
        )
    return found


def text_sites(
    pipe: Any,
    prompt: TracePrompt,
    kinds: Sequence[TextKind] = ("self-attn", "mlp"),
    layers: Sequence[int] | None = None,
    roles: Sequence[str] = ROLES[:-1],
) -> list[TextSite]:
    """All (layer, kind, token) sites of a prompt, layer by layer.

    Args:
        pipe: The pipeline; of SDXL both encoders.
        prompt: The prompt with its subject.
        kinds: Of `TEXT_KINDS`.
        layers: Default all.
        roles: Which tokens; default all but the padding.

    Raises:
        UnknownNameError: not a kind or role.
        KleditError: no such layer.
    """
    check_known("kind of text site", kinds, TEXT_KINDS)
    check_known("role of a token", roles, ROLES)
    sites = []
    parts = zip(text_encoders(pipe), tokenizers(pipe), strict=True)
    for e, (encoder, tokenizer) in enumerate(parts):
        there = sorted({layer for layer, _ in text_modules(encoder)})
        wanted = there if layers is None else list(layers)
        if set(wanted) - set(there):
            raise KleditError(
                f"Layers {sorted(set(wanted) - set(there))} do not exist: text encoder {e + 1} has "
                f"layers 0 to {there[-1]}."
            )
        tokens = list(enumerate(token_roles(tokenizer, prompt)))
        sites += [
            TextSite(e, layer, kind, at, token, role)
            for layer in wanted
            for kind in kinds
            for at, (token, role) in tokens
            if role in roles
        ]
    return sites


def token_roles(tokenizer: Any, prompt: TracePrompt) -> list[tuple[str, str]]:
    """Each token of the padded prompt with its role, from the start token on."""
    words = ["start", *words_of(tokenizer, prompt.prompt)[1:-1], "end"]
    subject = subject_positions(tokenizer, prompt.prompt, prompt.subject)
    before, after = subject[0], len(words) - 2 - subject[-1]
    roles = ["before"] * before + ["subject"] * (len(subject) - 1) + ["last subject"]
    roles += ["after"] * after + ["end"]
    padding = [("pad", "padding")] * (tokenizer.model_max_length - len(words))
    return [*zip(words, roles, strict=True), *padding]


@contextmanager
def restored_rows(pipe: Any, groups: Sequence[Sequence[TextSite]]) -> Iterator[list[Fired]]:
    """While inside, row i + 2 of an encoder call gets group i's outputs from row 0.

    The hooks run before any that were there already, because transformers collects hidden states
    with hooks of its own (SDXL reads one from them).

    Yields:
        `Fired` of each encoder.
    """
    rows: dict[tuple[int, int, TextKind], tuple[list[int], list[int]]] = {}
    for i, group in enumerate(groups, 2):
        for s in group:
            to, at = rows.setdefault((s.encoder, s.layer, s.kind), ([], []))
            to.append(i)
            at.append(s.position)
    with ExitStack() as stack:
        fired = []
        for e, encoder in enumerate(text_encoders(pipe)):
            modules = text_modules(encoder)
            mine = {modules[key[1:]]: from_first(*at) for key, at in rows.items() if key[0] == e}
            fired.append(stack.enter_context(edit(encoder, mine, first=True)))
        yield fired


@torch.no_grad()
def restored_texts(
    pipe: Any, prompt: str, noise: Sequence[Noise], groups: Sequence[Sequence[TextSite]]
) -> Text:
    """Encode a prompt clean, corrupted, and corrupted but for each group of sites.

    Args:
        pipe: The pipeline.
        prompt: One prompt.
        noise: From `draw_noise`.
        groups: G groups of sites, each restored together.

    Returns:
        2 + G rows; they cost one call of each text encoder.

    Raises:
        KleditError: an encoder that skips hooks.
    """
    n = 2 + len(groups)
    with restored_rows(pipe, groups) as fired, noisy_words(pipe, [None, *[list(noise)] * (n - 1)]):
        text = encode_prompts(pipe, [prompt] * n)
    for encoder in fired:
        encoder.expect(1)
    return text


def trace_text(
    pipe: Any,
    prompts: Sequence[TracePrompt],
    seeds: Sequence[int],
    scores: Mapping[str, Score],
    how: Tracing = Tracing(),  # noqa: B008  (frozen)
    *,
    kinds: Sequence[TextKind] = ("self-attn", "mlp"),
    layers: Sequence[int] | None = None,
    roles: Sequence[str] = ROLES[:-1],
    keep: int = 0,
    folder: Path | str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Trace:
    """Trace a pipeline's text encoder(s) over (layer, kind, token).

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        prompts: N prompts with their subjects.
        seeds: N seeds, each for the initial noise and the noise on the words.
        scores: As in `trace_unet`.
        how: Noise scale and sampling; with ``pooled="clean"`` SDXL's pooled text is the clean
            prompt's in every restored row.
        kinds: As in `text_sites`.
        layers: As in `text_sites`.
        roles: As in `text_sites`.
        keep: As in `trace_unet`.
        folder: As in `trace_unet`.
        progress: As in `trace_unet`.

    Returns:
        A `Trace` whose restored rows have the columns of `TextSite`; `aie` averages over tokens of
        the same role. The cost is one encoder call per prompt and one picture per different text.

    Raises:
        KleditError: as `trace_unet`.
    """
    import pandas as pd

    seeds = check_inputs(prompts, seeds, scores)
    sites = [text_sites(pipe, p, kinds, layers, roles) for p in prompts]
    names = [[s.name for s in mine] for mine in sites]
    kept = Kept(folder, pipe, prompts, seeds, scores, how, names, keep)
    most = 2 + max(len(mine) for mine in sites)

    def compute(rows: range) -> Marks:
        found: Marks = {name: np.full((len(rows), most), np.nan) for name in scores}
        spent = np.zeros((2, len(rows)))
        for j, i in enumerate(rows):
            made, same, work = _versions(pipe, prompts[i], seeds[i], how, sites[i])
            spent[:, j] = work, 3 * len(sites[i]) * work // len(made)
            for name, score in scores.items():
                found[name][j, : len(same)] = np.asarray(score(made, prompts[i]), float)[same]
            kept.add(i, made[same])
            if progress is not None:
                progress(i + 1)
        return {**found, "rows": spent[0], "naive": spent[1]}

    marks = kept.marks(compute, 1)
    restored = pd.DataFrame(
        {"picture": i, "order": j, "site": s.name, **vars(s)}
        for i, mine in enumerate(sites)
        for j, s in enumerate(mine)
    )
    restored["role"] = pd.Categorical(restored["role"], ROLES, ordered=True)
    restored["kind"] = pd.Categorical(restored["kind"], TEXT_KINDS, ordered=True)
    return kept.trace(marks, restored)


def _versions(
    pipe: Any, prompt: TracePrompt, seed: int, how: Tracing, sites: Sequence[TextSite]
) -> tuple[np.ndarray, list[int], int]:
    """Pictures that differ, for each of 2 + S versions which of them it is, and UNet rows."""
    noise = draw_noise(pipe, prompt, seed, how.noise)
    text = restored_texts(pipe, prompt.prompt, noise, [(s,) for s in sites])
    if how.pooled == "clean" and text.pooled is not None:
        pooled = torch.cat([text.pooled[:2], text.pooled[:1].expand(len(sites), -1)])
        text = Text(text.hidden, pooled)
    first, same = distinct(text)
    z = latents_for(pipe, [seed], how.sampling.size).repeat(len(first), 1, 1, 1)
    with counted(pipe.unet) as work:
        z = sample(pipe, text[first], z, how.sampling)
    return decode(pipe, z, min(64, how.sampling.batch)), same, work.rows


def distinct(text: Text) -> tuple[list[int], list[int]]:
    """Rows that must be painted, and for each row which of them it is equal to.

    Rows are compared bit for bit with the clean and the corrupted one, rows 0 and 1.
    """
    flat = text.hidden.flatten(1)
    if text.pooled is not None:
        flat = torch.cat([flat, text.pooled.to(flat.dtype)], 1)
    first, same = [0, 1], [0, 1]
    like = {r: (flat == flat[r]).all(1).tolist() for r in (1, 0)}
    for i in range(2, len(text)):
        same.append(next((r for r in like if like[r][i]), len(first)))
        if same[-1] == len(first):
            first.append(i)
    return first, same
