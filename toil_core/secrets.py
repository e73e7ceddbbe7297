"""Which environment variables hold secrets, by their names; such values are never stored.

Options, the environment of jobs and the setup of workers are blobs of the job store, and parts of
them show in logs and command lines. So a secret must not get there in the first place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from toil_core.errors import BadOption

_WORDS = {"KEY", "KEYS", "TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "PASS", "PWD", "CREDENTIAL", "CREDENTIALS"}
_ENDS = re.compile(r"(API|ACCESS|SECRET|PRIVATE|SIGNING|ACCOUNT)KEY|.+(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)")
_PLACES = {"FILE", "PATH", "DIR"}
_PLAIN = {"PWD", "OLDPWD"}
_SETTERS = ("--set-env", "--setEnv", "-e")


def looks_secret(name: str) -> bool:
    """Whether a variable of this name probably holds a secret; one that ends in `_FILE`, `_PATH` or `_DIR` only says where one is.

    Args:
        name: The variable's name, in any case.
    """
    upper = name.upper()
    words = re.split(r"[^A-Z0-9]+", upper)
    if upper in _PLAIN or words[-1] in _PLACES:
        return False
    return any(word in _WORDS or _ENDS.fullmatch(word) for word in words)


def refuse_secret(name: str) -> None:
    """Refuse to store the value of a variable whose name says that it is a secret.

    Args:
        name: The variable's name.

    Raises:
        BadOption: It is; says where secrets belong.
    """
    if looks_secret(name):
        raise BadOption(
            f"the name of {name} says that it is a secret, and what is set here is stored with the workflow: "
            f"export it where the workers start (jobs on this machine inherit the environment), "
            f"or keep it in a file or role that the worker machines have, and name that: {name}_FILE=PATH"
        )


def refuse_secret_words(words: Sequence[str]) -> None:
    """Refuse a workflow's command line that sets such a variable, before it is sent, shown or kept anywhere.

    Args:
        words: The command line.

    Raises:
        BadOption: It does; says where secrets belong.
    """
    for before, word in zip(("", *words), words, strict=False):
        flag, _, value = word.partition("=")
        setting = word if before in _SETTERS else value if flag in _SETTERS else word[2:] if re.match("-e[A-Za-z_]", word) else ""
        name, equals, _ = setting.partition("=")
        if equals:
            refuse_secret(name)
