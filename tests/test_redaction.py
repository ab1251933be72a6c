"""Numbers are masked, hashed and placed; and are found in what others wrote."""

from __future__ import annotations

import hashlib
import hmac
import pickle
import re
import subprocess
import sys
import time

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace import Redaction
from trunktrace.errors import ConfigurationError
from trunktrace.redaction import MASKED, scrub, secrets_of
from trunktrace.redaction.addresses import calling_code
from trunktrace.redaction.text import Scrubber

KEY = "0123456789abcdef"


# Redaction: what is configured -------------------------------------------------------------------


def test_a_key_under_16_bytes_is_refused_without_being_shown() -> None:
    """A hash key that is too short raises, and neither the message nor the value shows it."""
    with pytest.raises(ConfigurationError) as caught:
        Redaction(hash_key="short-secret")
    assert caught.value.field == "hash_key"
    assert "short-secret" not in f"{caught.value} {caught.value.value}"
    assert "openssl rand" in caught.value.fix


def test_the_length_of_a_key_is_counted_in_bytes() -> None:
    """Eight two-byte characters make a key of 16 bytes."""
    assert Redaction(hash_key="ü" * 8).key_id is not None


@pytest.mark.parametrize(
    "settings, field",
    [
        ({"hash_key": 1234567890123456}, "hash_key"),
        ({"hash_key": KEY, "key_id": ""}, "key_id"),
        ({"hash_key": KEY, "key_id": "a:b"}, "key_id"),
        ({"hash_key": KEY, "key_id": "x" * 33}, "key_id"),
        ({"key_id": "k1"}, "key_id"),
        ({"default_country": "UK"}, "default_country"),
        ({"default_country": ""}, "default_country"),
        ({"reveal_numbers": "false"}, "reveal_numbers"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, object], field: str) -> None:
    """A wrong setting raises at construction and names its field."""
    with pytest.raises(ConfigurationError) as caught:
        Redaction(**settings)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_the_key_is_not_in_the_repr() -> None:
    """What is printed of a Redaction and of a number holds neither the key nor the number."""
    redaction = Redaction(hash_key=KEY, reveal_numbers=True)
    shown = f"{redaction!r} {redaction} {redaction.number('+12025550123')!r}"
    assert KEY not in shown
    assert "2025550123" not in shown


def test_the_key_id_is_made_from_the_key() -> None:
    """Without a key id, the first 8 hex digits of the key's SHA-256 stand before a hash."""
    assert Redaction(hash_key=KEY).key_id == hashlib.sha256(KEY.encode()).hexdigest()[:8]
    assert Redaction().key_id is None


def test_a_redaction_survives_pickling() -> None:
    """A Redaction goes to LiveKit's job processes and gives the same hash there."""
    redaction = Redaction(hash_key=KEY, key_id="k1", default_country="us")
    copy = pickle.loads(pickle.dumps(redaction))
    assert copy == redaction
    assert copy.number("2025550123") == redaction.number("2025550123")


def test_a_redaction_cannot_be_changed() -> None:
    """A Redaction is frozen."""
    with pytest.raises(AttributeError):
        Redaction().reveal_numbers = True  # type: ignore[misc]


@pytest.mark.parametrize(
    "text, reveals",
    [("1", True), ("true", True), ("TRUE", True), ("0", False), ("false", False), ("", False)],
)
def test_the_environment_is_read(text: str, reveals: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key, key id and revealing come from the environment; an empty variable is not set."""
    monkeypatch.setenv("TRUNKTRACE_HASH_KEY", KEY)
    monkeypatch.setenv("TRUNKTRACE_HASH_KEY_ID", "2026-11")
    monkeypatch.setenv("TRUNKTRACE_REVEAL_NUMBERS", text)
    redaction = Redaction.from_environment("US")
    assert redaction == Redaction(
        hash_key=KEY, key_id="2026-11", reveal_numbers=reveals, default_country="US"
    )


def test_an_empty_environment_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment, or empty variables: numbers are masked and not hashed."""
    for name in ("TRUNKTRACE_HASH_KEY", "TRUNKTRACE_HASH_KEY_ID", "TRUNKTRACE_REVEAL_NUMBERS"):
        monkeypatch.delenv(name, raising=False)
    assert Redaction.from_environment() == Redaction()
    monkeypatch.setenv("TRUNKTRACE_HASH_KEY", "")
    assert Redaction.from_environment() == Redaction()


@pytest.mark.parametrize(
    "variable, text",
    [
        ("TRUNKTRACE_REVEAL_NUMBERS", "yes"),
        ("TRUNKTRACE_HASH_KEY", "short"),
        ("TRUNKTRACE_HASH_KEY_ID", "k1"),
    ],
)
def test_a_wrong_variable_is_named(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong variable raises an error that names the variable."""
    monkeypatch.delenv("TRUNKTRACE_HASH_KEY", raising=False)
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError) as caught:
        Redaction.from_environment()
    assert caught.value.field == variable


def test_phonenumbers_is_loaded_late() -> None:
    """Neither the module nor a Redaction without a country loads the numbering plans."""
    code = (
        "import sys; from trunktrace.redaction import Redaction; r = Redaction();"
        "assert 'phonenumbers' not in sys.modules; r.prepare();"
        "assert 'phonenumbers' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Redaction.number --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        "+12025550134",
        "sip:+12025550134@203.0.113.7:5060;user=phone",
        "<sip:+12025550134@carrier.example>;tag=1",
        "SIPS:+12025550134;isub=1@carrier.example",
        "sip:%2B12025550134@carrier.example",
        "tel:+1-202-555-0134",
        "tel:+12025550134;ext=5",
        '"Jane \\"<Doe>" <sip:+12025550134@carrier.example>',
        '"+1 303 555 0199" <sip:+12025550134@carrier.example>',
        "sip_+12025550134",
        " +1 (202) 555-0134 ",
        "+１２０２５５５０１３４",  # noqa: RUF001  # full-width digits are the point
        "\u202a+12025550134\u202c",
        "+12025550134@carrier.example",
    ],
)
def test_one_number_in_every_form_of_sip(raw: str) -> None:
    """The same number is found in every form in which SIP gives it."""
    found = Redaction(hash_key=KEY, key_id="k1").number(raw)
    digest = hmac.new(KEY.encode(), b"+12025550134", hashlib.sha256).hexdigest()[:16]
    assert found is not None
    assert found.masked == "+1*******34"
    assert found.hash == f"k1:{digest}"
    assert found.country == "US"
    assert found.clear is None
    assert found.e164 == "+12025550134"


@pytest.mark.parametrize(
    "raw, country, masked, region",
    [
        ("+447400123456", None, "+44*******56", "GB"),
        ("+35312345678", None, "+353*******78", "IE"),
        ("+79161234567", None, "+7*******67", "RU"),
        ("+14165550123", None, "+1*******23", "CA"),
        ("+80012345678", None, "+800*******78", None),
        ("0049301234567", "GB", "+49*******67", "DE"),
        ("011442071234567", "US", "+44*******67", "GB"),
        ("02071234567", "GB", "+44*******67", "GB"),
        ("2025550134", "US", "+1*******34", "US"),
        ("12025550134", "US", "+1*******34", "US"),
        ("442071234567", "US", "+44*******67", "GB"),
        ("13912345678", "CN", "+86*******78", "CN"),
    ],
)
def test_masks_and_countries(
    raw: str, country: str | None, masked: str, region: str | None
) -> None:
    """Country code and last two digits stay; the default country reads numbers without plus."""
    found = Redaction(default_country=country).number(raw)
    assert found is not None
    assert (found.masked, found.country, found.hash) == (masked, region, None)


def test_a_fictional_area_code_has_no_country() -> None:
    """+1 555 is of no country of the North American plan: the mask stands, the country does not."""
    found = Redaction().number("+15551234567")
    assert found is not None
    assert (found.masked, found.country) == ("+1*******67", None)


@pytest.mark.parametrize(
    "raw",
    [
        "1001",
        "12025550134",
        "00442071234567",
        "alice",
        "sip:alice@carrier.example",
        "*6712025550134",
        "+1123",
        "+999123456789",
        "+0442071234567",
        "+1202555013412025550134",
        "12025550134 or 1001",
        "sip:bob:pass+12025550134@host",
        "\u0661\u0662\u0663",
    ],
)
def test_what_is_no_number_is_masked_whole(raw: str) -> None:
    """What is no E.164 number becomes one constant string, without hash and country."""
    found = Redaction(hash_key=KEY).number(raw)
    assert found is not None
    assert (found.masked, found.hash, found.country, found.e164) == (MASKED, None, None, None)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "  ",
        "anonymous",
        '"Anonymous" <sip:anonymous@anonymous.invalid>',
        "sip_anonymous",
        "Restricted",
        "unknown",
        "+266696687",
        "+86282452253",
        "sip:carrier.example",
        "+1202555\x000134",
        "+12025550134" * 1000,
        None,
        12025550134,
        b"+12025550134",
    ],
)
def test_no_number_told_is_none(raw: object) -> None:
    """Withheld, absent or absurd: there is nothing to say about a number."""
    redaction = Redaction(hash_key=KEY, reveal_numbers=True)
    assert redaction.number(raw) is None  # type: ignore[arg-type]
    assert redaction.party("caller", raw) == {}  # type: ignore[arg-type]


@given(st.one_of(st.text(), st.text(alphabet='+0123456789sip:tel<>@;"%_-() '), st.binary()))
def test_number_takes_anything(raw: str | bytes) -> None:
    """Whatever comes, nothing is raised, and at most country code and two digits are shown."""
    found = Redaction(hash_key=KEY, default_country="US").number(raw)  # type: ignore[arg-type]
    assert found is None or re.fullmatch(r"(\+\d{1,3}\*{7}\d\d)|\*{7}", found.masked)


@given(st.integers(10**7, 10**15 - 1))
def test_the_digits_of_a_number_are_not_in_its_mask(number: int) -> None:
    """Of any international number no four digits of the subscriber's part are shown."""
    found = Redaction(hash_key=KEY).number(f"sip:+{number}@carrier.example")
    assert found is not None
    subscriber = str(number)[3:]
    assert not any(subscriber[at : at + 4] in found.masked for at in range(len(subscriber) - 3))


def test_the_country_codes_are_those_of_the_numbering_plans() -> None:
    """Every country code of phonenumbers is cut from a number as a whole."""
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        assert calling_code(f"{code}2345678") == str(code)


# Redaction.party, Redaction.call_id --------------------------------------------------------------


def test_party_gives_the_attributes_of_the_vocabulary() -> None:
    """Number, hash and country stand under the keys of the vocabulary, nothing in clear."""
    found = Redaction(hash_key=KEY, key_id="k1").party("callee", "+12025550134")
    assert found.pop("sip.callee.hash").startswith("k1:")
    assert found == {"sip.callee.number": "+1*******34", "sip.callee.country": "US"}


def test_numbers_in_clear_only_if_asked_and_under_a_pii_key() -> None:
    """With `reveal_numbers` the number stands in clear too, under a key with a `pii` segment."""
    revealing = Redaction(reveal_numbers=True)
    assert revealing.party("caller", "sip:+12025550134@h") == {
        "sip.caller.number": "+1*******34",
        "sip.caller.country": "US",
        "sip.caller.pii.number": "+12025550134",
    }
    assert revealing.party("caller", "1001")["sip.caller.pii.number"] == "1001"
    assert "sip.caller.pii.number" not in Redaction().party("caller", "+12025550134")


@pytest.mark.parametrize(
    "raw, kept",
    [
        ("3b6e@carrier.invalid", "3b6e@carrier.invalid"),
        ("3b6e@203.0.113.7", "3b6e"),
        ("3b6e@203.0.113.7:5060", "3b6e"),
        ("3b6e@[2001:db8::1]", "3b6e"),
        ("3b6e@[2001:db8::1]:5060", "3b6e"),
        ("3b6e@2001:db8::1", "3b6e"),
        ("3b6e@10-0-0-1.example", "3b6e@10-0-0-1.example"),
        ("3b6e@256.0.0.1", "3b6e@256.0.0.1"),
        ("a@b@203.0.113.7", "a@b"),
        ("3b6e", "3b6e"),
        ("@", "@"),
        ("", None),
        ("a\nb@203.0.113.7", None),
        ("x" * 2000, None),
        (None, None),
    ],
)
def test_a_call_id_loses_its_address(raw: object, kept: str | None) -> None:
    """Of a Call-ID only a host part that is an IP address is cut."""
    assert Redaction().call_id(raw) == kept  # type: ignore[arg-type]


# secrets_of, scrub -------------------------------------------------------------------------------


def test_secrets_of_a_number() -> None:
    """A number is looked for as given, in digits, with plus, percent-encoded, and without code."""
    assert secrets_of("sip:+12025550134@carrier.example") >= {
        "sip:+12025550134@carrier.example",
        "+12025550134",
        "12025550134",
        "2025550134",
        "%2B12025550134",
        "sip_+12025550134",
    }


@pytest.mark.parametrize(
    "raw", ["anonymous", "sip_anonymous", "Restricted", "", "101", "caller", "+266696687"]
)
def test_what_is_no_secret(raw: str) -> None:
    """Words of the language, short strings and withheld numbers would hit what is harmless."""
    assert secrets_of(raw) <= {"sip_101", f"sip_{raw}"}
    assert raw not in secrets_of(raw)


def test_a_name_is_a_secret_only_where_it_is_unmistakable() -> None:
    """The user `caller` is masked as an identity and an address, but not as a word."""
    secrets = secrets_of("<sip:caller@203.0.113.7:5060>", "sip:jane.doe@pbx.example")
    assert scrub("hello caller", secrets) == "hello caller"
    assert scrub("sip_caller left", secrets) == f"{MASKED} left"
    assert scrub("from jane.doe.", secrets) == f"from {MASKED}."


def test_secrets_of_takes_anything() -> None:
    """What is not text is passed over."""
    assert secrets_of(None, 5, b"+12025550134") == frozenset()  # type: ignore[arg-type]


NUMBER = "+15557778888"
SECRETS = secrets_of(NUMBER)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("sip_+15557778888", "sip_+1*******88"),
        ("sip_15557778888", f"sip_{MASKED}"),
        ("call-_+15557778888_rRj2ntqcLLFL", "call-_+1*******88_rRj2ntqcLLFL"),
        ("call-_15557778888_rRj2ntqcLLFL", f"call-_{MASKED}_rRj2ntqcLLFL"),
        ('"Jo" <sip:+15557778888@127.0.0.1>;tag=1', f'"Jo" <sip:+1*******88@{MASKED}>;tag=1'),
        (
            "https://api.example/Calls?To=%2B15557778888",
            "https://api.example/Calls?To=%2B1*******88",
        ),
        ("dial 0015557778888 now", f"dial 00{MASKED} now"),
        ("+1 (555) 777-8888", "+1*******88"),
        ("call 555.777.8888 back", f"call {MASKED} back"),
        ("+１５５５７７７８８８８", "+1*******88"),  # noqa: RUF001  # full-width digits
        ("٥٥٥٧٧٧٨٨٨٨ رقم", f"{MASKED} رقم"),
        ("grün 555\u00a0777\u00a08888", f"grün {MASKED}"),
        ('{"from":15557778888}', f'{{"from":{MASKED}}}'),
        ("155577788889999", f"{MASKED}9999"),
    ],
)
def test_a_known_number_is_masked_in_every_form(text: str, expected: str) -> None:
    """The call's own number is masked however it is written."""
    assert scrub(text, SECRETS) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("sip:2025550134@carrier.example", f"sip:{MASKED}@carrier.example"),
        ("SIPS:+12025550134@[2001:db8::1]:5061", f"SIPS:+1*******34@{MASKED}:5061"),
        ("<sip:alice;x=1@203.0.113.7>", f"<sip:{MASKED}@{MASKED}>"),
        ("sip:alice:pw@pbx.example", f"sip:{MASKED}@pbx.example"),
        ("tel:+1-202-555-0134", "tel:+1*******34"),
        ("tel:7042;phone-context=example.com", f"tel:{MASKED};phone-context=example.com"),
        ("identity sip_12025550134 left", f"identity sip_{MASKED} left"),
        ("sip_1001", f"sip_{MASKED}"),
        ("Phone +12025550134", "Phone +1*******34"),
        ("to=%2b12025550134", "to=%2b1*******34"),
        ("+00442071234567", f"+{MASKED}"),
        ("PAI: <sip:+12025550134@c.example>", "PAI: <sip:+1*******34@c.example>"),
        ("sip:+12025550134", "sip:+1*******34"),
        ("sip:anonymous@anonymous.invalid", "sip:anonymous@anonymous.invalid"),
    ],
)  # fmt: skip
def test_unknown_numbers_are_masked_in_signalling_position(text: str, expected: str) -> None:
    """A number of nobody we know of is masked where it stands as signalling."""
    assert scrub(text, ()) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T01:09:23.540863+00:00",
        "1795396163.5430737",
        '{"timestamp":1795396158.2160783,"ttfb":0.19412271700002748,"tokens":1001}',
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "0a0d2b7d-85d5-43f7-b8e8-686d3ef91b7c",
        "a72192864869@carrier.invalid",
        "RM_vcF3U5YNfNpU",
        "05-outbound-answered-fff1-1795396157",
        "call 2025550134",
        "sip_call_id sip_503 sip_anonymous sip_trunk_id",
        "sip:127.0.0.1:5060",
        "sip:sbc-1.carrier.example",
        "hotel: 42 gossip:x",
        "10:01:00.1001 2026-1001 v1.1001.2 x1001y",
        "+1*******34 sip:+1*******34@h sip_*******",
        "1e+10 +123456 T+1795396158216078300",
    ],
)
def test_times_ids_and_counters_stay(text: str) -> None:
    """What is no signalling number stays, even with a four-digit extension among the secrets."""
    secrets = SECRETS | secrets_of("1001")
    assert scrub(text, secrets) == text


def test_an_extension_is_masked_as_a_word() -> None:
    """A short number is masked where it stands alone."""
    assert scrub("from 1001 to room-1001", secrets_of("1001")) == f"from {MASKED} to room-{MASKED}"


def test_short_secrets_are_passed_over() -> None:
    """A secret under four characters is not looked for."""
    assert scrub("a1b", {"", "a", "1b", "a1b"}) == "a1b"


FORMS = st.sampled_from(
    [
        "{n}", "+{n}", "sip:+{n}@h.example", "sip:{n}@h.example", "sip_{n}", "sip_+{n}", "%2B{n}",
        "00{n}", "tel:{n}", '"{n}" <sip:x@y>', "call-_+{n}_rRj2ntqcLLFL", "{{'to': {n}}}",
    ]
)  # fmt: skip
NUMBERS = st.integers(10**9, 10**15 - 1)
WORDS = st.text(alphabet=st.characters(exclude_categories=["Nd", "Cs"]), max_size=40)


@given(NUMBERS, FORMS, WORDS, WORDS, st.sampled_from(["", " ", "-", ".", "\u2011"]))
def test_no_digits_of_a_known_number_survive(
    number: int, form: str, before: str, after: str, separator: str
) -> None:
    """However a known number is written, and whatever stands around it, its digits are gone."""
    written = form.format(n=separator.join(str(number)))
    scrubbed = scrub(before + written + after, secrets_of(f"+{number}"))
    digits = "".join(char for char in scrubbed if char.isdecimal())
    assert str(number)[3:] not in digits


@given(st.text(), st.lists(st.text(max_size=20), max_size=4))
def test_scrub_takes_anything_and_is_done_at_once(text: str, secrets: list[str]) -> None:
    """Nothing is raised, and what is scrubbed once does not change again."""
    once = scrub(text, secrets_of(*secrets) | set(secrets))
    assert scrub(once, ()) == once


@pytest.mark.parametrize(
    "text",
    [
        "sip:" * 2500,
        "sip:" + "a" * 10_000,
        "sip_" * 2500,
        "tel:" + "1-" * 5000,
        "+" * 10_000,
        "+1" * 5000,
        "+" + "1" * 10_000,
        "1" * 10_000,
        "_1" * 5000,
        "1 " * 5000,
        "555777888" * 1111,
        "ü1" * 5000,
        "<sip:" * 2000,
        "%2B" * 3333,
    ],
)
def test_hostile_text_takes_no_long_time(text: str) -> None:
    """10 kB made to be slow takes milliseconds, in every function that reads what others wrote."""
    started = time.process_time()
    scrub(text, SECRETS)
    secrets_of(text)
    Redaction().number(text)
    Redaction().call_id(text)
    assert time.process_time() - started < 0.5


def test_many_secrets_take_no_more_time_each_than_few() -> None:
    """A job that dials on and on has hundreds: counted in looks, from one size to the tenfold."""

    def looks(count: int) -> int:
        secrets = secrets_of(*(f"+1415{number:07d}" for number in range(count)))
        seen = [0]

        def look(frame: object, event: str, argument: object) -> None:
            del frame, event, argument
            seen[0] += 1

        sys.setprofile(look)
        try:
            Scrubber(secrets).text("to +14150000001")
        finally:
            sys.setprofile(None)
        return seen[0]

    few, many = looks(50), looks(500)
    assert many < 15 * few
