"""The access keys of an installation: first ones, look-up for signatures, keys for agents.

Root's and the local agent's key pairs are made at the first start and written to files that
only their owner can read.  An ephemeral installation, which has no journal, keeps the sealed
records of root's and the agents' keys in a file of its run, so that a server that is started
again knows its clients.  The look-up opens sealed secrets once and remembers them for as
long as the record stays the same.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from openecs.config import AgentCredentials, Layout, RootCredentials, ServerConfig, read_file, write_private
from openecs.errors import OperatorError
from openecs.iam.keyring import KeyRing
from openecs.model.access_key import AccessKey, PrincipalKind
from openecs.state.state import State
from openecs.state.store import Notice
from openecs.wire.call import Principal
from openecs.wire.verifier import SigningKey

MASTER_KEY_BYTES = 32
#: Name of the role that agents speak as; what ECS's documentation calls it on AWS.
AGENT_ROLE = "ecsInstanceRole"
#: What this machine's own agent is called within the role; others are ``agent-…``.
LOCAL_AGENT = "local"


class Keys:
    """Access keys in state, with their secrets opened on demand."""

    def __init__(self, state: State, ring: KeyRing, account: str, *, kept_in: Path | None = None) -> None:
        """``kept_in`` is the file that stands in for a journal, ``None`` when there is one."""
        self._state = state
        self._ring = ring
        self._account = account
        self._kept_in = kept_in
        self._opened: dict[str, tuple[AccessKey, SigningKey]] = {}
        state.store.subscribe("access_key", self._key_changed)

    def lookup(self, access_key_id: str) -> SigningKey | None:
        """What the signature check needs to know of a key; ``None`` for an unknown one."""
        record = self._state.access_keys.get(access_key_id)
        if record is None:
            return None
        known = self._opened.get(access_key_id)
        if known is not None and known[0] is record:
            return known[1]
        key = SigningKey(
            secret=self._ring.open(record.sealed_secret),
            principal=Principal(
                arn=record.principal_arn,
                kind=record.kind,
                access_key_id=access_key_id,
                task_arn=record.task_arn,
            ),
            session_token=record.session_token,
            expires_at=record.expires_at,
        )
        self._opened[access_key_id] = (record, key)
        return key

    def secret(self, access_key_id: str) -> str:
        """The secret key of a key pair that exists."""
        key = self.lookup(access_key_id)
        if key is None:
            raise OperatorError(f"The access key {access_key_id} does not exist. List the keys that do.")
        return key.secret

    def load_kept(self) -> None:
        """Take over the keys of an earlier server of the same run."""
        if self._kept_in is None or not self._kept_in.exists():
            return
        records = read_file(self._kept_in, tuple[AccessKey, ...])
        with self._state.transaction() as tx:
            for record in records:
                tx.put(record)

    def root(self, now: float) -> tuple[str, str]:
        """Root's key pair; made when there is none."""
        return self._first("root", f"arn:aws:iam::{self._account}:root", now)

    def local_agent(self, now: float) -> tuple[str, str]:
        """The key pair of this machine's agent; made when there is none."""
        return self._first("agent", self._agent_arn(LOCAL_AGENT), now)

    def new_agent(self, now: float) -> tuple[str, str]:
        """A fresh key pair for the agent of another machine, which it names for good."""
        access_key_id, secret = self._ring.new_pair("AKIA")
        self._put("agent", access_key_id, secret, self._agent_arn(f"agent-{access_key_id[4:12].lower()}"), now)
        return access_key_id, secret

    def machine(self, session: str, now: float) -> tuple[str, str]:
        """The key pair of the agent of a machine that this installation starts; the same whenever it is asked for."""
        return self._first("agent", self._agent_arn(session), now)

    def revoke_machine(self, session: str) -> None:
        """End the key pairs of such an agent."""
        principal = self._agent_arn(session)
        for key in [key for key in self._state.access_keys if key.principal_arn == principal]:
            self.revoke(key)

    def replace(self, old: AccessKey, now: float) -> tuple[str, str]:
        """A fresh key pair for the principal of ``old``, which ends."""
        access_key_id, secret = self._ring.new_pair("AKIA")
        self._put(old.kind, access_key_id, secret, old.principal_arn, now, instead_of=old)
        return access_key_id, secret

    def revoke(self, key: AccessKey) -> None:
        """End a key."""
        with self._state.transaction() as tx:
            tx.delete(key)
        self._keep()

    def _key_changed(self, notice: Notice) -> None:
        """Forget the secret of a key that was revoked or replaced."""
        self._opened.pop(notice.key, None)

    def _agent_arn(self, session: str) -> str:
        return f"arn:aws:sts::{self._account}:assumed-role/{AGENT_ROLE}/{session}"

    def _first(self, kind: PrincipalKind, principal_arn: str, now: float) -> tuple[str, str]:
        for record in self._state.access_keys:
            if record.kind == kind and record.principal_arn == principal_arn:
                return record.access_key_id, self._ring.open(record.sealed_secret)
        access_key_id, secret = self._ring.new_pair("AKIA")
        self._put(kind, access_key_id, secret, principal_arn, now)
        return access_key_id, secret

    def _put(
        self,
        kind: PrincipalKind,
        access_key_id: str,
        secret: str,
        principal_arn: str,
        now: float,
        *,
        instead_of: AccessKey | None = None,
    ) -> None:
        with self._state.transaction() as tx:
            if instead_of is not None:
                tx.delete(instead_of)
            tx.put(
                AccessKey(
                    access_key_id=access_key_id,
                    sealed_secret=self._ring.seal(secret),
                    principal_arn=principal_arn,
                    kind=kind,
                    created_at=now,
                )
            )
        self._keep()

    def _keep(self) -> None:
        if self._kept_in is not None:
            write_private(self._kept_in, tuple(key for key in self._state.access_keys if key.task_arn is None))


def master_key(layout: Layout) -> bytes:
    """The installation's master key; made at its first start, or at that of an ephemeral run."""
    path = layout.state / "master.key"
    if path.exists():
        key = bytes.fromhex(path.read_text().strip())
        if len(key) != MASTER_KEY_BYTES:
            raise OperatorError(f"{path} is damaged. Restore it from a backup of this data directory.")
        return key
    if not layout.ephemeral and (layout.home / "journal.db").exists():
        raise OperatorError(
            f"{path} is missing, and without it the secrets in {layout.home}/journal.db cannot be opened. Restore the "
            "file from a backup, or name another --data-dir for a new installation."
        )
    key = KeyRing.new_master_key()
    _write_once(path, key.hex() + "\n")
    return key


def write_credentials(config: ServerConfig, root: tuple[str, str], agent: tuple[str, str]) -> None:
    """The files from which clients and the local agent take their keys."""
    layout = config.layout
    write_private(
        layout.credentials_file,
        RootCredentials(
            access_key_id=root[0],
            secret_key=root[1],
            account_id=config.account_id,
            region=config.region,
            endpoint=config.endpoint,
        ),
    )
    write_private(layout.agent_credentials_file, AgentCredentials(access_key_id=agent[0], secret_key=agent[1]))


def derived_secret(key: bytes, purpose: str) -> bytes:
    """A secret for one purpose: the same after every restart, and of no use for another purpose."""
    return hashlib.sha256(b"openecs/" + purpose.encode() + b"/" + key).digest()


def _write_once(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text)
