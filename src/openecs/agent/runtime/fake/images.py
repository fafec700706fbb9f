"""The fake engine's images: every name can be pulled, except those that say ``missing``."""

from __future__ import annotations

import hashlib

from openecs.agent.runtime.protocol import EngineError, ImageInfo
from openecs.agent.runtime.reference import parse_reference


class ImageStore:
    """Local images by their full names and ids."""

    def __init__(self) -> None:
        self._images: dict[str, ImageInfo] = {}

    def find(self, reference: str) -> ImageInfo | None:
        """The local image of that name or id."""
        return self._images.get(reference) or self._images.get(str(parse_reference(reference)))

    def add(self, reference: str) -> ImageInfo:
        """Make an image local without a pull; its id and digest follow from its name."""
        name = parse_reference(reference)
        digest = name.digest or f"sha256:{_hash(f'manifest {name}')}"
        image = ImageInfo(
            id=f"sha256:{_hash(f'config {name.repository} {digest}')}",
            repo_digests=(f"{name.repository}@{digest}",),
            env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",),
        )
        self._images[str(name)] = self._images[image.id] = image
        self._images[f"{name.repository}@{digest}"] = image
        return image

    def pull(self, reference: str) -> None:
        """Raises ``EngineError`` in a registry's words for names that say ``missing``."""
        name = parse_reference(reference)
        if "missing" in name.repository:
            raise EngineError(
                f"pull access denied for {name.repository}, repository does not exist or may require "
                "'docker login': denied: requested access to the resource is denied",
                404,
            )
        if "missing" in (name.tag or ""):
            raise EngineError(f"manifest for {name} not found: manifest unknown: manifest unknown", 404)
        self.add(reference)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
