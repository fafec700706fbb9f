"""Account settings: defaults of the account and choices of single principals."""

from __future__ import annotations

from openecs.model.record import Record


class AccountSetting(Record, frozen=True, kw_only=True):
    """One stored setting.  ``principal_arn`` is empty for the account's default."""

    region: str
    name: str
    value: str
    principal_arn: str = ""

    @property
    def key(self) -> str:
        return f"{self.region}:{self.principal_arn}:{self.name}"
