"""``openecs env``: the shell must read back exactly what was meant."""

from __future__ import annotations

import json
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.cli.env import render, variables
from openecs.config import RootCredentials

TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)


@given(TEXT)
@settings(max_examples=40, deadline=None)
def test_the_shell_reads_back_every_secret(secret: str) -> None:
    credentials = RootCredentials(
        access_key_id="AKIA", secret_key=secret, account_id="0" * 12, region="r-1", endpoint="http://127.0.0.1:1"
    )
    values = variables(credentials)
    script = render(values, "sh") + '\nprintf "%s" "$AWS_SECRET_ACCESS_KEY"'
    done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, env={}, check=True)
    assert done.stdout == secret
    assert json.loads(render(values, "json")) == values


def test_fish_escapes_what_fish_escapes() -> None:
    assert "set -gx A 'it\\'s \\\\ here';" in render({"A": "it's \\ here"}, "fish")
