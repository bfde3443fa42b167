"""resolv.conf: what can be used is used, and one warning names the rest."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bley.dns.resolv_conf import read_system_servers
from bley.settings.values import parse_server


def _file(folder: Path, content: bytes) -> Path:
    file = folder / "resolv.conf"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(
    ("content", "servers", "lines"),
    [
        (b"nameserver 192.0.2.1\nnameserver 2001:db8::1 # x\n", ("192.0.2.1", "2001:db8::1"), []),
        (b"nameserver 192.0.2.1:5353\n", ("192.0.2.1:5353",), []),
        (b"  nameserver\t192.0.2.1", ("192.0.2.1",), []),
        (b"# nameserver foo\n;nameserver foo\nnameserver 192.0.2.1\n", ("192.0.2.1",), []),
        (b"nameserver foo\nnameserver 192.0.2.1\n", ("192.0.2.1",), [1]),
        (b"nameserver 192.0.2.1\n\nsearch a..b\n", ("192.0.2.1",), [3]),
        (b"search example.com .\ndomain example.org.\nnameserver 192.0.2.1\n", ("192.0.2.1",), []),
        (b"domain " + 64 * b"a" + b".example\nnameserver 192.0.2.1\n", ("192.0.2.1",), [1]),
        (b"options timeout:x ndots: junk attempts:-1\nnameserver 192.0.2.1\n", ("192.0.2.1",), []),
        (b"nameserver fe80::1%nope\nnameserver 192.0.2.1\n", ("192.0.2.1",), [1]),
        (b"nameserver fe80::1%lo\n", ("fe80::1%lo",), []),
        (b"nameserver foo\n", ("127.0.0.1",), [1]),
        (b"nameserver\n", ("127.0.0.1",), [1]),
        (b"", ("127.0.0.1",), []),
        (b"\x7fELF\x00\xff\xfe nameserver\nnameserver 192.0.2.1\n", ("192.0.2.1",), []),
        (b"nameserver \xff\xfe\n", ("127.0.0.1",), [1]),
    ],
)
def test_what_can_be_used_is_used(content: bytes, servers: tuple[str, ...], lines: list[int], tmp_path: Path) -> None:
    file = _file(tmp_path, content)
    read = read_system_servers(file)
    assert read.servers == servers
    assert [fault.line for fault in read.faults] == lines
    assert {fault.file for fault in read.faults} <= {str(file)}
    assert bool(read.warning) == bool(lines)


@given(st.binary(max_size=200) | st.text("nameserver search domain.:\n 0", max_size=200).map(str.encode))
def test_whatever_is_in_it_there_are_servers_and_no_exception(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    read = read_system_servers(_file(tmp_path_factory.mktemp("any"), content))
    assert read.servers
    assert all(map(parse_server, read.servers))
    assert read.warning.isprintable()


def test_many_bad_lines_are_one_warning(tmp_path: Path) -> None:
    read = read_system_servers(_file(tmp_path, b"nameserver foo\n" * 1000))
    assert read.warning.endswith("; 997 more lines are ignored")
    assert len(read.warning) < 1000


def test_one_that_is_missing_is_no_fault(tmp_path: Path) -> None:
    assert read_system_servers(tmp_path / "none").warning == ""


def test_one_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    read = read_system_servers(tmp_path)
    assert read.servers == ("127.0.0.1",)
    assert read.warning == f"{tmp_path}: cannot be read: Is a directory; 127.0.0.1 is used"
