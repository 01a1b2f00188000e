"""Weights on disk: half-precision safetensors beside a card, loaded only if the checksum agrees."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically

if TYPE_CHECKING:
    import torch

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the shipped weights and cards."""


@dataclass(frozen=True)
class Card:
    """How a shipped model was made and what it can do.

    Attributes:
        name: As in ``kledit zoo list``.
        architecture: Family and size in words.
        supervision: ``language``, ``supervised``, ``self-supervised`` or ``none``.
        trained_on: The data and labels.
        recipe: The training settings.
        training: Steps, seconds, final loss, device.
        result: Measured figures.
        parameters: How many.
        sha256: Of the weights file; empty where there is none.
        licence: Of the weights.
    """

    name: str
    architecture: str
    supervision: str
    trained_on: str
    recipe: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)
    result: dict[str, float] = field(default_factory=dict)
    parameters: int = 0
    sha256: str = ""
    licence: str = "MIT"

    @property
    def path(self) -> Path:
        """The weights file."""
        return WEIGHTS / self.name / "model.safetensors"


def read_card(name: str, root: Path = WEIGHTS) -> Card:
    """The card of a model in `root`.

    Raises:
        KleditError: there is no such card.
    """
    path = root / name / "card.json"
    if not path.exists():
        raise KleditError(
            f"Model {name!r} has no card at {path}; reinstall the package or run "
            f"'kledit zoo train {name}'."
        )
    return Card(**json.loads(path.read_text(encoding="utf-8")))


def save_model(model: torch.nn.Module, card: Card, root: Path = WEIGHTS) -> Card:
    """Write weights in half precision and the card, with its checksum; returns that card."""
    from dataclasses import replace

    import torch
    from safetensors.torch import save

    state = {
        k: (v.half() if v.dtype == torch.float32 else v).contiguous()
        for k, v in model.state_dict().items()
    }
    data = save(state)
    card = replace(
        card,
        sha256=hashlib.sha256(data).hexdigest(),
        parameters=sum(p.numel() for p in model.parameters()),
    )
    write_atomically(root / card.name / "model.safetensors", data)
    save_card(card, root)
    return card


def save_card(card: Card, root: Path = WEIGHTS) -> None:
    """Write a card."""
    text = json.dumps(asdict(card), indent=2, sort_keys=True) + "\n"
    write_atomically(root / card.name / "card.json", text.encode())


def load_state(name: str, root: Path = WEIGHTS) -> dict[str, torch.Tensor]:
    """The model's tensors, in single precision.

    Raises:
        KleditError: the file is missing or its checksum differs from the card's; the message
            names the path and both checksums.
    """
    import torch
    from safetensors.torch import load

    card = read_card(name, root)
    path = root / name / "model.safetensors"
    if not path.exists():
        raise KleditError(
            f"Weights of {name!r} are missing: expected {path} with sha256 {card.sha256}; "
            f"reinstall the package or run 'kledit zoo train {name}'."
        )
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != card.sha256:
        raise KleditError(
            f"Weights of {name!r} are damaged: {path} has sha256 {found}, the card says "
            f"{card.sha256}; restore the file from the repository."
        )
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in load(data).items()}
