"""Small files on any storage: read whole, written whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.errors import StorageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_RANDOM_LETTERS = 8
"""Of the names that `tempfile` makes."""
_IF_NONE_IS_THERE = "fs.option.create.conditional.overwrite"
_REMOTE = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:")


class FileStore(Protocol):
    """Reads and writes small text files by path."""

    def read(self, path: str) -> str | None:
        """The text at ``path``; None where there is no file."""

    def write(self, path: str, text: str) -> None:
        """Puts ``text`` at ``path``: under a temporary name, synced, then renamed."""

    def move(self, path: str, new_path: str) -> None:
        """Renames a file."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder at ``path``."""

    def remove(self, path: str) -> None:
        """Deletes a file, or a folder with all that is in it; nothing where there is none."""

    def names(self, folder: str) -> list[str]:
        """What is in ``folder``, hidden files left out, sorted; empty where there is none."""


def is_local(path: str) -> bool:
    """Whether ``path`` is on this machine's file system."""
    return _REMOTE.match(path) is None


def local_path(path: str) -> Path:
    """``path`` as one of this machine's, `file:` taken off."""
    return Path(re.sub(r"^file:(?://)?", "", path))


class LocalFiles:
    """This machine's file system; files are readable by their owner only.

    Args:
        is_shared: whether others may read what is written.
    """

    def __init__(self, *, is_shared: bool = False) -> None:
        self._mode = 0o644 if is_shared else 0o600

    def read(self, path: str) -> str | None:
        """The text at ``path``; None where there is no file."""
        try:
            return local_path(path).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, path: str, text: str) -> None:
        """Puts ``text`` at ``path``: under a temporary name, synced, then renamed.

        Raises:
            StorageError: it cannot be written; what was there before still is.
        """
        try:
            self._write(local_path(path), text)
        except OSError as error:
            raise StorageError.of(error, path) from error

    def _write(self, target: Path, text: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), self._mode)
                os.fsync(file.fileno())
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    put = write

    def create(self, path: str, text: str) -> bool:
        """Puts ``text`` at ``path`` and gives True; False where there is a file already."""
        target = local_path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return True

    def modified_seconds(self, path: str) -> float | None:
        """When a file was changed last, by the storage's clock; None where there is none."""
        try:
            with local_path(path).open("rb") as file:  # opening asks an NFS server
                return os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None

    def sweep(self, folder: str) -> None:
        """Removes what writes into ``folder`` left that were killed; nobody may write meanwhile."""
        for left in local_path(folder).glob(f".*.{'?' * _RANDOM_LETTERS}"):
            left.unlink()

    def move(self, path: str, new_path: str) -> None:
        """Renames a file."""
        local_path(path).replace(local_path(new_path))

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder at ``path``."""
        return local_path(path).exists()

    def remove(self, path: str) -> None:
        """Deletes a file, or a folder with all that is in it; nothing where there is none."""
        place = local_path(path)
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        """What is in ``folder``, hidden files left out, sorted; empty where there is none."""
        place = local_path(folder)
        found = place.iterdir() if place.is_dir() else ()
        return sorted(one.name for one in found if not one.name.startswith("."))


class HadoopFiles:
    """Any storage that Spark reaches, through Hadoop's file systems."""

    def __init__(self, spark: SparkSession) -> None:
        self._jvm: Any = spark._jvm
        self._conf: Any = spark._jsparkSession.sessionState().newHadoopConf()

    def read(self, path: str) -> str | None:
        """The text at ``path``; None where there is no file."""
        place, files = self._at(path)
        if not files.exists(place):
            return None
        stream = files.open(place)
        try:
            content = bytes(getattr(self._jvm, "org.apache.commons.io.IOUtils").toByteArray(stream))
            return content.decode(errors="replace")
        finally:
            stream.close()

    def write(self, path: str, text: str) -> None:
        """Puts ``text`` at ``path``: under a temporary name, closed, then renamed."""
        place, files = self._at(path)
        temporary, _ = self._at(f"{path}.tmp-{os.getpid()}")
        self._fill(files.create(temporary, True), text)
        files.delete(place, False)
        if not files.rename(temporary, place):
            raise OSError(f"cannot rename to {path}")

    def move(self, path: str, new_path: str) -> None:
        """Renames a file."""
        place, files = self._at(path)
        target, _ = self._at(new_path)
        if not files.rename(place, target):
            raise OSError(f"cannot rename {path}")

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder at ``path``."""
        place, files = self._at(path)
        return bool(files.exists(place))

    def remove(self, path: str) -> None:
        """Deletes a file, or a folder with all that is in it; nothing where there is none."""
        place, files = self._at(path)
        files.delete(place, True)

    def put(self, path: str, text: str) -> None:
        """Puts ``text`` at ``path``, whatever is there, without a temporary name."""
        place, files = self._at(path)
        self._fill(files.create(place, True), text)

    def create(self, path: str, text: str) -> bool:
        """Puts ``text`` at ``path`` and gives True; False where there is a file already."""
        place, files = self._at(path)
        from py4j.protocol import Py4JJavaError

        made = files.createFile(place).overwrite(False).recursive()
        made = made.opt(_IF_NONE_IS_THERE, True)  # object stores that can then do it in one go
        try:
            self._fill(made.build(), text)
        except Py4JJavaError:
            if files.exists(place):
                return False
            raise
        return True

    def names(self, folder: str) -> list[str]:
        """What is in ``folder``, hidden files left out, sorted; empty where there is none."""
        place, files = self._at(folder)
        if not files.exists(place):
            return []
        found = (str(one.getPath().getName()) for one in files.listStatus(place))
        return sorted(name for name in found if not name.startswith("."))

    def modified_seconds(self, path: str) -> float | None:
        """When a file was changed last, by the storage's clock; None where there is none."""
        place, files = self._at(path)
        if not files.exists(place):
            return None
        return float(files.getFileStatus(place).getModificationTime()) / 1000

    def _fill(self, stream: Any, text: str) -> None:
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()

    def _at(self, path: str) -> tuple[Any, Any]:
        place = getattr(self._jvm, "org.apache.hadoop.fs.Path")(path)
        return place, place.getFileSystem(self._conf)


def cache_folder(project: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The project's cache, ``PIPELINE_CACHE_DIR`` relative to ``project``, or `.cache`."""
    return (project / (environ.get("PIPELINE_CACHE_DIR") or ".cache")).absolute()
