"""Warnings about entries of list files that are valid, but probably do not do what the operator expects."""

from pathlib import Path

from bley.settings.file import load


def test_list_entries_that_exempt_most_clients(tmp_path: Path) -> None:
    """Without a verified name come most clients that send spam."""
    (tmp_path / "whitelist_clients").write_text("unknown OK\n192.0.2.1\n0.0.0.0/0\n::/0\n", encoding="utf-8")
    (tmp_path / "bley.conf").write_text("[bley]\n", encoding="utf-8")
    place = f"{tmp_path}/whitelist_clients"
    assert load(tmp_path / "bley.conf").warnings == (
        f"{place}:1:unknown: exempts every client without a verified name, as most senders of spam are",
        f"{place}:3:0.0.0.0/0: exempts every address of IPv4",
        f"{place}:4:::/0: exempts every address of IPv6",
    )


def test_local_part_that_is_read_as_a_domain(tmp_path: Path) -> None:
    """Of several in one kind of file, the first is named. Top-level domains, and hosts without a domain, are right."""
    (tmp_path / "whitelist_recipients").write_text("com\nlan\nJane\njoe\nexample.test\n", encoding="utf-8")
    (tmp_path / "whitelist_senders").write_text("xn--p1ai\nlists OK\n", encoding="utf-8")
    (tmp_path / "whitelist_clients").write_text("mailserver\n", encoding="utf-8")
    (tmp_path / "bley.conf").write_text("[bley]\n", encoding="utf-8")
    what = "is read as a domain, which does not exist: write"
    assert load(tmp_path / "bley.conf").warnings == (
        f"{tmp_path}/whitelist_recipients:3:Jane: {what} Jane@ for a local part; 1 more like this",
        f"{tmp_path}/whitelist_senders:2:lists: {what} lists@ for a local part",
    )
