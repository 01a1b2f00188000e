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
    for module in model.modules():
        if what := _unhookable(module):
            name = next(n for n, m in model.named_modules() if m is module)
            raise KleditError(f"Module {name or type(model).__name__!r} {what}")
    if getattr(model, "is_cache_enabled", False):
        raise KleditError(
            "The model caches activations between steps, which skips hooks; call "
            "unet.disable_cache() first."
        )


def _unhookable(module: Any) -> str:
    """What is wrong with one module and how to undo it, or "".

    Asked of every module before each hook, so it reads attributes where torch keeps them: a miss
    of ``getattr`` on a module costs a microsecond each.
    """
    own = module.__dict__
    if own.get("_compiled_call_impl") is not None:
        return (
            "is compiled, and compiled modules skip hooks; load the model again and do not "
            "compile it."
        )
    processor = type(own.get("processor") or own["_modules"].get("processor")).__name__
    # unfusing an Attention restores its processor and leaves the flag set
    flagged = own.get("fused_projections", False) and hasattr(module, "unfuse_projections")
    if processor.startswith("Fused") or flagged:
        return (
            "has fused query-key-value projections, which bypass to_k and to_v; call "
            "unet.unfuse_qkv_projections() first."
        )
    if processor.startswith("Sliced"):
        return (
            "uses attention slicing, which hides intermediate values; call "
            "pipeline.disable_attention_slicing() first."
        )
    return ""
