"""Backslash codes for characters that cannot be shown."""

__all__ = ["escape_code", "escape_controls"]


def escape_code(character: str) -> str:
    """Return the backslash code of a character, `\\x0a` or `\\u2028`."""
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def escape_controls(text: str, kept: str = "") -> str:
    """Replace control characters, bidirectional overrides and lone surrogates by their codes.

    The characters in `kept` are not replaced.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in kept else escape_code(each) for each in text)
