"""Weights on disk: half-precision safetensors beside a card, loaded only if the checksum agrees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically

if TYPE_CHECKING:
    import numpy as np
    import torch

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the shipped weights and cards."""

NOT_RECORDED = "not recorded"
"""What a card says of a fact that was not written down when its model was trained."""

FACTS = tuple(
    "command library torch device threads seconds pool_sha256 start_sha256 sha256".split()
)
"""What a card tells of the making of its model, see `Card.provenance`."""


@dataclass(frozen=True)
class Card:
    """How a shipped model was made and what it can do.

    Attributes:
        name: As in ``kledit zoo list``.
        architecture: Family and size in words.
        supervision: ``language``, ``supervised``, ``self-supervised`` or ``none``.
        trained_on: The data and labels.
        recipe: The training settings.
        training: Steps, seconds, final loss, device, and the same of every further stage.
        result: Measured figures.
        parameters: Number of parameters.
        sha256: Checksum of the weights file; empty where there is none.
        licence: Licence of the weights.
        command: What made the model, its number of threads included.
        library: Version of this package that trained it.
        torch: Version of torch.
        threads: Threads of torch on the CPU; all their numbers, if a resumed run had another.
        pool_sha256: Checksum of what it was trained on, see `digest`.
        start_sha256: Checksum of the weights before the first step, see `state_digest`.
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
    command: str = NOT_RECORDED
    library: str = NOT_RECORDED
    torch: str = NOT_RECORDED
    threads: int | list[int] | str = NOT_RECORDED
    pool_sha256: str = NOT_RECORDED
    start_sha256: str = NOT_RECORDED

    @property
    def path(self) -> Path:
        """The weights file."""
        return WEIGHTS / self.name / "model.safetensors"

    @property
    def seconds(self) -> float | str:
        """Of training, all stages together."""
        return _seconds(self.training) if self.training else NOT_RECORDED

    def provenance(self) -> dict[str, Any]:
        """Where the weights come from: enough to make them again, or to say what is not known.

        Example:
            >>> Card("m", "a", "none", "nothing", {}).provenance()["command"]
            'not recorded'
        """
        told = {fact: getattr(self, fact, NOT_RECORDED) for fact in FACTS}
        device = self.training.get("device", NOT_RECORDED)
        return told | {"device": device, "sha256": self.sha256 or NOT_RECORDED}


def _seconds(stage: object) -> float:
    """The seconds of a stage of training and of those that its facts hold."""
    if isinstance(stage, Mapping):
        inner = sum(_seconds(value) for value in stage.values())
        return round(inner + float(stage.get("seconds", 0)), 1)
    return sum(map(_seconds, stage)) if isinstance(stage, list) else 0.0


def digest(*parts: np.ndarray | bytes, rows: int = 4096) -> str:
    """The sha256 of the parts' bytes, one after another; pictures on disk are read in blocks.

    Args:
        parts: Arrays (in the order of their rows) or bytes.
        rows: Rows of an array to read at a time.

    Example:
        >>> digest(b"ab", b"c") == hashlib.sha256(b"abc").hexdigest()
        True
    """
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            found.update(part)
        else:
            for i in range(0, len(part), rows):
                found.update(part[i : i + rows].tobytes())
    return found.hexdigest()


def state_digest(state: Mapping[str, torch.Tensor]) -> str:
    """The sha256 of every tensor's name and bytes, in the order of the names.

    The names' order and the tensors' precision are part of it, the device is not.
    """
    import torch

    found = hashlib.sha256()
    for name in sorted(state):
        found.update(name.encode())
        found.update(state[name].detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


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
    """Write weights in half precision and the card, with its checksum; returns that card.

    Args:
        model: The trained model.
        card: Its card, without checksum and size.
        root: Folder of the models; this one gets a folder in it.
    """
    sha256 = save_state(model.state_dict(), root / card.name / "model.safetensors")
    parameters = sum(p.numel() for p in model.parameters())
    card = replace(card, sha256=sha256, parameters=parameters)
    save_card(card, root)
    return card


def save_state(
    state: Mapping[str, torch.Tensor], file: Path, metadata: dict[str, str] | None = None
) -> str:
    """Write tensors, those of single precision in half precision; returns the file's sha256.

    Args:
        state: Names and tensors.
        file: The file to write.
        metadata: What the file says of itself.
    """
    import torch
    from safetensors.torch import save

    single = torch.float32
    half = {k: (v.half() if v.dtype == single else v).contiguous() for k, v in state.items()}
    data = save(half, metadata)
    write_atomically(file, data)
    return hashlib.sha256(data).hexdigest()


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

    data = read_weights(root / name / "model.safetensors", read_card(name, root).sha256)
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in load(data).items()}


def read_weights(path: Path, sha256: str) -> bytes:
    """The bytes of a file of weights, if they are those the card expects.

    Args:
        path: ``.../NAME/FILE``.
        sha256: The checksum it must have.

    Raises:
        KleditError: the file is missing or damaged; the message names path and checksums.
    """
    name = path.parent.name
    if not path.exists():
        raise KleditError(
            f"Weights of {name!r} are missing: expected {path} with sha256 {sha256}; "
            f"reinstall the package or run 'kledit zoo train {name}'."
        )
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise KleditError(
            f"Weights of {name!r} are damaged: {path} has sha256 {found}, the card says "
            f"{sha256}; restore the file from the repository."
        )
    return data
