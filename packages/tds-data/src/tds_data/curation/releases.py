"""Data sets that can be fetched: where they are, what they hash to, and under which licence they come."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """The terms that a data set comes under.

    Attributes:
        name: Short and long.
        url: Where its text is.
        summary: What it allows and asks, in a few sentences that take no text's place.
    """

    name: str
    url: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One archive of a data set.

    Attributes:
        name: What its folder is called.
        url: Where the archive is.
        md5: Its checksum, which is all that the publisher gives. It finds damage; against forgery on the way, HTTPS and
            a SHA-256 that you know serve.
        licence: The terms.
        citation: What to cite.
    """

    name: str
    url: str
    md5: str
    licence: Licence
    citation: str

    @property
    def file_name(self) -> str:
        """Name of the archive."""
        return self.url.rpartition("/")[2]

    @property
    def notice(self) -> str:
        """What is to be read before it is fetched."""
        return (
            f"{self.name} comes under the {self.licence.name}.\n{self.licence.summary}\n"
            f"Full text: {self.licence.url}\nCite: {self.citation}"
        )


CC_BY_SA_4: Final = Licence(
    name="Creative Commons Attribution-ShareAlike 4.0 International licence (CC BY-SA 4.0)",
    url="https://creativecommons.org/licenses/by-sa/4.0/legalcode",
    summary=(
        "You may copy, share and adapt the data for any purpose, commercial ones too, if you name the authors, link to "
        "the licence, say what you changed, and share what you make from the data under the same licence. There is no "
        "warranty."
    ),
)
"""The licence of the Medical Segmentation Decathlon."""

_DECATHLON_URL: Final = "https://msd-for-monai.s3-us-west-2.amazonaws.com"
_DECATHLON_CITATION: Final = (
    "Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 4128 (2022), "
    "doi:10.1038/s41467-022-30695-9; Simpson et al., arXiv:1902.09063 (2019)"
)
_DECATHLON_MD5: Final = {
    "Task01_BrainTumour": "240a19d752f0d9e9101544901065d872",
    "Task02_Heart": "06ee59366e1e5124267b774dbd654057",
    "Task03_Liver": "a90ec6c4aa7f6a3d087205e23d4e6397",
    "Task04_Hippocampus": "9d24dba78a72977dbd1d2e110310f31b",
    "Task05_Prostate": "35138f08b1efaef89d7424d2bcc928db",
    "Task06_Lung": "8afd997733c7fc0432f71255ba4e52dc",
    "Task07_Pancreas": "4f7080cfca169fa8066d17ce6eb061e4",
    "Task08_HepaticVessel": "641d79e80ec66453921d997fbf12a29c",
    "Task09_Spleen": "410d4a301da4e5b2f6f86ec3ddba524e",
    "Task10_Colon": "bad7a188931dc2f6acf72b08eb6202d0",
}

DECATHLON: Final[Mapping[str, Release]] = MappingProxyType(
    {
        task: Release(
            name=task, url=f"{_DECATHLON_URL}/{task}.tar", md5=md5, licence=CC_BY_SA_4, citation=_DECATHLON_CITATION
        )
        for task, md5 in _DECATHLON_MD5.items()
    }
)
"""The tasks of the Medical Segmentation Decathlon, on the public bucket that MONAI's DecathlonDataset uses, too."""
