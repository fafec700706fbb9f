"""Image names as users write them, taken apart into what the engine's calls want."""

from __future__ import annotations

import msgspec

from openecs.agent.runtime.protocol import EngineError


class ImageReference(msgspec.Struct, frozen=True, kw_only=True):
    """``repository[:tag][@digest]``; without either the tag is ``latest``."""

    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}@{self.digest}" if self.digest else f"{self.repository}{tag}"


def parse_reference(text: str) -> ImageReference:
    """Take an image name apart.  Raises ``EngineError`` as the engine does for nonsense."""
    name, _, digest = text.partition("@")
    # A colon before the last slash belongs to a registry's port.
    slash = name.rfind("/")
    colon = name.rfind(":")
    repository, tag = (name[:colon], name[colon + 1 :]) if colon > slash else (name, "")
    if not repository or (text.endswith(("@", ":"))) or any(character.isspace() for character in text):
        raise EngineError("invalid reference format", 400)
    if not tag and not digest:
        tag = "latest"
    return ImageReference(repository=repository, tag=tag or None, digest=digest or None)
