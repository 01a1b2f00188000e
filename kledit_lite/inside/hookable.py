"""Models in which a hook would silently do nothing, refused before that can mislead."""

from __future__ import annotations

from typing import Any

from kledit_lite.core.errors import KleditError


def check_hookable(model: Any) -> None:
    """Refuse a model whose hooks would silently do nothing or miss what passes.

    Raises:
        KleditError: compiled, cached, with fused projections or sliced attention; the sentence
            says how to undo it.
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise KleditError(
            f"Expected a torch module, got {type(model).__name__}; pass pipeline.unet, a text "
            "encoder or a language model."
        )
    if type(model).__name__ == "OptimizedModule":
        raise KleditError(
            "The model is compiled, and a compiled module skips hooks; pass the original "
            "(model._orig_mod)."
        )
    for name, module in model.named_modules():
        if getattr(module, "_compiled_call_impl", None) is not None:
            raise KleditError(
                f"Module {name or type(model).__name__!r} is compiled, and compiled modules skip "
                "hooks; load the model again and do not compile it."
            )
        processor = type(getattr(module, "processor", None)).__name__
        # unfusing an Attention restores its processor and leaves the flag set
        flagged = getattr(module, "fused_projections", False)
        if processor.startswith("Fused") or (flagged and hasattr(module, "unfuse_projections")):
            raise KleditError(
                f"Module {name!r} has fused query-key-value projections, which bypass to_k and "
                "to_v; call unet.unfuse_qkv_projections() first."
            )
        if processor.startswith("Sliced"):
            raise KleditError(
                f"Module {name!r} uses attention slicing, which hides intermediate values; call "
                "pipeline.disable_attention_slicing() first."
            )
    if getattr(model, "is_cache_enabled", False):
        raise KleditError(
            "The model caches activations between steps, which skips hooks; call "
            "unet.disable_cache() first."
        )
