"""Whose settings may be chosen, and which of them only the account has."""

from __future__ import annotations

from typing import Any

import pytest

from openecs.api.ecs.account_settings import AccountSettings
from openecs.errors import AWSError
from openecs.ids import SeededIds
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal
from openecs.wire.pagination import Pagination

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
REQUESTS: dict[str, Any] = {
    "PutAccountSetting": ecs.PutAccountSettingRequest,
    "PutAccountSettingDefault": ecs.PutAccountSettingDefaultRequest,
    "DeleteAccountSetting": ecs.DeleteAccountSettingRequest,
    "ListAccountSettings": ecs.ListAccountSettingsRequest,
}


class Api:
    def __init__(self) -> None:
        self.state = State(MemoryJournal())
        self.settings = AccountSettings(self.state, Pagination(b"0123456789abcdef"))

    def __call__(self, operation: str, *, caller: str = ROOT, **members: Any) -> Any:
        call = Call(
            service="ecs",
            operation=operation,
            request_id="r",
            account=ACCOUNT,
            region="eu-west-1",
            principal=Principal(arn=caller, kind="root", access_key_id="AKIA"),
            now=1.0,
            ids=SeededIds(),
            endpoint="http://127.0.0.1:4566",
        )
        return self.settings.handlers()[operation](call, REQUESTS[operation](**members))

    def mode(self) -> str:
        return self.settings.effective("eu-west-1", ACCOUNT, "defaultLogDriverMode")


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.mark.parametrize(
    "principal",
    [
        "somebody",
        "arn:aws:iam::123456789012",
        f"arn:aws:iam::{ACCOUNT}:user/",
        f"arn:aws:iam::{ACCOUNT}:user/a b",
        f"arn:aws:iam::{ACCOUNT}:group/g",
        f"arn:aws:s3::{ACCOUNT}:root",
        f"arn:aws:iam:eu-west-1:{ACCOUNT}:root",
        f"arn:aws:iam::{ACCOUNT}:user/{'x' * 600}",
        "arn:aws:iam::210987654321:root",
        "arn:aws:iam::210987654321:user/a",
    ],
)
def test_settings_are_for_principals_of_the_account(api: Api, principal: str) -> None:
    for operation, more in (
        ("PutAccountSetting", {"name": "awsvpcTrunking", "value": "enabled"}),
        ("DeleteAccountSetting", {"name": "awsvpcTrunking"}),
        ("ListAccountSettings", {}),
    ):
        with pytest.raises(AWSError, match="principalArn") as caught:
            api(operation, principal_arn=principal, **more)
        assert caught.value.code == "InvalidParameterException"
    assert not list(api.state.settings)


@pytest.mark.parametrize(
    "principal",
    [
        ROOT,
        f"arn:aws:iam::{ACCOUNT}:user/somebody",
        f"arn:aws:iam::{ACCOUNT}:role/path/to/a-role",
        f"arn:aws-cn:iam::{ACCOUNT}:user/x@y",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/role/session",
    ],
)
def test_every_kind_of_principal_may_choose(api: Api, principal: str) -> None:
    put = api("PutAccountSetting", name="awsvpcTrunking", value="enabled", principal_arn=principal)
    assert put.setting.principal_arn == principal
    (listed,) = api("ListAccountSettings", principal_arn=principal).settings
    assert (listed.name, listed.value) == ("awsvpcTrunking", "enabled")


def test_the_mode_of_log_drivers_is_the_accounts(api: Api) -> None:
    """Containers' logs have no caller whose choice could hold."""
    user = f"arn:aws:iam::{ACCOUNT}:user/somebody"
    for arguments in ({"principal_arn": user}, {"caller": user}):
        with pytest.raises(AWSError, match="defaultLogDriverMode"):
            api("PutAccountSetting", name="defaultLogDriverMode", value="blocking", **arguments)
    assert not list(api.state.settings)
    api("PutAccountSetting", name="defaultLogDriverMode", value="blocking")
    assert api.mode() == "blocking"
    api("PutAccountSettingDefault", name="defaultLogDriverMode", value="non-blocking", caller=user)
    assert api.mode() == "non-blocking"
