"""What is stored of a study."""

from sqlmodel import Field, SQLModel


class Study(SQLModel, table=True):
    """Whose answers these are."""

    study: str = Field(primary_key=True)


class Participant(SQLModel, table=True):
    """Somebody who agreed to take part; the token is known to their page alone, here is its SHA-256."""

    id: int | None = Field(default=None, primary_key=True)
    token: str = Field(unique=True, index=True)
    service: str
    person: str
    session: str
    only: str | None = Field(default=None, unique=True)
    """Two rows cannot have the same: what makes somebody take part once."""
    joined: str


class Answer(SQLModel, table=True):
    """A participant's choice: the side held to be real."""

    participant: int = Field(primary_key=True, foreign_key="participant.id")
    trial: int = Field(primary_key=True)
    chosen: str
    milliseconds: int
    at: str
