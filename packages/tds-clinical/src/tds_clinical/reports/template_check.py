"""What a hospital's template may make: the inside of a page, which neither fetches nor runs anything.

No element of it can swallow what stands below; styles are not looked at, and `html.py` keeps them off the notice.
"""

from html.parser import HTMLParser
from typing import Final, NoReturn

from tds_clinical.errors import ReportError

_OF_A_PAGE: Final = frozenset({"html", "head", "body", "main", "base", "link", "meta", "plaintext"})
_ACTIVE: Final = frozenset({"script", "iframe", "frame", "object", "embed", "form"})
_REFUSED: Final = _OF_A_PAGE | _ACTIVE
_VOID: Final = frozenset({"area", "br", "col", "hr", "img", "input", "source", "track", "wbr"})
_CLOSED_BY_ITSELF: Final = frozenset({"p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option"})
_PICTURE: Final = "data:image/"


def check_body(body: str, name: str, *, refused: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return the words for each picture of a body by its address, and refuse a body that is not sound.

    Args:
        body: HTML that a template made.
        name: Name of the template.
        refused: Elements that it may not hold, beside those that none may.

    Raises:
        ReportError: If an element is refused, left open or closed twice, or a picture lacks words or lies elsewhere.
    """
    checker = _Checker(name, _REFUSED | refused)
    checker.feed(body)
    checker.close()
    checker.finish()
    return checker.words


class _Checker(HTMLParser):
    def __init__(self, name: str, refused: frozenset[str]) -> None:
        super().__init__(convert_charrefs=False)
        self.words: dict[str, str] = {}
        self._name = name
        self._refused = refused
        self._open: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._refused:
            self._refuse(f"makes <{tag}>; it makes the inside of a page, which holds none")
        scripts = [key for key, _ in attrs if key.startswith("on")]
        if scripts:
            self._refuse(f"gives <{tag}> the attribute {scripts[0]}; reports run no scripts")
        if tag == "img":
            self._check_picture(dict(attrs))
        if tag not in _VOID:
            self._open.append((tag, self.getpos()[0]))

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        while self._open and self._open[-1][0] != tag and self._open[-1][0] in _CLOSED_BY_ITSELF:
            self._open.pop()
        if not self._open or self._open[-1][0] != tag:
            self._refuse(f"closes <{tag}>, which is not open there")
        self._open.pop()

    def finish(self) -> None:
        """Refuse what is still open at the end, which would swallow the notice below it."""
        left = [(tag, line) for tag, line in self._open if tag not in _CLOSED_BY_ITSELF]
        if left:
            tag, line = left[-1]
            self._refuse(f"leaves <{tag}> open, which begins in line {line} of what it makes")

    def handle_data(self, data: str) -> None:
        is_style = bool(self._open) and self._open[-1][0] == "style"
        if "<" in data and not is_style:
            self._refuse("makes a bare < that begins no element; write &lt;")

    def unknown_decl(self, data: str) -> None:
        self._refuse(f"makes a declaration of {len(data)} letters; it makes elements and text alone")

    def handle_comment(self, data: str) -> None:
        self._refuse(f"makes a comment of {len(data)} letters; write {{# ... #}}, which leaves none behind")

    def handle_decl(self, decl: str) -> None:
        self.unknown_decl(decl)

    def handle_pi(self, data: str) -> None:
        self.unknown_decl(data)

    def _check_picture(self, attributes: dict[str, str | None]) -> None:
        address, words = attributes.get("src") or "", attributes.get("alt")
        if not address.startswith(_PICTURE):
            self._refuse("shows a picture that is not a data URL; reports fetch nothing")
        if words is None:
            self._refuse('shows a picture without words; give it an alt, alt="" if it is mere decoration')
        self.words[address] = words

    def _refuse(self, reason: str) -> NoReturn:
        message = f"the template {self._name!r} {reason} (line {self.getpos()[0]} of what it makes)"
        raise ReportError(message)
