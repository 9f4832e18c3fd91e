"""Sets of people in a studio whose pictures' names say who shows which expression."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import DatasetFiles
from training.datasets.readers.label_maps import WORDS
from training.datasets.readers.label_rows import (
    LabelRow,
    RejectedRows,
    filter_rows,
    picture_name,
)
from training.datasets.source import PictureRecord, RawDataset
from training.datasets.splits import draw_splits


@dataclass(frozen=True, kw_only=True)
class NameCodes:
    """How a set's pictures are named, without suffix; letters may be of any case.

    Args:
        title: the set.
        example: a name.
        pattern: has a group `person`, and may have `emotion`, `sex` and `view`.
        emotions: code -> word; empty if the emotion is the name of the folder.
        angles: code of the view -> degrees by which the head is turned from the camera.
        sexes: code -> sex.
        sex: of all people, if the names don't say it.
    """

    title: str
    example: str
    pattern: re.Pattern[str]
    emotions: Mapping[str, str]
    angles: Mapping[str, float]
    sexes: Mapping[str, str]
    sex: str | None = None

    def parse(self, member: str) -> tuple[LabelRow, PictureRecord] | None:
        """Return a picture with what its name says, still in train; None if it has another form."""
        path = PurePosixPath(member)
        found = self.pattern.fullmatch(path.stem)
        if found is None:
            return None
        codes = {group: (text or "").upper() for group, text in found.groupdict().items()}
        code = codes.get("emotion")
        label = self.emotions[code] if code else path.parent.name.strip().lower()
        picture = PictureRecord(
            member=member,
            name=picture_name(member),
            split="train",
            person=codes["person"],
            sex=self.sexes.get(codes.get("sex", ""), self.sex),
            angle=self.angles.get(codes.get("view", "")),
        )
        return LabelRow(member, member, picture.name, label), picture


CODES = {
    "kdef": NameCodes(
        title="KDEF",
        example="AF01ANS.JPG",
        pattern=re.compile(
            "[AB](?P<person>(?P<sex>[FM])[0-9]{2})(?P<emotion>AF|AN|DI|HA|NE|SA|SU)"
            "(?P<view>FL|HL|S|HR|FR)",
            re.IGNORECASE,
        ),
        emotions={
            "AF": "fear",
            "AN": "anger",
            "DI": "disgust",
            "HA": "happy",
            "NE": "neutral",
            "SA": "sad",
            "SU": "surprise",
        },
        angles={"FL": -90.0, "HL": -45.0, "S": 0.0, "HR": 45.0, "FR": 90.0},
        sexes={"F": "female", "M": "male"},
    ),
    "jaffe": NameCodes(
        title="JAFFE",
        example="KA.AN1.39.tiff",
        pattern=re.compile(
            r"(?P<person>[A-Z]{2})\.(?P<emotion>AN|DI|FE|HA|NE|SA|SU)[0-9]\.[0-9]+", re.IGNORECASE
        ),
        emotions={
            "AN": "anger",
            "DI": "disgust",
            "FE": "fear",
            "HA": "happy",
            "NE": "neutral",
            "SA": "sad",
            "SU": "surprise",
        },
        angles={},
        sexes={},
        sex="female",
    ),
    "ckplus": NameCodes(
        title="CK+ in folders of emotions",
        example="anger/S010_004_00000017.png",
        pattern=re.compile("(?P<person>S[0-9]{3})_[0-9]{3}_[0-9]{8}", re.IGNORECASE),
        emotions={},
        angles={},
        sexes={},
    ),
}
"""Set -> its names: Lundqvist, Flykt and Öhman 1998; Lyons et al. 1998; Lucey et al. 2010."""


def read(path: Path | None, set_name: str) -> RawDataset:
    """Return a set of CODES from a folder or zip that holds its pictures, in any folders.

    Whole persons are drawn by their names: 10 % for validation, 10 % for the test.

    Args:
        path: the folder or zip.
        set_name: a key of CODES.

    Raises:
        PreparedError: no picture has a name in the set's form.
    """
    codes = CODES[set_name]
    source = DatasetFiles.locate(path, set_name)
    members = source.pictures()
    if not any(map(codes.parse, members)):
        raise PreparedError(
            f"{path} isn't {set_name}: it has no picture with a name such as {codes.example}; name "
            "the folder or zip of its pictures."
        )
    return read_named(source, members, codes)


def read_named(source: DatasetFiles, members: Sequence[str], codes: NameCodes) -> RawDataset:
    """Return the pictures whose names have a form; the others are counted.

    Raises:
        PreparedError: none of the pictures has a known emotion.
    """
    rejected = RejectedRows()
    rows: list[LabelRow] = []
    pictures: dict[str, PictureRecord] = {}
    for member in members:
        if parsed := codes.parse(member):
            rows.append(parsed[0])
            pictures[member] = parsed[1]
        else:
            rejected.reject("unexpected name", member, PurePosixPath(member).name)
    labelled = filter_rows(rows, WORDS, pictures, rejected)
    known = [replace(pictures[row.member], emotion=emotion) for row, emotion in labelled]
    split = draw_splits({str(p.person) for p in known}, validation=0.1, test=0.1)
    return RawDataset(
        source=source,
        pictures=[replace(p, split=split.get(str(p.person), "train")) for p in known],
        notes=[
            f"Layout: {codes.title}, in which a name such as {codes.example} says the person.",
            "Whole persons are drawn by their names: 10 % for validation, 10 % for the test.",
            *rejected.notes,
        ],
    )


def recognise(members: Sequence[str]) -> NameCodes | None:
    """Return the form that most of the pictures' names have; None if there is none."""
    for codes in CODES.values():
        if 2 * sum(codes.parse(member) is not None for member in members) > len(members):
            return codes
    return None


kdef = partial(read, set_name="kdef")
jaffe = partial(read, set_name="jaffe")
ckplus = partial(read, set_name="ckplus")
