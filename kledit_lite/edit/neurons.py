r"""Neuron-level editing: which outputs of the keys and values tell a concept, and dropping them.

A *neuron* is one output of ``to_k`` or ``to_v`` of a cross-attention layer (prospectus, section
4.6). Nothing in the weights changes; hooks on ``to_k`` and ``to_v`` overwrite outputs while a
context lasts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, Literal

import torch
from jaxtyping import Float, Int

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.edit.ridge import precision
from kledit_lite.edit.sites import PROJECTIONS, check_editable, key_value_names, short
from kledit_lite.inside import encode_prompts, end_position, last_subject_position
from kledit_lite.inside.fired import Fired
from kledit_lite.inside.hooks import edit
from kledit_lite.inside.sampler import tokenizers
from kledit_lite.inside.tokens import words_of

How = Literal["zero", "mean"]
Position = Literal["last-subject", "end"] | int
Neurons = dict[str, torch.Tensor]
"""Matrix name to the numbers of its neurons."""


@dataclass(frozen=True, eq=False)
class NeuronScores:
    """How differently the neurons answer with and without a concept.

    Attributes:
        z: Matrix name to (out,) float64, the absolute z-score of each neuron.
        mean_with: Matrix name to (out,) mean outputs over the prompts with the concept.
        mean_without: The same over those without.
        read: Which tokens were looked at in either set, and in how many prompts.
    """

    z: Mapping[str, Float[torch.Tensor, " _"]]
    mean_with: Mapping[str, Float[torch.Tensor, " _"]]
    mean_without: Mapping[str, Float[torch.Tensor, " _"]]
    read: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {})

    def top(self, k: int, across: bool = False) -> Neurons:
        """The k neurons with the largest score, of each matrix or of all together.

        Args:
            k: How many.
            across: Rank the neurons of all matrices in one list.

        Raises:
            KleditError: fewer neurons than k, or k is negative.

        Example:
            >>> scores = NeuronScores({"a": torch.tensor([1.0, 3.0, 2.0])}, {}, {})
            >>> scores.top(2)["a"].tolist()
            [1, 2]
        """
        sizes = {name: len(z) for name, z in self.z.items()}
        most = sum(sizes.values()) if across else min(sizes.values())
        if not 0 <= k <= most:
            where = "in all" if across else "in the narrowest matrix"
            raise KleditError(f"Cannot choose {k} neurons: there are {most} {where}.")
        if not across:
            return {n: z.argsort(descending=True, stable=True)[:k] for n, z in self.z.items()}
        best = torch.cat(list(self.z.values())).argsort(descending=True, stable=True)[:k]
        edges = pairwise(accumulate(sizes.values(), initial=0))
        return {
            name: best[(best >= begin) & (best < end)] - begin
            for name, (begin, end) in zip(self.z, edges, strict=True)
        }

    def against(self, others: Sequence[NeuronScores]) -> NeuronScores:
        r"""The same neurons, scored by how much more they tell this concept than any other.

        Equation: :math:`|z_j| / \max_t |z_j^t|` over the other concepts t. A neuron that tells all
        of them alike scores 1; one that tells this concept alone scores far more. Means stay.

        Args:
            others: Scores of other concepts, of the same matrices.

        Raises:
            KleditError: no others, or scores of other matrices.

        Example:
            >>> mine = NeuronScores({"a": torch.tensor([9.0, 4.0])}, {}, {})
            >>> theirs = NeuronScores({"a": torch.tensor([9.0, 1.0])}, {}, {})
            >>> mine.against([theirs]).z["a"].tolist()
            [1.0, 4.0]
        """
        if not others or any(o.z.keys() != self.z.keys() for o in others):
            raise KleditError(
                "Expected scores of at least one other concept, of the same matrices; score them "
                "with the same layers and projections."
            )
        z = {}
        for name, own in self.z.items():
            most = torch.stack([o.z[name] for o in others]).max(0).values
            z[name] = own / most.clamp(min=torch.finfo(own.dtype).eps)
        return replace(self, z=z)

    def table(self, k: int = 10) -> list[dict[str, Any]]:
        """The k neurons with the largest scores, as rows: matrix, neuron, z, and both means."""
        told = {"z": self.z, "mean_with": self.mean_with, "mean_without": self.mean_without}
        rows = [
            {"matrix": short(name), "neuron": i, **{c: float(v[name][i]) for c, v in told.items()}}
            for name, chosen in self.top(k, across=True).items()
            for i in chosen.tolist()
        ]
        return sorted(rows, key=lambda row: -row["z"])


@torch.no_grad()
def neuron_scores(
    pipe: Any,
    with_concept: Sequence[str],
    without: Sequence[str],
    layers: Iterable[int] | None,
    *,
    subject: str | None = None,
    subject_without: str | None = None,
    position: Position = "last-subject",
    projections: Sequence[str] = PROJECTIONS,
) -> NeuronScores:
    r"""Score every key and value neuron of some layers by what two sets of prompts make of it.

    Equation: :math:`|z| = |\bar z - \bar z'| / \sqrt{s^2/N_1 + s'^2/N_2}` for the outputs
    :math:`z_i = c_i W`, with the unbiased variances (prospectus, section 4.6). A neuron whose
    outputs differ by no more than rounding scores 0.

    Args:
        pipe: The pipeline.
        with_concept: N_1 >= 2 prompts, e.g. "... in the style of van gogh".
        without: N_2 >= 2 prompts without the concept.
        layers: Numbers in execution order; None for all.
        subject: The concept's words in each prompt of the first set; None for the last token before
            the end, whatever it says: see `NeuronScores.read`.
        subject_without: The same for the second set.
        position: Which token is looked at: the subject's last, the end token, or a number. A
            padding token, which public code looks at, is a different choice.
        projections: ``to_k``, ``to_v`` or both.

    Raises:
        KleditError: too few prompts, a subject that is not in its prompt, a position beyond the
            encoder's, layers that do not exist, a UNet that hides hooks.

    Example:
        >>> from kledit_lite import locate, zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> pairs = locate.style_probe("van gogh", 8)
        >>> scores = neuron_scores(pipe, pairs.sources, pairs.targets, [8, 9], subject="van gogh")
        >>> len(scores.z)  # keys and values of two layers
        4
    """
    names = key_value_names(pipe, layers, projections)
    a, read_a = _tokens(pipe, "with_concept", with_concept, subject, position)
    b, read_b = _tokens(pipe, "without", without, subject_without, position)
    z, mean_a, mean_b = {}, {}, {}
    for name, weight in check_editable(pipe, names).items():
        w = weight.detach().to(a).T
        x, y = a @ w, b @ w  # (N_1, out), (N_2, out)
        mean_a[name], mean_b[name] = x.mean(0), y.mean(0)
        z[name] = z_scores(x, y)
    return NeuronScores(z, mean_a, mean_b, (read_a, read_b))


def z_scores(
    x: Float[torch.Tensor, "N_1 n"], y: Float[torch.Tensor, "N_2 n"]
) -> Float[torch.Tensor, " n"]:
    """Absolute two-sample z-score of each column; see `neuron_scores`.

    Args:
        x: (N_1, n) outputs with the concept, N_1 >= 2.
        y: (N_2, n) outputs without it, N_2 >= 2.

    Example:
        >>> z_scores(torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [0.0]])).tolist()
        [2.0]
    """
    gap = (x.mean(0) - y.mean(0)).abs()
    error = (x.var(0) / len(x) + y.var(0) / len(y)).sqrt()
    noise = 1e-6 * torch.cat([x, y]).square().mean().sqrt()  # what float32 encoders cannot tell
    return torch.where(gap > noise, gap / error.clamp(min=1e-3 * noise), torch.zeros_like(gap))


@contextmanager
def ablated(
    pipe: Any,
    neurons: Mapping[str, Int[torch.Tensor, " _"]],
    how: How = "zero",
    scores: NeuronScores | None = None,
    conditional: bool = False,
    positions: Sequence[int] | None = None,
) -> Iterator[Fired]:
    """Hold neurons at zero, or at their mean without the concept, while the context lasts.

    Args:
        pipe: The pipeline.
        neurons: From `NeuronScores.top`.
        how: ``"zero"`` or ``"mean"``; the latter takes ``mean_without`` of `scores`.
        scores: Needed for the means.
        conditional: Leave the first half of the rows alone, which is the unconditional half when
            guidance is on (`Sampling.guidance` > 1).
        positions: Tokens at which to do it; None for all.

    Yields:
        `Fired`; ``expect(steps)`` says whether every hook ran.

    Raises:
        UnknownNameError: another way of ablating.
        KleditError: no scores for the means, neurons that do not exist, a UNet that hides hooks,
            or `conditional` with an odd number of rows.

    Example:
        >>> from kledit_lite import inside, locate, zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> pairs = locate.style_probe("van gogh", 2)
        >>> scores = neuron_scores(pipe, pairs.sources, pairs.targets, [8, 9])
        >>> with ablated(pipe, scores.top(30)) as fired:
        ...     pictures = inside.paint(pipe, pairs.sources, how=inside.Sampling(steps=2))
        >>> fired.expect(2)
    """
    if how not in ("zero", "mean"):
        raise unknown("ablation", how, ("zero", "mean"))
    if how == "mean" and scores is None:
        raise KleditError("Replacing neurons by their mean needs the scores; pass scores=...")

    def hold(name: str, weight: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        chosen = torch.as_tensor(neurons[name], device=weight.device)
        low, high = int(chosen.min()), int(chosen.max())
        if high >= len(weight) or low < 0:
            raise KleditError(
                f"{name} has {len(weight)} neurons, numbered from 0; got {low} to {high}."
            )
        value = torch.zeros(len(chosen), dtype=weight.dtype, device=chosen.device)
        if how == "mean" and scores is not None:
            value = scores.mean_without[name].to(chosen.device)[chosen].to(value.dtype)

        def held(out: torch.Tensor) -> torch.Tensor:
            first = _half(out) if conditional else 0
            tokens = range(out.shape[1]) if positions is None else positions
            at = torch.as_tensor(list(tokens), device=chosen.device)
            new = out.clone()
            new[first:, at[:, None], chosen] = value.to(new.dtype)
            return new

        return held

    changes = {
        name.removeprefix("unet.").removesuffix(".weight"): hold(name, weight)
        for name, weight in check_editable(pipe, neurons).items()
        if len(neurons[name])
    }
    with edit(pipe.unet, changes) as fired:
        yield fired


def _half(out: torch.Tensor) -> int:
    if len(out) % 2:
        raise KleditError(
            f"Got {len(out)} rows, which have no conditional half; switch guidance on or pass "
            "conditional=False."
        )
    return len(out) // 2


def _tokens(
    pipe: Any, what: str, prompts: Sequence[str], subject: str | None, position: Position
) -> tuple[torch.Tensor, dict[str, int]]:
    """Embeddings (N, d) float64 of the wanted token of each prompt, and which tokens they are."""
    if isinstance(prompts, str) or len(prompts) < 2:
        raise KleditError(f"A z-score needs a list of at least 2 prompts in {what!r}.")
    hidden = encode_prompts(pipe, prompts).hidden
    tokenizer = tokenizers(pipe)[0]
    if isinstance(position, int):
        if not 0 <= position < hidden.shape[1]:
            raise KleditError(
                f"There is no token {position}: the encoder's are numbered 0 to "
                f"{hidden.shape[1] - 1}."
            )
        at = [position] * len(prompts)
    elif position == "last-subject":
        at = [last_subject_position(tokenizer, p, subject) for p in prompts]
    elif position == "end":
        at = [end_position(tokenizer, p) for p in prompts]
    else:
        raise unknown("position", position, ("last-subject", "end", "a number"))
    words = [[*words_of(tokenizer, p), *["padding"] * hidden.shape[1]] for p in prompts]
    read = Counter(w[i] for w, i in zip(words, at, strict=True))
    rows = hidden[range(len(prompts)), at]
    return rows.to(precision(rows.device)), dict(read)
