"""The folder that keeps what backends build on this machine, such as compiled libraries.

The name of an entry holds the hash of its content. An entry is only used where its content still has that hash, where
it belongs to the user, and where nobody else may write it; otherwise it is built again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

DIGITS = 32
"""Of a hash in the name of an entry."""


def cache_folder() -> Path:
    """The folder that `SNNC_CACHE` names, or `snncompile` in the operating system's folder for caches of a user."""
    given = os.environ.get("SNNC_CACHE")
    if given:
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "snncompile" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "snncompile"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "snncompile"


def kept(key: str, suffix: str, make: Callable[[Path], Path]) -> Path:
    """The entry of a key, which is made unless there is a sound one.

    Args:
        key: a hash of everything that the entry follows from.
        suffix: the end of its file name, such as `.so`.
        make: makes the file in an empty folder that it is given, and returns its path. What it raises is passed on.

    Returns:
        The path of the entry. An entry that is not sound is removed.

    Raises:
        OSError: where the cache cannot be written, or where others may write to it.
    """
    home = cache_folder()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _own(home.stat(), stat.S_IWOTH):
        raise PermissionError(f"{home} belongs to another user, or anybody may write to it")
    for entry in sorted(home.glob(f"{key}-*{suffix}")):
        if _sound(entry):
            return entry
        if not entry.is_dir():
            entry.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as folder:
        made = make(Path(folder))
        made.chmod(stat.S_IRWXU)
        entry = home / f"{key}-{_hash(made.read_bytes())}{suffix}"
        os.replace(made, entry)
    return entry


def _sound(entry: Path) -> bool:
    """Whether an entry is a file of this user that nobody else may write, with the content that its name says."""
    try:
        found = entry.lstat()
        return stat.S_ISREG(found.st_mode) and _own(found, stat.S_IWGRP | stat.S_IWOTH) and entry.stem.endswith(
            f"-{_hash(entry.read_bytes())}")
    except FileNotFoundError:  # another process has removed it
        return False


def _own(found: os.stat_result, others: int) -> bool:
    """Whether a file or folder belongs to this user, without these permissions of others."""
    return sys.platform == "win32" or (found.st_uid == os.getuid() and not found.st_mode & others)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGITS]
