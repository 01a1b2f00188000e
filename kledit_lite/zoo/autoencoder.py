"""paint-tiny's autoencoder: patches to principal components and back, in closed form."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import ModelMixin
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTinyOutput
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import nn


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """A linear autoencoder with the interface that a `StableDiffusionPipeline` asks of its VAE.

    Equation: a patch p of s x s x 3 pixels in [-1, 1] becomes ``z = D P^T (p - m)`` and comes back
    as ``p = P D^-1 z + m``, where m is the mean colour, the columns of P are the leading principal
    components of patches about it (orthonormal) and D is a diagonal scale.
    Both maps are one convolution of stride s.

    Args:
        latent_channels: Principal components kept, at most 3 s^2.
        patch: Side s of a patch in pixels.
        scaling_factor: As in diffusers; latents are already scaled, so 1.
        block_out_channels: Unused, but pipelines read the factor s = 2^(len - 1) from its length.

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
    ) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, latent_channels, patch, stride=patch)
        self.decoder = nn.ConvTranspose2d(latent_channels, 3, patch, stride=patch)

    def encode(self, x: torch.Tensor, return_dict: bool = True) -> AutoencoderTinyOutput:
        """Pictures (N, 3, H, W) in [-1, 1] to ``.latents`` (N, C, H/s, W/s)."""
        z = self.encoder(x)
        return AutoencoderTinyOutput(latents=z) if return_dict else (z,)

    def decode(
        self, z: torch.Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput:
        """Latents (N, C, h, w) to ``.sample`` (N, 3, s h, s w)."""
        x = self.decoder(z)
        return DecoderOutput(sample=x) if return_dict else (x,)


@torch.no_grad()
def fit_patch_autoencoder(
    images: np.ndarray, latent_channels: int = 48, patch: int = 8, power: float = 0.3
) -> tuple[PatchAutoencoder, float]:
    """Fit a `PatchAutoencoder` to pictures by an eigendecomposition of their patches.

    Channel c is multiplied by ``sd_c^-power`` and the whole is brought to unit variance: a little
    whitening lets the diffusion model see the faint channels, a lot drowns it in noise.

    Args:
        images: (N, H, W, 3) uint8, sides divisible by `patch`.
        latent_channels: Components to keep.
        patch: Side of a patch.
        power: How much to whiten, 0 to 1.

    Returns:
        The autoencoder, and the share of the variance about the mean colour it keeps.
        Cost O(N H W k + k^3) with k = 3 patch^2.
    """
    n, h, w, _ = images.shape
    x = images.reshape(n, h // patch, patch, w // patch, patch, 3)
    p = x.transpose(0, 1, 3, 5, 2, 4).reshape(-1, 3 * patch**2).astype(np.float64) / 127.5 - 1
    colour = p.reshape(len(p), 3, -1).mean((0, 2))  # (3,)
    p -= np.repeat(colour, patch**2)
    values, vectors = np.linalg.eigh(p.T @ p / len(p))
    order = values.argsort()[::-1][:latent_channels]
    kept = float(values[order].sum() / values.sum())
    sd = np.sqrt(values[order])
    scale = sd**-power
    scale /= np.sqrt(np.mean((sd * scale) ** 2))  # unit variance over all channels
    down = torch.from_numpy(vectors[:, order].T * scale[:, None]).float()  # (C, 3 s^2)
    up = torch.from_numpy(vectors[:, order].T / scale[:, None]).float()
    vae = PatchAutoencoder(latent_channels, patch)
    shape = (latent_channels, 3, patch, patch)
    vae.encoder.weight.copy_(down.reshape(shape))
    vae.decoder.weight.copy_(up.reshape(shape))
    vae.decoder.bias.copy_(torch.from_numpy(colour).float())
    vae.encoder.bias.copy_(-down @ torch.from_numpy(np.repeat(colour, patch**2)).float())
    return vae.eval(), kept
