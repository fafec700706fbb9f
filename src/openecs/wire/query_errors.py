"""Errors of a service that spoke the Query protocol before it spoke JSON and CBOR.

Its errors have two names: the code of Query replies (``ResourceNotFound``) and the shape
(``DashboardNotFoundError``), which is what JSON and CBOR replies call them.  Those also tell the
code in a header of its own, and clients go by that.  Handlers may raise either name.
"""

from __future__ import annotations

from openecs.errors import AWSError
from openecs.wire.operation import ServiceModel

Headers = tuple[tuple[bytes, bytes], ...]


def spelled(model: ServiceModel, error: AWSError, *, form: bool, operation: str = "") -> tuple[AWSError, Headers]:
    """The error by the name that the protocol has for it (``form``: Query), and headers to send with it.

    Of several shapes with one code that which the ``operation`` has counts.
    """
    if not model.query_compatible:
        return error, ()
    shape, code = model.error_names(operation, error.code)
    if shape not in model.error_codes:
        return error, ()
    named = AWSError(code if form else shape, error.message, status=error.status, members=error.members)
    blame = "Sender" if error.status < 500 else "Receiver"
    return named, () if form else ((b"x-amzn-query-error", f"{code};{blame}".encode()),)
