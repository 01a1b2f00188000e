"""From a model of the zoo or the papers to the tower that is taken apart, and to its answers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from kledit_lite.core.arrays import unit_rows
from kledit_lite.inside.vision import vision_parts
from kledit_lite.world import PLACES
from kledit_lite.zoo.pixels import to_tensor

if TYPE_CHECKING:
    import torch

    from kledit_lite.world import SceneSet

Prepare = Callable[[np.ndarray], "torch.Tensor"]
Read = Callable[[np.ndarray], dict[str, np.ndarray]]


def vision_tower(model: Any) -> tuple[Any, Prepare]:
    """The module that `vision_parts` takes apart, and pictures to its input.

    Args:
        model: a CLIP or an encoder, shipped or external; an external one loses its classifier, in
            a copy.

    Example:
        >>> from kledit_lite import zoo
        >>> tower, prepare = vision_tower(zoo.load_clip())
        >>> tower(prepare(np.zeros((1, 64, 64, 3), np.uint8))).shape
        torch.Size([1, 128])
    """
    if hasattr(model, "encode_text"):
        tower = model.model.visual
    elif hasattr(model, "trunk"):
        tower = model.trunk
    else:
        tower = copy.deepcopy(model.model)
        tower.reset_classifier(0)
    if not hasattr(model, "preprocess"):
        return tower, to_tensor
    return tower, lambda images: model.preprocess(images, model.device)


def take_apart(
    model: Any, images: UInt8[np.ndarray, "N H W 3"], batch: int = 125
) -> tuple[Float[np.ndarray, "K N D"], tuple[str, ...], float]:
    """Parts (K, N, D), their names, and the largest relative error of their sum.

    Args:
        model: as `vision_tower` takes it.
        images: pictures.
        batch: pictures per forward pass.

    Raises:
        KleditError: a model whose sum is not known.

    Example:
        >>> from kledit_lite import world, zoo
        >>> parts, names, error = take_apart(zoo.load_clip(), world.balanced(3, seed=0).images)
        >>> parts.shape, names[0], error < 1e-5
        ((12, 3, 128), 'stem', True)
    """
    import torch

    tower, prepare = vision_tower(model)
    starts = range(0, len(images), batch)
    blocks = [vision_parts(tower, prepare(images[i : i + batch])) for i in starts]
    values = torch.cat([b.values for b in blocks], dim=1).float().cpu().numpy()
    return values, blocks[0].names, max(b.error for b in blocks)


def block_of(names: tuple[str, ...]) -> Int[np.ndarray, " K"]:
    """The block of each part, from its name; -1 for the stem and the biases.

    Example:
        >>> block_of(("stem", "0.head.1", "11.mlp", "bias")).tolist()
        [-1, 0, 11, -1]
    """
    first = [n.split(".")[0] for n in names]
    return np.array([int(b) if b.isdigit() else -1 for b in first])


def read_object_and_place(model: Any, whole: Float[np.ndarray, "N D"], scenes: SceneSet) -> Read:
    """What reads object and place off a representation: the model's own head, or nearest means.

    A model whose labels were pairs of an object and a place reads by its own head. For any other
    the nearest mean of each value decides, by cosine.

    Args:
        model: an encoder.
        whole: (N, D) representations of the scenes below.
        scenes: N scenes.

    Returns:
        (M, D) -> factor -> (M,) indices of objects and of places.

    Example:
        >>> from kledit_lite import world, zoo
        >>> scenes = world.balanced(40, seed=0)
        >>> encoder = zoo.load_encoder("simclr-tiny")
        >>> x = encoder.encode(scenes.images)
        >>> sorted(read_object_and_place(encoder, x, scenes)(x))
        ['object', 'place']
    """
    head, places = getattr(model, "head", None), len(PLACES)
    if hasattr(model, "labels") and head is not None and " " in head.label_names[0]:

        def own(z: np.ndarray) -> dict[str, np.ndarray]:
            said = head(z.astype(np.float32)).argmax(axis=1)
            return {"object": said // places, "place": said % places}

        return own
    means = {}
    for factor in ("object", "place"):
        label = scenes.factor(factor)
        seen = np.unique(label)
        rows = np.stack([unit_rows(whole)[label == k].mean(axis=0) for k in seen])
        means[factor] = seen, unit_rows(rows)

    def nearest(z: np.ndarray) -> dict[str, np.ndarray]:
        return {f: seen[(z @ rows.T).argmax(axis=1)] for f, (seen, rows) in means.items()}

    return nearest
