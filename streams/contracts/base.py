"""What all contracts are made of: identifiers, amounts, times in UTC, closed immutable models."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class PlainNumber:
    """Only a number or a string is read as a decimal; Python's Decimal also takes a list for sign, digits, exponent.

    In Rust, since a function in Python costs more than all the rest of an event's validation.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        decimal = handler(source)
        told = core_schema.custom_error_schema(
            core_schema.union_schema(
                [
                    core_schema.str_schema(strict=True),
                    core_schema.int_schema(strict=True),
                    core_schema.float_schema(strict=True),
                ]
            ),
            custom_error_type="plain_number",
            custom_error_message="Value error, should be a number or a string with one",
        )
        return core_schema.json_or_python_schema(core_schema.chain_schema([told, decimal]), decimal)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema["python_schema"])


def _two_places(amount: Decimal) -> str:
    return str(amount.quantize(Decimal("0.01")))


def _as_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside the years that can be told in UTC") from None


Identifier = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]


Amount = Annotated[
    Decimal,
    Field(ge=0, max_digits=14, decimal_places=2, allow_inf_nan=False),
    PlainNumber(),
    PlainSerializer(_two_places, return_type=str, when_used="json"),
]


PositiveAmount = Annotated[
    Decimal,
    Field(ge=0, gt=0, max_digits=14, decimal_places=2, allow_inf_nan=False),
    PlainNumber(),
    PlainSerializer(_two_places, return_type=str, when_used="json"),
]


OpenAmount = Annotated[
    Decimal,
    Field(ge=0, decimal_places=2, allow_inf_nan=False),
    PlainNumber(),
    PlainSerializer(_two_places, return_type=str, when_used="json"),
]
"""A sum that riskmon works out itself, of whatever size it may be."""


FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2999, 12, 31)
"""No loan's life leaves these years; days counted on from them stay far from the ends of the calendar."""

BusinessDate = Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY)]


Utc = Annotated[
    AwareDatetime,
    Field(ge=datetime(1900, 1, 1, tzinfo=UTC), lt=datetime(3000, 1, 1, tzinfo=UTC)),
    AfterValidator(_as_utc),
]


class Contract(BaseModel):
    """Base of everything that crosses a topic: immutable, and closed to unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)
