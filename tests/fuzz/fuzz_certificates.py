"""Certificates for fuzzing ACM, and one sound request for each of its operations."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fuzz_plane import Plane

TAG = {"Key": "k", "Value": "v"}


def pem(host: str, now: float) -> dict[str, str]:
    """Certificate and key as the members of an import, in the base64 of JSON requests."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    begin = datetime.fromtimestamp(now, UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, begin, begin + timedelta(days=90))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"Certificate": base64.b64encode(certificate).decode(), "PrivateKey": base64.b64encode(private).decode()}


class Certificates:
    """Certificates that requests can name."""

    def __init__(self, plane: Plane) -> None:
        self.files = pem("www.example.com", plane.clock.now())
        self.arns = [
            plane.must("acm", "ImportCertificate", **self.files, Tags=[TAG])["CertificateArn"] for _ in range(2)
        ]

    @property
    def references(self) -> dict[str, list[Any]]:
        """Values that fit where members of these names stand."""
        return {"CertificateArn": [*self.arns, f"{self.arns[0]}0"], "Key": ["k"]}

    def sound(self) -> dict[str, dict[str, Any]]:
        """Operation → a request that is answered with 200."""
        one = {"CertificateArn": self.arns[0]}
        return {
            "AddTagsToCertificate": {**one, "Tags": [{"Key": "a", "Value": "b"}]},
            "DeleteCertificate": one,
            "DescribeCertificate": one,
            "GetCertificate": one,
            "ImportCertificate": {**one, **self.files},
            "ListCertificates": {"MaxItems": 1, "Includes": {"keyTypes": ["EC_prime256v1"]}},
            "ListTagsForCertificate": one,
            "RemoveTagsFromCertificate": {**one, "Tags": [TAG]},
        }
