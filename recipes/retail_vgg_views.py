"""Random looks at training pictures, a whole batch at a time, on the processor or a graphics card."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import torch
import torch.nn.functional as F
from retail_vgg_pictures import Picture, shrink

from index.convolutional import IMAGENET_MEAN

#: Views are drawn at the teachers' size; the student's smaller picture is made from the same view.
VIEW = 224
#: Longer side at which pictures are kept.
KEPT = 256
#: Shares of the views that lose resolution, are blurred, pass through JPEG, are covered in part.
SMALL, BLURRED, JPEG, COVERED = 0.3, 0.12, 0.2, 0.3
#: Rows of JPEG's standard table of luminance (ITU-T T.81, K.1).
_QUANTA = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""


class Canvases:
    """Pictures side by side in one tensor, from which views are drawn.

    `draw(at, tight)` looks at the pictures `at`, each through its own affine map (cut, turn, shear, flip), light,
    gamma and colour cast, and sometimes with less resolution, blur, JPEG blocks, or something before it. Outlined
    pictures lose their ground in a third of the views.
    """

    def __init__(self, pictures: Sequence[Picture], device: torch.device, seed: int) -> None:
        self.device = device
        self.random = torch.Generator(device).manual_seed(seed)
        self.pixels = torch.zeros(len(pictures), 3, KEPT, KEPT, dtype=torch.uint8, device=device)
        outlined = [at for at, picture in enumerate(pictures) if picture.mask is not None]
        self.masks = torch.zeros(len(outlined) + 1, 1, KEPT, KEPT, dtype=torch.uint8, device=device)
        self.mask_of = torch.zeros(len(pictures), dtype=torch.long, device=device)
        self.mask_of[torch.tensor(outlined, dtype=torch.long)] = torch.arange(1, len(outlined) + 1, device=device)
        sizes, boxes = [], []
        for at, picture in enumerate(pictures):
            small = shrink(picture.pixels, KEPT)
            k = small.shape[1] / picture.pixels.shape[1]
            sizes.append(small.shape[1::-1])
            boxes.append([side * k for side in picture.box])
            self.pixels[at, :, : small.shape[0], : small.shape[1]] = torch.from_numpy(small.transpose(2, 0, 1).copy())
            if picture.mask is not None:
                mask = cv2.resize(picture.mask, small.shape[1::-1], interpolation=cv2.INTER_NEAREST)
                self.masks[self.mask_of[at], 0, : mask.shape[0], : mask.shape[1]] = torch.from_numpy(mask)
        self.sizes = torch.tensor(sizes, dtype=torch.float32, device=device)
        self.boxes = torch.tensor(boxes, dtype=torch.float32, device=device)

    def draw(self, at: torch.Tensor, tight: torch.Tensor, flip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Views (n, 3, VIEW, VIEW) float32 from 0 to 255 and votes (n, 1, VIEW, VIEW) of the pictures `at` (n,).

        `tight` (n,) bool keeps most of the product in view, `flip` (n,) bool mirrors.
        """
        at, tight, flip = (each.to(self.device) for each in (at, tight, flip))
        grid = self._grid(at, tight, flip)
        views = F.grid_sample(self.pixels[at].float(), grid, mode="bilinear", align_corners=True)
        views = self._spoil(self._relight(views))
        return self._without_ground(views, at, grid)

    def _uniform(self, n: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        return torch.rand(n, generator=self.random, device=self.device) * (high - low) + low

    def _normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.random, device=self.device)

    def _some(self, n: int, share: float) -> torch.Tensor:
        return (self._uniform(n) < share).nonzero()[:, 0]

    def _grid(self, at: torch.Tensor, tight: torch.Tensor, flip: torch.Tensor) -> torch.Tensor:
        """Where (n, VIEW, VIEW, 2) in its canvas each place of a view looks, for grid_sample."""
        n, (x, y, w, h) = len(at), self.boxes[at].T
        side = (torch.where(tight, 0.65, 0.3) + self._uniform(n) * torch.where(tight, 0.38, 0.73)).sqrt()
        stretch = (self._uniform(n, -0.2, 0.2)).exp()
        cut = torch.stack([w * (side * stretch).clamp(max=1.1), h * (side / stretch).clamp(max=1.1)], 1)
        slack = torch.stack([w, h], 1) - cut
        shift = torch.stack([self._uniform(n, -0.02, 1.02), self._uniform(n, -0.02, 1.02)], 1)
        centre = torch.stack([x, y], 1) + slack * shift + cut / 2
        turn = self._normal(n) * 8 * (self._uniform(n) < 0.6)
        quarter = torch.randint(1, 4, (n,), generator=self.random, device=self.device) * 90.0
        turn = torch.deg2rad(turn + quarter * (self._uniform(n) < 0.05))
        cos, sin = turn.cos(), turn.sin()
        shear = self._normal(n, 2) * 0.06
        sign = torch.where(flip, -1.0, 1.0)
        linear = torch.stack([sign * cos, shear[:, 0] - sin, sign * sin + shear[:, 1], cos], 1).view(n, 2, 2)
        linear = linear * (cut / VIEW)[:, None]
        steps = torch.arange(VIEW, device=self.device) + 0.5 - VIEW / 2
        places = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).view(1, -1, 2)
        seen = places @ linear.transpose(1, 2) + centre[:, None] - 0.5
        last = (self.sizes[at] - 1).clamp(min=1)[:, None]
        seen = (seen.abs() % (2 * last) - last).abs()
        seen = last - seen  # reflected at the picture's edges
        return (2 * seen / (KEPT - 1) - 1).view(n, VIEW, VIEW, 2)

    def _relight(self, views: torch.Tensor) -> torch.Tensor:
        n = len(views)
        gain, gamma = (self._normal(n, 1, 1, 1) * 0.2).exp(), (self._normal(n, 1, 1, 1) * 0.2).exp()
        cast = (self._normal(n, 3, 1, 1) * 0.05).exp()
        views = 255 * gain * cast * (views / 255).clamp(0, 1) ** gamma + self._normal(n, 1, 1, 1) * 6
        few = self._some(n, 0.3)
        strength = (self._normal(len(few), 1, 1, 1) * 0.25).exp().clamp(max=1.6)
        grey = views[few].mean(1, keepdim=True)
        views[few] = grey + (views[few] - grey) * strength
        return views.clamp(0, 255)

    def _spoil(self, views: torch.Tensor) -> torch.Tensor:
        n = len(views)
        for part in self._some(n, SMALL).chunk(4):
            if len(part):
                side = int(2 ** float(self._uniform(1, math.log2(28), math.log2(150))))
                small = F.interpolate(views[part], size=(side, side), mode="area")
                views[part] = F.interpolate(small, size=(VIEW, VIEW), mode="bilinear", align_corners=False)
        for part in self._some(n, BLURRED).chunk(2):
            if len(part):
                views[part] = _blurred(views[part], float(self._uniform(1, 0.6, 3.0)))
        blocks = self._some(n, JPEG)
        if len(blocks):
            views[blocks] = _jpeg(views[blocks], self._uniform(len(blocks), 15, 60))
        return self._covered(views)

    def _covered(self, views: torch.Tensor) -> torch.Tensor:
        """Some views get a patch before them: of one colour, of noise, or of the neighbour in the batch."""
        n = len(views)
        others = views.roll(1 + int(self._uniform(1) * (n - 1)), 0)
        noise = self._uniform(n * 3 * VIEW * VIEW, 0, 255).view(n, 3, VIEW, VIEW) if n < 200 else others.flip(2, 3)
        plain = self._uniform(n * 3, 0, 255).view(n, 3, 1, 1).expand_as(views)
        size = self._uniform(n * 2, VIEW / 8, VIEW / 2.5).view(n, 2, 1, 1)
        start = self._uniform(n * 2).view(n, 2, 1, 1) * (VIEW - size)
        beside = (self._uniform(n) < 0.4).view(n, 1, 1)  # a neighbour's edge: the whole height, at one side
        steps = torch.arange(VIEW, device=self.device, dtype=torch.float32)
        down = (steps.view(1, -1, 1) >= start[:, 0]) & (steps.view(1, -1, 1) < start[:, 0] + size[:, 0])
        along = (steps.view(1, 1, -1) >= start[:, 1]) & (steps.view(1, 1, -1) < start[:, 1] + size[:, 1])
        left = steps.view(1, 1, -1) < size[:, 1] / 2
        edge = torch.where((self._uniform(n) < 0.5).view(n, 1, 1), left, left.flip(2))
        hidden = torch.where(beside, edge.expand(n, VIEW, VIEW), down & along)
        hidden &= (self._uniform(n) < COVERED).view(n, 1, 1)
        kind = self._uniform(n).view(n, 1, 1, 1)
        patch = torch.where(kind < 0.35, plain, torch.where(kind < 0.5, noise, others))
        return torch.where(hidden[:, None], patch, views)

    def _without_ground(
        self, views: torch.Tensor, at: torch.Tensor, grid: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        votes = torch.ones(len(at), 1, VIEW, VIEW, device=self.device)
        chosen = ((self.mask_of[at] > 0) & (self._uniform(len(at)) < 0.35)).nonzero()[:, 0]
        if len(chosen):
            masks = self.masks[self.mask_of[at[chosen]]].float()
            seen = (F.grid_sample(masks, grid[chosen], mode="nearest", align_corners=True) > 0).float()
            enough = seen.mean((1, 2, 3)) > 0.1
            chosen, seen = chosen[enough], seen[enough]
            ground = torch.tensor(IMAGENET_MEAN, device=self.device, dtype=torch.float32).view(1, 3, 1, 1) * 255
            views[chosen] = views[chosen] * seen + ground * (1 - seen)
            votes[chosen] = seen
        return views, votes


def _blurred(views: torch.Tensor, sigma: float) -> torch.Tensor:
    """A Gaussian blur as two products with a banded matrix, whose rows sum to one at the edges, too."""
    steps = torch.arange(VIEW, device=views.device, dtype=views.dtype)
    band = torch.exp(-((steps[:, None] - steps) ** 2) / (2 * sigma**2))
    band = band / band.sum(1, keepdim=True)
    return band @ views @ band.T


def _jpeg(views: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """What JPEG's quantised cosine transform leaves of views (n, 3, s, s) at a quality (n,) under 100."""
    n, _, side, _ = views.shape
    steps = torch.arange(8, device=views.device, dtype=torch.float32)
    waves = torch.cos((2 * steps[None] + 1) * steps[:, None] * math.pi / 16) / 2
    waves[0] /= math.sqrt(2)
    quanta = torch.tensor([float(q) for q in _QUANTA.split()], device=views.device).view(1, 1, 1, 1, 8, 8)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).view(n, 1, 1, 1, 1, 1) / 100
    table = (quanta * scale).clamp(1, 255)
    blocks = (views - 128).view(n, 3, side // 8, 8, side // 8, 8).permute(0, 1, 2, 4, 3, 5)
    kept = torch.round((waves @ blocks @ waves.T) / table) * table
    blocks = waves.T @ kept @ waves
    return (blocks.permute(0, 1, 2, 4, 3, 5).reshape(n, 3, side, side) + 128).clamp(0, 255)
