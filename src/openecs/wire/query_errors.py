"""Errors of a service that spoke the Query protocol before it spoke JSON and CBOR.

Its errors have two names: the code of Query replies (``ResourceNotFound``) and the shape
(``DashboardNotFoundError``), which is what JSON and CBOR replies call them.  Those also tell the
code in a header of its own, and clients go by that.  Handlers may raise either name.
"""

from __future__ import annotations

from openecs.errors import AWSError
from openecs.wire.operation import ServiceModel

Headers = tuple[tuple[bytes, bytes], ...]


def spelled(model: ServiceModel, error: AWSError, *, form: bool) -> tuple[AWSError, Headers]:
    """The error by the name that the protocol has for it (``form``: Query), and headers to send with it."""
    if "query" not in model.protocols or "json" not in model.protocols:
        return error, ()
    shape = error.code
    if shape not in model.error_codes:
        shape = next((name for name, (code, _) in model.error_codes.items() if code == error.code), "")
    if not shape:
        return error, ()
    code = model.error_codes[shape][0]
    named = AWSError(code if form else shape, error.message, status=error.status, members=error.members)
    blame = "Sender" if error.status < 500 else "Receiver"
    return named, () if form else ((b"x-amzn-query-error", f"{code};{blame}".encode()),)
