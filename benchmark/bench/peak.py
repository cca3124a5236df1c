"""What a step costs in operations, and how many of them the device can do."""

from __future__ import annotations

import statistics

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, sdpa_backward_flop_count, sdpa_flop_count

from .clock import seconds
from .loops import Bare

Shape = tuple[int, ...]

SMALLEST, LARGEST = 1024, 8192
"""Sides of the matrices that are tried; each is twice the one before."""
LONG_ENOUGH = 0.1
"""Seconds: a product that takes longer is the last size tried, and shorter ones are repeated to last as long."""


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


def step_flop(bare: Bare) -> int:
    """Floating-point operations of one step's forward and backward: of its matrix products and convolutions.

    A multiplication and an addition are two, as in the peak's product.
    """
    with FlopCounterMode(display=False, custom_mapping=_OWN_COUNTS) as counter:
        bare.gradients()
    bare.method.zero_grad(set_to_none=True)
    return int(counter.get_total_flops())


class Peak:
    """The product of two square matrices in a run's precision, of the size at which this device does the most in a second."""

    def __init__(self, device: torch.device, precision: str):
        self.device = device
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        speeds: dict[int, float] = {}
        side = SMALLEST
        while True:
            self._take(side)
            speeds[side] = statistics.median(self.gflops() for _ in range(3))
            if side == LARGEST or 2e-9 * side**3 / speeds[side] > LONG_ENOUGH:
                break
            side *= 2
        self._take(max(speeds, key=lambda side: speeds[side]))

    def _take(self, side: int) -> None:
        self.side = side
        self._a, self._b = torch.randn(2, side, side, device=self.device).to(self._dtype)
        self._count = 1
        once = min(seconds(self._multiply, self.device) for _ in range(2))  # the first one also warms up
        self._count = max(1, round(LONG_ENOUGH / once))

    def _multiply(self) -> None:
        for _ in range(self._count):
            self._a @ self._b

    def gflops(self) -> float:
        """10^9 operations a second, now."""
        return 2e-9 * self.side**3 * self._count / seconds(self._multiply, self.device)
