"""What a step costs in operations and in bytes, and how many of each the device can do: the two ceilings of its speed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, sdpa_backward_flop_count, sdpa_flop_count

from .clock import seconds
from .loops import Bare

Shape = tuple[int, ...]

SIDES = (1024, 1536, 2048, 3072, 4096, 6144, 8192)
"""Of the matrices that are tried: powers of two alone would lie badly in caches."""
LONG_ENOUGH = 0.1
"""Seconds: a product that takes longer is the last size tried, and shorter ones are repeated to last as long."""
COPIED = 2**28
"""Bytes that are copied to measure how many a second come and go: more than caches hold."""


def _forward(q: Shape, k: Shape, v: Shape, *_: object, **__: object) -> int:
    return sdpa_flop_count(q, k, v)  # type: ignore[no-untyped-call,no-any-return]


def _backward(g: Shape, q: Shape, k: Shape, v: Shape, *_: object, **__: object) -> int:
    return sdpa_backward_flop_count(g, q, k, v)  # type: ignore[no-untyped-call,no-any-return]


def _convolution_backward(g: Shape, x: Shape, w: Shape, *rest: object, **__: object) -> int:
    """As much as forward for each gradient that is wanted; torch's counter takes grouped ones for dense."""
    transposed, wanted = bool(rest[4]), rest[7]
    assert isinstance(wanted, list | tuple)
    return sum(wanted[:2]) * int(conv_flop_count(list(x), list(w), list(g), transposed=transposed))


_ON_CPU = "_scaled_dot_product_flash_attention_for_cpu"
_OWN_COUNTS = {
    torch.ops.aten.convolution_backward: _convolution_backward,
    getattr(torch.ops.aten, _ON_CPU): _forward,
    getattr(torch.ops.aten, f"{_ON_CPU}_backward"): _backward,
}
"""What torch's counter does not know (attention as it is computed on the CPU) or gets wrong: operations by shapes."""


@dataclass(frozen=True)
class Cost:
    """What a step's forward and backward take, operation by operation."""

    kernels: Sequence[tuple[int, int]]
    """Floating-point operations of matrix products and convolutions, in which a multiplication and an addition are two, as in
    the peak's product; and the bytes of all tensors that are read and written, each once."""

    @property
    def flop(self) -> int:
        """Operations of all together."""
        return sum(flop for flop, _ in self.kernels)

    @property
    def moved(self) -> int:
        """Bytes of all together."""
        return sum(moved for _, moved in self.kernels)

    def seconds(self, gflops: float, gigabytes: float) -> float:
        """The least that it can take, one operation after the other, with 10^9 operations and bytes a second.

        Caches, from which small tensors come faster, and fused operations can do better.
        """
        return 1e-9 * sum(max(flop / gflops, moved / gigabytes) for flop, moved in self.kernels)


class _Kernels(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes what each operation costs; `operations` counts within it."""

    def __init__(self, operations: FlopCounterMode):
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations, self.noted = operations, list[tuple[int, int]]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        before = self.operations.get_total_flops()
        found = func(*args, **(kwargs or {}))
        flop = self.operations.get_total_flops() - before
        self.noted.append((flop, _moved(func, args, kwargs or {}, found)))
        return found


_WRITE_ONLY = {"zero_", "fill_", "copy_", "random_", "normal_", "uniform_", "exponential_", "bernoulli_"}
"""Operations in place that do not ask what was there."""
_READ_NOTHING = {"zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "new_zeros", "new_ones", "new_full"}
"""Operations that a tensor gives its shape alone."""
_GATHER = {"index", "index_select", "gather", "embedding"}
"""Operations that read as much of their first tensor as they give."""


def _moved(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], found: Any) -> int:
    """Bytes that an operation reads and writes; none where it gives a view, or memory that nothing is written to."""
    name = func._schema.name.partition("::")[2]
    read: list[Tensor] = []
    written: list[Tensor] = []
    for k, argument in enumerate(func._schema.arguments):
        given = _tensors(args[k] if k < len(args) else kwargs.get(argument.name))
        if argument.alias_info is not None and argument.alias_info.is_write:
            written += given
            given = [] if argument.kwarg_only or name in _WRITE_ONLY else given
        read += given
    stored = {t.untyped_storage().data_ptr() for t in (*read, *written)}
    made = [t for t in _tensors(found) if t.untyped_storage().data_ptr() not in stored]
    if not (made or written) or "empty" in name:
        return 0
    if name in _READ_NOTHING:
        read = []
    elif name in _GATHER:
        read = [*made, *read[1:]]
    return sum(_bytes(t) for t in (*{id(t): t for t in read}.values(), *written, *made))


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _bytes(tensor: Tensor) -> int:
    """An expanded tensor's are those that it has, not those that it shows."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def step_cost(bare: Bare) -> Cost:
    """What one step's forward and backward cost."""
    with FlopCounterMode(display=False, custom_mapping=_OWN_COUNTS) as operations, _Kernels(operations) as kernels:
        bare.gradients()
    bare.method.zero_grad(set_to_none=True)
    return Cost(kernels.noted)


class Peak:
    """What the device can do: the product of two square matrices in a run's precision, and a copy.

    The product is of the size with the most operations a second. Where convolutions in full precision are computed in TF32, as
    torch lets CUDA do unasked, so is the product.
    """

    def __init__(self, device: torch.device, precision: str):
        self.device = device
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self._from, self._to = torch.zeros(2, COPIED, dtype=torch.uint8, device=device)
        self._copies = self._as_many_as_last(self._to.copy_, self._from)
        speeds: dict[int, float] = {}
        for side in SIDES:
            self._take(side)
            speeds[side] = statistics.median(self.gflops() for _ in range(3))
            if 2e-9 * side**3 / speeds[side] > LONG_ENOUGH:
                break
        self._take(max(speeds, key=lambda side: speeds[side]))

    def _take(self, side: int) -> None:
        self.side = side
        self._a, self._b, self._c = torch.randn(3, side, side, device=self.device).to(self._dtype)
        self._products = self._as_many_as_last(self._multiply, 1)

    def _as_many_as_last(self, work: Callable[[Any], object], given: Any) -> int:
        """How often it has to be done to last `LONG_ENOUGH`."""
        once = min(seconds(lambda: work(given), self.device) for _ in range(2))  # the first one also warms up
        return max(1, round(LONG_ENOUGH / once))

    def _multiply(self, times: int) -> None:
        before = torch.get_float32_matmul_precision()
        if self.device.type == "cuda" and torch.backends.cudnn.allow_tf32:
            torch.set_float32_matmul_precision("high")
        for _ in range(times):
            torch.mm(self._a, self._b, out=self._c)
        torch.set_float32_matmul_precision(before)

    def gflops(self) -> float:
        """10^9 operations a second, now."""
        return 2e-9 * self.side**3 * self._products / seconds(lambda: self._multiply(self._products), self.device)

    def gigabytes(self) -> float:
        """10^9 bytes a second, now; a copy reads and writes each once."""

        def copies() -> None:
            for _ in range(self._copies):
                self._to.copy_(self._from)

        return 2e-9 * COPIED * self._copies / seconds(copies, self.device)
