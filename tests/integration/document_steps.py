"""The steps of a document, which a test takes as a reader would: its commands in order, with the paths of the test.

for step in read_steps(PROJECT / "docs/moving-from-postgrey.md"):
    steps.take(step)
"""

import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.integration.running_bley import Bley

__all__ = ["DocumentSteps", "Step", "read_steps"]

_BLOCK = re.compile(r"^( *)```(sh|ini)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """A command, or settings for bley.conf."""

    language: str
    text: str


def read_steps(document: Path, heading: str = "Steps") -> list[Step]:
    """Return the commands and settings below this heading."""
    _, _, section = document.read_text().partition(f"\n## {heading}\n")
    steps = list[Step]()
    for indent, language, text in _BLOCK.findall(section.split("\n## ")[0]):
        lines = [line.removeprefix(indent) for line in text.splitlines()]
        steps += [Step(language, line) for line in lines] if language == "sh" else [Step(language, "\n".join(lines))]
    return steps


class DocumentSteps:
    """What the commands of a document mean in a test.

    `places` are the paths and addresses of the test by those of the document, `services` the functions in place of
    commands of systemd and Postfix, `options` those that `bley` gets in addition, by its command.
    """

    def __init__(
        self,
        bley: Bley,
        *,
        places: Mapping[str, object],
        services: Mapping[str, Callable[[], object]],
        options: Mapping[str, list[str]] = {},
    ) -> None:
        self._bley, self._places, self._options = bley, places, options
        self._services = {"systemctl restart bley": self._restart, "systemctl reload bley": bley.reload, **services}

    def take(self, step: Step) -> None:
        """Take this step; the test fails if it fails."""
        text = step.text
        if text in self._services:
            self._services[text]()
            return
        for documented, place in self._places.items():
            text = text.replace(documented, str(place))
        if step.language == "ini":
            self._bley.write_settings(**dict(re.findall(r"^(\w+) = (.*)$", text, re.MULTILINE)))
        elif text.startswith("bley "):
            _, command, *words = shlex.split(text)
            self._bley.run(command, *self._options.get(command, []), *words)
        else:
            subprocess.run(["sh", "-e", "-c", text], check=True)

    def _restart(self) -> None:
        if self._bley.process.poll() is None:
            self._bley.stop()
        self._bley.start()
