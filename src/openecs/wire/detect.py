"""Which service, protocol and operation a request is for.  Decides; answers nothing itself.

Every client names the operation in one place: AWS JSON in ``X-Amz-Target``, Query in the form
field ``Action`` (with ``Version`` telling the service), EC2 likewise, smithy-rpc-v2-cbor in the path, REST in
method and path.  Where that leaves a choice, the scope of the signature decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import unquote

from openecs.errors import AWSError
from openecs.wire.cbor_codec import CborCodec
from openecs.wire.ec2_codec import Ec2Codec
from openecs.wire.json_codec import JsonCodec
from openecs.wire.operation import ServiceModel
from openecs.wire.query_codec import QueryCodec
from openecs.wire.rest_json_codec import RestJsonCodec, RestRequest
from openecs.wire.rest_routes import RestRoutes
from openecs.wire.served import ErrorEncoder, Route, ServedService, routes_of


class RefusedError(Exception):
    """A request that names nothing that is served; ``encoder`` is of the client's protocol."""

    def __init__(self, error: AWSError, encoder: ErrorEncoder) -> None:
        super().__init__(error.message)
        self.error = error
        self.encoder = encoder


class Directory:
    """All served operations by the names under which clients call them."""

    def __init__(self, services: Iterable[ServedService]) -> None:
        self._json = JsonCodec()
        self._query = QueryCodec(None)
        self._cbor = CborCodec()
        #: Name of the service in the path → its model, codec and routes by operation.
        self._cbor_services: dict[str, tuple[ServiceModel, CborCodec, dict[str, Route]]] = {}
        #: Value of X-Amz-Target → route.
        self._targets: dict[bytes, Route] = {}
        self._target_prefixes: dict[str, ServiceModel] = {}
        #: API version → the services with form requests that have it.
        self._versions: dict[str, list[tuple[ServiceModel, QueryCodec | Ec2Codec, dict[str, Route]]]] = {}
        self._rest = RestRoutes()
        #: Name of the service → its codec and routes by operation.
        self._rest_services: dict[str, tuple[RestJsonCodec, dict[str, Route]]] = {}
        self._signing_names: dict[str, ServiceModel] = {}
        for service in services:
            self._add(service)

    def _add(self, service: ServedService) -> None:
        model = service.model
        self._signing_names[model.signing_name] = model
        if "json" in model.protocols and model.target_prefix:
            self._target_prefixes[model.target_prefix] = model
            codec = JsonCodec(model.json_version or "1.1")
            for name, route in routes_of(service, codec).items():
                self._targets[f"{model.target_prefix}.{name}".encode()] = route
        if "smithy-rpc-v2-cbor" in model.protocols and model.target_prefix:
            cbor = CborCodec(model.name, model.message_member, model.message_members)
            self._cbor_services[model.target_prefix] = (model, cbor, routes_of(service, cbor))
        if "rest-json" in model.protocols:
            rest = RestJsonCodec(model.message_member)
            self._rest.add(model)
            self._rest_services[model.name] = (rest, routes_of(service, rest))
        if "query" in model.protocols or "ec2" in model.protocols:
            form: QueryCodec | Ec2Codec = QueryCodec(model.xml_namespace)
            if "ec2" in model.protocols:
                form = Ec2Codec(model.xml_namespace or "", model.names)
            self._versions.setdefault(model.api_version, []).append((model, form, routes_of(service, form)))

    def find(self, method: str, path: str, query: str, headers: Mapping[bytes, bytes], body: bytes) -> Route:
        """The route of a request; ``path`` is as on the wire.  Raises ``RefusedError`` when there is none."""
        target = headers.get(b"x-amz-target")
        if target is not None:
            route = self._targets.get(target)
            if route is None:
                raise self._no_target(target.decode("latin-1"))
            return route
        if headers.get(b"smithy-protocol") == b"rpc-v2-cbor" or path.startswith("/service/"):
            return self._by_path(path)
        content_type = headers.get(b"content-type", b"")
        if path != "/":
            rest = self._by_rest(method, path, query, headers, body)
            if rest is not None:
                return rest
        if path == "/":
            form = body or query.encode("latin-1")
            action = _field(form, b"Action=")
            if action is not None:
                return self._by_action(action, form, scope_service(headers, query))
            if content_type.startswith(b"application/x-www-form-urlencoded"):
                raise RefusedError(
                    AWSError("MissingAction", "The request must contain the parameter Action."), self._query
                )
        if b"json" in content_type or path == "/":
            message = "The request names no operation: the header X-Amz-Target is missing."
            raise RefusedError(AWSError("UnknownOperationException", message), self._json)
        service = scope_service(headers, query)
        what = f"the {service!r} API" if service else "this path"
        message = f"OpenECS does not serve {what}."
        raise RefusedError(AWSError("UnknownOperationException", message, status=404), self._json)

    def _by_action(self, action: str, form: bytes, scope: str | None) -> Route:
        version = _field(form, b"Version=") or ""
        candidates = self._versions.get(version, [])
        if not version:
            candidates = [served for several in self._versions.values() for served in several]
        if len(candidates) != 1:
            candidates = [served for served in candidates if served[0].signing_name == scope]
        if not candidates:
            name = f"'{scope}' API, version '{version[:32]}'" if scope else f"API of version '{version[:32]}'"
            message = f"OpenECS does not serve the {name}."
            raise RefusedError(AWSError("UnsupportedOperation", message), self._form_codec(scope))
        model, codec, routes = candidates[0]
        route = routes.get(action)
        if route is not None:
            return route
        if action in model.all_operations:
            raise RefusedError(AWSError("UnsupportedOperation", not_served(model.name, action)), codec)
        message = f"Could not find operation {action[:64]} for version {model.api_version}"
        raise RefusedError(AWSError("InvalidAction", message), codec)

    def _no_target(self, target: str) -> RefusedError:
        prefix, dot, operation = target.rpartition(".")
        model = self._target_prefixes.get(prefix)
        if model is None and dot:
            message = f"OpenECS does not serve the API '{prefix[:64]}'."
            return RefusedError(AWSError("UnsupportedOperationException", message), self._json)
        if model is not None and operation in model.all_operations:
            # 400 and no 5xx: clients must show it at once instead of trying again.
            return RefusedError(
                AWSError("UnsupportedOperationException", not_served(model.name, operation)), self._json
            )
        # Real endpoints answer this code with status 400, although their list of common
        # errors says 404.
        message = f"The operation '{target[:128]}' is not known."
        return RefusedError(AWSError("UnknownOperationException", message), self._json)

    def _form_codec(self, scope: str | None) -> QueryCodec | Ec2Codec:
        """The codec of a service with form requests; the general one where it is not known."""
        for served in self._versions.values():
            for model, codec, _ in served:
                if model.signing_name == scope:
                    return codec
        return self._query

    def _by_rest(self, method: str, path: str, query: str, headers: Mapping[bytes, bytes], body: bytes) -> Route | None:
        """The route of a REST request, with a codec that knows where the request has what."""
        match = self._rest.find(method, path, scope_service(headers, query))
        if match is None:
            return None
        codec, routes = self._rest_services[match.model.name]
        route = routes.get(match.operation.name)
        if route is None:
            message = not_served(match.model.name, match.operation.name)
            raise RefusedError(AWSError("UnsupportedOperationException", message), codec)
        return replace(route, codec=RestRequest(codec, match.labels, query, headers, body))

    def _by_path(self, path: str) -> Route:
        """``/service/<name>/operation/<name>`` of smithy-rpc-v2-cbor."""
        parts = path.split("/")
        if len(parts) != 5 or parts[:2] != ["", "service"] or parts[3] != "operation" or not parts[4]:
            message = "The path is not one of smithy-rpc-v2-cbor."
            raise RefusedError(AWSError("UnknownOperationException", message, status=404), self._cbor)
        # The name may come with the namespace of its shape, of which only the last part counts.
        service = unquote(parts[2]).rpartition(".")[2][:64]
        name = unquote(parts[4])[:64]
        served = self._cbor_services.get(service)
        if served is None:
            message = f"OpenECS does not serve the operation '{name}' over smithy-rpc-v2-cbor."
            raise RefusedError(AWSError("UnsupportedOperationException", message), self._cbor)
        model, codec, routes = served
        route = routes.get(name)
        if route is not None:
            return route
        if name in model.all_operations:
            message = not_served(model.name, name)
            raise RefusedError(AWSError("UnsupportedOperationException", message), codec)
        message = f"The operation '{name}' is not known."
        raise RefusedError(AWSError("UnknownOperationException", message), codec)


def not_served(service: str, operation: str) -> str:
    """The words for an operation that AWS has and OpenECS has not."""
    return f"OpenECS does not serve the operation {operation} of {service} yet."


def scope_service(headers: Mapping[bytes, bytes], query: str) -> str | None:
    """The service in the scope of the signature; not verified, good only to choose words."""
    text = headers.get(b"authorization", b"").decode("latin-1")
    credential = text.partition("Credential=")[2].partition(",")[0]
    if not credential:
        credential = unquote(query.partition("X-Amz-Credential=")[2].partition("&")[0])
    parts = credential.split("/")
    return parts[3][:64] if len(parts) == 5 and parts[3] else None


def _field(form: bytes, start: bytes) -> str | None:
    """One plain field of a form, found without decoding the others."""
    for part in form.split(b"&"):
        if part.startswith(start):
            return unquote(part[len(start) :].decode("latin-1"))
    return None
