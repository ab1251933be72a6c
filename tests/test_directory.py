"""The directory: what it says about a call, whom it believes, and how a wrong file is refused."""

import dataclasses
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace import Directory
from trunktrace.conventions import MAX_STRING_CHARACTERS
from trunktrace.directory import Claim, Identity, Rank, TrunkRow
from trunktrace.errors import ConfigurationError, DirectoryError

EXAMPLE = Path(__file__).parents[1] / "examples" / "carriers.toml"

FILE = """
default_country = "DE"

[trunks.ST_row]
carrier = "telnyx"
route = "us-east/primary"
region = "us1"

[trunks.ST_sbc]
trusted_headers = { carrier = "X-Carrier", route = "X-Route" }

[trunks.ST_half]
carrier = "telnyx"
trusted_headers = { carrier = "X-Carrier", route = "X-Route", region = "x-route" }

[trunks.ST_mapped]
trusted_attributes = { carrier = "carrier.name", route = "trunk.route" }
trusted_headers = { carrier = "X-Carrier" }

[trunks.ST_deaf]
region = "nowhere"
trusted_attributes = {}

[hosts."sbc1.example.net"]
carrier = "acme"
region = "eu"

[hosts."sbc1.example.net:5071"]
carrier = "acme"
route = "lab"

[hosts."*.example.net"]
carrier = "wide"

[hosts."*.deep.example.net"]
carrier = "deep"

[hosts."[2001:DB8:0::1]"]
carrier = "six"

[hosts."primary.pstn.ashburn.twilio.com"]
route = "primary"

[carriers.telnyx]
aliases = ["Telnyx LLC", "carrier-a"]

[carriers.acme]

[defaults]
trusted_attributes = { region = "my.region" }
"""

NO_CALL: dict[str, str] = {}


@pytest.fixture(scope="module")
def directory() -> Directory:
    return Directory.parse(FILE)


def who(
    directory: Directory,
    trunk_id: str | None = None,
    host: str | None = None,
    attributes: dict[str, str] = NO_CALL,
) -> dict[str, str]:
    identity = directory.identify(trunk_id=trunk_id, host=host, attributes=attributes)
    return {name: claim.value for name, claim in identity.claims().items()}


class TestWhoWins:
    def test_a_row_names_its_trunk(self, directory: Directory) -> None:
        """The row of a trunk id gives carrier, route and region, with where it stands."""
        identity = directory.identify(trunk_id="ST_row", host=None, attributes={})
        assert identity == Identity(
            carrier=Claim("telnyx", Rank.TRUNK_ROW, "trunks.ST_row"),
            route=Claim("us-east/primary", Rank.TRUNK_ROW, "trunks.ST_row"),
            region=Claim("us1", Rank.TRUNK_ROW, "trunks.ST_row"),
        )

    def test_nothing_in_the_invite_overrides_a_row(self, directory: Directory) -> None:
        """Host, headers and provider ids lose against the row; what they say is kept as refused."""
        identity = directory.identify(
            trunk_id="ST_row",
            host="x.pstn.ashburn.twilio.com",
            attributes={"sip.h.x-carrier": "evil", "sip.twilio.callSid": "CA1"},
        )
        assert {name: claim.value for name, claim in identity.claims().items()} == {
            "carrier": "telnyx",
            "route": "us-east/primary",
            "region": "us1",
        }
        assert [(name, claim.value, claim.rank) for name, claim in identity.refused] == [
            ("carrier", "twilio", Rank.SIP_HOST),
            ("carrier", "twilio", Rank.PROVIDER_ID),
        ]

    def test_an_untrusted_header_says_nothing(self, directory: Directory) -> None:
        """Headers and attributes are heard only where the directory trusts them."""
        said = {"sip.h.x-carrier": "acme", "sip.h.x-route": "a", "carrier.name": "acme"}
        assert who(directory, "ST_deaf", None, said) == {"region": "nowhere"}
        assert who(directory, "ST_unknown", None, said) == {}
        assert who(directory, None, None, said) == {}

    def test_a_trusted_header_fills_what_the_row_leaves_open(self, directory: Directory) -> None:
        """The row's carrier stands; route and region come from the trusted headers."""
        said = {"sip.h.x-carrier": "evil", "sip.h.x-route": "lcr-7"}
        identity = directory.identify(trunk_id="ST_half", host=None, attributes=said)
        assert identity.carrier == Claim("telnyx", Rank.TRUNK_ROW, "trunks.ST_half")
        assert identity.route == Claim("lcr-7", Rank.TRUSTED_HEADER, "header X-Route")
        assert identity.region == Claim("lcr-7", Rank.TRUSTED_HEADER, "header x-route")
        assert identity.refused == (
            ("carrier", Claim("evil", Rank.TRUSTED_HEADER, "header X-Carrier")),
        )

    def test_rank_order_without_a_row(self, directory: Directory) -> None:
        """Trusted header, SIP host, provider id: each rules where those before are silent."""
        said = {"sip.h.x-carrier": "carrier-b", "sip.amazon.contactId": "c-1"}
        assert who(directory, "ST_sbc", "sip.telnyx.eu", said)["carrier"] == "carrier-b"
        del said["sip.h.x-carrier"]
        assert who(directory, "ST_sbc", "sip.telnyx.eu", said)["carrier"] == "telnyx"
        assert who(directory, "ST_sbc", "192.0.2.1", said)["carrier"] == "amazon"
        assert who(directory, "ST_sbc", "192.0.2.1", {}) == {}

    def test_ranks_are_ordered_as_promised(self) -> None:
        """Identity: trunk row > trusted header > SIP host > provider id > hint."""
        order = [Rank.HINT, Rank.PROVIDER_ID, Rank.SIP_HOST, Rank.TRUSTED_HEADER, Rank.TRUNK_ROW]
        assert sorted(Rank)[: len(order)] == order

    def test_a_trusted_attribute_goes_before_a_trusted_header(self, directory: Directory) -> None:
        """Of two trusted sources the participant attribute is believed."""
        said = {"carrier.name": "carrier-a", "sip.h.x-carrier": "acme", "trunk.route": "lcr-7"}
        assert who(directory, "ST_mapped", None, said) == {"carrier": "telnyx", "route": "lcr-7"}

    def test_defaults_hold_where_the_row_has_no_table(self, directory: Directory) -> None:
        """Default trust holds for trunks without a table of their own, known or not."""
        said = {"my.region": "fra"}
        assert who(directory, "ST_unknown", None, said) == {"region": "fra"}
        assert who(directory, "ST_sbc", None, said) == {"region": "fra"}
        assert who(directory, "ST_mapped", None, said) == {}

    def test_a_host_gives_no_other_carriers_region(self, directory: Directory) -> None:
        """A region of Twilio's host does not end up on a trunk that is somebody else's."""
        identity = directory.identify(
            trunk_id="ST_half", host="pstn.ashburn.twilio.com", attributes={}
        )
        assert identity.region is None
        assert identity.carrier is not None
        assert identity.carrier.value == "telnyx"
        assert who(directory, "ST_half", "sip.telnyx.eu") == {"carrier": "telnyx", "region": "eu"}

    @pytest.mark.parametrize("said", ["Telnyx LLC", " telnyx, llc ", "CARRIER-A", "Telnyx"])
    def test_aliases(self, directory: Directory, said: str) -> None:
        """Other names of a carrier mean this carrier, whatever their case and punctuation."""
        assert who(directory, "ST_sbc", None, {"sip.h.x-carrier": said}) == {"carrier": "telnyx"}

    @pytest.mark.parametrize(
        "said, slug",
        [("Télé Com (DE)", "tele-com-de"), ("A1.net_b", "a1.net_b"), ("Nexmo", "vonage")],
    )
    def test_carriers_are_slugs(self, directory: Directory, said: str, slug: str) -> None:
        """A carrier that the directory does not know becomes lower-case ASCII."""
        assert who(directory, "ST_sbc", None, {"sip.h.x-carrier": said}) == {"carrier": slug}

    @pytest.mark.parametrize(
        "said",
        [
            "",
            "   ",
            "a" * (MAX_STRING_CHARACTERS + 1),
            "x" * 10_000,
            "tel\nnyx",
            "tel\x00nyx",
            "telnyx\x1b[0m",
            "tel\u202enyx",
            "\ud800",
            "電話",
            "unknown",
            "Unknown",
            "+15557778888",
            "gw-15557778888",
            "(555) 777-8888 x1",
            "sip:bob@gw.example.net",
        ],
    )
    def test_absurd_values_are_not_heard(self, directory: Directory, said: str) -> None:
        """What is empty, endless, not printable, reserved or like a number is no carrier."""
        assert who(directory, "ST_sbc", None, {"sip.h.x-carrier": said}) == {}

    @pytest.mark.parametrize(
        "said",
        [
            "lcr-7",
            "us-east/primary",
            "gw 20260115",
            "1494404757140276705",
            "2026-01-15",
            "192.168.100.200",
        ],
    )
    def test_routes_are_kept_as_written(self, directory: Directory, said: str) -> None:
        """A route is not changed; a date or a long id is no phone number."""
        assert who(directory, "ST_sbc", None, {"sip.h.x-route": said}) == {"route": said}

    def test_wrong_types_are_not_heard(self, directory: Directory) -> None:
        """A value that is no string says nothing."""
        said = {"sip.h.x-carrier": 5, "sip.twilio.callSid": None, "sip.telnyx.callLegID": ["x"]}
        assert who(directory, "ST_sbc", None, said) == {}  # type: ignore[arg-type]

    @pytest.mark.parametrize("value", ["", "\x00", "a" * 256])
    def test_an_absurd_provider_id_names_nobody(self, directory: Directory, value: str) -> None:
        """An empty or absurd call id does not tell the provider."""
        assert who(directory, None, None, {"sip.twilio.callSid": value}) == {}


class TestHosts:
    @pytest.mark.parametrize(
        "host, expected",
        [
            ("sbc1.example.net", {"carrier": "acme", "region": "eu"}),
            ("SBC1.EXAMPLE.NET.:5060", {"carrier": "acme", "region": "eu"}),
            ("sbc1.example.net:5071", {"carrier": "acme", "route": "lab"}),
            ("sbc2.example.net", {"carrier": "wide"}),
            ("a.b.example.net", {"carrier": "wide"}),
            ("x.deep.example.net", {"carrier": "deep"}),
            ("deep.example.net", {"carrier": "wide"}),
            ("example.net", {}),
            ("notexample.net", {}),
            ("[2001:db8::1]:5060", {"carrier": "six"}),
            ("2001:db8::1", {"carrier": "six"}),
            ("anonymous.invalid", {}),
            ("127.0.0.1:5090", {}),
            ("", {}),
            ("\x00", {}),
            ("x" * 10_000, {}),
        ],
    )
    def test_most_specific_row(
        self, directory: Directory, host: str, expected: dict[str, str]
    ) -> None:
        """Port, then name, then longest suffix; a suffix does not match the domain itself."""
        assert who(directory, None, host) == expected

    def test_built_in_fills_the_open_fields_of_a_row(self, directory: Directory) -> None:
        """A row for a known carrier's host may give the route alone."""
        assert who(directory, None, "primary.pstn.ashburn.twilio.com") == {
            "carrier": "twilio",
            "route": "primary",
            "region": "ashburn",
        }

    def test_the_file_goes_before_built_in_knowledge(self) -> None:
        """A host row may say that a well-known host is somebody else's trunk."""
        directory = Directory.parse('[hosts."sip.telnyx.com"]\ncarrier = "reseller"')
        identity = directory.identify(trunk_id=None, host="sip.telnyx.com", attributes={})
        assert identity.carrier == Claim("reseller", Rank.SIP_HOST, "host sip.telnyx.com")
        assert identity.region is None
        assert [claim.value for _, claim in identity.refused] == ["telnyx"]

    @pytest.mark.parametrize(
        "host, carrier, region",
        [
            ("mytrunk.pstn.twilio.com", "twilio", None),
            ("mytrunk.pstn.ashburn.twilio.com:5061", "twilio", "ashburn"),
            ("mytrunk.pstn.ie1.twilio.com", "twilio", "ie1"),
            ("mytrunk.pstn.london-ix.twilio.com", "twilio", "london-ix"),
            ("pstn.sydney.twilio.com", "twilio", "sydney"),
            ("example.sip.twilio.com", "twilio", None),
            ("example.sip.dublin.twilio.com", "twilio", "dublin"),
            ("sip.telnyx.com", "telnyx", "us"),
            ("sip.telnyx.com.au", "telnyx", "au"),
            ("21784177241578.zt.plivo.com", "plivo", None),
            ("sip.nexmo.com", "vonage", None),
            ("sip-us2.nexmo.com", "vonage", "us"),
            ("yourcompany.sip-eu.vonage.com", "vonage", "eu"),
            ("example-0123456789ab.sip.signalwire.com", "signalwire", None),
            ("sip-uri.voice-api.bandwidth.com", "bandwidth", None),
            ("abcdef1ghij2klmno3pqr4.voiceconnector.chime.aws", "amazon", None),
            ("mycompany.pstn.sinch.com", "sinch", None),
            ("euc1.sip.sinch.com", "sinch", "euc1"),
            ("nl.wavix.net", "wavix", "nl"),
            ("abc.sip.vobiz.ai", "vobiz", None),
        ],
    )
    def test_well_known_hosts(self, host: str, carrier: str, region: str | None) -> None:
        """The carriers' own SIP hosts are known without any file."""
        identity = Directory.builtin().identify(trunk_id="ST_x", host=host, attributes={})
        assert identity.carrier is not None
        assert (identity.carrier.value, identity.carrier.rank) == (carrier, Rank.SIP_HOST)
        assert (identity.region.value if identity.region else None) == region

    @pytest.mark.parametrize("host", ["twilio.com", "eviltwilio.com", "pstn.twilio.com.evil.net"])
    def test_look_alikes(self, host: str) -> None:
        """A host that only looks like a carrier's is not."""
        assert who(Directory.builtin(), None, host) == {}

    @pytest.mark.parametrize(
        "attribute, carrier",
        [
            ("sip.twilio.callSid", "twilio"),
            ("sip.h.x-twilio-callsid", "twilio"),
            ("sip.telnyx.callSessionID", "telnyx"),
            ("sip.h.x-call_leg_id", "telnyx"),
            ("sip.amazon.contactId", "amazon"),
        ],
    )
    def test_well_known_call_ids(self, attribute: str, carrier: str) -> None:
        """A call id that one provider alone sends names this provider, at the rank of such ids."""
        identity = Directory.builtin().identify(
            trunk_id=None, host="198.51.100.1", attributes={attribute: "id-1"}
        )
        assert identity.carrier is not None
        assert (identity.carrier.value, identity.carrier.rank) == (carrier, Rank.PROVIDER_ID)


class TestHeadersWanted:
    def test_trusted_headers_that_are_not_there_yet(self, directory: Directory) -> None:
        """The trusted headers are asked for by name, until they are among the attributes."""
        assert directory.headers_wanted("ST_sbc", {}) == ("X-Carrier", "X-Route")
        assert directory.headers_wanted("ST_sbc", {"sip.h.x-route": "a"}) == ("X-Carrier",)
        asked = {"sip.h.x-carrier": "carrier-a", "sip.h.x-route": "lcr-7"}
        assert directory.headers_wanted("ST_sbc", asked) == ()
        assert who(directory, "ST_sbc", None, asked) == {"carrier": "telnyx", "route": "lcr-7"}

    def test_not_for_what_is_known(self, directory: Directory) -> None:
        """No header is asked for on a field that the row or a trusted attribute fills."""
        assert directory.headers_wanted("ST_half", {}) == ("x-route",)
        assert directory.headers_wanted("ST_row", {}) == ()
        assert directory.headers_wanted("ST_mapped", {"carrier.name": "carrier-a"}) == ()
        assert directory.headers_wanted("ST_mapped", {"carrier.name": ""}) == ("X-Carrier",)

    def test_not_where_nothing_is_trusted(self, directory: Directory) -> None:
        """Without trusted headers there is nothing to ask for."""
        assert directory.headers_wanted("ST_unknown", {}) == ()
        assert directory.headers_wanted(None, {}) == ()
        assert Directory.builtin().headers_wanted("ST_sbc", {}) == ()


class TestTrunkList:
    def test_metadata_names_a_trunk(self) -> None:
        """JSON metadata of a LiveKit trunk is a row, with aliases and slugs as anywhere."""
        metadata = json.dumps({"carrier": "Nexmo", "route": "r/1", "region": "eu", "other": 1})
        directory = Directory.builtin().with_trunks([TrunkRow("ST_a", "in", metadata)])
        identity = directory.identify(trunk_id="ST_a", host="sip.telnyx.com", attributes={})
        source = "metadata of ST_a in LiveKit"
        assert identity.carrier == Claim("vonage", Rank.TRUNK_ROW, source)
        assert identity.route == Claim("r/1", Rank.TRUNK_ROW, source)
        assert identity.region == Claim("eu", Rank.TRUNK_ROW, source)

    def test_the_file_is_never_overridden(self, directory: Directory) -> None:
        """Metadata fills what the row leaves open, and nothing if it names another carrier."""
        agrees = json.dumps({"carrier": "Telnyx LLC", "route": "from-list", "region": "list"})
        differs = json.dumps({"carrier": "acme", "route": "from-list", "region": "list"})
        listed = directory.with_trunks(
            [TrunkRow("ST_row", "", agrees), TrunkRow("ST_half", "", agrees)]
        )
        assert who(listed, "ST_row") == who(directory, "ST_row")
        assert who(listed, "ST_half") == {
            "carrier": "telnyx",
            "route": "from-list",
            "region": "list",
        }
        listed = directory.with_trunks([TrunkRow("ST_half", "", differs)])
        assert who(listed, "ST_half") == {"carrier": "telnyx"}
        assert listed.headers_wanted("ST_half", {}) == ("x-route",)

    def test_a_name_is_a_route_of_last_resort(self, directory: Directory) -> None:
        """The trunk's name is its route where nobody names one, and never its carrier."""
        listed = directory.with_trunks([TrunkRow("ST_sbc", "Telnyx US (new)")])
        identity = listed.identify(trunk_id="ST_sbc", host=None, attributes={})
        assert identity.route == Claim("Telnyx US (new)", Rank.HINT, "name of the trunk in LiveKit")
        assert identity.carrier is None
        assert who(listed, "ST_sbc", None, {"sip.h.x-route": "lcr-7"}) == {"route": "lcr-7"}
        assert listed.headers_wanted("ST_sbc", {}) == ("X-Carrier", "X-Route")

    def test_a_refused_name_is_no_conflict(self, directory: Directory) -> None:
        """A trunk's name beside a named route is not a contradiction."""
        listed = directory.with_trunks([TrunkRow("ST_row", "anything")])
        identity = listed.identify(trunk_id="ST_row", host=None, attributes={})
        assert identity.refused == ()

    @pytest.mark.parametrize(
        "row",
        [
            TrunkRow("ST_x"),
            TrunkRow("ST_x", "+1 555 777 8888", "not json"),
            TrunkRow("ST_x", "a\nb", "[1]"),
            TrunkRow("ST_x", "", '{"carrier": 5, "route": null, "region": "+15557778888"}'),
            TrunkRow("ST_x", "", '{"carrier": "unknown"}'),
            TrunkRow("ST_x", "", "[" * 100_000),
            TrunkRow("ST_x", "", "1" * 10_000),
            TrunkRow("", "", "{}"),
        ],
    )
    def test_what_cannot_be_used_is_left_out(self, directory: Directory, row: TrunkRow) -> None:
        """Numbers, absurd texts and metadata of another kind say nothing and raise nothing."""
        assert who(directory.with_trunks([row]), "ST_x") == {}

    def test_the_directory_itself_does_not_change(self, directory: Directory) -> None:
        """Adding trunks makes another directory."""
        before = directory.names
        directory.with_trunks([TrunkRow("ST_new", "", '{"carrier": "new"}')])
        assert directory.names == before
        assert who(directory, "ST_new") == {}


class TestNames:
    def test_every_name_of_the_file(self, directory: Directory) -> None:
        """Carriers, routes and regions of rows, aliases and built-in knowledge are named."""
        names = directory.names
        assert {"telnyx", "acme", "wide", "deep", "six", "twilio", "vonage"} <= names.carriers
        assert names.routes == {"us-east/primary", "lab", "primary"}
        assert {"us1", "eu", "nowhere", "ashburn"} <= names.regions

    def test_listed_trunks_are_named(self, directory: Directory) -> None:
        """What LiveKit's trunk list adds is among the names."""
        listed = directory.with_trunks(
            [TrunkRow("ST_new", "spare", '{"carrier": "fresh", "route": "r"}')]
        )
        assert "fresh" in listed.names.carriers
        assert {"r", "spare"} <= listed.names.routes

    def test_default_country(self, directory: Directory) -> None:
        """The country is there for who masks numbers, and None where the file has none."""
        assert directory.default_country == "DE"
        assert Directory.builtin().default_country is None


class TestMissingRow:
    def test_a_trunk_with_a_row_needs_nothing(self, directory: Directory) -> None:
        """Nothing to tell where a row names the carrier, in the file or in LiveKit."""
        assert directory.missing_row("ST_row") is None
        listed = directory.with_trunks([TrunkRow("ST_l", "", '{"carrier": "acme"}')])
        assert listed.missing_row("ST_l") is None

    def test_it_shows_the_row_to_write(self, directory: Directory) -> None:
        """The message holds a row that, pasted and filled in, makes it go away."""
        message = directory.missing_row("ST_b4")
        assert message is not None
        assert "Add to carriers.toml:" in message
        row = message[message.index("[trunks.") :].replace("...", "acme")
        assert Directory.parse(FILE + row).missing_row("ST_b4") is None

    def test_without_a_file_it_says_where_to_put_one(self) -> None:
        """Without any directory the message names the file and the variable."""
        message = Directory.builtin().missing_row("ST_b4")
        assert message is not None
        assert "carriers.toml" in message
        assert "TRUNKTRACE_DIRECTORY" in message
        assert "[trunks.ST_b4]" in message

    @pytest.mark.parametrize("trunk_id", [None, "", "a\nb", "+15557778888"])
    def test_an_absurd_id_is_not_repeated(self, directory: Directory, trunk_id: str | None) -> None:
        """An id that is none is not written into a log."""
        message = directory.missing_row(trunk_id)
        assert message is not None
        assert '[trunks."ST_..."]' in message


class TestFrozen:
    def test_it_can_be_pickled(self, directory: Directory) -> None:
        """A directory reaches a job process as it is."""
        listed = directory.with_trunks([TrunkRow("ST_new", "n", '{"carrier": "new"}')])
        copy = pickle.loads(pickle.dumps(listed))
        assert copy == listed
        assert who(copy, "ST_new") == who(listed, "ST_new")

    def test_it_cannot_be_changed(self, directory: Directory) -> None:
        """Neither a directory nor what it says can be assigned to."""
        with pytest.raises(dataclasses.FrozenInstanceError):
            directory.path = "other"  # type: ignore[misc]
        identity = directory.identify(trunk_id="ST_row", host=None, attributes={})
        with pytest.raises(dataclasses.FrozenInstanceError):
            identity.carrier = None  # type: ignore[misc]


class TestFind:
    @pytest.fixture(autouse=True)
    def _empty_place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TRUNKTRACE_DIRECTORY", raising=False)
        monkeypatch.chdir(tmp_path)

    def test_the_variable_names_the_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """TRUNKTRACE_DIRECTORY goes before the file in the working directory."""
        (tmp_path / "carriers.toml").write_text("[trunks.ST_a]\ncarrier = 'here'")
        other = tmp_path / "other.toml"
        other.write_text("[trunks.ST_a]\ncarrier = 'there'")
        monkeypatch.setenv("TRUNKTRACE_DIRECTORY", str(other))
        found = Directory.find()
        assert found.path == str(other)
        assert who(found, "ST_a") == {"carrier": "there"}

    def test_the_working_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """`carriers.toml` is found where the process runs; an empty variable counts as none."""
        (tmp_path / "carriers.toml").write_text("[trunks.ST_a]\ncarrier = 'here'")
        monkeypatch.setenv("TRUNKTRACE_DIRECTORY", "")
        found = Directory.find()
        assert found.path == str(tmp_path / "carriers.toml")
        assert who(found, "ST_a") == {"carrier": "here"}

    def test_built_in_knowledge_else(self) -> None:
        """Without a file there is built-in knowledge, and no path."""
        found = Directory.find()
        assert found.path is None
        assert found == Directory.builtin()
        assert who(found, None, "sip.telnyx.com") == {"carrier": "telnyx", "region": "us"}

    def test_a_variable_that_names_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A variable with no file behind it is an error that names variable, value and fix."""
        monkeypatch.setenv("TRUNKTRACE_DIRECTORY", "/nowhere/carriers.toml")
        with pytest.raises(ConfigurationError, match="no such file") as caught:
            Directory.find()
        assert caught.value.field == "TRUNKTRACE_DIRECTORY"
        assert caught.value.value == "/nowhere/carriers.toml"

    def test_a_wrong_file_is_not_passed_over(self, tmp_path: Path) -> None:
        """A file in the working directory that cannot be used raises; it is not ignored."""
        (tmp_path / "carriers.toml").write_text("trunks = 3")
        with pytest.raises(DirectoryError):
            Directory.find()


class TestLoad:
    def test_the_example_file(self) -> None:
        """The example in the repository is a directory, and says what its comments say."""
        example = Directory.load(EXAMPLE)
        assert example.path == str(EXAMPLE)
        assert example.default_country == "US"
        assert who(example, "ST_telnyx_in") == {
            "carrier": "telnyx",
            "route": "us-east/primary",
            "region": "us1",
        }
        said = {"sip.h.x-carrier": "carrier-a", "sip.h.x-route": "lcr-7"}
        assert who(example, "ST_our_sbc", None, said) == {
            "carrier": "telnyx",
            "route": "lcr-7",
            "region": "fra",
        }
        assert who(example, "ST_telnyx_in", None, said)["route"] == "us-east/primary"
        assert who(example, None, "sbc1.example.net") == {"carrier": "acme", "region": "eu-central"}
        assert who(example, None, "203.0.113.7:5070")["route"] == "lab"
        assert "acme" in example.names.carriers

    def test_windows_files(self, tmp_path: Path) -> None:
        """A byte order mark and CRLF are no mistake, and lines are still counted right."""
        file = tmp_path / "carriers.toml"
        file.write_bytes(b"\xef\xbb\xbf[trunks.ST_a]\r\ncarrier = 'x'\r\n")
        assert who(Directory.load(file), "ST_a") == {"carrier": "x"}
        file.write_bytes(b"[trunks.ST_a]\r\ncarrier = 'x'\r\n\r\nrute = 'y'\r\n")
        with pytest.raises(DirectoryError) as caught:
            Directory.load(file)
        assert caught.value.line == 4

    def test_no_file(self, tmp_path: Path) -> None:
        """A path without a file, or of a folder, is a DirectoryError that names it."""
        for path in (tmp_path / "none.toml", tmp_path):
            with pytest.raises(DirectoryError, match="cannot be read") as caught:
                Directory.load(path)
            assert caught.value.path == str(path)
            assert caught.value.line is None

    def test_not_utf8(self, tmp_path: Path) -> None:
        """A file in another encoding is refused with the line of the first wrong byte."""
        file = tmp_path / "carriers.toml"
        file.write_bytes(b"# one\n# two\n[trunks.ST_a]\ncarrier = 't\xe9l\xe9'\n")
        with pytest.raises(DirectoryError, match="UTF-8") as caught:
            Directory.load(file)
        assert caught.value.line == 4


WRONG = [
    ("trunks = 3", "trunks", 1, "write a table"),
    ("[[trunks]]\nid = 1", "trunks", 1, "write a table"),
    ("[trunk.ST_a]\ncarrier = 'x'", "trunk", 1, "did you mean 'trunks'"),
    ("[trunks.ST_a]\ncarier = 'x'", "trunks.ST_a.carier", 2, "did you mean 'carrier'"),
    (
        "[trunks.ST_a]\ncarrier = 'x'\ndefault_country = 'US'",
        "trunks.ST_a.default_country",
        3,
        "belongs at the top",
    ),
    ("[trunks.ST_a]\ncolour = 'x'", "trunks.ST_a.colour", 2, "known here: carrier, route"),
    ("[trunks]\nST_a = 'telnyx'", "trunks.ST_a", 2, "[trunks.ST_a]"),
    ("\n\n[trunks.ST_a]\n", "trunks.ST_a", 3, "give at least carrier"),
    ("[trunks.'']\ncarrier = 'x'", 'trunks.""', 1, "the trunk's id"),
    ("[trunks.ST_a]\ncarrier = 5", "trunks.ST_a.carrier", 2, 'carrier = "telnyx"'),
    ("[trunks.ST_a]\ncarrier = ''", "trunks.ST_a.carrier", 2, "1 to 255 printable"),
    ("[trunks.ST_a]\ncarrier = 'unknown'", "trunks.ST_a.carrier", 2, "leave it out"),
    ("[trunks.ST_a]\ncarrier = '電話'", "trunks.ST_a.carrier", 2, "a-z, 0-9"),
    (f"[trunks.ST_a]\nroute = '{'x' * 256}'", "trunks.ST_a.route", 2, "1 to 255 printable"),
    ('[trunks.ST_a]\nregion = "a\\u0000"', "trunks.ST_a.region", 2, "1 to 255 printable"),
    (
        "[trunks.ST_a]\ncarrier = 'x'\ntrusted_headers = 'X-Carrier'",
        "trunks.ST_a.trusted_headers",
        3,
        "write a table",
    ),
    (
        "[trunks.ST_a]\ntrusted_headers = { carier = 'X-C' }",
        "trunks.ST_a.trusted_headers.carier",
        2,
        "did you mean 'carrier'",
    ),
    (
        "[trunks.ST_a.trusted_headers]\nroute = 'X-R'\ncarrier = 'X Carrier'",
        "trunks.ST_a.trusted_headers.carrier",
        3,
        "no SIP header name",
    ),
    (
        "[defaults]\n\ntrusted_headers.route = 'P-Asserted-Identity'",
        "defaults.trusted_headers.route",
        3,
        "names a person",
    ),
    (
        "[defaults]\ntrusted_attributes = { route = 'sip.h.x-route' }",
        "defaults.trusted_attributes.route",
        2,
        "under trusted_headers",
    ),
    (
        "[defaults]\ntrusted_attributes = { route = 'sip.phoneNumber' }",
        "defaults.trusted_attributes.route",
        2,
        "hold numbers",
    ),
    ("[defaults]\ncarrier = 'x'", "defaults.carrier", 2, "known here: trusted_headers"),
    ("[hosts.'a b']\ncarrier = 'x'", 'hosts."a b"', 1, "write a host"),
    ("[hosts.'*.10.0.0.1']\ncarrier = 'x'", 'hosts."*.10.0.0.1"', 1, "write a host"),
    ("[hosts.'*.a.example:5060']\ncarrier = 'x'", 'hosts."*.a.example:5060"', 1, "write a host"),
    ("[hosts.sbc.example]\ncarrier = 'x'", "hosts.sbc.example", 1, "is quoted"),
    (
        "[hosts.'a.example']\ncarrier = 'x'\n[hosts.'A.EXAMPLE.']\ncarrier = 'y'",
        'hosts."A.EXAMPLE."',
        3,
        "twice",
    ),
    (
        "[hosts.'a.example']\ncarrier = 'x'\ntrusted_headers = {}",
        'hosts."a.example".trusted_headers',
        3,
        "anyone can write a From host",
    ),
    ("[carriers.Telnyx]", "carriers.Telnyx", 1, "'telnyx'"),
    ("[carriers.telnyx]\naliases = 'x'", "carriers.telnyx.aliases", 2, "list of names"),
    ("[carriers.telnyx]\naliases = ['x', 5]", "carriers.telnyx.aliases", 2, "list of names"),
    (
        "[carriers.a]\naliases = ['x']\n[carriers.b]\naliases = [\n  'y',\n  'X',\n]",
        "carriers.b.aliases",
        4,
        "already means 'a'",
    ),
    (
        "[carriers.a]\naliases = ['B']\n[carriers.b]",
        "carriers.a.aliases",
        2,
        "already means 'b'",
    ),
    ("default_country = 'us'", "default_country", 1, 'default_country = "US"'),
    ("default_country = 'USA'", "default_country", 1, "alpha-2"),
    ("default_country = 49", "default_country", 1, "printable"),
]


class TestWrongFiles:
    @pytest.mark.parametrize("text, field, line, fix", WRONG)
    def test_line_field_and_fix(self, text: str, field: str, line: int, fix: str) -> None:
        """A wrong file raises with the dotted field, the line it begins on, and what to write."""
        with pytest.raises(DirectoryError) as caught:
            Directory.parse(text, name="my.toml")
        error = caught.value
        assert (error.field, error.line, error.path) == (field, line, "my.toml")
        assert fix in error.fix
        assert str(error).startswith(f"my.toml:{line}: {field} = ")

    @pytest.mark.parametrize(
        "text, line, said",
        [
            ("[trunks.ST_a]\ncarrier = telnyx\n", 2, "Invalid value"),
            ("[trunks.ST_a]\ncarrier = 'x'\ncarrier = 'y'\n", 3, "Cannot overwrite"),
            ("\n[hosts.*.example.net]\n", 2, 'quoted: [hosts."*.example.net"]'),
            ("[carriers.a]\naliases = [\n  'x',\n", 4, "not valid TOML"),
        ],
    )
    def test_syntax(self, text: str, line: int, said: str) -> None:
        """What is no TOML at all is refused with the parser's own line and words."""
        with pytest.raises(DirectoryError, match="not valid TOML") as caught:
            Directory.parse(text)
        assert caught.value.line == line
        assert said in caught.value.fix

    def test_the_line_in_the_documentation(self) -> None:
        """The error shown in the how-to is the one that this mistake gives."""
        text = 'default_country = "US"\n\n[trunks.ST_a1b2c3d4e5f6]\ncarier = "telnyx"\n'
        with pytest.raises(DirectoryError) as caught:
            Directory.parse(text)
        page = EXAMPLE.parents[1] / "docs" / "how-to" / "directory.md"
        assert f"DirectoryError: {caught.value}" in page.read_text(encoding="utf-8")

    def test_lines_in_a_long_file(self) -> None:
        """The line is right after hundreds of rows, comments and texts over several lines."""
        rows = "".join(
            f"# trunk {n}\n[trunks.ST_{n}]\ncarrier = 'c{n}'\n[carriers.c{n}]\naliases = [\n"
            f"  'a{n}', # one\n  '''b{n}''',\n]\n\n"
            for n in range(300)
        )
        text = rows.replace("carrier = 'c217'", "carrier = 'c217'\nrout = 'x'")
        with pytest.raises(DirectoryError) as caught:
            Directory.parse(text)
        assert caught.value.line is not None
        assert text.splitlines()[caught.value.line - 1] == "rout = 'x'"

    def test_the_error_survives_pickling(self) -> None:
        """A DirectoryError raised in a job process arrives with path and line."""
        with pytest.raises(DirectoryError) as caught:
            Directory.parse("trunks = 3", name="my.toml")
        copy = pickle.loads(pickle.dumps(caught.value))
        assert str(copy) == str(caught.value)
        assert (copy.path, copy.line) == ("my.toml", 1)


TEXT = st.text(max_size=300) | st.sampled_from(["", "telnyx", "x" * 300, "\x00", "+15557778888"])
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            "sip.h.x-carrier",
            "sip.h.x-route",
            "carrier.name",
            "trunk.route",
            "my.region",
            "sip.twilio.callSid",
            "sip.amazon.contactId",
        ]
    )
    | st.text(max_size=20),
    TEXT,
)
HOSTS = st.none() | TEXT | st.sampled_from(["sip.telnyx.com", "a.example.net:5060", "[::1]:5060"])
TRUNKS = st.none() | TEXT | st.sampled_from(["ST_sbc", "ST_half", "ST_mapped", "ST_deaf"])
PARSED = Directory.parse(FILE)


class TestAlways:
    @given(TRUNKS, HOSTS, ATTRIBUTES)
    def test_a_lookup_never_raises(
        self, trunk_id: str | None, host: str | None, attributes: dict[str, str]
    ) -> None:
        """Whatever a call brings, there is an answer, and its values can stand on a span."""
        identity = PARSED.identify(trunk_id=trunk_id, host=host, attributes=attributes)
        for name, claim in (*identity.claims().items(), *identity.refused):
            assert 0 < len(claim.value) <= MAX_STRING_CHARACTERS
            assert claim.value.isprintable()
            assert name != "carrier" or claim.value.isascii()
            assert "5557778888" not in claim.value
        PARSED.headers_wanted(trunk_id, attributes)
        PARSED.missing_row(trunk_id)

    @given(HOSTS, ATTRIBUTES)
    def test_a_row_always_wins(self, host: str | None, attributes: dict[str, str]) -> None:
        """Nothing that a call brings changes what the operator's row says."""
        assert who(PARSED, "ST_row", host, attributes) == {
            "carrier": "telnyx",
            "route": "us-east/primary",
            "region": "us1",
        }

    @given(TRUNKS, HOSTS, ATTRIBUTES)
    def test_without_trust_a_header_changes_nothing(
        self, trunk_id: str | None, host: str | None, attributes: dict[str, str]
    ) -> None:
        """A directory that trusts nothing hears only provider ids among the attributes."""
        builtin = Directory.builtin()
        ids = {name: value for name, value in attributes.items() if name.startswith("sip.")}
        assert builtin.identify(
            trunk_id=trunk_id, host=host, attributes=attributes
        ) == builtin.identify(trunk_id=trunk_id, host=host, attributes=ids)

    @given(st.lists(st.builds(TrunkRow, TRUNKS.map(str), TEXT, TEXT), max_size=5))
    def test_no_trunk_list_changes_a_row(self, rows: list[TrunkRow]) -> None:
        """Whatever LiveKit's trunk list holds, full rows of the file stay as they are."""
        listed = PARSED.with_trunks(
            [*rows, *(dataclasses.replace(row, trunk_id="ST_row") for row in rows)]
        )
        assert who(listed, "ST_row") == who(PARSED, "ST_row")

    @given(st.text(max_size=200))
    def test_a_file_is_read_or_refused(self, text: str) -> None:
        """Any text is a directory or a DirectoryError, never another exception."""
        lines: list[int | None] = [1]
        try:
            Directory.parse(text)
        except DirectoryError as error:
            lines.append(error.line)
        assert None not in lines
