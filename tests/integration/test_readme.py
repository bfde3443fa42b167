"""The README's transcripts run."""

import re
import shlex
from pathlib import Path

from tests.dns_server import DnsServer
from tests.integration.daemon import Bley

README = Path(__file__).parents[2].joinpath("README.md").read_text()


def transcripts() -> list[tuple[list[str], str]]:
    """Each `$ bley …` in a console block with what it prints."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    commands = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(shlex.split(line), printed) for line, printed in (command.split("\n", 1) for command in commands)]


def test_the_readme_s_transcripts_run(tmp_path: Path) -> None:
    """With the default lists, of which none lists anybody; only the store stands elsewhere."""
    assert len(transcripts()) == 3
    listed = ("zen.spamhaus.org", "bl.spamcop.net", "list.dnswl.org")
    with DnsServer({f"2.0.0.127.{zone}": {"A": ["127.0.0.2"]} for zone in listed}) as dns:
        for number, ((program, *words), printed) in enumerate(transcripts()):
            folder = tmp_path / str(number)
            folder.mkdir()
            bley = Bley(folder, resolver=dns.address, use_spf="1")
            bley.file.write_text(re.sub(r"^dns[bw]ls.*\n", "", bley.file.read_text(), flags=re.MULTILINE))
            with bley:
                bley.file.write_text(re.sub("listen_port = 0", f"listen_port = {bley.port}", bley.file.read_text()))
                assert Path(program).name == "bley"
                assert bley.run(*words).replace(str(folder), "/var/lib/bley") == printed
