r"""ESD-x: the fine-tuning baseline that closed-form edits are compared with.

Objective (Gandikota et al. 2023, cross-attention only): train the UNet so that

.. math:: \epsilon_\theta(z_t, c) \to
   \epsilon^*(z_t, c_0) - \eta\,(\epsilon^*(z_t, c) - \epsilon^*(z_t, \varnothing))

where the star marks the frozen original, c is the concept, c_0 what it must become, and the last
term the unconditional prediction. A prediction of v is ``v = (e - s_t z_t) / a_t`` for a noise e,
one of the clean latents ``(z_t - s_t e) / a_t``: affine maps that are the same for every text. The
coefficients :math:`1 - \eta + \eta` add up to one, so the combination of v is the v of the
combination, and nothing needs converting.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float

from kledit_lite.core.errors import KleditError
from kledit_lite.edit.handle import Change, Edit
from kledit_lite.edit.sites import fingerprint, parameter, short
from kledit_lite.edit.training import copies, training
from kledit_lite.inside import Text, encode_prompts, latents_for
from kledit_lite.inside.sampler import added_conditions, encode_nothing
from kledit_lite.inside.sites import check_unet


@dataclass(frozen=True)
class EsdRecipe:
    """How ESD-x trains; the defaults are the published ones.

    Attributes:
        eta: Strength of the negative guidance.
        lr: Learning rate of Adam.
        steps: Training steps.
        sampling_steps: Steps of the sampler that makes the noisy latents.
        guidance: Guidance of that sampler, as in `Sampling`.
        batch: Latents per step.
        seed: Seed of the latents and the time steps.
    """

    eta: float = 2.0
    lr: float = 5e-5
    steps: int = 200
    sampling_steps: int = 50
    guidance: float = 3.0
    batch: int = 1
    seed: int = 0


def esd_x(
    pipe: Any,
    concept: str,
    target: str = "",
    recipe: EsdRecipe = EsdRecipe(),  # noqa: B008  (frozen)
    progress: Callable[[int, float], None] | None = None,
) -> Edit:
    """Fine-tune the cross-attention away from a concept.

    Each step draws a time t, samples latents down to it with the current UNet, and takes
    one step of Adam on the mean squared error to the target of the module's objective.

    Args:
        pipe: Pipeline with predictions of noise, v or the sample; only its UNet's ``attn2``
            parameters train, and they are back as they were when this returns or fails. In float16
            the small steps would be lost, so such a UNet is trained in float32.
        concept: The prompt c, e.g. ``"van gogh"``.
        target: The prompt c_0; empty for the unconditional text.
        recipe: Strength, rate, steps.
        progress: Called after each step with its number, from 1, and the loss.

    Returns:
        An `Edit` of every ``attn2`` parameter, to apply like any other.

    Raises:
        KleditError: a loss that is not finite, a prompt too long, a UNet that hides hooks.

    Cost: steps x (2 x sampling_steps / 2 + 4) forward rows per latent, and one backward pass.

    Example:
        >>> from kledit_lite import zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> recipe = EsdRecipe(steps=1, sampling_steps=2, batch=1)
        >>> edit = esd_x(pipe, "van gogh", "a painting", recipe)
    """
    unet = pipe.unet
    check_unet(unet)
    if recipe.steps < 1 or recipe.batch < 1 or recipe.sampling_steps < 1:
        raise KleditError(f"The steps and the batch must be at least 1, got {recipe}.")
    shapes = fingerprint(pipe)
    with _in_float32(unet):
        original, trained = _trained(pipe, concept, target, recipe, progress)
    changes, rows = {}, []
    for n, old in original.items():
        delta = (trained[n].cpu().double() - old.cpu().double()).float()
        name, norm = f"unet.{n}", float(delta.norm())
        changes[name] = Change(delta)
        relative = norm / (float(old.float().norm()) or 1.0)
        said = {"name": name, "matrix": short(name), "norm": norm, "relative_norm": relative}
        rows.append(said)
    settings = {"concept": concept, "target": target, **asdict(recipe)}
    return Edit("esd-x", changes, shapes, settings, rows)


def _trained(
    pipe: Any,
    concept: str,
    target: str,
    recipe: EsdRecipe,
    progress: Callable[[int, float], None] | None,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The parameters that train, before and after; the UNet is left as it was."""
    unet = pipe.unet
    nothing, said = encode_nothing(pipe), encode_prompts(pipe, [concept])
    wanted = encode_prompts(pipe, [target]) if target else nothing
    texts = [_as(unet.dtype, text)[[0] * recipe.batch] for text in (said, wanted, nothing)]
    own = {n: p for n, p in unet.named_parameters() if ".attn2." in n}
    for name in own:
        if name.endswith((".to_k.weight", ".to_v.weight")):
            parameter(pipe, f"unet.{name}")
    rng = torch.Generator().manual_seed(recipe.seed)
    with training(unet, own) as original:
        optimiser = torch.optim.Adam(own.values(), lr=recipe.lr)
        for step in range(1, recipe.steps + 1):
            loss = _loss(pipe, texts, original, recipe, rng)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            if not bool(torch.isfinite(loss)):
                raise KleditError(
                    f"The loss of ESD-x is not finite at step {step}; use a smaller lr than "
                    f"{recipe.lr}."
                )
            if progress is not None:
                progress(step, float(loss.detach()))
        return original, copies(own)


def _loss(
    pipe: Any,
    texts: Sequence[Text],
    original: dict[str, torch.Tensor],
    recipe: EsdRecipe,
    rng: torch.Generator,
) -> torch.Tensor:
    """Of one step; the texts are the concept, what it must become, and the unconditional one."""
    said, wanted, nothing = texts
    until = int(torch.randint(recipe.sampling_steps, (), generator=rng))
    seeds = torch.randint(2**62, (recipe.batch,), generator=rng).tolist()
    z, t = _partly_sampled(pipe, said, nothing, latents_for(pipe, seeds), recipe, until)
    with torch.no_grad():  # the frozen original: the same modules with the weights they had
        more = _conditions(pipe, Text.cat([wanted, said, nothing]), z)
        given = (torch.cat([z, z, z]), t)
        out = torch.func.functional_call(pipe.unet, original, given, more).sample
        e_target, e_concept, e_nothing = out.chunk(3)
        goal = negative_target(e_target, e_concept, e_nothing, recipe.eta)
    guess = pipe.unet(z, t, **_conditions(pipe, said, z)).sample
    return torch.nn.functional.mse_loss(guess.float(), goal.float())


def _conditions(pipe: Any, text: Text, z: torch.Tensor) -> dict[str, Any]:
    """What the UNet takes besides latents and time."""
    return {"encoder_hidden_states": text.hidden, **added_conditions(pipe, text, z.shape[-1])}


def negative_target(
    e_target: Float[torch.Tensor, "*shape"],
    e_concept: Float[torch.Tensor, "*shape"],
    e_nothing: Float[torch.Tensor, "*shape"],
    eta: float,
) -> Float[torch.Tensor, "*shape"]:
    """The target ``e_target - eta (e_concept - e_nothing)``, in whatever the UNet predicts.

    Args:
        e_target: Prediction for the text that the concept must become.
        e_concept: Prediction for the concept, of the same shape.
        e_nothing: Unconditional prediction, of the same shape.
        eta: Strength of the negative guidance.

    Example:
        >>> one = torch.ones(1)
        >>> negative_target(one, 3 * one, one, 2.0).item()
        -3.0
    """
    return e_target - eta * (e_concept - e_nothing)


@torch.no_grad()
def _partly_sampled(
    pipe: Any, said: Text, nothing: Text, z: torch.Tensor, recipe: EsdRecipe, until: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents after `until` steps of the sampler, as the UNet sees them, and the next time."""
    more = _conditions(pipe, Text.cat([nothing, said]), z)
    scheduler = copy.deepcopy(pipe.scheduler)
    scheduler.set_timesteps(recipe.sampling_steps, device=z.device)
    z = z * scheduler.init_noise_sigma
    times = scheduler.timesteps
    until = min(until, len(times) - 1)
    for t in times[:until]:
        x = scheduler.scale_model_input(torch.cat([z, z]), t)
        e_u, e_c = pipe.unet(x, t, **more).sample.chunk(2)
        z = scheduler.step(e_u + recipe.guidance * (e_c - e_u), t, z).prev_sample
    return scheduler.scale_model_input(z, times[until]), times[until]


@contextmanager
def _in_float32(unet: Any) -> Iterator[None]:
    """A UNet in float16 is one in float32 inside, and afterwards what it was, to the bit.

    No other is touched: diffusers warns of each cast, also of one that changes nothing.
    """
    half = unet.dtype == torch.float16
    if half:
        unet.float()
    try:
        yield
    finally:
        if half:
            unet.half()


def _as(kind: torch.dtype, text: Text) -> Text:
    pooled = None if text.pooled is None else text.pooled.to(kind)
    return Text(text.hidden.to(kind), pooled)
