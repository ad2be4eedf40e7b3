"""The Pulumi project that a command is about."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"^name:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    """A folder with a Pulumi.yaml."""

    folder: Path
    name: str

    @property
    def file(self) -> Path:
        """Its Pulumi.yaml."""
        return self.folder / "Pulumi.yaml"

    @property
    def key(self) -> str:
        """A short name for this folder, for what we keep about it."""
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]

    def selected(self, home: Path) -> str | None:
        """The stack that `pulumi stack select` chose here, as the CLI keeps it (sdk/go/common/workspace)."""
        place = hashlib.sha1(str(self.file).encode(), usedforsecurity=False).hexdigest()
        try:
            settings = json.loads((home / "workspaces" / f"{self.name}-{place}-workspace.json").read_text())
        except (OSError, ValueError):
            return None
        stack = settings.get("stack")
        return str(stack).rpartition("/")[2] if stack else None


def find(folder: Path) -> Project | None:
    """The project of a folder or of the nearest one above it, as Pulumi looks for it."""
    for place in (folder, *folder.parents):
        try:
            found = NAME.search((place / "Pulumi.yaml").read_text())
        except OSError:
            continue
        return Project(Path(os.path.realpath(place)), found[1]) if found else None
    return None
