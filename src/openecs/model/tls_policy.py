"""TLS security policies of listeners: what AWS's names stand for here.

A policy is a range of TLS versions and an ordered list of ciphers.  The ciphers are those of
AWS's policy that BoringSSL, Envoy's TLS library, has; it has none of the CBC ciphers with SHA-2,
so these are neither offered nor shown.  Policies with post-quantum key exchange or FIPS modules
are not here: nothing of this installation could keep what they promise.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

TlsVersion = Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]

#: What AWS gives a listener that names no policy.
DEFAULT_POLICY = "ELBSecurityPolicy-2016-08"

_TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_FORWARD_128_GCM = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256")
_FORWARD_128_SHA = ("ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA")
_FORWARD_256_GCM = ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384")
_FORWARD_256_SHA = ("ECDHE-RSA-AES256-SHA", "ECDHE-ECDSA-AES256-SHA")
_PLAIN = ("AES128-GCM-SHA256", "AES128-SHA", "AES256-GCM-SHA384", "AES256-SHA")

_STRICT = (*_FORWARD_128_GCM, *_FORWARD_256_GCM)
_FORWARD = (*_FORWARD_128_GCM, *_FORWARD_128_SHA, *_FORWARD_256_GCM, *_FORWARD_256_SHA)
_STRICT_PLAIN = (*_STRICT, "AES128-GCM-SHA256", "AES256-GCM-SHA384")
_ALL = (*_FORWARD, *_PLAIN)


class TlsPolicy(NamedTuple):
    """One policy."""

    name: str
    #: Oldest first; what lies between the first and the last is allowed.
    protocols: tuple[TlsVersion, ...]
    #: OpenSSL names, the preferred first.
    ciphers: tuple[str, ...]

    @property
    def tls12_ciphers(self) -> tuple[str, ...]:
        """The ciphers for TLS 1.2 and older; those of TLS 1.3 cannot be chosen in Envoy."""
        return tuple(cipher for cipher in self.ciphers if cipher not in _TLS13)


_VERSIONS: tuple[TlsVersion, ...] = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


def _policy(name: str, oldest: TlsVersion, newest: TlsVersion, ciphers: tuple[str, ...]) -> TlsPolicy:
    protocols = _VERSIONS[_VERSIONS.index(oldest) : _VERSIONS.index(newest) + 1]
    return TlsPolicy(name, protocols, (*_TLS13, *ciphers) if newest == "TLSv1.3" else ciphers)


#: Name → policy, in the order in which they are listed.
TLS_POLICIES: dict[str, TlsPolicy] = {
    policy.name: policy
    for policy in (
        _policy("ELBSecurityPolicy-TLS13-1-2-2021-06", "TLSv1.2", "TLSv1.3", _STRICT),
        _policy("ELBSecurityPolicy-TLS13-1-3-2021-06", "TLSv1.3", "TLSv1.3", ()),
        _policy("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "TLSv1.2", "TLSv1.3", _STRICT),
        _policy("ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06", "TLSv1.2", "TLSv1.3", _STRICT_PLAIN),
        _policy("ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06", "TLSv1.2", "TLSv1.3", _ALL),
        _policy("ELBSecurityPolicy-TLS13-1-1-2021-06", "TLSv1.1", "TLSv1.3", _ALL),
        _policy("ELBSecurityPolicy-TLS13-1-0-2021-06", "TLSv1", "TLSv1.3", _ALL),
        _policy("ELBSecurityPolicy-FS-1-2-Res-2020-10", "TLSv1.2", "TLSv1.2", _STRICT),
        _policy("ELBSecurityPolicy-FS-1-2-Res-2019-08", "TLSv1.2", "TLSv1.2", _STRICT),
        _policy("ELBSecurityPolicy-FS-1-2-2019-08", "TLSv1.2", "TLSv1.2", _FORWARD),
        _policy("ELBSecurityPolicy-FS-1-1-2019-08", "TLSv1.1", "TLSv1.2", _FORWARD),
        _policy("ELBSecurityPolicy-FS-2018-06", "TLSv1", "TLSv1.2", _FORWARD),
        _policy("ELBSecurityPolicy-TLS-1-2-Ext-2018-06", "TLSv1.2", "TLSv1.2", _ALL),
        _policy("ELBSecurityPolicy-TLS-1-2-2017-01", "TLSv1.2", "TLSv1.2", _STRICT_PLAIN),
        _policy("ELBSecurityPolicy-TLS-1-1-2017-01", "TLSv1.1", "TLSv1.2", _ALL),
        _policy("ELBSecurityPolicy-2016-08", "TLSv1", "TLSv1.2", _ALL),
    )
}
