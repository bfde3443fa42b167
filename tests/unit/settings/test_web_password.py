"""The password's hash: made, read, and told from what is none."""

import hashlib
from pathlib import Path

import pytest

from bley.core.errors import SettingsError
from bley.settings.web_password import (
    PasswordHash,
    hash_password,
    parse_password_hash,
    read_password_hash,
    write_password_hash,
)

_SALT = "c2FsdHNhbHRzYWx0c2FsdA=="
_DIGEST = "pthPvZFkd6A9WGnfEjQ1p1XxYjxoISLjjHoMqDMYTu0="
_LINE = f"scrypt:ln=10,r=8,p=1:{_SALT}:{_DIGEST}"


def test_a_hash_is_of_its_password_only() -> None:
    password = hash_password("correct horse")
    assert password.is_of("correct horse")
    assert not password.is_of("correct horse ")
    assert not password.is_of("")


def test_it_is_scrypt_as_everybody_computes_it() -> None:
    digest = hashlib.scrypt(b"correct horse", salt=b"salt" * 4, n=1024, r=8, p=1, dklen=32)
    assert PasswordHash(10, 8, 1, b"salt" * 4, digest).is_of("correct horse")


def test_a_letter_is_the_same_however_it_is_typed() -> None:
    """RFC 7617: as the browser sends it, composed or not."""
    assert hash_password("j\u00fcrgens Wort").is_of("ju\u0308rgens Wort")


def test_two_hashes_of_one_password_are_different() -> None:
    assert hash_password("correct horse") != hash_password("correct horse")


def test_it_is_read_as_it_is_written() -> None:
    assert str(parse_password_hash(_LINE)) == _LINE
    password = hash_password("correct horse")
    assert parse_password_hash(str(password)) == password


def test_who_can_read_the_hash_can_prove_it_without_showing_it() -> None:
    password = hash_password("correct horse")
    assert password.proof == parse_password_hash(str(password)).proof
    assert password.proof != hash_password("correct horse").proof
    assert password.digest.hex() not in password.proof


def test_it_is_in_no_traceback() -> None:
    assert _DIGEST not in repr(parse_password_hash(_LINE))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("correct horse", "is not a password hash"),
        ("", "is not a password hash"),
        (f"bcrypt{_LINE.removeprefix('scrypt')}", "is not a password hash"),
        (f"scrypt:ln=9,r=8,p=1:{_SALT}:{_DIGEST}", "costs too little or too much"),
        (f"scrypt:ln=20,r=8,p=1:{_SALT}:{_DIGEST}", "costs too little or too much"),
        (f"scrypt:ln=15,r=8,p=99:{_SALT}:{_DIGEST}", "costs too little or too much"),
        (f"scrypt:ln=10,r=0,p=1:{_SALT}:{_DIGEST}", "costs too little or too much"),
        (f"scrypt:ln=10,r=8,p=1:{_SALT}:a===", "is not base64"),
        (f"scrypt:ln=10,r=8,p=1:{_SALT}:c2FsdA==", "is cut off"),
        (f"scrypt:ln=10,r=8,p=1:c2FsdA==:{_DIGEST}", "is cut off"),
    ],
)
def test_what_is_no_hash(text: str, what: str) -> None:
    """It is not shown: it may be the password itself."""
    with pytest.raises(ValueError, match=what) as caught:
        parse_password_hash(text)
    assert not text or text not in str(caught.value)


class TestFile:
    def test_it_is_for_its_owner_only(self, tmp_path: Path) -> None:
        file, password = tmp_path / "web", hash_password("correct horse")
        write_password_hash(file, password)
        assert file.stat().st_mode & 0o777 == 0o600
        assert read_password_hash(file) == password

    def test_a_new_password_is_for_whom_the_old_one_was(self, tmp_path: Path) -> None:
        """But not for everybody. And nothing else is left in the folder."""
        file, password = tmp_path / "web", hash_password("correct horse")
        file.write_text("old")
        file.chmod(0o644)
        write_password_hash(file, password)
        assert file.stat().st_mode & 0o777 == 0o640
        assert read_password_hash(file) == password
        assert [each.name for each in tmp_path.iterdir()] == ["web"]

    @pytest.mark.parametrize("mode", [0o644, 0o602])
    def test_one_that_is_open_to_everybody_is_refused(self, tmp_path: Path, mode: int) -> None:
        file = tmp_path / "web"
        write_password_hash(file, hash_password("correct horse"))
        file.chmod(mode)
        with pytest.raises(SettingsError) as caught:
            read_password_hash(file)
        assert str(caught.value) == f"{file}: can be accessed by other users: chmod o= {file}"

    @pytest.mark.parametrize("text", ["", "\n \n"])
    def test_an_empty_one_is_refused(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "web"
        file.write_text(text)
        with pytest.raises(SettingsError, match=f"{file}:1: must have one line with a hash"):
            read_password_hash(file)

    def test_one_that_cannot_be_made_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="No such file"):
            write_password_hash(tmp_path / "nowhere" / "web", hash_password("correct horse"))
