"""Files in the unit's own /tmp are warned of, and no others."""

from pathlib import Path

from bley.daemon.private_files import find_private_files
from bley.settings.file import load

_OF_A_UNIT = """\
168 160 0:41 /etc/bley /etc/bley rw,nosuid,relatime shared:128 master:2 - ext4 /dev/vda rw
271 184 0:50 /systemd-private-9f6f-bley.service-Owk71A/tmp /tmp rw,nosuid,relatime shared:120 - tmpfs tmpfs rw
274 160 0:41 /var/tmp/systemd-private-9f6f-bley.service-eqmqxj/tmp /var/tmp rw,nosuid - ext4 /dev/vda rw
"""


def _keys(folder: Path, mounts: str, **settings: str) -> list[str]:
    file = folder / "bley.conf"
    file.write_text("[bley]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
    return [warning.split(":")[0] for warning in find_private_files(load(file).settings, mounts)]


def test_files_that_no_other_program_sees(tmp_path: Path) -> None:
    places = {"listen_addr": "127.0.0.1, unix:/tmp/policy", "dbpath": "/var/tmp/bley", "log_file": "/tmp/bley.log"}
    assert _keys(tmp_path, _OF_A_UNIT, **places) == ["listen_addr", "database", "log_file"]
    others = {"listen_addr": "unix:/run/bley/policy", "dbpath": "/var/lib/bley", "log_file": "-"}
    assert _keys(tmp_path, _OF_A_UNIT, **others) == []


def test_outside_of_a_unit_tmp_belongs_to_all(tmp_path: Path) -> None:
    assert _keys(tmp_path, "25 1 254:0 / /tmp rw,relatime - tmpfs tmpfs rw\n", dbpath="/tmp", log_file="/tmp/log") == []
