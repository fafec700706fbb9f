"""Certificates that vouch for themselves, made on the spot."""

from __future__ import annotations

import datetime as dt
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def self_signed(
    *names: str,
    address: str | None = None,
    authority: bool = False,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
) -> tuple[bytes, bytes]:
    """A certificate for host names, valid for decades, and its key, both as PEM.

    It is for an IP ``address`` too if one is given, and it may be among those that a client trusts
    when it is an ``authority``.  The key is one of an elliptic curve unless another is given.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    others: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    if address is not None:
        others.append(x509.IPAddress(ipaddress.ip_address(address)))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(BEGIN + dt.timedelta(days=20_000))
        .add_extension(x509.SubjectAlternativeName(others), critical=False)
    )
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
