"""Words of error messages that cannot be a name, an identifier or any other value."""

from typing import Final

_TEXT: Final = (
    "a additional all allowed already an and any are as at attempt authentication authorization bad batch "
    "be bundle but by can cannot code coded codes conditional conflict constraint contains could create "
    "creates data date denied does duplicate element elements empty entries entry error exceeded exceeds "
    "exist existing exists expected expired failed field fields for forbidden format found from has have "
    "identifier identity if in incorrect invalid invariant is isolation it large length limit literal "
    "many match matched matches matching maximum method minimum missing more multiple must no not "
    "number of on one only operation operations or parse permitted process processed property rate "
    "reference referenced references rejected request required requires resolve resource resources rule "
    "same search security server should size strict supported system target temporarily than that the "
    "there this timeout to token too transaction type unable unauthorized unavailable undefined "
    "unexpected unique unknown unprocessable unrecognized unresolved unsupported update updates url value "
    "values version violated violation was were with "
)

PLAIN_WORDS: Final = frozenset(_TEXT.split())
"""In lower case."""
