"""Foreign text in a terminal: shown, never obeyed."""


def printable(text: object) -> str:
    """Return text without control characters and the like, which a terminal would obey."""
    return "".join(letter if letter.isprintable() else "·" for letter in str(text))
