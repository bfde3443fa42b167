"""The plugin in contrib/munin, run by Debian's munin-run with a real bley."""

import os
import re
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dns_server import DnsServer
from tests.free_ports import free_port
from tests.integration.running_bley import Bley
from tests.integration.servers import require
from tests.integration.test_lists import entries, on
from tests.integration.test_web_access import PASSWORD, make_password

PLUGIN = Path(__file__).parents[2] / "contrib/munin/bley_"
GRAPHS = ["decisions", "waits", "latency", "store", "lists", "health"]


class Munin:
    """munin-node's settings, with the plugin as its documentation says."""

    def __init__(self, folder: Path, settings: str) -> None:
        self._folder = folder
        for name in ("plugins", "plugin-conf.d"):
            folder.joinpath(name).mkdir()
        for graph in ["", *GRAPHS]:
            folder.joinpath(f"plugins/bley_{graph}").symlink_to(PLUGIN)
        folder.joinpath("plugin-conf.d/bley").write_text(f"[bley_*]\nuser root\n{settings}\n")

    def run(self, graph: str, command: str = "") -> tuple[int, str]:
        """Return exit status and output."""
        require("munin-run", "munin-node")
        options = [f"--servicedir={self._folder / 'plugins'}", f"--sconfdir={self._folder / 'plugin-conf.d'}"]
        ran = subprocess.run(
            ["munin-run", "--ignore-systemd-properties", *options, f"bley_{graph}", *command.split()],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | {"http_proxy": "http://192.0.2.1:1"},
        )
        return ran.returncode, ran.stdout + ran.stderr

    def values(self, graph: str) -> dict[str, int]:
        """Return the values by field; the test fails if the configuration has other fields."""
        status, config = self.run(graph, "config")
        assert status == 0, config
        status, fetched = self.run(graph)
        assert status == 0, fetched
        fields = re.findall(r"^(\w+)\.label ", config, re.MULTILINE)
        values = re.findall(r"^(\w+)\.value (\d+)$", fetched, re.MULTILINE)
        assert len(values) == len(fetched.splitlines())
        computed = re.findall(r"^(\w+)\.cdef ", config, re.MULTILINE)
        assert [name for name in fields if name not in computed] == [name for name, _ in values]
        assert re.search("^graph_title bley: ", config)
        return {name: int(value) for name, value in values}


@pytest.fixture(name="munin_and_bley", scope="module")
def _munin_and_bley(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Munin, Bley]]:
    """Run a bley that has deferred two mails; one came back early, and later passed."""
    folder = tmp_path_factory.mktemp("bley")
    web = f"127.0.0.1:{free_port()}"
    with (
        DnsServer(entries("bl.example")) as dns,
        Bley(folder, **on(dns, dnsbls="bl.example, 2.bl-gone.example", web_listen=web)) as bley,
    ):
        client = {"client_address": "192.0.2.1", "recipient": "b@example.org", "helo_name": "friend"}
        bley.ask(**client, sender="lost@example.com")
        for _ in range(2):
            bley.ask(**client, sender="jane@example.com")
        bley.end_waits()
        assert bley.ask(**client, sender="jane@example.com").startswith("action=PREPEND")
        yield Munin(tmp_path_factory.mktemp("munin"), f"env.url http://{web}"), bley


def test_each_graph_has_the_values_of_the_metrics(munin_and_bley: tuple[Munin, Bley]) -> None:
    munin, bley = munin_and_bley
    assert munin.values("decisions") == {"pass": 1, "greylist": 3, "would_defer": 0}
    assert munin.values("waits") == {"deferred": 2, "early": 1, "waited": 1}
    latency = munin.values("latency")
    assert latency["checks_n"] == 2
    assert latency["store_n"] == 2
    assert 0 < latency["checks_us"] < 60_000_000
    assert munin.values("store")["lost"] == 0
    bley.wait_log("bl-gone.example is set aside")
    assert munin.values("lists").keys() == {"bl_example", "_2_bl_gone_example"}
    assert munin.values("health") == {
        **dict.fromkeys(["store_down", "dns_silent", "dns_altered", "hidden_clients"], 0),
        "lists_ill": 1,
    }


def test_munin_finds_the_graphs(munin_and_bley: tuple[Munin, Bley]) -> None:
    munin, _ = munin_and_bley
    assert munin.run("", "suggest") == (0, "".join(f"{graph}\n" for graph in GRAPHS))
    assert munin.run("", "autoconf") == (0, "yes\n")
    assert re.search(r"^#%# family=auto\n#%# capabilities=autoconf suggest$", PLUGIN.read_text(), re.MULTILINE)


def test_a_bley_that_does_not_run_is_one_line(tmp_path: Path) -> None:
    munin = Munin(tmp_path, f"env.url http://127.0.0.1:{free_port()}")
    status, said = munin.run("decisions")
    assert status != 0
    assert said.splitlines()[0] == "no metrics: <urlopen error [Errno 111] Connection refused>"
    status, said = munin.run("", "autoconf")
    assert status == 0
    assert said.startswith("no (no metrics: ")


@pytest.mark.parametrize("answer", [b"* OK IMAP4 ready\r\n", b"HTTP/1.0 200 OK\r\n\r\n<html></html>"])
def test_another_program_is_no_bley(answer: bytes, tmp_path: Path) -> None:
    """Without this, each value would be 0, as if all were well."""

    class Other(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.request.sendall(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        munin = Munin(tmp_path, f"env.url http://127.0.0.1:{server.server_address[1]}")
        status, said = munin.run("health")
        assert status != 0
        assert said.startswith("no metrics: ")
        status, said = munin.run("", "autoconf")
        assert status == 0
        assert said.startswith("no (no metrics: ")
        server.shutdown()


def test_a_password_is_sent(tmp_path: Path) -> None:
    web, password_file = f"127.0.0.1:{free_port()}", tmp_path / "web_password"
    make_password(password_file)
    for name in ("right", "wrong"):
        (tmp_path / name).mkdir()
    with Bley(tmp_path, web_listen=web, web_password_file=password_file):
        right = Munin(tmp_path / "right", f"env.url http://{web}/\nenv.password {PASSWORD}")
        assert right.values("health")["store_down"] == 0
        wrong = Munin(tmp_path / "wrong", f"env.url http://{web}\nenv.password bread")
        assert wrong.run("", "autoconf") == (0, "no (no metrics: HTTP Error 401: Unauthorized)\n")
