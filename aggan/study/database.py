"""Participants and their answers in SQLite or PostgreSQL. An acknowledged answer survives a crash of the server."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import URL, Engine, event, func, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlmodel import Field, Session, SQLModel, create_engine, select

from aggan.errors import UserError
from aggan.io import is_writable
from aggan.study.design import Side

DATABASE = "answers.sqlite"
BUSY_TIMEOUT = 30
"""Seconds that one SQLite writer waits for another."""


class Study(SQLModel, table=True):
    """The one study that the database belongs to."""

    study: str = Field(primary_key=True)


class Participant(SQLModel, table=True):
    """Somebody who agreed to take part."""

    id: int | None = Field(default=None, primary_key=True)
    """The participant's number plus 1."""
    token: str = Field(unique=True, index=True)
    """SHA-256 of the token, which itself is known to the participant's page only."""
    service: str
    person: str
    session: str
    only: str | None = Field(default=None, unique=True)
    """Service and participant ID where repeats are forbidden; the unique constraint enforces that."""
    joined: str


class Answer(SQLModel, table=True):
    """The side that a participant chose as real in one trial."""

    participant: int = Field(primary_key=True, foreign_key="participant.id")
    trial: int = Field(primary_key=True)
    chosen: str
    milliseconds: int
    at: str


@dataclass(frozen=True)
class Identity:
    """What a recruiting service (Prolific, MTurk) passes on about a participant; all empty for a plain link."""

    service: str = ""
    person: str = ""
    """The participant's ID at the service."""
    session: str = ""


class Progress(NamedTuple):
    """How far a participant has come."""

    number: int
    """The participant's number, from 0."""
    answered: int
    """Number of answered trials."""


class AlreadyJoinedError(Exception):
    """The token exists already, or the participant may not take part again."""


class OutOfOrderError(Exception):
    """The answer does not belong to the participant's next trial."""


class AnswerDatabase:
    """The database of one study. Threads and servers may share it."""

    def __init__(self, url: str | URL, study: str) -> None:
        """Connect, and create the tables if needed. Raises `UserError` if that fails."""
        try:
            self.engine = _create_engine(make_url(url))
        except (ArgumentError, ValueError):  # ValueError: a port or an option is not a number
            raise UserError(
                "--database: invalid URL; use postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE"
            ) from None
        try:
            SQLModel.metadata.create_all(self.engine)
            self._claim(study)
        except SQLAlchemyError as error:
            self.close()
            raise UserError(f"the database cannot be used: {_first_line(error)}") from error

    def join(self, token: str, identity: Identity, forbid_repeats: bool) -> None:
        """Store a new participant, identified by a token. Raises `AlreadyJoinedError`."""
        only = f"{identity.service}/{identity.person}" if forbid_repeats and identity.person else None
        participant = Participant(
            token=_hash(token),
            service=identity.service,
            person=identity.person,
            session=identity.session,
            only=only,
            joined=_now(),
        )
        with Session(self.engine) as session:
            # A failed insert would use up a number, and methods rotate with the participants' numbers.
            if only and session.exec(select(Participant).where(Participant.only == only)).first():
                raise AlreadyJoinedError
            session.add(participant)
            _commit(session, AlreadyJoinedError())

    def find(self, token: str) -> Progress | None:
        """The progress of the participant with this token; None if there is none."""
        with Session(self.engine) as session:
            participant = session.exec(select(Participant).where(Participant.token == _hash(token))).first()
            if participant is None or participant.id is None:
                return None
            number = participant.id - 1
            return Progress(number, _count_answers(session, number))

    def add_answer(self, number: int, trial: int, chosen: Side, milliseconds: int) -> None:
        """Store the answer to a participant's next trial durably. Raises `OutOfOrderError`."""
        with Session(self.engine) as session:
            if trial != _count_answers(session, number):
                raise OutOfOrderError
            session.add(
                Answer(participant=number + 1, trial=trial, chosen=chosen, milliseconds=milliseconds, at=_now())
            )
            # Of two simultaneous answers, the primary key accepts one.
            _commit(session, OutOfOrderError())

    def load(self) -> tuple[list[Participant], dict[int, list[Answer]]]:
        """All participants, and their answers in the order of trials by `Participant.id`."""
        with Session(self.engine) as session:
            participants = session.exec(select(Participant).order_by("id")).all()
            answers: dict[int, list[Answer]] = {one.id: [] for one in participants if one.id}
            for answer in session.exec(select(Answer).order_by("participant", "trial")):
                answers[answer.participant].append(answer)
            session.expunge_all()
            return list(participants), answers

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _claim(self, study: str) -> None:
        """Mark an empty database as this study's. Raises `UserError` if it belongs to another study."""
        with Session(self.engine) as session:
            if not session.exec(select(Study)).first():
                session.add(Study(study=study))
                with suppress(IntegrityError):  # another server was faster
                    session.commit()
                session.rollback()
            if session.exec(select(Study)).one().study == study:
                return
        self.close()
        raise UserError("the database contains the answers of another study: choose another --database")


def database_url(study: Path, url: str | None) -> str | URL:
    """The given URL, or by default that of an SQLite file in the folder of the study."""
    return url or URL.create("sqlite", database=str((study / DATABASE).resolve()))


@contextmanager
def readable_url(study: Path, url: str | None) -> Iterator[str | URL]:
    """`database_url` for reading: that of a temporary copy if nothing can be written to the folder of the study.

    SQLite writes even to read. The copy includes answers that only the database's log has.
    """
    if url or is_writable(study):
        yield database_url(study, url)
        return
    with tempfile.TemporaryDirectory(prefix="aggan-") as folder:
        for suffix in ("", "-wal"):
            file = study / f"{DATABASE}{suffix}"
            if file.exists():
                shutil.copyfile(file, Path(folder) / file.name)
        yield database_url(Path(folder), None)


def _create_engine(url: URL) -> Engine:
    if url.drivername == "postgresql":
        return create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    if url.drivername != "sqlite" or not url.database:
        raise UserError(f"--database {url.drivername}: the URL must begin with postgresql:// or sqlite:///")
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT})

    @event.listens_for(engine, "connect")
    def configure(connection, _) -> None:
        # FULL: an answer is on the disk before it is acknowledged.
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}")

    return engine


def _commit(session: Session, conflict: Exception) -> None:
    try:
        session.commit()
    except IntegrityError:
        raise conflict from None


def _count_answers(session: Session, number: int) -> int:
    return session.exec(select(func.count()).select_from(Answer).where(Answer.participant == number + 1)).one()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", error)).strip().splitlines()[0]
