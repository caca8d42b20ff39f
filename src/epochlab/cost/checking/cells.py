"""Read what somebody wrote into a cell: 3.2M, 150,528, 224*224*3=150K, 3·3·64·64, 56x56x256."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

SUFFIXES = {
    "": 1, "k": 10**3, "thousand": 10**3, "m": 10**6, "mio": 10**6, "mln": 10**6,
    "million": 10**6, "millions": 10**6, "g": 10**9, "bn": 10**9, "billion": 10**9,
    "billions": 10**9, "t": 10**12, "trillion": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30,
}  # fmt: skip
LONGEST = 200
"""Signs in a cell; a longer one is no number."""
NOTHING = frozenset({"", "?", "n/a", "na", "nan", "null", "tbd", "todo", "…"})
NONE_AT_ALL = frozenset({"-", "–", "—", "−", "none", "no", "nil", "/"})

_UNIT = (r"(?:bytes?|b|flops?|flop/s|macs?|mult-?adds?|params?|parameters|weights|ops|operations|"
         r"numbers|neurons|units|values|activations)")  # fmt: skip
_SUFFIX = r"(?:thousand|millions?|billions?|trillion|mio|mln|bn|[kmg]i|[kmgt])"
# An optional sign, digits with or without thousands separators, a power of ten, suffix, unit.
_NUMBER = re.compile(
    rf"(?P<digits>\d[\d,.'_ ]*|\.\d+)(?:[eE](?P<power>[+-]?\d+))?"
    rf"\s*(?P<suffix>{_SUFFIX})?\s*(?P<unit>{_UNIT})?\.?",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    rf"\s*(?:(?P<sign>\*\*|[-+*/^()])|(?P<number>(?:\d[\d,'_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
    rf"\s?(?:{_SUFFIX}\b)?))",
    re.IGNORECASE,
)
_RESULT_SIGNS = re.compile(r"=+>?|≈|≅|→|->|~")


@dataclass(frozen=True)
class Number:
    """A number as it was written."""

    value: Fraction
    digits: tuple[int, int] | None = None
    "how many digits may be meant, at least and at most; None for a calculation, which is exact"
    suffix: str = ""
    "k, m, g ... in small letters"

    @property
    def is_vague(self) -> bool:
        """Whether a single digit is all that it says."""
        return self.digits is not None and self.digits[0] < 2

    @property
    def play(self) -> Fraction:
        """By how much the exact number may be larger or smaller: half of the last digit meant."""
        whole = self.value.denominator == 1 and not self.suffix
        if self.digits is None or self.value == 0 or (whole and self.digits[0] == self.digits[1]):
            return Fraction(0)
        return Fraction(10) ** (_exponent(self.value) - self.digits[0] + 1) / 2

    def rounds(self, exact: float | Fraction) -> bool:
        """Whether this is `exact`, rounded to one of the numbers of digits that may be meant."""
        wanted = Fraction(exact)
        if self.value == wanted:
            return True
        if self.digits is None or wanted == 0 or self.value == 0:
            return False
        size = _exponent(wanted)
        least, most = self.digits
        return any(
            abs(self.value - wanted) <= Fraction(10) ** (size - n + 1) / 2
            for n in range(least, most + 1)
        )

    def cut_off(self, exact: float | Fraction) -> bool:
        """Whether this is `exact` with its last digits dropped in place of rounded."""
        wanted = Fraction(exact)
        if self.digits is None or wanted == 0 or _exponent(wanted) != _exponent(self.value or 1):
            return False
        unit = Fraction(10) ** (_exponent(wanted) - self.digits[1] + 1)
        return self.value == wanted // unit * unit and self.value != wanted


@dataclass(frozen=True)
class Given:
    """One cell: what is written, the number that it comes to, and slips within it."""

    text: str
    number: Number | None = None
    "None where nothing is written, and where it cannot be read"
    empty: bool = False
    slip: str = ""
    "a calculation that does not give the result written behind it"
    worked: Fraction | None = None
    "what that calculation gives"
    shapes: tuple[tuple[int, ...], ...] = ()
    "what it may mean in a column of sizes"


@lru_cache(maxsize=4096)
def read_cell(text: str) -> Given:
    """Understand one cell; what cannot be read has no number and is not empty."""
    if len(text) > LONGEST:
        return Given(text.strip())
    plain = _plain(text)
    if plain.lower() in NOTHING or not plain.strip("."):
        return Given(text.strip(), empty=True)
    if plain.lower() in NONE_AT_ALL:
        return Given(text.strip(), Number(Fraction(0)))
    parts = [part.strip() for part in _RESULT_SIGNS.split(plain) if part.strip()]
    if not parts:
        return Given(text.strip())
    shapes = tuple(shape for part in parts for shape in _shapes(part))
    number = _number(parts[-1]) or _calculation(parts[-1])
    slip, worked = _slip(parts, number)
    return Given(text.strip(), number, slip=slip, worked=worked, shapes=shapes)


def _plain(text: str) -> str:
    """Formulas of other notations in one: no dollar signs, * for every sign of multiplication."""
    out = text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2009", " ")
    out = re.sub(r"\\(?:times|cdot|ast)\b", "*", out)
    out = re.sub(r"\\(?:left|right|text|mathrm|,|;)", "", out)
    out = out.replace("{,}", ",").replace("$", "").replace("`", "").replace("**", "^")
    out = re.sub(r"[{\[]", "(", re.sub(r"[}\]]", ")", out))
    out = re.sub(r"[·×✕⋅∗•∙]", "*", out).replace("−", "-").replace("²", "^2").replace("³", "^3")
    out = re.sub(r"(?<=[\d)])\s*x\s*(?=[\d(])", "*", out, flags=re.IGNORECASE)
    return _explained(out.strip().strip('"').strip().removesuffix("."))


def _explained(text: str) -> str:
    """'3.2M (3,211,264)' and '25088 (7*7*512)' with the more precise one, or the result, last."""
    match = re.fullmatch(r"([^()=]*[\dA-Za-z])\s*\(([^()]+)\)", text)
    if match is None:
        return text
    outer, inner = _number(match[1]), _number(match[2])
    if outer is None:
        return text
    if inner is not None:
        return f"{match[1]}={match[2]}"
    worked = _calculation(match[2])
    return f"{match[2]}={match[1]}" if worked and outer.rounds(worked.value) else text


def _number(text: str) -> Number | None:
    text = re.sub(r"\*\s*10\s*\^\s*\(?([+-]?\d+)\)?", r"e\1", text)
    text = re.sub(r"^(?:ca\.?|about|approx\.?|circa)\s*", "", text.strip(), flags=re.IGNORECASE)
    match = _NUMBER.fullmatch(text)
    if match is None:
        # 19.6B: bytes only where another letter stands before it (12.8 MB).
        match = _NUMBER.fullmatch(re.sub(r"(?<=\d)\s*B$", "bn", text))
    if match is None:
        return None
    suffix, unit = (match["suffix"] or "").lower(), match["unit"] or ""
    if unit == "B" and not suffix:
        suffix = "bn"
    digits = _digits(match["digits"].strip(), bool(suffix or match["power"]))
    if digits is None or abs(int(match["power"] or 0)) > 30:
        return None
    value = Fraction(digits) * SUFFIXES[suffix] * Fraction(10) ** int(match["power"] or 0)
    return Number(value, _significant(digits), suffix)


def _digits(text: str, has_scale: bool) -> str | None:
    """'150,528' -> '150528', '3,2' -> '3.2': separators of thousands leave, a decimal comma turns.

    A single point before three digits separates thousands unless a suffix follows (150.528 is no
    possible count, 3.211M is).
    """
    text = re.sub(r"(?<=\d)['_ ](?=\d{3}(?!\d))", "", text)
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", text):
        return text.replace(",", "")
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", text) and not (
        has_scale and text.count(".") == 1
    ):
        return text.replace(".", "").replace(",", ".")
    if re.fullmatch(r"\d+,\d+", text):
        return text.replace(",", ".")
    return text.rstrip(".") if re.fullmatch(r"\d*\.?\d*", text) and text.strip(".") else None


def _significant(digits: str) -> tuple[int, int]:
    """How many digits may be meant: '800' two or three, '3.20' three, '3' one.

    Zeros at the end of a whole number may be there for its size only; but nobody rounds to a single
    digit and then writes more of them.
    """
    whole, point, rest = digits.partition(".")
    written = (whole + rest).lstrip("0")
    if point and rest:
        return max(1, len(written)), max(1, len(written))
    least = len(written.rstrip("0"))
    return max(1, min(max(least, 2), len(written))), max(1, len(written))


def _exponent(value: Fraction | int) -> int:
    """Power of ten of the first digit, exactly."""
    value = abs(Fraction(value))
    guess = len(str(value.numerator)) - len(str(value.denominator))
    return guess if Fraction(10) ** guess <= value else guess - 1


def _shapes(text: str) -> Iterator[tuple[int, ...]]:
    """What (56*56*256), '56, 56, 256' or '55: 55*55*96' may mean as a size."""
    inner = text.rsplit(":", 1)[-1].strip().strip("()").strip()
    inner = re.sub(r"^(?:none|-1|batch|n|b)\s*[,*]\s*", "", inner, flags=re.IGNORECASE)
    if re.fullmatch(r"\d+(?:\s*[*,; ]\s*\d+){0,3}", inner):
        yield tuple(map(int, re.findall(r"\d+", inner)))
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+", inner):
        yield (int(inner.replace(",", "")),)


def _slip(parts: list[str], number: Number | None) -> tuple[str, Fraction | None]:
    """The calculation before the result, where it comes to something else."""
    if number is None or len(parts) < 2:
        return "", None
    for part in reversed(parts[:-1]):
        stated = _number(part)
        worked = stated or _calculation(re.split(r"[;:]", part)[-1])
        if worked is None:
            continue
        agrees = number.rounds(worked.value) or (stated is not None and stated.rounds(number.value))
        if not agrees:
            shown = f"{int(worked.value):,}" if worked.value.denominator == 1 else (
                f"{float(worked.value):g}"
            )  # fmt: skip
            return f"{part} is {shown}, not {parts[-1]}", worked.value
        return "", worked.value
    return "", None


# --- arithmetic -----------------------------------------------------------------------------------


def _calculation(text: str) -> Number | None:
    """3*3*64 + 64, (7*7*512)*4096, 2^10: exactly; None for anything else."""
    tokens = list(_tokens(re.sub(rf"(?<=[\d)])\s+{_UNIT}$", "", text.strip(), flags=re.IGNORECASE)))
    if not tokens or "" in tokens:
        return None
    try:
        value, rest = _sum(tokens)
    except (ValueError, ZeroDivisionError, OverflowError, IndexError):
        return None
    return Number(value) if not rest else None


def _tokens(text: str) -> Iterator[str]:
    """Numbers and signs; an empty one at the first letter that is neither."""
    position = 0
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            yield ""
            return
        yield match["sign"] or match["number"]
        position = match.end()


def _sum(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, rest = _product(tokens)
    while rest and rest[0] in "+-":
        sign = 1 if rest[0] == "+" else -1
        term, rest = _product(rest[1:])
        value += sign * term
    return value, rest


def _product(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, rest = _power(tokens)
    # Without a sign, as in (3*3*3)64, one side must be in brackets.
    while rest and (rest[0] in "*/(" or tokens[-len(rest) - 1] == ")" != rest[0]):
        sign = rest[0]
        if sign in "+-^)":
            break
        factor, rest = _power(rest[1:] if sign in "*/" else rest)
        value = value / factor if sign == "/" else value * factor
    return value, rest


def _power(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, rest = _atom(tokens)
    if rest and rest[0] in ("^", "**"):
        exponent, rest = _atom(rest[1:])
        if exponent.denominator != 1 or abs(exponent) > 40 or abs(value) > 10**15:
            raise ValueError("no power of a plausible size")
        value = value ** int(exponent)
    return value, rest


def _atom(tokens: list[str]) -> tuple[Fraction, list[str]]:
    if tokens[0] == "(":
        value, rest = _sum(tokens[1:])
        if rest[0] != ")":
            raise ValueError("a bracket is not closed")
        return value, rest[1:]
    if tokens[0] == "-":
        value, rest = _atom(tokens[1:])
        return -value, rest
    number = _number(tokens[0])
    if number is None:
        raise ValueError(f"no number: {tokens[0]}")
    return number.value, tokens[1:]
