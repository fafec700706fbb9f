"""Account settings: defaults of the account and choices of single principals."""

from __future__ import annotations

import re
from typing import NamedTuple

from openecs.errors import invalid_parameter, not_supported
from openecs.model.settings import AccountSetting
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination


class Rule(NamedTuple):
    """What one setting may be; ``honoured`` values are true of every installation."""

    default: str
    values: tuple[str, ...]
    honoured: tuple[str, ...]


ENABLED = ("enabled", "disabled")
_LEVELS = ("enabled", "disabled", "enhanced")
LONG_ARN = Rule("enabled", ENABLED, ("enabled",))

#: Long ARNs are the only form written here.  Trunking lifts a limit that does not exist here.
#: Nothing here is ever retired, so every waiting period is kept.
RULES: dict[str, Rule] = {
    "awsvpcTrunking": Rule("disabled", ENABLED, ENABLED),
    "containerInsights": Rule("disabled", _LEVELS, _LEVELS),
    "containerInstanceLongArnFormat": LONG_ARN,
    "defaultLogDriverMode": Rule("non-blocking", ("blocking", "non-blocking"), ("blocking", "non-blocking")),
    "fargateEventWindows": Rule("disabled", ENABLED, ("disabled",)),
    "fargateFIPSMode": Rule("disabled", ENABLED, ("disabled",)),
    "fargateTaskRetirementWaitPeriod": Rule("7", ("0", "7", "14"), ("0", "7", "14")),
    "guardDutyActivate": Rule("off", ("on", "off"), ("off",)),
    "serviceLongArnFormat": LONG_ARN,
    "tagResourceAuthorization": Rule("off", ("on", "off"), ("off",)),
    "taskLongArnFormat": LONG_ARN,
}

#: Settings that are looked up for the account only, because what they govern has no caller.
ACCOUNT_WIDE = frozenset({"defaultLogDriverMode"})

#: The principals that may have settings of their own: root, users, roles and sessions of roles.
_PRINCIPAL = re.compile(
    r"arn:aws[a-z-]*:(?:iam::(?P<account>\d{12}):(?:root|(?:user|role)/[\w+=,.@/-]{1,576})"
    r"|sts::(?P<session>\d{12}):assumed-role/[\w+=,.@/-]{1,128})",
    re.ASCII,
)


class AccountSettings:
    """The operations on account settings."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        return {
            "ListAccountSettings": self.list_account_settings,
            "PutAccountSetting": self.put_account_setting,
            "PutAccountSettingDefault": self.put_account_setting_default,
            "DeleteAccountSetting": self.delete_account_setting,
        }

    def effective(self, region: str, account: str, name: str, principal_arn: str | None = None) -> str:
        """The value that holds for a principal: its own, the account's, or ECS's default."""
        principal = principal_arn or _root(account)
        own = self._state.settings.get(f"{region}:{principal}:{name}") if principal != _root(account) else None
        default = self._state.settings.get(f"{region}::{name}")
        chosen = own or default
        return chosen.value if chosen else RULES[name].default

    def list_account_settings(
        self, call: Call, request: ecs.ListAccountSettingsRequest
    ) -> ecs.ListAccountSettingsResponse:
        """Stored settings, or with ``effectiveSettings`` what holds for every name."""
        principal = _principal(call, request.principal_arn)
        names = [request.name] if request.name else sorted(RULES)
        if request.effective_settings:
            found = [
                _view(name, self.effective(call.region, call.account, name, principal), principal)
                for name in names
                if name in RULES
            ]
        else:
            owner = "" if principal == _root(call.account) else principal
            stored = (self._state.settings.get(f"{call.region}:{owner}:{name}") for name in names)
            found = [_view(s.name, s.value, principal) for s in stored if s is not None]
        if request.value is not None:
            if not request.name:
                raise invalid_parameter("You must specify a name when you specify a value.")
            found = [setting for setting in found if setting.value == request.value]
        by_name = {setting.name or "": setting for setting in found}
        page, token = self._pagination.paginate(
            list(by_name),
            max_results=request.max_results,
            next_token=request.next_token,
            # The model says 10; AWS answers all settings in one page unless asked otherwise.
            default=100,
            limit=100,
            scope=f"ListAccountSettings:{call.region}:{principal}",
        )
        return ecs.ListAccountSettingsResponse(settings=tuple(by_name[name] for name in page), next_token=token)

    def put_account_setting(self, call: Call, request: ecs.PutAccountSettingRequest) -> ecs.PutAccountSettingResponse:
        """Choose a value for one principal: the caller, unless another is named."""
        principal = _principal(call, request.principal_arn)
        return ecs.PutAccountSettingResponse(setting=self._put(call, principal, request.name, request.value))

    def put_account_setting_default(
        self, call: Call, request: ecs.PutAccountSettingDefaultRequest
    ) -> ecs.PutAccountSettingDefaultResponse:
        """Choose the value for everybody who did not choose one."""
        setting = self._put(call, _root(call.account), request.name, request.value)
        return ecs.PutAccountSettingDefaultResponse(setting=setting)

    def delete_account_setting(
        self, call: Call, request: ecs.DeleteAccountSettingRequest
    ) -> ecs.DeleteAccountSettingResponse:
        """Go back to the default; the answer shows what was deleted."""
        principal = _principal(call, request.principal_arn)
        rule = _rule(request.name)
        owner = "" if principal == _root(call.account) else principal
        stored = self._state.settings.get(f"{call.region}:{owner}:{request.name}")
        if stored is not None:
            with self._state.transaction() as tx:
                tx.delete(stored)
        value = stored.value if stored else rule.default
        return ecs.DeleteAccountSettingResponse(setting=_view(request.name, value, principal))

    def _put(self, call: Call, principal: str, name: str, value: str) -> ecs.Setting:
        rule = _rule(name)
        if value not in rule.values:
            raise invalid_parameter(f"Invalid value '{value}' for setting {name}: use one of {', '.join(rule.values)}.")
        if value not in rule.honoured:
            raise not_supported(f"The value '{value}' of the account setting {name}")
        owner = "" if principal == _root(call.account) else principal
        if owner and name in ACCOUNT_WIDE:
            raise not_supported(f"The account setting {name} of a single principal")
        with self._state.transaction() as tx:
            tx.put(AccountSetting(region=call.region, name=name, value=value, principal_arn=owner))
        return _view(name, value, principal)


def _principal(call: Call, named: str | None) -> str:
    """The principal that a request names, the caller when it names none."""
    if not named:
        return call.principal.arn
    match = _PRINCIPAL.fullmatch(named)
    if match is None:
        raise invalid_parameter(f"Invalid principalArn: {named[:256]} is not the ARN of a root user, user or role.")
    if call.account not in match.groups():
        raise invalid_parameter("Invalid principalArn: the principal is of another account.")
    return named


def _rule(name: str) -> Rule:
    rule = RULES.get(name)
    if rule is None:
        raise not_supported(f"The account setting {name}")
    return rule


def _view(name: str, value: str, principal: str) -> ecs.Setting:
    kind: ecs.SettingType = "aws_managed" if name == "guardDutyActivate" else "user"
    return ecs.Setting(name=name, value=value, principal_arn=principal, type=kind)  # type: ignore[arg-type]


def _root(account: str) -> str:
    return f"arn:aws:iam::{account}:root"
