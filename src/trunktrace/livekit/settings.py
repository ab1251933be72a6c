"""What a traced worker is configured with; read once, where the entrypoint is decorated."""

from __future__ import annotations

from dataclasses import dataclass, field

from trunktrace.directory import Directory
from trunktrace.errors import ConfigurationError
from trunktrace.redaction import Redaction


@dataclass(frozen=True, slots=True)
class Settings:
    """Directory and redaction of this worker; picklable, so that it can travel to a job."""

    directory: Directory = field(default_factory=Directory.find)
    redaction: Redaction = field(default_factory=Redaction.from_environment)
    learn_trunks: bool = False

    @classmethod
    def load(
        cls,
        directory: Directory | None = None,
        redaction: Redaction | None = None,
        *,
        learn_trunks: bool = False,
    ) -> Settings:
        """The given settings, the rest from files and environment.

        Raises ConfigurationError naming the field and the fix.
        """
        _check("directory", directory, Directory, "give trunktrace.Directory.load(path)")
        _check("redaction", redaction, Redaction, "give a trunktrace.Redaction(...)")
        _check("learn_trunks", learn_trunks, bool, "give True or False")
        directory = directory if directory is not None else Directory.find()
        if redaction is None:
            redaction = Redaction.from_environment(default_country=directory.default_country)
        return cls(directory, redaction, learn_trunks)


def _check(field_name: str, value: object, kind: type, fix: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise ConfigurationError(field_name, value, fix)
