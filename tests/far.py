"""A device that this machine has not, for tests that nothing mixes devices.

Tensors of the class `Far` hold their values on the CPU and say that they lie on ``meta``. Like
Apple's MPS they refuse float64, like every device they refuse to meet a tensor of the CPU (but for
single numbers, as torch allows).
"""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

FAR = torch.device("meta")


class Far(torch.Tensor):
    """A tensor that says it lies on `FAR`."""

    @staticmethod
    def __new__(cls, near):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            near.size(),
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            device=FAR,
            requires_grad=near.requires_grad,
        )

    def __init__(self, near):
        self.near = near.detach()

    def data_ptr(self):
        return self.near.data_ptr()

    def __repr__(self):
        return f"Far({self.near})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


def compute(func, args, kwargs):
    """The operation on what lies near; its result is far if an argument or the wish is."""
    wish = kwargs.get("device")
    moved = func is torch.ops.aten._to_copy.default
    if moved and wish is None:
        wish = args[0].device
    tensors = [t for t in tree_iter((args, kwargs)) if isinstance(t, torch.Tensor)]
    far = [t for t in tensors if isinstance(t, Far)]
    copies = moved or func is torch.ops.aten.copy_.default
    if far and not copies:
        near = [t for t in tensors if not isinstance(t, Far) and t.dim()]
        indices = func in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default)
        assert not near or (indices and isinstance(args[0], Far)), (
            f"{func} mixes devices: {[tuple(t.shape) for t in near]}"
        )
    if wish is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    bare = tree_map(lambda t: t.near if isinstance(t, Far) else t, (args, kwargs))
    out = func(*bare[0], **bare[1])
    ends_far = torch.device(wish).type == FAR.type if wish is not None else bool(far)
    if copies and not moved:
        ends_far = isinstance(args[0], Far)
    if not ends_far:
        return out

    def wrap(t):
        if not isinstance(t, torch.Tensor):
            return t
        assert t.dtype != torch.float64, f"{func} makes float64 on a device that has none"
        same = [f for f in far if f.near is t]  # in place
        return same[0] if same else Far(t)

    return tree_map(wrap, out)


class Machine(TorchDispatchMode):
    """Tensors made on, or moved to, `FAR` are `Far`."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


def move(model):
    """A model's parameters and buffers to `FAR`; call it inside a `Machine`."""
    moved = {}
    for module in model.modules():
        for name, p in list(module._parameters.items()):
            if p is not None:
                moved.setdefault(id(p), torch.nn.Parameter(Far(p), p.requires_grad))
                module._parameters[name] = moved[id(p)]
        for name, b in list(module._buffers.items()):
            if b is not None:
                module._buffers[name] = Far(b)
    return model
