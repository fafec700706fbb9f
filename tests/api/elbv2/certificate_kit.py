"""Certificates and keys for tests, made on the spot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


@cache
def _key(number: int, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Making one takes longer than a test: each is made once."""
    del number
    return rsa.generate_private_key(65537, bits)


_turn = [0]


def _next_key() -> rsa.RSAPrivateKey:
    """Another key than the last time, out of three."""
    _turn[0] = (_turn[0] + 1) % 3
    return _key(_turn[0])


def key_pem(*, bits: int = 2048, password: bytes | None = None) -> bytes:
    """A private key as PEM."""
    return _pem(_key(0, bits), password)


def self_signed(now: float, name: str) -> tuple[bytes, bytes]:
    """A certificate that is valid for 30 days from the day before ``now``, and its key."""
    key = _next_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return _sign(now, subject, subject, key, key, (name,)), _pem(key)


class Authority:
    """Signs certificates of others."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._key = _next_key()
        self._name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test authority")])
        self.pem = _sign(now, self._name, self._name, self._key, self._key, ())

    def issue(self, *names: str) -> tuple[bytes, bytes]:
        """A certificate for the names, and its key."""
        key = _next_key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        return _sign(self._now, subject, self._name, key, self._key, names), _pem(key)


def _sign(
    now: float,
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    by: rsa.RSAPrivateKey,
    names: tuple[str, ...],
) -> bytes:
    start = datetime.fromtimestamp(now, UTC) - timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return builder.sign(by, SHA256()).public_bytes(Encoding.PEM)


def _pem(key: rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
