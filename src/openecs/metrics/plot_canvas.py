"""The surface that graphs are drawn on.  The only module that knows Pillow.

Lines and areas are drawn several times as large and made smaller, which smooths their edges;
texts, and lines along the axes, are drawn at their real size and stay crisp.  Coordinates are pixels of
the finished image, from its upper left corner.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
Color = tuple[int, int, int]
#: Pixels of the enlarged surface at most; larger images are smoothed less.
_MAX_ENLARGED = 8_000_000
#: Characters of a text at most; more fit on no image.
_MAX_TEXT = 400


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the image."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of everything but the data."""

    background: Color
    text: Color
    faint: Color
    grid: Color
    axis: Color


LIGHT = Theme((255, 255, 255), (22, 25, 31), (84, 91, 100), (234, 237, 237), (170, 183, 184))
DARK = Theme((22, 25, 31), (234, 237, 237), (149, 165, 166), (42, 46, 51), (104, 112, 120))


def rgb(color: str) -> Color:
    """``#1f77b4`` or ``#abc`` as numbers."""
    digits = color[1:] if len(color) == 7 else "".join(digit * 2 for digit in color[1:])
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


class Canvas:
    """An image in the making."""

    def __init__(self, width: int, height: int, theme: Theme) -> None:
        self.theme = theme
        self.box = Box(0, 0, width, height)
        self._image = Image.new("RGB", (width, height), theme.background)
        self._flat = ImageDraw.Draw(self._image, "RGBA")
        self._scale = next((n for n in (4, 3, 2) if n * n * width * height <= _MAX_ENLARGED), 1)
        self._large: Image.Image | None = None
        self._clip: Box = self.box

    # What is drawn at its real size.

    def text(
        self,
        at: Point,
        text: str,
        size: int,
        color: Color | None = None,
        *,
        across: Literal["l", "m", "r"] = "l",
        down: Literal["a", "m", "d"] = "m",
    ) -> None:
        """Write one line; ``across`` and ``down`` say which point of it is ``at`` (left, middle, right; top …)."""
        self._flat.text(at, _line(text), fill=color or self.theme.text, font=_font(size), anchor=across + down)

    def text_width(self, text: str, size: int) -> float:
        """How wide a line of text is."""
        return _font(size).getlength(_line(text))

    def fitting(self, text: str, size: int, width: float) -> str:
        """The text on one line, cut short with an ellipsis where it is wider than ``width``."""
        text = _line(text)
        if self.text_width(text, size) <= width:
            return text
        while text and self.text_width(text + "…", size) > width:
            text = text[:-1]
        return text + "…" if text else ""

    def rule(self, start: Point, end: Point, color: Color, *, dashed: bool = False) -> None:
        """A line of one pixel along an axis."""
        (x1, y1), (x2, y2) = (round(start[0]), round(start[1])), (round(end[0]), round(end[1]))
        if not dashed:
            self._flat.line(((x1, y1), (x2, y2)), fill=color, width=1)
        elif y1 == y2:
            for x in range(x1, x2, 6):
                self._flat.line(((x, y1), (min(x + 3, x2), y1)), fill=color, width=1)
        else:
            for y in range(y1, y2, 6):
                self._flat.line(((x1, y), (x1, min(y + 3, y2))), fill=color, width=1)

    def block(self, box: Box, color: Color, opacity: float = 1.0) -> None:
        """A filled rectangle."""
        corners = (round(box.left), round(box.top)), (round(box.right) - 1, round(box.bottom) - 1)
        if corners[1][0] >= corners[0][0] and corners[1][1] >= corners[0][1]:
            self._flat.rectangle(corners, fill=(*color, round(255 * opacity)))

    # What is smoothed; it appears with ``blend``.

    def clip(self, box: Box) -> None:
        """Show of what is smoothed only what is in this box."""
        self._clip = box

    def line(self, points: Sequence[Point], color: Color, width: float) -> None:
        """A line through all points; a dot where there is only one."""
        draw, n = self._enlarged(), self._scale
        if len(points) == 1:
            (x, y), radius = points[0], width * 1.2
            draw.ellipse(((x - radius) * n, (y - radius) * n, (x + radius) * n, (y + radius) * n), fill=(*color, 255))
        else:
            draw.line([(x * n, y * n) for x, y in points], fill=(*color, 255), width=round(width * n), joint="curve")

    def area(self, points: Sequence[Point], color: Color, opacity: float = 1.0) -> None:
        """A filled polygon."""
        n = self._scale
        self._enlarged().polygon([(x * n, y * n) for x, y in points], fill=(*color, round(255 * opacity)))

    def slice(self, box: Box, start: float, end: float, color: Color) -> None:
        """A piece of a pie; angles in degrees, clockwise from the right."""
        n = self._scale
        corners = (box.left * n, box.top * n, box.right * n, box.bottom * n)
        self._enlarged().pieslice(corners, start, end, fill=(*color, 255), outline=self.theme.background, width=n)

    def blend(self) -> None:
        """Put what is smoothed onto the image; what comes later is above it."""
        if self._large is None:
            return
        small = self._large.resize(self._image.size, Image.Resampling.BOX)
        corner = round(self._clip.left), round(self._clip.top)
        shown = small.crop((*corner, round(self._clip.right), round(self._clip.bottom)))
        self._image.paste(shown, corner, shown)
        self._large = None

    def png(self) -> bytes:
        """The finished image."""
        self.blend()
        written = io.BytesIO()
        self._image.save(written, "PNG", optimize=False, compress_level=6)
        return written.getvalue()

    def _enlarged(self) -> ImageDraw.ImageDraw:
        if self._large is None:
            width, height = self._image.size
            self._large = Image.new("RGBA", (width * self._scale, height * self._scale), (*self.theme.background, 0))
        return ImageDraw.Draw(self._large, "RGBA")


def _line(text: str) -> str:
    """What of a text can be shown on one line."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text[:_MAX_TEXT]).split())


@functools.lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101 -- Pillow's wheels have FreeType
    return font
