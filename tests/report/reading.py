"""Read a page strictly, the way a browser would, to ask it questions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""


class Page(HTMLParser):
    """All elements in order; `broken` tells of elements that are not closed where they should."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.broken: list[str] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        self.broken += [f"<{element.tag}> is never closed" for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].tag != tag:
            self.broken.append(f"</{tag}> closes {self._open[-1].tag if self._open else 'nothing'}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        return [e for e in self.elements if e.tag == tag
                and all(e.attributes.get(k) == v for k, v in attributes.items())]  # fmt: skip

    def ids(self) -> list[str]:
        return [e.attributes["id"] for e in self.elements if "id" in e.attributes]

    def words(self) -> str:
        """What a reader sees, blanks made equal."""
        return " ".join(self.all("body")[0].text.split())

    def loads(self) -> list[str]:
        """Everything that the page would fetch: attributes, and addresses in style sheets."""
        names = ("src", "href", "xlink:href", "data", "poster", "srcset", "action")
        loaded = [e.attributes[n] for e in self.elements if e.tag != "a"
                  for n in names if n in e.attributes]  # fmt: skip
        for style in self.all("style"):
            loaded += re.findall(r"url\(([^)]*)\)|@import\s+(\S+)", style.text)
        return [part for part in loaded if not str(part).startswith(("data:", "#"))]
