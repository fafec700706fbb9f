"""Secrets at rest: sealed with AES-256-GCM under the installation's master key.

Secret keys must be recoverable, because verifying a signature needs them, so they are sealed
rather than hashed.  The key ring knows nothing of principals or of storage.
"""

from __future__ import annotations

import base64
import secrets
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from openecs.errors import OperatorError

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_NONCE_BYTES = 12
#: Bound into every seal, so that a text sealed for another purpose does not open here.
_CONTEXT = b"openecs/access-key/v1"
#: The context of the private keys of certificates.
CERTIFICATE_KEYS = b"openecs/certificate-key/v1"


class KeyRing:
    """Seals and opens secrets, and makes key pairs of the form that AWS clients expect."""

    def __init__(self, master_key: bytes, *, context: bytes = _CONTEXT) -> None:
        """``master_key`` is 32 random bytes that never leave the installation; ``context`` says what is sealed."""
        self._cipher = AESGCM(master_key)
        self._context = context

    @staticmethod
    def new_master_key() -> bytes:
        """A fresh master key."""
        return AESGCM.generate_key(bit_length=256)

    def seal(self, secret: str) -> str:
        """An opaque text that only this key ring opens."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.encode(), self._context)
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str) -> str:
        """The secret again; raises ``OperatorError`` when the master key is another one."""
        raw = base64.b64decode(sealed)
        try:
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self._context).decode()
        except InvalidTag:
            raise OperatorError(
                "A stored secret does not open with this installation's master key. Restore the file "
                "'master.key' that belongs to this data directory."
            ) from None

    @staticmethod
    def new_pair(prefix: Literal["AKIA", "ASIA"]) -> tuple[str, str]:
        """A fresh access key id (20 characters) and secret key (40 characters)."""
        key_id = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(16))
        return key_id, base64.b64encode(secrets.token_bytes(30)).decode()

    @staticmethod
    def new_session_token() -> str:
        """A fresh session token for temporary keys."""
        return base64.b64encode(secrets.token_bytes(96)).decode()
