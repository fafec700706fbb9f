"""Listeners: create, describe, modify, delete."""

from __future__ import annotations

from openecs.api.elbv2 import errors, limits, tag_store
from openecs.api.elbv2.actions import checked_actions
from openecs.api.elbv2.listener_settings import checked_settings, default_certificate
from openecs.api.elbv2.lookup import Lookup, only_one, ordered
from openecs.api.elbv2.paging import Pages
from openecs.errors import AWSError
from openecs.model import balancer_arns
from openecs.model.load_balancer import Listener, LoadBalancer
from openecs.model.record import changed
from openecs.planning import balancer_attributes
from openecs.shapes import ecs, elbv2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers


class Listeners:
    """The operations on listeners."""

    def __init__(self, state: State, pages: Pages) -> None:
        self._state = state
        self._pages = pages
        self._lookup = Lookup(state)

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateListener": self.create,
            "DescribeListeners": self.describe,
            "ModifyListener": self.modify,
            "DeleteListener": self.delete,
        }

    def create(self, call: Call, request: elbv2.CreateListenerInput) -> elbv2.CreateListenerOutput:
        """Make a listener, or find the one that was made with the same settings."""
        state = self._state
        balancer = self._lookup.load_balancer(call, request.load_balancer_arn)
        settings = checked_settings(
            balancer,
            protocol=request.protocol,
            port=request.port,
            ssl_policy=request.ssl_policy,
            certificates=default_certificate(state, call, request.certificates),
            alpn_policy=request.alpn_policy or (),
            mutual_authentication=request.mutual_authentication,
        )
        actions = checked_actions(self._lookup, call, balancer, settings.protocol, request.default_actions)
        tags = tag_store.checked(request.tags)
        listener = Listener(
            arn=balancer_arns.listener(balancer.arn, call.ids.hex32()[:16]),
            region=call.region,
            load_balancer_arn=balancer.arn,
            default_actions=actions,
            created_at=call.now,
            **settings._asdict(),
        )
        known = state.listeners.by("load_balancer", balancer.arn)
        same_port = next((each for each in known if each.port == settings.port), None)
        if same_port is not None and self._same(same_port, listener, tags):
            return elbv2.CreateListenerOutput(listeners=(listener_view(same_port),))
        self._require_free(balancer, settings.port)
        if len(known) >= limits.LISTENERS:
            raise errors.too_many("TooManyListeners", limits.LISTENERS, "listeners of a load balancer")
        with state.transaction() as tx:
            tx.put(listener)
            tag_store.add(tx, state, listener.arn, tags)
        return elbv2.CreateListenerOutput(listeners=(listener_view(listener),))

    def describe(self, call: Call, request: elbv2.DescribeListenersInput) -> elbv2.DescribeListenersOutput:
        """The listeners of a load balancer, or those that are named."""
        only_one(LoadBalancerArn=request.load_balancer_arn, ListenerArns=request.listener_arns)
        if request.load_balancer_arn:
            balancer = self._lookup.load_balancer(call, request.load_balancer_arn)
            found = list(self._state.listeners.by("load_balancer", balancer.arn))
        elif request.listener_arns:
            found = list({arn: self._lookup.listener(call, arn) for arn in request.listener_arns}.values())
        else:
            raise errors.validation_error("You must specify either listener ARNs or a load balancer ARN")
        scope = f"listeners/{call.region}/{request.load_balancer_arn or ''}"
        page, marker = self._pages.page(ordered(found), request.page_size, request.marker, scope, lambda x: x.arn)
        return elbv2.DescribeListenersOutput(
            listeners=tuple(listener_view(listener) for listener in page), next_marker=marker
        )

    def modify(self, call: Call, request: elbv2.ModifyListenerInput) -> elbv2.ModifyListenerOutput:
        """Change a listener; what is not given stays, except what its new protocol does not have."""
        state = self._state
        old = self._lookup.listener(call, request.listener_arn)
        balancer = self._lookup.load_balancer(call, old.load_balancer_arn)
        protocol = request.protocol or old.protocol
        secure, was_secure = (kind in ("HTTPS", "TLS") for kind in (protocol, old.protocol))
        given = default_certificate(state, call, request.certificates)
        default = given or old.certificates[:1]
        alpn = request.alpn_policy if request.alpn_policy is not None else old.alpn_policy
        settings = checked_settings(
            balancer,
            protocol=protocol,
            port=request.port or old.port,
            ssl_policy=request.ssl_policy or (old.ssl_policy if secure and was_secure else None),
            certificates=(*default, *old.certificates[1:]) if secure else given,
            alpn_policy=alpn if protocol == "TLS" or request.alpn_policy else (),
            mutual_authentication=request.mutual_authentication,
        )
        if settings.port != old.port:
            self._require_free(balancer, settings.port)
        wanted = request.default_actions if request.default_actions is not None else old.default_actions
        actions = checked_actions(self._lookup, call, balancer, settings.protocol, wanted)
        for rule in state.listener_rules.by("listener", old.arn) if settings.protocol != old.protocol else ():
            checked_actions(self._lookup, call, balancer, settings.protocol, rule.actions)
        known = {attribute.key for attribute in balancer_attributes.of_listener(settings.protocol)}
        new = changed(
            old,
            default_actions=actions,
            attributes={key: value for key, value in old.attributes.items() if key in known},
            **settings._asdict(),
        )
        with state.transaction() as tx:
            tx.put(new)
        return elbv2.ModifyListenerOutput(listeners=(listener_view(new),))

    def delete(self, call: Call, request: elbv2.DeleteListenerInput) -> elbv2.DeleteListenerOutput:
        """Delete a listener with its rules."""
        state = self._state
        listener = self._lookup.listener(call, request.listener_arn)
        with state.transaction() as tx:
            for rule in state.listener_rules.by("listener", listener.arn):
                tx.delete(rule)
                tag_store.forget(tx, state, rule.arn)
            tx.delete(listener)
            tag_store.forget(tx, state, listener.arn)
        return elbv2.DeleteListenerOutput()

    def _same(self, known: Listener, asked: Listener, tags: tuple[ecs.Tag, ...]) -> bool:
        """Whether a listener was made with the settings that are asked for."""
        default = known.certificates[:1]
        as_made = changed(known, arn=asked.arn, created_at=asked.created_at, attributes={}, certificates=default)
        return as_made == asked and set(tag_store.tags_of(self._state, known.arn)) == set(tags)

    def _require_free(self, balancer: LoadBalancer, port: int) -> None:
        if any(each.port == port for each in self._state.listeners.by("load_balancer", balancer.arn)):
            raise AWSError(
                "DuplicateListener", f"A listener already exists on this port for this load balancer '{balancer.arn}'"
            )


def listener_view(listener: Listener) -> elbv2.Listener:
    """One listener as the API shows it."""
    default = listener.certificates[:1]
    return elbv2.Listener(
        listener_arn=listener.arn,
        load_balancer_arn=listener.load_balancer_arn,
        port=listener.port,
        protocol=listener.protocol,
        certificates=tuple(elbv2.Certificate(certificate_arn=arn) for arn in default) or None,
        ssl_policy=listener.ssl_policy,
        default_actions=listener.default_actions,
        alpn_policy=listener.alpn_policy or None,
        mutual_authentication=(
            elbv2.MutualAuthenticationAttributes(mode="off") if listener.protocol == "HTTPS" else None
        ),
    )
