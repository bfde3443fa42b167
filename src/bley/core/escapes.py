"""Characters that cannot be shown as they are, as backslash codes."""

__all__ = ["code_of", "shown_text"]


def code_of(character: str) -> str:
    """A backslash code, `\\\\x0a` or `\\\\u2028`, for any character."""
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def shown_text(text: str, kept: str = "") -> str:
    """The text, with codes for control characters, such that change the direction of writing, and lone surrogates.

    `kept` are characters that stay as they are all the same.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in kept else code_of(each) for each in text)
