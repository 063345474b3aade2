from __future__ import annotations

import pytest
import torch

from retail_seg.segmentation.network.unet import MAPS, UNet, UNetConfig


@pytest.mark.parametrize("config", [UNetConfig((8, 8, 16)), UNetConfig((8, 16), block=1), UNetConfig((8, 8), block=4)])
def test_maps_have_the_size_of_the_picture(config: UNetConfig) -> None:
    side = config.stride * 2
    net = UNet(config).eval()
    with torch.inference_mode():
        maps = net(torch.rand(2, 4, side, side + config.stride))
    assert maps.shape == (2, len(MAPS), side, side + config.stride)
    assert torch.isfinite(maps).all()


def test_stride_counts_the_entry_block_and_every_halving() -> None:
    assert UNetConfig((8, 8, 8), block=2).stride == 8
    assert UNetConfig((8,), block=4).stride == 4


def test_every_weight_learns() -> None:
    net = UNet(UNetConfig((8, 8, 8)))
    net(torch.rand(2, 4, 32, 32)).square().mean().backward()
    still = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_a_pixel_is_moved_by_its_own_place_only() -> None:
    """Space-to-depth and back must not shift the maps: a change in one corner stays near that corner."""
    torch.manual_seed(0)
    net = UNet(UNetConfig((8,), block=2)).eval()
    black = torch.zeros(1, 4, 32, 32)
    spot = black.clone()
    spot[0, :, 4, 6] = 1
    with torch.inference_mode():
        rows, columns = torch.nonzero((net(spot) - net(black)).abs().sum((0, 1)) > 1e-6, as_tuple=True)
    assert rows.min() < 4 < rows.max() and columns.min() < 6 < columns.max()
    assert rows.max() < 14 and columns.max() < 16
