"""A version as MLflow stores it: the tags of its entry, and the folder of its files."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit
from urllib.request import url2pathname

from registry import metadata_checks, store
from registry.catalog import EXPRESSION_DIMS, is_candidates, model_of
from registry.crops import CropSpec
from registry.errors import BadVersion, app_command
from registry.metadata_checks import MetadataError
from registry.store import records
from registry.store.record_types import Entry
from registry.temporary import TemporaryFolder

LOGGED_MODEL = "models:/"
"""How the address of a logged model begins, before its id: the source of a version."""
VALIDATION, VALIDATION_REASON = "validation_status", "validation_reason"
"""The tags that say whether a version passed the gates, and why or why not."""
Validation = Literal["passed", "failed"]
IMPORTED_FROM = "imported_from"
"""The tag of a version, and of its run, that came from another registry: which version it was."""
WITHOUT_PT2 = "without_pt2"
"""The tag of a version to which `registration.complete` has not yet added its pt2."""
DIGESTS = "digests"
"""The tag with the SHA-256 of a version's files."""


@dataclass(frozen=True, kw_only=True)
class VersionMetadata:
    """What the user of a version has to know; stored in the version's tags."""

    crop: CropSpec
    outputs: Mapping[str, str]
    labels: tuple[str, ...] = ()
    temperature: float | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    starter: str | None = None
    encoder: Mapping[str, str] = field(default_factory=dict)
    condition: int = 0
    """Length of the change that a version with two graphs takes; 0: it has one graph."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """For pix2pixhd. `nearer`: the share by which the distance to the driver's expression has to
    shrink; `same_person`: the least cosine similarity of the identities of result and source;
    `blendshapes_nearer`, where its encoder gives blendshapes: by how much their distance has to."""
    class_prior: Mapping[str, float] = field(default_factory=dict)
    """For a classifier: how likely each label is before the face is seen, by what it has learned;
    sums to 1. softmax(logits - log prior) is the answer for equally likely labels (Menon et al.,
    2021). Empty where it was not fitted."""
    without_pt2: bool = False
    """Its graphs are stored as ONNX alone; `registration.complete` adds torch.export's."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of its graphs and weights by file; none in versions of older code."""

    def to_tags(self) -> dict[str, str]:
        """Return MLflow's tags: JSON, and the starter's digest as it is."""
        values = asdict(self)
        starter, without_pt2 = values.pop("starter"), values.pop(WITHOUT_PT2)
        tags = {key: json.dumps(value) for key, value in values.items()}
        tags |= {WITHOUT_PT2: json.dumps(True)} if without_pt2 else {}
        return tags | ({"starter": starter} if starter else {})

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> "VersionMetadata":
        """Return the metadata in MLflow's tags.

        Raises:
            MetadataError: a value is one that no version can have.
            KeyError, TypeError, ValueError: it isn't there, or isn't what `to_tags` wrote.
        """
        values = {key: json.loads(tags[key]) for key in ("crop", "outputs", "labels", "data")}
        crop, encoder = values["crop"], json.loads(tags.get("encoder", "{}"))
        temperature = json.loads(tags["temperature"])
        condition = json.loads(tags.get("condition", str(EXPRESSION_DIMS if encoder else 0)))
        thresholds = dict(json.loads(tags.get("thresholds", "{}")))
        class_prior = dict(json.loads(tags.get("class_prior", "{}")))
        metadata_checks.check_crop(crop["size_px"], crop["margin"], crop["roll"])
        digests = json.loads(tags.get(DIGESTS, "{}"))
        by_name = {key: values[key] for key in ("outputs", "data")}
        for key, texts in (by_name | {"outputs of its encoder": encoder, DIGESTS: digests}).items():
            metadata_checks.check_texts(key, texts)
        metadata_checks.check_labels(values["labels"], values["outputs"])
        metadata_checks.check_numbers(temperature, condition, thresholds)
        metadata_checks.check_class_prior(class_prior, values["labels"])
        return cls(
            crop=CropSpec(**crop | {"margin": float(crop["margin"])}),
            outputs=values["outputs"],
            labels=tuple(values["labels"]),
            temperature=None if temperature is None else float(temperature),
            data=values["data"],
            starter=tags.get("starter"),
            encoder=encoder,
            condition=condition,
            thresholds={key: float(value) for key, value in thresholds.items()},
            class_prior={key: float(value) for key, value in class_prior.items()},
            without_pt2=WITHOUT_PT2 in tags,
            digests=digests,
        )


@dataclass(frozen=True, kw_only=True)
class Version(VersionMetadata):
    """One registered version of a model and what its user must know."""

    name: str
    number: int
    run_id: str
    aliases: tuple[str, ...]
    created: datetime
    description: str
    validation: Validation | None = None
    """passed: it passed the gates; failed: it must not be used; None: neither is known."""
    validation_reason: str = ""
    imported_from: str = ""
    """Which version of another registry it was; empty for one that was registered here."""
    copy_of: str = ""
    """The candidate that it is a copy of, such as `dln-candidates/3`; else empty."""

    @property
    def model(self) -> str:
        """The model of the catalog that it is a version, or a candidate, of."""
        return model_of(self.name)

    @property
    def is_candidate(self) -> bool:
        """Whether it has to be copied into its model to be promoted."""
        return is_candidates(self.name)

    @property
    def is_validated(self) -> bool:
        """Whether it passed the gates of promotion, or came as a starter."""
        return self.validation == "passed" or (self.validation is None and self.starter is not None)

    @property
    def title(self) -> str:
        """Its name in a sentence, such as "Version 3 of dln"."""
        return title(self.name, self.number)


def title(name: str, number: int | str) -> str:
    """Return the name of a version in a sentence."""
    return f"Version {number} of {name}"


def read(entry: Entry) -> Version:
    """Return an entry of MLflow's registry as a version.

    Raises:
        BadVersion: it lacks what every version here carries, or nothing can work with it.
    """
    try:
        if entry.status != "READY":
            raise ValueError(entry.status)
        metadata = VersionMetadata.from_tags(entry.tags)
    except MetadataError as error:
        raise BadVersion(
            f"{title(entry.name, entry.number)} can't be used, because {error}: promote another "
            "version, or train one."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise BadVersion(
            f"{title(entry.name, entry.number)} is incomplete (crop, outputs or labels are "
            "missing): promote another version, or train one."
        ) from error
    return Version(
        **vars(metadata),
        name=entry.name,
        number=entry.number,
        run_id=entry.run_id,
        aliases=tuple(sorted(entry.aliases)),
        created=datetime.fromtimestamp(entry.created_ms / 1000, UTC),
        description=entry.description,
        validation=_validation(entry),
        validation_reason=entry.tags.get(VALIDATION_REASON, ""),
        imported_from=entry.tags.get(IMPORTED_FROM, ""),
        copy_of=_candidate(entry.source),
    )


def _candidate(source: str) -> str:
    """Return the candidate that a version's source names; empty where it is a logged model."""
    reference = source.removeprefix(LOGGED_MODEL)
    return reference if is_candidates(reference.partition("/")[0]) else ""


def _validation(entry: Entry) -> Validation | None:
    """Return what the tag says; None where a person wrote another word."""
    status = entry.tags.get(VALIDATION)
    return next((known for known in get_args(Validation) if known == status), None)


def describe(version: Version, text: str) -> None:
    """Replace the description of a version, Markdown.

    Raises:
        Deleted: the version was deleted, or its model renamed.
        Unreachable: the store does not answer.
    """
    with store.writing(f"The description of {version.title}", model=version.name):
        store.connect().update_model_version(version.name, str(version.number), text)


def local_folder(location: str) -> Path | None:
    """Return the folder of an artifact location on this machine, or None for a server's."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        host = f"//{parts.netloc}" if parts.netloc not in ("", "localhost") else ""
        return Path(url2pathname(f"{host}{parts.path}"))
    is_path = not parts.scheme or bool(Path(location).drive)
    return Path(location) if is_path else None


def has_files(version: Version) -> bool:
    """Return whether the files of a version are where they were stored; a server's always are."""
    folder = local_folder(records.open_records().location(version.name, version.number))
    return folder is None or folder.is_dir()


@contextmanager
def files(version: Version) -> Iterator[Path]:
    """Give the folder with the files of a version; a server's are fetched and removed after.

    Raises:
        BadVersion: the folder is gone, because this checkout was moved or it was deleted.
    """
    folder = local_folder(records.open_records().location(version.name, version.number))
    if folder is None:
        from mlflow.artifacts import download_artifacts

        store.connect()
        with TemporaryFolder() as fetched:
            uri = f"models:/{version.name}/{version.number}"
            yield Path(download_artifacts(artifact_uri=uri, dst_path=str(fetched)))
    elif folder.is_dir():
        yield folder
    else:
        raise _files_missing(version, folder)


def _files_missing(version: Version, folder: Path) -> BadVersion:
    store_folder = store.folder()
    if store_folder is None or folder.is_relative_to(store_folder):
        reason = f"its files in {folder} were deleted: put them back, or promote another version"
    else:
        reason = (
            f"the store was moved and its files were registered in {folder}: move it back, or "
            f"register again (`{app_command()} seed` does it for the starters)"
        )
    return BadVersion(f"{version.title} can't be loaded, because {reason}.")
