"""Coercing, validating, descriptors of all kinds, tags."""

from datetime import datetime
from decimal import Decimal
from enum import Enum

import msgspec
import pytest

from faust.exceptions import SecurityError, ValidationError
from faust.models import FieldDescriptor, Record, StringField
from faust.models.fields import (
    BooleanField,
    BytesField,
    DatetimeField,
    DecimalField,
    FloatField,
    IntegerField,
    field_for_type,
)
from faust.models.tags import Personal, Secret, Sensitive, allow_protected_vars
from faust.utils import json


class Color(Enum):
    RED = "red"


class Coerced(Record, coerce=True):
    number: int
    ratio: float = 0.0
    text: str = ""
    flag: bool = False
    when: datetime | None = None
    price: Decimal = Decimal(0)
    data: bytes = b""
    maybe: int | None = None
    color: Color | None = None
    many: list[int] = []


def test_coercing_models_convert_at_construction_decoding_and_assignment():
    made = Coerced("3", "1.5", 7, "false", "2024-01-02T03:04:05", "1.10", "abc", "4", "red", ["1"])
    assert (made.number, made.ratio, made.text, made.flag) == (3, 1.5, "7", False)
    assert made.when == datetime(2024, 1, 2, 3, 4, 5)
    assert (made.price, made.data, made.maybe) == (Decimal("1.10"), b"abc", 4)
    assert (made.color, made.many) == (Color.RED, [1])
    assert Coerced.loads(made.dumps()) == made
    made.number = "5"
    assert made.number == 5
    assert Coerced.loads(b'{"number":"8","text":9,"many":["2"]}') == Coerced(8, text="9", many=[2])


def test_none_stays_none_only_where_the_field_may_be_left_out():
    assert Coerced(1, maybe=None).maybe is None
    with pytest.raises(ValidationError, match=r"Coerced\.number"):
        Coerced(None)


def test_what_cannot_be_coerced_is_a_validation_error_naming_the_field():
    with pytest.raises(ValidationError, match=r"Coerced\.number.*'x'"):
        Coerced("x")
    with pytest.raises(ValidationError, match=r"Coerced\.number"):
        Coerced.loads(b'{"number":"x"}')
    made = Coerced(1)
    with pytest.raises(ValidationError, match=r"Coerced\.number"):
        made.number = "x"
    assert made.number == 1


def test_one_field_alone_may_coerce():
    class Mixed(Record):
        loose: int = IntegerField(coerce=True)
        strict: int

    assert Mixed.loads(b'{"loose":"1","strict":2}') == Mixed(1, 2)
    assert Mixed("1", "2").strict == "2"
    with pytest.raises(ValidationError, match="strict"):
        Mixed.loads(b'{"loose":"1","strict":"2"}')


def test_bytes_are_base64_text_in_json_also_where_values_are_coerced():
    class Blob(Record, coerce=True, include_metadata=False):
        data: bytes

    assert Blob(b"\x00\xff").dumps() == b'{"data":"AP8="}'
    assert Blob.loads(b'{"data":"AP8="}') == Blob(b"\x00\xff")


def test_a_date_parser_reads_dates_and_is_inherited():
    def parse(text):
        return datetime.strptime(text, "%d.%m.%Y")

    class Dated(Record, date_parser=parse):
        day: datetime
        days: list[datetime] = []

    class Sub(Dated):
        pass

    for cls in (Dated, Sub):
        read = cls.loads(b'{"day":"02.01.2024","days":["03.01.2024"]}')
        assert read.day == datetime(2024, 1, 2)
        assert read.days == [datetime(2024, 1, 3)]


def test_a_field_may_have_a_date_parser_of_its_own():
    class Dated(Record):
        day: datetime = DatetimeField(date_parser=lambda text: datetime(int(text), 1, 1))

    assert Dated.loads(b'{"day":"2020"}').day == datetime(2020, 1, 1)


def test_dates_without_time_are_read():
    class Dated(Record):
        day: datetime

    assert Dated.loads(b'{"day":"2024-01-02"}').day == datetime(2024, 1, 2)


# -- validation ------------------------------------------------------------------------------------


class Checked(Record, validation=True):
    age: int = IntegerField(min_value=0, max_value=150)
    name: str = StringField(max_length=5, min_length=2, trim_whitespace=True)
    ratio: float = FloatField(max_value=0, default=0.0)
    price: Decimal = DecimalField(max_digits=4, max_decimal_places=2, default=Decimal(0))
    blob: bytes = BytesField(max_length=3, allow_blank=True, default=b"")
    flag: bool = BooleanField(default=False)


def test_a_valid_instance_is_made_and_trimmed():
    made = Checked(1, "  abc ")
    assert made.name == "abc"
    assert made.is_valid()
    assert Checked.loads(made.dumps()) == made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age": -1}, r"Checked\.age: must not be below 0"),
        ({"age": 151}, "above 150"),
        ({"age": "x"}, r"Checked\.age: invalid literal"),
        ({"name": "abcdef"}, "longer than 5"),
        ({"name": "a"}, "shorter than 2"),
        ({"name": " "}, "must not be blank"),
        ({"ratio": 0.5}, "above 0"),
        ({"price": "100.55"}, "at most 4 digits"),
        ({"price": "1.555"}, "at most 2 decimal places"),
        ({"price": "1E5"}, "at most 4 digits"),
        ({"price": "NaN"}, "finite"),
        ({"price": "Infinity"}, "finite"),
        ({"blob": b"1234"}, "longer than 3"),
    ],
)
def test_an_invalid_value_is_refused_by_constructor_and_decoder(changes, message):
    values = {"age": 1, "name": "abc", **changes}
    with pytest.raises(ValidationError, match=message):
        Checked(**values)
    with pytest.raises(ValidationError, match=message):
        Checked.from_data(values)


def test_errors_can_be_listed_without_validating_at_construction():
    class Lazy(Record):
        a: int = IntegerField(max_value=0)
        b: str = StringField(max_length=0, allow_blank=True)
        c: int

    made = Lazy(1, "x", None)
    assert [e.field.field for e in made.validate()] == ["a", "b", "c"]
    assert len(made.validation_errors) == 3
    assert not made.is_valid()
    with pytest.raises(ValidationError, match=r"Lazy\.a"):
        made.validate_or_raise()
    assert Lazy(0, "", 1).is_valid()


def test_validation_is_inherited():
    class Sub(Checked):
        more: int = 0

    with pytest.raises(ValidationError):
        Sub(-1, "abc")


class ChoiceField(FieldDescriptor[str]):
    def __init__(self, choices, **kwargs):
        self.choices = choices
        super().__init__(choices=choices, **kwargs)

    def validate(self, value):
        if value not in self.choices:
            yield self.validation_error(f"must be one of {self.choices}")


class LowerField(FieldDescriptor[str]):
    def prepare_value(self, value, *, coerce=None):
        return value.lower()


def test_custom_fields_validate_and_prepare():
    class Choosing(Record, validation=True):
        side: str = ChoiceField(["buy", "sell"])

    class Lower(Record):
        name: str = LowerField()
        names: list[str] = []

    assert Choosing("buy").side == "buy"
    with pytest.raises(ValidationError, match=r"Choosing\.side: must be one of"):
        Choosing("hold")
    assert Lower.loads(b'{"name":"ABC"}').name == "abc"
    assert Lower("ABC").name == "abc"


def test_a_custom_field_that_only_validates_keeps_the_record_in_c():
    class Choosing(Record):
        side: str = ChoiceField(["buy", "sell"])

    assert Choosing.loads(b'{"side":"hold"}').side == "hold"
    assert Choosing._options.native


def test_descriptors_know_their_fields():
    descriptor = Checked.age
    assert isinstance(descriptor, IntegerField)
    assert (descriptor.field, descriptor.type, descriptor.required) == ("age", int, True)
    assert descriptor.model is Checked
    assert Checked.ratio.default == 0.0
    assert repr(descriptor) == "<IntegerField: Checked.age>"
    clone = descriptor.clone(max_value=3)
    assert (clone.max_value, clone.min_value, clone.field) == (3, 0, "age")


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (int, IntegerField),
        (bool, BooleanField),
        (str | None, StringField),
        (list[int], FieldDescriptor),
    ],
)
def test_annotations_choose_a_descriptor(annotation, kind):
    assert field_for_type(annotation) is kind


# -- tags ------------------------------------------------------------------------------------------


class User(Record):
    name: str
    password: Secret[str]
    card: Sensitive[str]
    address: Personal[str] | None = None
    pins: list[Secret[int]] = []


def test_secret_values_are_printed_as_a_mask():
    user = User("n", "hunter2", "4111", pins=[1])
    assert str(user.password) == f"{user.password}" == "***********"
    assert "hunter2" not in repr(user)
    assert "4111" not in repr(user)
    assert user.password.get_value() == "hunter2"
    assert user.pins == [Secret(1)]


def test_sensitive_and_personal_values_cannot_be_printed_by_accident():
    user = User("n", "p", "4111", "street")
    for tag in (user.card, user.address):
        with pytest.raises(SecurityError):
            str(tag)
        with pytest.raises(SecurityError):
            f"{tag}"
    with allow_protected_vars():
        assert str(user.card) == "4111"
    with pytest.raises(SecurityError):
        str(user.card)


def test_tagged_fields_survive_the_wire_as_their_values():
    user = User("n", "p", "c", "a", pins=[Secret(1)])
    data = msgspec.json.decode(user.dumps())
    assert (data["password"], data["card"], data["address"], data["pins"]) == ("p", "c", "a", [1])
    again = User.loads(user.dumps())
    assert again == user
    assert isinstance(again.card, Sensitive)
    assert User._options.native
    assert json.loads(json.dumps({"u": user}))["u"]["password"] == "p"


def test_options_list_tagged_fields():
    options = User._options
    assert options.secret_fields == {"password"}
    assert options.sensitive_fields == {"card"}
    assert options.personal_fields == {"address"}
    assert options.has_tagged_fields
    assert User.card.tag is Sensitive


def test_tags_compare_by_value():
    assert Secret("a") == Secret("a") != Sensitive("a")
    assert len({Secret("a"), Secret("a")}) == 1
