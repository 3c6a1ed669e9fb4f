"""Participants and their answers in SQLite or PostgreSQL. What was told to be stored survives the server's death."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import URL, Engine, event, func, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlmodel import Session, SQLModel, create_engine, select

from aggan.errors import UserError
from aggan.study.design import Side
from aggan.study.tables import Answer, Participant, Study

BUSY = 30
"""Seconds that one writer waits for another."""


@dataclass(frozen=True)
class Identity:
    """Who a service that pays says that somebody is; all empty for a plain link."""

    service: str = ""
    person: str = ""
    session: str = ""


class AlreadyHere(Exception):
    """Somebody who may take part once, or has that token, has begun already."""


class OutOfTurn(Exception):
    """An answer to another pair than the one that is next, as an answer that is sent again."""


class Store:
    """The database of one study, shared by any number of threads and servers."""

    def __init__(self, url: str | URL, study: str) -> None:
        try:
            self.engine = _engine(make_url(url))
        except (ArgumentError, ValueError):  # the latter for a port or an option that is no number
            raise UserError(
                "--database: the address cannot be read; give postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE"
            ) from None
        try:
            SQLModel.metadata.create_all(self.engine)
            self._claim(study)
        except SQLAlchemyError as why:
            self.close()
            raise UserError(f"the database cannot be used: {_first_line(why)}") from why

    def join(self, token: str, identity: Identity, once: bool) -> None:
        """Store a new participant, who is known by that token; raises `AlreadyHere`."""
        only = f"{identity.service}/{identity.person}" if once and identity.person else None
        new = Participant(
            token=_hashed(token),
            service=identity.service,
            person=identity.person,
            session=identity.session,
            only=only,
            joined=_now(),
        )
        with Session(self.engine) as session:
            # Asked first, so that no number is lost: they go round the systems.
            if only and session.exec(select(Participant).where(Participant.only == only)).first():
                raise AlreadyHere
            session.add(new)
            _commit(session, AlreadyHere())

    def find(self, token: str) -> tuple[int, int] | None:
        """The number, from 0, of the participant who has that token, and how many answers they gave."""
        with Session(self.engine) as session:
            found = session.exec(select(Participant).where(Participant.token == _hashed(token))).first()
            return (_number(found), _answered(session, _number(found))) if found else None

    def answer(self, number: int, trial: int, chosen: Side, milliseconds: int) -> None:
        """Store an answer for good; raises `OutOfTurn`."""
        with Session(self.engine) as session:
            if trial != _answered(session, number):
                raise OutOfTurn
            session.add(
                Answer(participant=number + 1, trial=trial, chosen=chosen, milliseconds=milliseconds, at=_now())
            )
            # Of two at the same moment the primary key lets one pass.
            _commit(session, OutOfTurn())

    def everything(self) -> tuple[list[Participant], dict[int, list[Answer]]]:
        """All participants, and answers by participant's id in the order of trials."""
        with Session(self.engine) as session:
            people = session.exec(select(Participant).order_by("id")).all()
            answers: dict[int, list[Answer]] = {person.id: [] for person in people if person.id}
            for one in session.exec(select(Answer).order_by("participant", "trial")):
                answers[one.participant].append(one)
            session.expunge_all()
            return list(people), answers

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def _claim(self, study: str) -> None:
        with Session(self.engine) as session:
            if not session.exec(select(Study)).first():
                session.add(Study(study=study))
                with suppress(IntegrityError):  # another server was faster
                    session.commit()
                session.rollback()
            if session.exec(select(Study)).one().study == study:
                return
        self.close()
        raise UserError("the database holds the answers of another study: name another --database")


def _engine(url: URL) -> Engine:
    if url.drivername == "postgresql":
        return create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    if url.drivername != "sqlite" or not url.database:
        raise UserError(f"--database {url.drivername}: it should begin with postgresql:// or sqlite:///")
    engine = create_engine(url, connect_args={"timeout": BUSY})

    @event.listens_for(engine, "connect")
    def prepare(connection, _) -> None:
        # FULL: an answer is on the disk before anybody is told so.
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}")

    return engine


def _commit(session: Session, otherwise: Exception) -> None:
    try:
        session.commit()
    except IntegrityError:
        raise otherwise from None


def _answered(session: Session, number: int) -> int:
    return session.exec(select(func.count()).select_from(Answer).where(Answer.participant == number + 1)).one()


def _number(participant: Participant) -> int:
    assert participant.id is not None
    return participant.id - 1


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _first_line(why: Exception) -> str:
    return str(getattr(why, "orig", why)).strip().splitlines()[0]
