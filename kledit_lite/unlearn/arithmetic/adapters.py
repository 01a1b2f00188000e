r"""Arithmetic on low-rank adapters, exact: concatenate the factors, never mix them.

An adapter adds :math:`s\,B A` to a weight. A weighted sum of updates is again of that form,

.. math:: \sum_i c_i s_i B_i A_i = [c_1 s_1 B_1, c_2 s_2 B_2, \dots]
          \begin{bmatrix} A_1 \\ A_2 \\ \vdots \end{bmatrix},

with the ranks added up. Adding the factors instead (:math:`\sum c_i B_i`, :math:`\sum c_i A_i`)
multiplies factors of different adapters with each other and gives another update altogether.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import check_folder, whole_folder
from kledit_lite.unlearn.arithmetic.state import check_strengths

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True)
class Adapter:
    """Low-rank updates of some modules.

    Where the configuration says ``fan_in_fan_out``, the modules are GPT-2's ``Conv1D``, which
    stores its weight as (d_in, d_out); the factors are the same.

    Attributes:
        factors: module -> (A (r, d_in), B (d_out, r)) in float32, scaling not yet applied.
        scaling: module -> the number that multiplies B A.
        config: as PEFT writes it.
        prefix: of the module names in the file.
    """

    factors: dict[str, tuple[Float[torch.Tensor, "r d_in"], Float[torch.Tensor, "d_out r"]]]
    scaling: dict[str, float]
    config: dict[str, Any]
    prefix: str = "base_model.model."

    def deltas(self) -> dict[str, Float[torch.Tensor, "_ _"]]:
        """Module's weight name -> s B A, float32, shaped as the module stores its weight.

        That is (d_out, d_in), and (d_in, d_out) with ``fan_in_fan_out``.
        """
        dense = {f"{m}.weight": (b * self.scaling[m]) @ a for m, (a, b) in self.factors.items()}
        turned = bool(self.config.get("fan_in_fan_out"))
        return {name: delta.T if turned else delta for name, delta in dense.items()}


def is_adapter(path: str | Path) -> bool:
    """Whether the folder holds a PEFT adapter instead of a whole model."""
    return (Path(path) / CONFIG).is_file()


def load_adapter(folder: str | Path) -> Adapter:
    """Read a LoRA folder as PEFT writes it.

    Raises:
        KleditError: not a LoRA adapter, or one with parts that are not low-rank updates of
            weight matrices (DoRA, embeddings or biases trained as a whole, convolutions).

    Example:
        >>> load_adapter("no-such-folder")
        Traceback (most recent call last):
        ...
        kledit_lite.core.errors.KleditError: no-such-folder holds no adapter: ...
    """
    from safetensors.torch import load_file

    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise KleditError(f"{folder} holds no adapter: {name} is missing.")
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if config.get("peft_type") != "LORA" or config.get("use_dora"):
        raise KleditError(f"{folder} is not a plain LoRA adapter; only those can be added up.")
    state = load_file(folder / WEIGHTS)
    factors, scaling = {}, {}
    first, second = ".lora_A.weight", ".lora_B.weight"
    other = sorted(k for k in state if not k.endswith((first, second)))
    if other:
        raise KleditError(
            f"{folder} holds {other[0]!r}, which is no low-rank factor of a weight matrix; "
            "merge the adapter into its model and use the merged checkpoints."
        )
    for module in [k.removesuffix(first) for k in state if k.endswith(first)]:
        a, b = state[module + first].float(), state[module + second].float()
        if a.ndim != 2:
            raise KleditError(f"{folder}: {module} is a convolution; only linear layers add up.")
        module = module.removeprefix("base_model.model.")
        factors[module] = (a, b)
        strength = _pattern(config.get("alpha_pattern"), module, config["lora_alpha"])
        rank = a.shape[0]
        scaling[module] = strength / (math.sqrt(rank) if config.get("use_rslora") else rank)
    if not factors or not all(torch.isfinite(t).all() for pair in factors.values() for t in pair):
        raise KleditError(f"{folder} is empty, or holds NaN or infinite values.")
    return Adapter(factors, scaling, config)


def _pattern(pattern: dict[str, float] | None, module: str, otherwise: float) -> float:
    """The value of the first pattern that fits a module's name."""
    found = (v for key, v in (pattern or {}).items() if re.match(rf"(.*\.)?({key})$", module))
    return next(found, otherwise)


def _check_same_base(first: Path, one: Adapter, second: Path, other: Adapter) -> None:
    """Adapters of different models are vectors of different spaces; what is not said may differ."""
    for key, what in (
        ("base_model_name_or_path", "base models"),
        ("revision", "revisions of the base model"),
        ("task_type", "tasks"),
        ("fan_in_fan_out", "layouts of the weights"),
    ):
        a, b = one.config.get(key), other.config.get(key)
        if a != b and a is not None and b is not None:
            raise KleditError(
                f"The adapters {first} and {second} were made for different {what}: {key} is {a!r} "
                f"and {b!r}. If both are the same, make {CONFIG} say so."
            )


def concatenate(adapters: Sequence[Adapter], coefficients: Sequence[float]) -> Adapter:
    """The adapter whose update is the weighted sum of the adapters' updates, exactly.

    Args:
        adapters: of one base model; they may have other ranks and cover other modules.
        coefficients: one for each.

    Returns:
        An adapter with scaling 1, and for each module the sum of the ranks.

    Raises:
        KleditError: none given, counts differ, or a module's sizes do.

    Cost: O(values of the factors).

    Example:
        >>> import torch
        >>> one = Adapter({"m": (torch.ones(1, 2), torch.ones(3, 1))}, {"m": 2.0}, {})
        >>> concatenate([one, one], [1.0, -0.5]).deltas()["m.weight"][0].tolist()
        [1.0, 1.0]
    """
    if not adapters or len(adapters) != len(coefficients):
        raise KleditError(
            f"Got {len(adapters)} adapters and {len(coefficients)} coefficients; expected one each."
        )
    factors = {}
    for module in dict.fromkeys(m for a in adapters for m in a.factors):
        parts = [
            (a.factors[module][0], a.factors[module][1] * (c * a.scaling[module]))
            for a, c in zip(adapters, coefficients, strict=True)
            if module in a.factors
        ]
        shapes = {(a.shape[1], b.shape[0]) for a, b in parts}
        if len(shapes) > 1:
            raise KleditError(f"The adapters disagree about the size of {module}: {shapes}.")
        factors[module] = (torch.cat([a for a, _ in parts]), torch.cat([b for _, b in parts], 1))
    ranks = {m: a.shape[0] for m, (a, _) in factors.items()}
    rank = max(ranks.values())
    config = dict(adapters[0].config) | {
        "r": rank,
        "lora_alpha": rank,
        "use_rslora": False,
        "rank_pattern": {m: r for m, r in ranks.items() if r != rank},
        "alpha_pattern": {m: r for m, r in ranks.items() if r != rank},
        "target_modules": sorted(factors),
    }
    return Adapter(factors, dict.fromkeys(factors, 1.0), config)


def save_adapter(adapter: Adapter, out: str | Path) -> None:
    """Write a folder that PEFT loads; it appears under its name only when complete.

    Raises:
        KleditError: `out` is not new or an empty folder, or another run wrote it meanwhile.
    """
    from safetensors.torch import save_file

    out = Path(out)
    check_folder(out)
    state = {}
    for module, (a, b) in adapter.factors.items():
        state[f"{adapter.prefix}{module}.lora_A.weight"] = a.contiguous()
        scaled = b * adapter.scaling[module]
        state[f"{adapter.prefix}{module}.lora_B.weight"] = scaled.contiguous()
    text = json.dumps(adapter.config, indent=2, sort_keys=True)
    with whole_folder(out) as work:
        save_file(state, work / WEIGHTS, metadata={"format": "pt"})
        (work / CONFIG).write_text(text + "\n", encoding="utf-8")


def msa_adapters(
    target: str | Path,
    forget: str | Path,
    out: str | Path,
    retain: str | Path | None = None,
    alpha: float = 1.0,
    beta: float | None = None,
) -> Adapter:
    r"""Model state arithmetic between adapters: D - alpha forget + beta retain.

    An adapter is already the vector :math:`\theta_1 - \theta_0`, so no base is needed.

    Args:
        target, forget, retain: LoRA folders.
        out: folder to write, new or empty.
        alpha: strength of the forget vector.
        beta: strength of the retain vector, 1 if None; needs `retain`.

    Raises:
        KleditError: as `load_adapter` and `concatenate`; strengths that are not finite; `beta`
            without `retain`; adapters of different base models; a forget or retain adapter
            that changes nothing.

    Example::

        msa_adapters("corrupted", "forget", "restored", alpha=1.0)
    """
    beta = check_strengths(alpha, beta, retain)
    paths = [Path(p) for p in (target, forget, retain) if p is not None]
    adapters = [load_adapter(p) for p in paths]
    for path, adapter in zip(paths[1:], adapters[1:], strict=True):
        _check_same_base(paths[0], adapters[0], path, adapter)
        if not any(a.any() and b.any() for a, b in adapter.factors.values()):
            raise KleditError(f"{path} changes nothing: its updates are all zero; train it first.")
    parts = concatenate(adapters, [1.0, -alpha, beta][: len(adapters)])
    save_adapter(parts, out)
    return parts
