"""The model card that people read: Markdown, built from a run card and measurements.

One form for all models, after Mitchell et al., "Model Cards for Model Reporting" (2019).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry import entries, signature, versions
from registry.catalog import CATALOG
from registry.measurements import Measurement, lock
from registry.versions import Version
from training.cards.run_card import RunCard
from training.cards.tables import by_group, overall
from training.cards.text import CONFIGURED, LICENCES, MISUSE, TEXTS, TOY, UNKNOWN_LICENCE
from training.engine import tracking

LONGEST = 5000
"""Longest description, in characters, that MLflow stores in a database with a limit."""
CUT = "\nThe rest doesn't fit here: see card.json in its run.\n"
TRAIN = "python -m training train"
IN_THE_TABLE = "see `python -m registry show VERSION --measurements`"
WITHOUT_VALIDATION = f"Without validation and latency: {IN_THE_TABLE}."
WITHOUT_ROBUSTNESS = f"Without validation, latency and robustness: {IN_THE_TABLE}."
SMOKE, A_TOY = "-smoke", ": a toy"
"""How the names of recipes end that train for seconds, and what the heads of their cards add."""
WITHOUT_EARLIER = "For the trainings before this one see card.json in its run."


def markdown(card: RunCard, measurements: Sequence[Measurement]) -> str:
    """Return the card of a registered model.

    If it gets longer than LONGEST, validation and latency are left out, then the earlier trainings,
    then robustness; each with a sentence that says where it is.

    Args:
        card: how the network was trained.
        measurements: the table of its run.
    """
    tested = [row for row in measurements if row.split == "test"]
    fewest = [row for row in tested if row.metric != "robustness"]
    text = ""
    for rows, note, earlier in (
        (measurements, "", True),
        (tested, WITHOUT_VALIDATION, True),
        (tested, WITHOUT_VALIDATION, False),
        (fewest, WITHOUT_ROBUSTNESS, False),
    ):
        text = _text(card, rows, note, _trainings(card) if earlier else _last_training(card))
        if len(text) <= LONGEST:
            return text
    return _cut(text)


def _cut(text: str) -> str:
    """Return the lines of a card that fit into LONGEST characters, and a note that it goes on."""
    room = LONGEST - len(CUT)
    return text[: text.rindex("\n", 0, room) + 1] + CUT


def refresh(version: Version) -> None:
    """Write the card of a version again, with all measurements so far.

    A description that a person wrote or changed stays, as does that of a run without a card.
    Processes that write to a local store at once wait for each other.

    Raises:
        Unreachable: the store does not answer.
    """
    with lock():
        version = versions.resolve(f"{version.name}/{version.number}")
        card = tracking.card_of(version.run_id)
        if card is None or not signature.is_signed(version):
            return
        text = markdown(RunCard.read(card), versions.measurements(version))
        signature.sign(version.run_id, version.description, text)
        entries.describe(version, text)


def _text(card: RunCard, measurements: Sequence[Measurement], note: str, made: str) -> str:
    toy = card.recipe.endswith(SMOKE)
    text = TOY if toy else TEXTS[card.model]
    tables = overall(measurements) or "Nothing was measured yet."
    results = [TEXTS[card.model].protocol, note, tables]
    decisions = text.decisions if toy else (*text.decisions, *_configured(card.config))
    sections = {
        "Results": "\n\n".join(filter(None, results)),
        "Results by group": by_group(measurements) or "No group was measured separately yet.",
        "Known failures": _bullets([*text.failures, *map(_failure, card.failures)]),
        "What it is": text.what,
        "Intended use": _bullets(text.uses),
        "Misuse": _bullets([*text.misuse, *MISUSE, "More in docs/ethics.md."]),
        "Our decisions": _bullets(decisions),
        "Data": _bullets(map(_set, card.data)),
        "How it was made": made,
    }
    head = f"{CATALOG[card.model].title}, trained by recipe `{card.recipe}`{A_TOY * toy}"
    return (
        "\n\n".join([head, *(f"## {title}\n\n{body}" for title, body in sections.items())]) + "\n"
    )


def _set(data: Mapping[str, Any]) -> str:
    licence = LICENCES.get(data["name"], UNKNOWN_LICENCE)
    return f"{data['name']}, {data['training_faces']:,} training faces: {licence}."


def _trainings(card: RunCard) -> str:
    """Return the trainings in order: those this one started from, then this one."""
    trainings = [*card.before, card.to_dict()]
    machines = list(dict.fromkeys(each["machine"] for each in trainings))
    if len(machines) == 1:
        lines = [f"{_training(each)}." for each in trainings]
        where = f" on {machines[0]}"
    else:
        lines = [f"{_training(each)}, {each['machine']}." for each in trainings]
        where = ""
    order = ", in this order; versions by their numbers at the time" if card.before else ""
    return f"By `{TRAIN}`{where}{order}:\n\n{_bullets(lines)}"


def _last_training(card: RunCard) -> str:
    """Return this training, and a note if there were earlier ones."""
    note = f"\n\n{WITHOUT_EARLIER}" if card.before else ""
    line = f"{_training(card.to_dict())}."
    return f"By `{TRAIN}` on {card.machine}:\n\n{_bullets([line])}{note}"


def _training(training: Mapping[str, Any]) -> str:
    return (
        f"`{training['command'].removeprefix(TRAIN).strip()}`: {_commit(training)}"
        f"seed {training['seed']}, {training['epochs']} epochs, {training['minutes']} minutes"
    )


def _commit(training: Mapping[str, Any]) -> str:
    return f"commit {training['revision']}, " if training.get("revision") else ""


def _failure(failure: Mapping[str, str]) -> str:
    answer = f"answered {failure['answer']}, it is {failure['truth']}"
    return f"`{failure['picture']}` ({failure['credit']}): {answer}."


def _configured(config: Mapping[str, Any]) -> list[str]:
    """Return the decisions that apply to this configuration of the network."""
    network = config["network"]
    settings = {**config, **network, "backbone": network.get("backbone", {}).get("name")}
    return [line for (key, value), line in CONFIGURED.items() if settings.get(key) == value]


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
