r"""DiffQuickFix, LocoEdit, UCE and TIME: one regression on different sites, tokens and strengths.

All four make a matrix treat the inputs X of a concept as it treats the inputs X' of a target:

.. math:: \min_W \sum_i w_i \|W x_i - W_0 x'_i\|^2 + \lambda \|W - W_0\|_F^2

`presets` has what each method edits, with which tokens and strength, as published and repaired.

DiffQuickFix takes as values the outputs of ``out_proj`` for the target without its bias, since
the layer adds the bias again: :math:`v = (W_0 x' + b) - b = W_0 x'`, which is the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.edit.concepts import Concept, Tokens, as_concepts, paired_words, token_pairs
from kledit_lite.edit.handle import Change, Edit, Stack
from kledit_lite.edit.presets import METHODS, PRESETS, Method
from kledit_lite.edit.ridge import Form, check_strength, compress, gain
from kledit_lite.edit.sites import (
    PROJECTIONS,
    check_editable,
    encoders,
    fingerprint,
    key_value_names,
    out_names,
    short,
)
from kledit_lite.inside import encode_prompts, end_position
from kledit_lite.inside.hooks import read, stop
from kledit_lite.inside.sampler import tokenizers
from kledit_lite.inside.tokens import token_ids

Reader = Callable[[Sequence[str]], torch.Tensor]


@torch.no_grad()
def solve(
    pipe: Any,
    concepts: Concept | Sequence[Concept],
    method: Method | str = "locoedit",
    *,
    preset: str = "published",
    layers: Iterable[int] | None = None,
    tokens: Tokens | None = None,
    strength: float | None = None,
    keep: Sequence[str] = (),
    keep_weight: float = 1.0,
    keep_tokens: Literal["last", "all"] | None = None,
    rest_weight: float = 1.0,
    projections: Sequence[str] = PROJECTIONS,
    encoder: str | None = None,
    form: Form = "auto",
) -> Edit:
    """Solve for an edit; does not modify the pipeline.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline. SDXL's pooled text bypasses the
            cross-attention layers, so only an edit of the text encoder changes it.
        concepts: One, or several that are edited at once, in one joint regression.
        method: Its name, or a `Method` of your own.
        preset: ``"published"`` or ``"repaired"``, the settings that a name stands for; see the
            module. The arguments below override them.
        layers: Cross-attention layers in execution order, or layers of the text encoder.
        tokens: Which tokens; see `concepts.token_pairs`.
        strength: Lambda, finite and at least 0: the larger, the less the weights change; zero
            fits the most.
        keep: Prompts whose outputs to preserve. Without any, every text shifts along the direction
            that it shares with the concept.
        keep_weight: Their importance.
        keep_tokens: ``"last"``, their last token before the end, or ``"all"``, padding included.
        rest_weight: Importance of the tokens after the subject's last, where `tokens` has any.
        projections: ``to_k``, ``to_v`` or both.
        encoder: ``text_encoder`` or ``text_encoder_2``; None for all there are.
        form: Form of the solver; see `ridge.gain`.

    Returns:
        An `Edit`; nothing changes until ``edit.apply(pipe)``. ``edit.paired`` says which tokens
        were paired.

    Raises:
        UnknownNameError: not a method, preset, choice of tokens or projection.
        KleditError: no layers named where the method needs them, layers that do not exist, a
            subject that is not in its prompt or that nothing tells, a prompt that is too long,
            unequal numbers of prompts, a repaired setting without prompts to keep, a UNet that
            hides hooks, NaN in the text.

    Cost O(N^2 d + N d out) per matrix for N < d rows, besides encoding the prompts.

    Example:
        >>> from kledit_lite import zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> concept = Concept.of("seurat", "photo", ("a cat in the style of {}",))
        >>> edit = solve(pipe, concept, "locoedit", layers=[8, 9])
    """
    if isinstance(method, str):
        if preset not in PRESETS:
            raise unknown("preset", preset, PRESETS)
        if method not in METHODS:
            raise unknown("method", method, METHODS)
        method = PRESETS[preset][method]
    wanted = as_concepts(concepts)
    chosen = method.layers if layers is None else tuple(layers)
    tokens = tokens or method.tokens
    strength = method.strength if strength is None else strength
    check_strength("strength", strength)
    check_strength("rest_weight", rest_weight)
    if isinstance(keep, str):
        raise KleditError("Expected a list of prompts to keep, got one string; pass [prompt].")
    keep_tokens = method.keep_tokens if keep_tokens is None else keep_tokens
    if keep_tokens not in ("last", "all"):
        raise unknown("choice of tokens to keep", keep_tokens, ("last", "all"))
    if method.needs_keep and not len(keep):
        raise KleditError(
            f"The repaired {method.name} preserves prompts that do not name the concept; pass some "
            "as keep, or use the published preset."
        )
    if chosen == ():
        raise KleditError(
            f"{method.name} edits the layers that were found to control the concept; name them, "
            "e.g. layers=[8, 9]."
        )
    shapes = fingerprint(pipe)
    groups = _groups(pipe, method, chosen, projections, encoder)
    tokenizer = tokenizers(pipe)[0]
    sources = [s for c in wanted for s in c.sources]
    targets = [t for c in wanted for t in c.targets]
    changes: dict[str, Change] = {}
    rows: list[dict[str, Any]] = []
    pairs: list[Any] = []
    for matrices, inputs in groups:
        hidden = inputs([*sources, *targets, *keep])  # (2 N + K, T, d)
        if not pairs:
            pairs = token_pairs(tokenizer, wanted, tokens, hidden.shape[1], rest_weight)
        first = [p.prompt for p in pairs]
        x = hidden[first, [p.source for p in pairs]]  # (R, d)
        other = hidden[len(sources) :][first, [p.target for p in pairs]]  # (R, d)
        weights = torch.tensor([p.weight for p in pairs], device=x.device)
        stay = hidden[2 * len(sources) :]  # (K, T, d)
        if keep_tokens == "all":
            stay = stay.flatten(0, 1)
        else:
            stay = stay[range(len(keep)), [end_position(tokenizer, k) - 1 for k in keep]]
        p = gain(x, strength, weights=weights, keep=stay, keep_weight=keep_weight, form=form)
        mix, basis = compress(p)
        step = other.to(p) - x.to(p)  # (R, d)
        right = basis.float()
        for name, weight in matrices.items():
            w = weight.detach().to(p)
            residual = step @ w.T  # (R, out), what X misses of X'
            left = (mix @ residual).T  # (out, r)
            whole = left.shape[1] * sum(w.shape) >= w.numel()  # factors would save nothing
            made = Change((left @ basis).float()) if whole else Change(left.float(), right)
            changes[name] = made
            rows.append(_row(name, w, made.delta(w.device), x.to(p), residual))
    settings = {
        "layers": None if chosen is None else list(chosen), "tokens": tokens, "strength": strength,
        "concepts": [asdict(c) for c in wanted], "keep": list(keep), "keep_weight": keep_weight,
        "keep_tokens": keep_tokens,
        "rest_weight": rest_weight, "rows": len(pairs),
        "paired": paired_words(tokenizer, wanted, pairs),
    }  # fmt: skip
    return Edit(method.name, changes, shapes, settings, rows)


def diffquickfix(
    pipe: Any, concepts: Concept | Sequence[Concept], layer: int = 0, **options: Any
) -> Edit:
    """DiffQuickFix: the output matrix of one self-attention of the text encoder.

    Args:
        pipe: As in `solve`.
        concepts: As in `solve`.
        layer: The causal one is 0; any other is the negative control of the thesis, figure 5.4a.
        **options: Further arguments of `solve`.

    Example:
        >>> from kledit_lite import zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> with diffquickfix(pipe, Concept.of("seurat", "photo")).apply(pipe) as handle:
        ...     text = encode_prompts(pipe, ["a boat in the style of seurat"])
    """
    return solve(pipe, concepts, "diffquickfix", layers=[layer], **options)


def locoedit(
    pipe: Any, concepts: Concept | Sequence[Concept], layers: Iterable[int], **options: Any
) -> Edit:
    """LocoEdit: keys and values of the cross-attention layers that LocoGen found.

    Args:
        pipe: As in `solve`.
        concepts: As in `solve`.
        layers: Numbers of the layers in execution order.
        **options: Further arguments of `solve`.

    Example:
        >>> from kledit_lite import zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> len(locoedit(pipe, Concept.of("seurat", "photo"), layers=[8, 9]).changes)
        4
    """
    return solve(pipe, concepts, "locoedit", layers=layers, **options)


def uce(
    pipe: Any, concepts: Concept | Sequence[Concept], keep: Sequence[str] = (), **options: Any
) -> Edit:
    """Unified Concept Editing: all layers, with prompts to preserve.

    Args:
        pipe: As in `solve`.
        concepts: As in `solve`.
        keep: Prompts whose outputs to preserve.
        **options: Further arguments of `solve`.
    """
    return solve(pipe, concepts, "uce", keep=keep, **options)


def time_edit(pipe: Any, concepts: Concept | Sequence[Concept], **options: Any) -> Edit:
    """TIME: all layers, all tokens, aligned.

    Args:
        pipe: As in `solve`.
        concepts: As in `solve`.
        **options: Further arguments of `solve`.
    """
    return solve(pipe, concepts, "time", **options)


def in_turn(
    pipe: Any, concepts: Sequence[Concept], method: Method | str = "locoedit", **options: Any
) -> Stack:
    """Edit one concept after the other, each solved on the pipeline as the last one left it.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline. Its weights change.
        concepts: What to edit, in this order.
        method: As in `solve`.
        **options: Further arguments of `solve`.

    Returns:
        A `Stack` to undo them all; if one fails or is interrupted, those before it are undone.
    """
    stack = Stack()
    try:
        for concept in as_concepts(concepts):
            stack.handles.append(solve(pipe, concept, method, **options).apply(pipe))
    except BaseException:
        stack.undo()
        raise
    return stack


def inputs_of(pipe: Any, name: str, prompts: Sequence[str]) -> Float[torch.Tensor, "N T d"]:
    """What reaches one matrix of a text encoder: (N, T, d), padding included.

    The encoder stops as soon as it is known, so the first layer costs a fraction of an encoding.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        name: Name of the matrix, as in `fingerprint`.
        prompts: N prompts.
    """
    part = name.split(".", 1)[0]
    encoder = getattr(pipe, part)
    tokenizer = pipe.tokenizer_2 if part == "text_encoder_2" else pipe.tokenizer
    for prompt in prompts:
        token_ids(tokenizer, prompt)
    ids = tokenizer(
        list(prompts),
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    weight = check_editable(pipe, [name])[name]
    module = next(m for m in encoder.modules() if getattr(m, "weight", None) is weight)
    with (
        torch.no_grad(),
        read(encoder, [module], at="input") as seen,
        stop(encoder, module, at="input"),
    ):
        encoder(ids.to(weight.device))
    return seen[module].detach()


def _groups(
    pipe: Any,
    method: Method,
    layers: tuple[int, ...] | None,
    projections: Sequence[str],
    encoder: str | None,
) -> list[tuple[dict[str, torch.nn.Parameter], Reader]]:
    """Matrices that read the same inputs, and how to read them."""
    if method.place == "cross-attention":
        names = key_value_names(pipe, layers, projections)
        return [(check_editable(pipe, names), lambda prompts: encode_prompts(pipe, prompts).hidden)]
    found = encoders(pipe)
    if encoder is not None and encoder not in found:
        raise unknown("text encoder", encoder, found)
    parts = found if encoder is None else [encoder]
    names = [name for part in parts for name in out_names(pipe, part, layers or ())]
    return [(check_editable(pipe, [name]), partial(inputs_of, pipe, name)) for name in names]


def _row(
    name: str, w: torch.Tensor, delta: torch.Tensor, x: torch.Tensor, residual: torch.Tensor
) -> dict[str, Any]:
    left_over = residual - x @ delta.T
    return {
        "name": name,
        "matrix": short(name),
        "norm": float(delta.norm()),
        "relative_norm": float(delta.norm() / w.norm()),
        "residual_before": float(residual.norm()),
        "residual_after": float(left_over.norm()),
    }
