"""Where the engine's API is: what the user said, ``DOCKER_HOST``, or a socket in a usual place."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

import msgspec

from openecs.errors import OperatorError
from openecs.http import TcpAddress, UnixAddress, parse_address


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An engine's address, and the TLS material for a remote one."""

    address: UnixAddress | TcpAddress
    #: Directory with ``ca.pem``, ``cert.pem`` and ``key.pem``.
    certificates: Path | None = None

    def tls_context(self) -> ssl.SSLContext | None:
        """The context that proves both sides to each other, ``None`` without TLS."""
        if self.certificates is None:
            return None
        try:
            context = ssl.create_default_context(cafile=str(self.certificates / "ca.pem"))
            context.load_cert_chain(str(self.certificates / "cert.pem"), str(self.certificates / "key.pem"))
        except OSError as error:
            raise OperatorError(
                f"DOCKER_TLS_VERIFY is set, but the certificates in {self.certificates} cannot be read "
                f"({error.strerror or error}). "
                "Point DOCKER_CERT_PATH to the directory with ca.pem, cert.pem and key.pem."
            ) from error
        return context


def find_endpoint(docker_host: str | None, environ: Mapping[str, str] = os.environ) -> Endpoint:
    """The engine to talk to: ``docker_host`` if given, else by the environment and usual sockets.

    ``docker_host`` is written as for the docker command (``unix:///run/docker.sock``,
    ``tcp://10.0.0.5:2376``) or is the path of a socket.  Whether anybody answers there is not
    tried here.  Raises ``OperatorError`` for an address that cannot be used.
    """
    chosen = docker_host or environ.get("DOCKER_HOST")
    if not chosen:
        return Endpoint(address=UnixAddress(_usual_socket(environ)))
    if chosen.startswith("/"):
        return Endpoint(address=UnixAddress(chosen))
    try:
        address = parse_address(chosen)
    except ValueError as error:
        raise OperatorError(
            f"The container engine's address cannot be used: {error}. OpenECS talks to unix:// and tcp:// addresses; "
            "for an engine behind ssh:// forward its socket first."
        ) from error
    if isinstance(address, TcpAddress) and (environ.get("DOCKER_TLS_VERIFY") or address.tls):
        directory = environ.get("DOCKER_CERT_PATH") or str(Path(environ.get("HOME", "/root")) / ".docker")
        address = msgspec.structs.replace(address, tls=True)
        return Endpoint(address=address, certificates=Path(directory))
    return Endpoint(address=address)


def _usual_socket(environ: Mapping[str, str]) -> str:
    """The first socket that exists: Docker's, a user's Podman, the system's Podman."""
    runtime_directory = environ.get("XDG_RUNTIME_DIR")
    places = ["/var/run/docker.sock"]
    if runtime_directory:
        places += [f"{runtime_directory}/docker.sock", f"{runtime_directory}/podman/podman.sock"]
    places.append("/run/podman/podman.sock")
    return next((place for place in places if Path(place).is_socket()), places[0])
