"""The head of RUL and DUL: rows that cost no copy, and a dropout of four random numbers a draw."""

from __future__ import annotations

import itertools

import pytest
import torch
from stubs import task

from benchmark.methods._heads import FastDropout, Rows, embedding_head


def test_rows_of_a_channels_last_map_are_the_map_itself():
    maps = torch.randn(2, 5, 3, 4).to(memory_format=torch.channels_last)
    rows = Rows()(maps)
    assert rows.shape == (2, 60)
    assert rows.data_ptr() == maps.data_ptr()
    assert rows[1, (2 * 4 + 3) * 5 + 1] == maps[1, 1, 2, 3]


@pytest.mark.parametrize("p", [0.1, 0.4, 0.75])
def test_each_of_the_four_cells_of_a_draw_is_dropped_as_often_as_was_asked(p: float):
    torch.manual_seed(0)
    dropped = FastDropout(p)(torch.ones(400_000)) == 0
    for cells in dropped.view(-1, 4).T:
        assert abs(cells.double().mean() - p) < 0.008  # more than five standard deviations of 100,000 cells
    for a, b in itertools.combinations(range(4), 2):
        both = (dropped[a::4] & dropped[b::4]).double().mean()
        assert abs(both - p * p) < 0.008  # by itself
    again = (dropped[4:] & dropped[:-4]).double().mean()
    assert abs(again - p * p) < 0.008  # so from one draw to the next


def test_what_is_kept_makes_up_for_what_is_dropped():
    torch.manual_seed(0)
    values = torch.rand(100_003, requires_grad=True)
    out = FastDropout(0.4)(values)
    assert abs(out.mean() - values.mean()) < 0.01
    kept = out != 0
    torch.testing.assert_close(out[kept], values[kept] / 0.6, rtol=1e-4, atol=0)
    out.sum().backward()
    torch.testing.assert_close(values.grad, kept / 0.6, rtol=1e-4, atol=0)


def test_it_is_drawn_anew_each_time_and_the_same_from_the_same_seed():
    dropout, values = FastDropout(0.5), torch.ones(3, 5, 7, dtype=torch.bfloat16)
    torch.manual_seed(1)
    first, second = dropout(values), dropout(values)
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(first, dropout(values))
    assert first.dtype == torch.bfloat16


@pytest.mark.parametrize("p", [0.0, 0.999_999_9, 1.0])
def test_the_ends_of_its_range_give_numbers(p: float):
    out = FastDropout(p)(torch.ones(65_537))
    assert out.isfinite().all()
    assert (p > 0) or torch.equal(out, torch.ones(65_537))


def test_what_is_evaluated_stays_whole():
    values = torch.ones(9)
    assert torch.equal(FastDropout(0.5).eval()(values), values)


def test_a_channels_last_map_has_a_channels_last_gradient():
    """Or its norm's gradients, and those of the layer that made it, would be computed across memory."""
    head = embedding_head(task((8, 3, 3), 4).make_backbone(), 5, 0.4)
    maps = torch.randn(4, 8, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
    head(maps).square().sum().backward()
    assert maps.grad.is_contiguous(memory_format=torch.channels_last)
    assert not maps.grad.is_contiguous()
