"""Certificates that users import: read, checked and described.  Nothing is stored here."""

from __future__ import annotations

from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtensionOID, NameOID

KeyAlgorithm = Literal["RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]
_CURVES: dict[str, KeyAlgorithm] = {
    "secp256r1": "EC_prime256v1",
    "secp384r1": "EC_secp384r1",
    "secp521r1": "EC_secp521r1",
}
_RSA: dict[int, KeyAlgorithm] = {2048: "RSA_2048", 3072: "RSA_3072", 4096: "RSA_4096"}
LONGEST_KEY = 5120
_USAGES = (
    ("digital_signature", "DIGITAL_SIGNATURE"),
    ("content_commitment", "NON_REPUDIATION"),
    ("key_encipherment", "KEY_ENCIPHERMENT"),
    ("data_encipherment", "DATA_ENCIPHERMENT"),
    ("key_agreement", "KEY_AGREEMENT"),
    ("key_cert_sign", "CERTIFICATE_SIGNING"),
    ("crl_sign", "CRL_SIGNING"),
)


class CertificateError(ValueError):
    """The certificate, its key or its chain cannot be used; the text is for whoever gave them."""


class Imported(NamedTuple):
    """A certificate that was found good, with its texts in one form."""

    certificate: str
    private_key: str
    chain: str
    domain_name: str
    alternative_names: tuple[str, ...]
    serial: str
    subject: str
    issuer: str
    not_before: float
    not_after: float
    key_algorithm: KeyAlgorithm
    signature_algorithm: str


class Usages(NamedTuple):
    """What a certificate may be used for, in ACM's words and as object ids."""

    key: tuple[str, ...]
    extended: tuple[tuple[str, str], ...]


def read_import(certificate: bytes, private_key: bytes, chain: bytes | None, *, now: float) -> Imported:
    """The certificate with its key and chain.  ``now``: epoch seconds.  Raises ``CertificateError``."""
    found = _certificates(certificate, "certificate")
    if len(found) > 1:
        raise CertificateError(
            "The certificate field contains more than one certificate. You can specify only one certificate in this "
            "field."
        )
    leaf = found[0]
    key = _private_key(private_key)
    if _public_bytes(key.public_key()) != _public_bytes(leaf.public_key()):
        raise CertificateError("The private key does not match the certificate.")
    before, after = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
    if now < before:
        raise CertificateError("The certificate is not valid yet.")
    if now >= after:
        raise CertificateError("The certificate has expired.")
    if not leaf.issuer.rdns:
        raise CertificateError("The issuer of the certificate is empty.")
    above = _certificates(chain, "certificate chain") if chain else []
    _check_chain(leaf, above)
    names = _names(leaf)
    algorithm = leaf.signature_hash_algorithm
    return Imported(
        certificate=_pem(leaf),
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        chain="".join(_pem(each) for each in above),
        domain_name=names[0] if names else "",
        alternative_names=names,
        serial=_serial(leaf.serial_number),
        subject=_name_text(leaf.subject),
        issuer=_issuer(leaf.issuer),
        not_before=before,
        not_after=after,
        key_algorithm=_algorithm(key),
        signature_algorithm=(
            f"{algorithm.name.upper()}{'WITHRSA' if isinstance(key, rsa.RSAPrivateKey) else 'WITHECDSA'}"
            if algorithm is not None
            else "UNKNOWN"
        ),
    )


def usages(certificate: str) -> Usages:
    """What a certificate says that it may be used for."""
    leaf = x509.load_pem_x509_certificate(certificate.encode())
    key: list[str] = []
    extended: list[tuple[str, str]] = []
    for extension in leaf.extensions:
        value = extension.value
        if isinstance(value, x509.KeyUsage):
            key = [name for attribute, name in _USAGES if getattr(value, attribute)]
        if isinstance(value, x509.ExtendedKeyUsage):
            extended = [(_EXTENDED.get(each.dotted_string, "CUSTOM"), each.dotted_string) for each in value]
    return Usages(tuple(key), tuple(extended))


_EXTENDED = {
    "1.3.6.1.5.5.7.3.1": "TLS_WEB_SERVER_AUTHENTICATION",
    "1.3.6.1.5.5.7.3.2": "TLS_WEB_CLIENT_AUTHENTICATION",
    "1.3.6.1.5.5.7.3.3": "CODE_SIGNING",
    "1.3.6.1.5.5.7.3.4": "EMAIL_PROTECTION",
    "1.3.6.1.5.5.7.3.8": "TIME_STAMPING",
    "1.3.6.1.5.5.7.3.9": "OCSP_SIGNING",
    "2.5.29.37.0": "ANY",
}


def _certificates(pem: bytes, what: str) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except (ValueError, UnsupportedAlgorithm):
        found = []
    if not found:
        raise CertificateError(f"The {what} is not a valid PEM-encoded {what}.")
    return found


def _private_key(pem: bytes) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if len(pem) > LONGEST_KEY:
        raise CertificateError(f"The private key must be no larger than {LONGEST_KEY} bytes.")
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise CertificateError("The private key must not be protected by a passphrase.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError("The private key is not a valid PEM-encoded private key.") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise CertificateError("The private key must be an RSA or an elliptic curve key.")
    _algorithm(key)
    return key


def _algorithm(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> KeyAlgorithm:
    found = _RSA.get(key.key_size) if isinstance(key, rsa.RSAPrivateKey) else _CURVES.get(key.curve.name)
    if found is None:
        raise CertificateError(
            "The private key must be an RSA key of 2048, 3072 or 4096 bits, or on the curve prime256v1, secp384r1 or "
            "secp521r1."
        )
    return found


def _check_chain(leaf: x509.Certificate, above: list[x509.Certificate]) -> None:
    """Each certificate must be signed by the next; the last may be signed by an authority that is left out."""
    if not above:
        if leaf.issuer != leaf.subject:
            raise CertificateError(
                "Provided certificate is not a valid self signed. Please provide either a valid self-signed "
                "certificate or certificate chain."
            )
        return
    for below, issuer in zip([leaf, *above], above, strict=False):
        try:
            below.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            raise CertificateError("Could not validate the certificate with the certificate chain.") from None


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    """The common name first, then the others, lower case."""
    common = [str(each.value).lower() for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        value = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        value = None
    others: list[str] = []
    if isinstance(value, x509.SubjectAlternativeName):
        others = [name.lower() for name in value.get_values_for_type(x509.DNSName)]
    # A common name that is no name of a host is only a title where there are others.
    first = [name for name in common if not others or name in others or "." in name]
    return tuple(dict.fromkeys((*first, *others)))


def _public_bytes(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _serial(number: int) -> str:
    digits = f"{number:x}"
    digits = digits.zfill(len(digits) + len(digits) % 2)
    return ":".join(digits[place : place + 2] for place in range(0, len(digits), 2))


def _name_text(name: x509.Name) -> str:
    return ",".join(attribute.rfc4514_string() for attribute in name)


def _issuer(name: x509.Name) -> str:
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        found = name.get_attributes_for_oid(oid)
        if found:
            return str(found[0].value)
    return _name_text(name)
