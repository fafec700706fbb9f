"""The secrets of access keys are kept open for as long as the keys are there, and no longer."""

from __future__ import annotations

import gc

import msgspec

from openecs.iam.keyring import KeyRing
from openecs.server.keys import Keys
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.verifier import SigningKey


def opened() -> list[SigningKey]:
    gc.collect()
    return [thing for thing in gc.get_objects() if isinstance(thing, SigningKey)]


def test_the_secret_of_a_revoked_key_is_forgotten() -> None:
    state = State(MemoryJournal())
    ring = KeyRing(b"k" * 32)
    keys = Keys(state, ring, "123456789012")
    key_id, secret = keys.root(1.0)
    found = keys.lookup(key_id)
    assert found is not None
    assert keys.lookup(key_id) is found
    assert found in opened()
    del found
    record = state.access_keys.get(key_id)
    assert record is not None
    with state.transaction() as tx:
        tx.put(msgspec.structs.replace(record, expires_at=5.0))
    assert not any(key.secret == secret for key in opened())
    renewed = keys.lookup(key_id)
    assert renewed is not None
    assert renewed.expires_at == 5.0
    del renewed
    with state.transaction() as tx:
        tx.delete(state.access_keys.get(key_id))
    assert not any(key.secret == secret for key in opened())
    assert keys.lookup(key_id) is None
