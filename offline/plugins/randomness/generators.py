"""Passwords and identifiers from the operating system's randomness."""

import base64
import secrets
import string

import bcrypt

from offline.plugins.wire import Properties

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
BCRYPT_BYTES = 72  # what bcrypt reads of a password
# class: the input that allows it, and the one that asks for a least number of it
CLASSES = {
    "lower": ("lower", "minLower"),
    "upper": ("upper", "minUpper"),
    "numeric": ("numeric", "minNumeric"),
    "special": ("special", "minSpecial"),
}


def wrong(inputs: Properties) -> list[str]:
    """Return what is contradictory in a password's settings."""
    least = sum(inputs.get(minimum) or 0 for _, minimum in CLASSES.values())
    found = []
    if inputs["length"] < least:
        found.append(f"length ({inputs['length']}) must be at least the sum of all minimums ({least})")
    if not any(_allowed(inputs, allowed) for allowed, _ in CLASSES.values()):
        found.append("at least one of special, upper, lower, numeric must be true")
    return found


def password(inputs: Properties) -> str:
    """Return a password: the asked number of each class first, the rest from all allowed ones, then shuffled."""
    alphabets = {
        "lower": string.ascii_lowercase,
        "upper": string.ascii_uppercase,
        "numeric": string.digits,
        "special": inputs.get("overrideSpecial") or SPECIAL,
    }
    every = "".join(alphabets[name] for name, (allowed, _) in CLASSES.items() if _allowed(inputs, allowed))
    characters = [
        secrets.choice(alphabets[name]) for name, (_, least) in CLASSES.items() for _ in range(inputs.get(least) or 0)
    ]
    characters += [secrets.choice(every) for _ in range(inputs["length"] - len(characters))]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)


def bcrypt_hash(text: str) -> str:
    """Return the bcrypt hash of a password."""
    return bcrypt.hashpw(text.encode()[:BCRYPT_BYTES], bcrypt.gensalt(rounds=10)).decode()


def identifier(length: int, prefix: str) -> dict[str, str]:
    """Return random bytes as `hex`, `dec`, `b64Std` and `b64Url`, prefixed, and as `id`, which never is."""
    content = secrets.token_bytes(length)
    url = base64.urlsafe_b64encode(content).decode().rstrip("=")
    return {
        "id": url,
        "hex": prefix + content.hex(),
        "dec": prefix + str(int.from_bytes(content)),
        "b64Std": prefix + base64.b64encode(content).decode(),
        "b64Url": prefix + url,
    }


def _allowed(inputs: Properties, name: str) -> bool:
    # `number` is the older name of `numeric`; either one switches both off.
    values = [inputs.get("numeric"), inputs.get("number")] if name == "numeric" else [inputs.get(name)]
    return all(value is not False for value in values)
