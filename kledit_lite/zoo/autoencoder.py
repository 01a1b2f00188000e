"""paint-tiny's autoencoder: patches to principal components and back, and a few convolutions."""

from __future__ import annotations

import torch
from diffusers import ModelMixin
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTinyOutput
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import nn


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """An autoencoder with the interface that a `StableDiffusionPipeline` asks of its VAE.

    Equation: a patch p of s x s x 3 pixels in [-1, 1] becomes ``z = D P^T (p - m)`` and comes back
    as ``p = P D^-1 z + m``, where m is the mean colour, the columns of P are the leading principal
    components of patches about it (orthonormal) and D is a diagonal scale.
    Both maps are one convolution of stride s. A decoder that refines adds to p what three
    convolutions make of it: the edges across patches, and the fine detail of which the leading
    components know nothing.

    Args:
        latent_channels: Principal components kept, at most 3 s^2.
        patch: Side s of a patch in pixels.
        scaling_factor: As in diffusers; latents are already scaled, so 1.
        block_out_channels: Unused, but pipelines read the factor s = 2^(len - 1) from its length.
        force_upcast: As in diffusers: decode in float32 if the weights are in half precision.
        refine: Channels of the convolutions that refine; 0 for none, a linear decoder.

    Example:
        >>> vae = PatchAutoencoder(latent_channels=192, patch=8)
        >>> vae.encode(torch.zeros(1, 3, 64, 64)).latents.shape
        torch.Size([1, 192, 8, 8])
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 48,
        patch: int = 8,
        scaling_factor: float = 1.0,
        block_out_channels: tuple[int, ...] = (1, 1, 1, 1),
        force_upcast: bool = False,
        refine: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, latent_channels, patch, stride=patch)
        self.decoder = nn.ConvTranspose2d(latent_channels, 3, patch, stride=patch)
        self.finish: nn.Module | None = None
        if refine:
            last = nn.Conv2d(refine, 3, 3, padding=1)
            for parameter in last.parameters():
                nn.init.zeros_(parameter)  # untrained, it adds nothing
            first, second = (nn.Conv2d(n, refine, 5, padding=2) for n in (3, refine))
            self.finish = nn.Sequential(first, nn.SiLU(), second, nn.SiLU(), last)

    def encode(self, x: torch.Tensor, return_dict: bool = True) -> AutoencoderTinyOutput:
        """Pictures (N, 3, H, W) in [-1, 1] to ``.latents`` (N, C, H/s, W/s)."""
        z = self.encoder(x)
        return AutoencoderTinyOutput(latents=z) if return_dict else (z,)

    def decode(
        self, z: torch.Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput:
        """Latents (N, C, h, w) to ``.sample`` (N, 3, s h, s w).

        Args:
            z: (N, C, h, w) latents.
            return_dict: False returns a tuple of the pictures alone.
            generator: Unused; pipelines pass it.
        """
        x = self.decoder(z)
        if self.finish is not None:
            x = x + self.finish(x)
        return DecoderOutput(sample=x) if return_dict else (x,)
