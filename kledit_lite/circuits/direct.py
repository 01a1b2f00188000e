"""Direct effects in closed form: what a model would answer without what one part wrote.

Path patching replaces what a part wrote at the last token by what it writes in a corrupted prompt,
and holds everything else. On the direct path, from the part to the logits, the model is known:
a sum, a norm and a matrix. So two forward passes give the effects of all parts and of all sets of
parts; the published procedure runs the model once for each (thesis, chapter 8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kledit_lite.circuits.prompts import Laid, with_answers
from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.inside.language import IGNORED
from kledit_lite.inside.residual import Stream, stream_parts

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

Reading = Literal["first", "all"]
READINGS: tuple[Reading, ...] = ("first", "all")


@dataclass(frozen=True)
class Patching:
    """Streams that predict answers, and by how much each part would change them.

    Attributes:
        clean: Of the prompts as they are, at the M positions that predict an answer's tokens.
        change: (K, M, d) what a part writes in the corrupted prompts less what it writes here.
        example: (M,) prompt of each position.
        token: (M,) token that is to come.
    """

    clean: Stream
    change: Float[torch.Tensor, "K M d"]
    example: torch.Tensor
    token: torch.Tensor

    @property
    def names(self) -> tuple[str, ...]:
        """The parts."""
        return self.clean.names

    @cached_property
    def before(self) -> np.ndarray:
        """(N,) probability of each answer with nothing patched."""
        return self.probability([()])[0]

    def probability(self, sets: Sequence[Sequence[int]], most: int = 2**26) -> np.ndarray:
        """Probability of each answer when the parts of a set write as in the corrupted prompt.

        ``softmax(U norm(r + sum_{g in set} (c_g^corrupt - c_g^clean)))``; the norm takes its
        statistics from the changed stream. The product over an answer's tokens.

        Args:
            sets: S sets of rows of `names`.
            most: Logits held at once, which sets how many sets are asked together.

        Returns:
            (S, N). O(S M d V).

        Raises:
            KleditError: a part that is not there.
        """
        import torch

        k, m, d = self.change.shape
        n = int(self.example.max()) + 1
        found = np.empty((len(sets), n))
        flat = self.change.reshape(k, m * d)
        block = max(1, most // (m * self.clean.logits.shape[-1]))
        for start in range(0, len(sets), block):
            some = sets[start : start + block]
            chosen = torch.zeros(len(some), k, device=flat.device)
            for i, rows in enumerate(some):
                if rows and not 0 <= min(rows) <= max(rows) < k:
                    raise KleditError(f"Parts are numbered 0 to {k - 1}; got {list(rows)}.")
                chosen[i, list(rows)] = 1
            with torch.no_grad():
                stream = self.clean.total + (chosen @ flat).unflatten(1, (m, d))
                logs = self.clean.decoder.unembed(stream).log_softmax(-1)
                said = logs.gather(2, self.token.expand(len(some), -1)[..., None])[..., 0]
                joint = torch.zeros(len(some), n, device=flat.device)
                joint.index_add_(1, self.example, said)
            found[start : start + len(some)] = joint.exp().cpu().numpy()
        return found

    def score(self, sets: Sequence[Sequence[int]]) -> np.ndarray:
        """The share of the answers' probability that patching each set takes away, (S,).

        ``1 - mean P_patch / mean P``: 0 if the parts do not matter, 1 if all hangs on them, below
        0 if they speak against the answer. (The published ``1 - P_patch`` is a level: it is high
        wherever the model was unsure to begin with.)
        """
        return 1 - self.probability(sets).mean(1) / self.before.mean()

    def interval(self, rows: Sequence[int], draws: int = 1000, seed: int = 0) -> tuple:
        """95% interval of one set's `score`, over prompts.

        Args:
            rows: Parts.
            draws: Of the bootstrap.
            seed: Of the draws.
        """
        after = self.probability([rows])[0]
        drawn = np.random.default_rng(seed).integers(len(after), size=(draws, len(after)))
        found = 1 - after[drawn].mean(1) / self.before[drawn].mean(1)
        low, high = np.quantile(found, [0.025, 0.975])
        return float(low), float(high)


def patching(
    model: Any,
    tokenizer: Any,
    clean: Sequence[Laid],
    corrupt: Sequence[Laid],
    answers: Sequence[str],
    reading: Reading = "first",
    batch: int = 32,
) -> Patching:
    """Take clean and corrupted prompts apart where they predict the clean prompts' answers.

    Args:
        model: A causal language model of transformers.
        tokenizer: Its tokenizer.
        clean: N prompts that the model answers.
        corrupt: The same with subject and answer replaced; lengths may differ.
        answers: N answers to the clean prompts.
        reading: ``"first"`` looks at an answer's first token, which answers may share ("the
            Willow Guild"); ``"all"`` at all of them, each after the ones before it.
        batch: Prompts at a time.

    Returns:
        Two forward passes over the prompts.

    Raises:
        UnknownNameError: no such reading.
        KleditError: counts that differ; a model that is not known.

    Example:
        >>> from kledit_lite import zoo
        >>> from kledit_lite.circuits.prompts import lay_out
        >>> w = zoo.load_writer()
        >>> a, b = (lay_out(w.tokenizer, [f"{n} was a baker."], f"Who was {n}?")
        ...         for n in ("Ada", "Bo"))
        >>> found = patching(w.model, w.tokenizer, [a], [b], ["a baker"], "all")
        >>> float(found.score([(), (1, 2)]).round(6)[0])
        0.0
    """
    import torch

    if reading not in READINGS:
        raise unknown("reading of answers", reading, READINGS)
    if not len(clean) == len(corrupt) == len(answers):
        raise KleditError(
            f"Got {len(clean)} prompts, {len(corrupt)} corrupted ones and {len(answers)} answers."
        )
    found, changes, examples, tokens = [], [], [], []
    for start in range(0, len(clean), batch):
        part = slice(start, start + batch)
        pair = []
        for prompts in (clean[part], corrupt[part]):
            rows = with_answers(tokenizer, prompts, answers[part]).to(model.device)
            example, position = (rows.labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
            if reading == "first":
                first = torch.tensor([len(p.ids) - 1 for p in prompts], device=example.device)
                kept = position == first[example]
                example, position = example[kept], position[kept]
            pair.append(stream_parts(model, rows, example, position))
        found.append(pair[0])
        changes.append(pair[1].values - pair[0].values)
        examples.append(example + start)
        tokens.append(rows.ids[example, position + 1])
    whole = Stream(
        torch.cat([s.values for s in found], 1),
        found[0].names,
        torch.cat([s.total for s in found]),
        torch.cat([s.logits for s in found]),
        max(s.error for s in found),
        found[0].decoder,
    )
    return Patching(whole, torch.cat(changes, 1), torch.cat(examples), torch.cat(tokens))


def groups(names: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """Whole attention layers and MLPs as sets of parts.

    Example:
        >>> dict(groups(("embed", "0.head.0", "0.head.1", "0.mlp", "bias")))
        {'0.attention': (1, 2), '0.mlp': (3,)}
    """
    found: dict[str, tuple[int, ...]] = {}
    for i, name in enumerate(names):
        layer, _, rest = name.partition(".")
        if rest:
            key = f"{layer}.attention" if rest.startswith("head") else name
            found[key] = (*found.get(key, ()), i)
    return found
