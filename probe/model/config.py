"""The configuration, as types: an unknown key or a wrong type is an error that names its path.

Every option is documented here, once: ``colibri config show --help-text`` and ``docs/configuration.md`` are printed
from these docstrings and ``description`` texts.
"""

# Without annotations as texts: msgspec would parse each again, a twentieth of the start of a command that reads its
# configuration.
from typing import Annotated, Literal

import msgspec

from probe.model.finding import Access, Asn, Country, Name, Port, Token

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Days = Annotated[float, msgspec.Meta(ge=0)]
Event = Literal["opened", "updated", "closed"]


def _doc(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class ProbeConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """This device."""

    id: Annotated[str, _doc("Name of the probe on the feed. Empty: made at first start and kept in state_dir.")] = ""
    state_dir: Annotated[str, _doc("Where the spool, the key and the counters live.")] = "/var/lib/colibri"
    interface: Annotated[str, _doc("Network interface to measure on. Empty: the one that the route chooses.")] = ""


class LineConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The line, as the volunteer knows it; what is left out is detected or stays unknown."""

    operator: Annotated[Name, _doc("The operator's usual name.")] = ""
    asn: Annotated[Asn, _doc("The operator's AS number; 0: unknown.")] = 0
    country: Annotated[Country, _doc("Two capital letters (ISO 3166).")] = ""
    access: Annotated[Access, _doc("fixed, mobile or unknown.")] = "unknown"


class SafetyConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Limits kept by the engine. Nothing that comes over the network can change them."""

    allow_networks: Annotated[
        list[str],
        _doc("Networks that would be forbidden (private, documentation …) and are opened: how a lab is reached."),
    ] = []
    packets_per_second: Annotated[int, msgspec.Meta(ge=1, le=20000, description="Most packets sent in a second.")] = 200
    bytes_per_day: Annotated[
        int, msgspec.Meta(ge=1000, description="Most bytes sent, or taken by transfers, in a day (UTC).")
    ] = 50_000_000
    target_packets_per_second: Annotated[
        int, msgspec.Meta(ge=1, le=20000, description="Most packets sent to one address in a second.")
    ] = 200
    target_spacing: Annotated[Seconds, _doc("Least seconds between two scheduled measurements of one target.")] = 30.0
    sensitive: Annotated[list[str], _doc("Target categories that the volunteer has opted in to.")] = []


class ScheduleConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """When the daemon measures."""

    every: Annotated[Seconds, _doc("Seconds between two measurements of one kind on one target.")] = 3600.0
    jitter: Annotated[float, msgspec.Meta(ge=0, le=1, description="Random share by which `every` varies.")] = 0.2
    measurements: Annotated[list[str], _doc("Kinds to run; empty: all that a target asks for.")] = []


class TlsConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """TLS towards the broker."""

    ca: Annotated[str, _doc("File with the authority that signed the broker's certificate; empty: the system's.")] = ""
    certificate: Annotated[str, _doc("File with this probe's certificate.")] = ""
    key: Annotated[str, _doc("File with this probe's private key.")] = ""


class MqttConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The feed (contract 3)."""

    host: Annotated[str, _doc("Broker. Empty: publish nowhere, findings wait in the spool.")] = ""
    port: Annotated[Port, _doc("Broker's port; 0: 8883 with TLS, 1883 without.")] = 0
    tls: Annotated[TlsConfig | None, _doc("TLS settings; absent: no TLS.")] = None
    username: Annotated[str, _doc("User name; empty: the probe's id.")] = ""
    password_file: Annotated[str, _doc("File whose first line is the password.")] = ""
    acknowledged_by: Annotated[
        Literal["collector", "broker"], _doc("Whose word lets a finding leave the spool (contract 3).")
    ] = "collector"
    keepalive: Annotated[int, msgspec.Meta(ge=5, le=3600, description="Seconds between two pings.")] = 60
    resend_after: Annotated[Seconds, _doc("Seconds without `stored` after which a finding is sent again.")] = 30.0
    window: Annotated[int, msgspec.Meta(ge=1, le=1000, description="Most findings under way at once.")] = 20


class EnrolConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How the probe gets its name and its certificate by itself (docs/enrolment.md)."""

    server: Annotated[
        str, _doc("The enrolment server, such as https://collector.example:8444. Empty: by hand, [mqtt.tls].")
    ] = ""
    code: Annotated[str, _doc("One-time code; of no use once the certificate is there.")] = ""
    fingerprint: Annotated[
        str, _doc("SHA-256 of the server's authority (hexadecimal), as `colibri collector enrol` prints it.")
    ] = ""
    ca: Annotated[str, _doc("File with that authority, instead of a fingerprint; neither: the system's.")] = ""


class RequestsConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Measurements that somebody far away asks for, and the stop for all probes (docs/lists.md)."""

    signed_by: Annotated[
        list[str], _doc("Ed25519 public keys (base64) whose requests are heard. Empty: nobody's are.")
    ] = []
    per_hour: Annotated[int, msgspec.Meta(ge=1, le=600, description="Most requests carried out in an hour.")] = 30


class HomeAssistantConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The volunteer's own Home Assistant, told over the volunteer's own broker."""

    host: Annotated[str, _doc("Broker of the home. Empty: Home Assistant is told nothing.")] = ""
    port: Annotated[Port, _doc("Broker's port; 0: 8883 with TLS, 1883 without.")] = 0
    tls: Annotated[TlsConfig | None, _doc("TLS settings; absent: no TLS.")] = None
    username: Annotated[str, _doc("User name; empty: the probe's id.")] = ""
    password_file: Annotated[str, _doc("File whose first line is the password.")] = ""
    prefix: Annotated[
        str, msgspec.Meta(pattern=r"^[^+#/\x00]+(/[^+#/\x00]+)*$", description="Home Assistant's discovery prefix.")
    ] = "homeassistant"


class SpoolConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Findings that wait to be stored by the collector."""

    max_bytes: Annotated[
        int, msgspec.Meta(ge=65536, description="Size at which the least valuable findings are dropped (and counted).")
    ] = 256_000_000


class ControlConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The daemon's socket for ad hoc runs."""

    socket: Annotated[str, _doc("Path of the Unix socket; empty: none.")] = "/run/colibri/control.sock"
    group: Annotated[str, _doc("Group whose members may use it.")] = "colibri"


class PageConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What the daemon tells the home's own page (docs/home-page.md)."""

    socket: Annotated[str, _doc("Path of its Unix socket; empty: page.sock beside control.socket.")] = ""
    group: Annotated[str, _doc("Group that the page runs as.")] = "colibri-page"
    code_file: Annotated[
        str, _doc("File with the code that changes anything, made if need be; empty: `page-code` in state_dir.")
    ] = ""


class MeasureConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a measurement takes when neither the target nor the command line says otherwise."""

    resolver: Annotated[str, _doc("Resolver to ask (dns_injection).")] = ""
    silent: Annotated[str, _doc("Address known to run no resolver (dns_injection).")] = ""
    control_name: Annotated[str, _doc("A harmless name that nobody filters.")] = ""
    control_address: Annotated[str, _doc("Address of a web server of ours, which answers any name.")] = ""
    control_resolver: Annotated[str, _doc("A resolver that is trusted.")] = ""
    reflector: Annotated[str, _doc("Address of our far end (`colibri reflector run` on a server abroad).")] = ""
    reflector_name: Annotated[str, _doc("The far end's name, for DNS and TLS; empty: it is measured by address.")] = ""
    authorities: Annotated[
        str, _doc("File with further certificate authorities (PEM) to trust when certificates are judged.")
    ] = ""
    prefixes: Annotated[
        str, _doc("File that names networks (`prefix AS-number name` a line), to say whose addresses a place has.")
    ] = ""
    trials: Annotated[int, msgspec.Meta(ge=3, le=20, description="Trials of each kind.")] = 3


class TargetsConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where the targets come from."""

    files: Annotated[list[str], _doc("Target lists: TOML files on this device.")] = []
    signed_by: Annotated[
        list[str], _doc("Ed25519 public keys (base64). If any, a list is used only with a valid .sig file beside it.")
    ] = []
    root: Annotated[
        str, _doc("File with the root of trust (TUF) of lists that come over the feed. Empty: none are taken.")
    ] = ""


class NotifyConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, tag_field="kind"):
    """Who is told of which incidents: one [[collector.notify]] for each, of the kind webhook, email or ntfy."""

    name: Annotated[Token, _doc("Name of the subscription. What it was told is remembered under it: keep it.")]
    targets: Annotated[list[str], _doc("Targets, as they are asked for in the target lists. Empty: all.")] = []
    groups: Annotated[list[Name], _doc("Groups of the target lists. Empty: all.")] = []
    countries: Annotated[list[str], _doc("Countries (two capital letters). Empty: all.")] = []
    operators: Annotated[list[str], _doc("Operators: `AS64501`, or the name where that is unknown. Empty: all.")] = []
    events: Annotated[list[Event], _doc("What is told: `opened`, `updated`, `closed`. Empty: all of it.")] = []
    language: Annotated[Literal["fr", "ar", "en"], _doc("Language of the texts.")] = "en"
    settle: Annotated[Seconds, _doc("Seconds that a change must last before it is told.")] = 600.0
    digest: Annotated[int, msgspec.Meta(ge=1, description="More changes than these at once go into one message.")] = 5
    give_up: Annotated[Seconds, _doc("Seconds after which a message that can't be delivered is dropped.")] = 259200.0


class WebhookConfig(NotifyConfig, tag="webhook", frozen=True, kw_only=True):
    """A web address that is sent JSON, signed as Standard Webhooks has it."""

    url: Annotated[str, _doc("Address that takes the POST: https, or http on this machine.")]
    secret_file: Annotated[str, _doc("File whose first line is the shared secret: `whsec_` and base64.")]


class EmailConfig(NotifyConfig, tag="email", frozen=True, kw_only=True):
    """E-mail through a mail server that is given."""

    to: Annotated[list[str], msgspec.Meta(min_length=1, description="Recipients.")]
    sender: Annotated[str, _doc("Address that it comes from.")]
    server: Annotated[str, _doc("Mail server.")]
    port: Annotated[Port, _doc("Its port; 0: the usual one (587 with STARTTLS, 465 with TLS, 25 without).")] = 0
    tls: Annotated[Literal["starttls", "tls", "none"], _doc("`none` only to a server on this machine.")] = "starttls"
    ca: Annotated[str, _doc("File with the authority that signed the server's certificate; empty: the system's.")] = ""
    username: Annotated[str, _doc("User name; empty: no login.")] = ""
    password_file: Annotated[str, _doc("File whose first line is the password.")] = ""


class NtfyConfig(NotifyConfig, tag="ntfy", frozen=True, kw_only=True):
    """A topic of an ntfy server."""

    url: Annotated[str, _doc("The topic's address, such as https://ntfy.example/colibri.")]
    token_file: Annotated[str, _doc("File whose first line is the access token; empty: none.")] = ""


class CounterConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A number on a public page or in JSON that is read at intervals: one [[collector.counter]] for each."""

    name: Annotated[Token, _doc("Name of the counter, in addresses. What was read is kept under it: keep it.")]
    url: Annotated[str, _doc("Address of the page or JSON.")]
    label: Annotated[Name, _doc("What is counted, as the page shows it; empty: the name.")] = ""
    pattern: Annotated[str, _doc("Regular expression with one group round the number, for a page.")] = ""
    json: Annotated[str, _doc("JSON Pointer (RFC 6901) to the number, such as `/data/0/followers`, for JSON.")] = ""
    every: Annotated[float, msgspec.Meta(ge=60, description="Seconds between two readings.")] = 900.0


class EnrolmentConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The authority that gives probes their certificates (docs/enrolment.md)."""

    folder: Annotated[str, _doc("Path of the folder with its key, its register and the list of the revoked.")] = (
        "/var/lib/colibri-collector/enrol"
    )
    listen: Annotated[str, _doc("Address and port of the enrolment server.")] = "0.0.0.0:8444"
    names: Annotated[
        list[str], _doc("Names and addresses of this server and the broker; the first is told to devices.")
    ] = []
    days: Annotated[int, msgspec.Meta(ge=1, le=825, description="Days that a probe's certificate is valid.")] = 30
    grace: Annotated[
        int, msgspec.Meta(ge=0, le=3650, description="Days after its end in which it may still be renewed.")
    ] = 180
    broker_port: Annotated[Port, _doc("The broker's port, told to probes; 0: 8883.")] = 0
    broker_pid: Annotated[
        str, _doc("File with the broker's process id, to signal it. Empty: something else reloads it (deploy/broker).")
    ] = ""


class CollectorConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The collector (it reads the same file; a probe ignores this part)."""

    database: Annotated[str, _doc("File of the embedded store.")] = "/var/lib/colibri-collector/findings.sqlite3"
    store: Annotated[
        str,
        _doc("Store for many probes: `clickhouse://HOST[:PORT]/DATABASE` (docs/scale.md). Empty: the embedded one."),
    ] = ""
    store_password_file: Annotated[str, _doc("File whose first line is the store's password; empty: none.")] = ""
    share: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^([a-z0-9][a-z0-9_.-]{0,63})?$",
            description="Group of collectors that share the findings (docs/scale.md). Empty: this one gets all.",
        ),
    ] = ""
    listen: Annotated[str, _doc("Address and port of the monitor.")] = "127.0.0.1:8080"
    client_id: Annotated[Token, _doc("MQTT client id of the collector's session.")] = "colibri-collector"
    batch: Annotated[int, msgspec.Meta(ge=1, le=10000, description="Most findings in one commit.")] = 2000
    keep_clean: Annotated[
        Days, _doc("Days that clean findings are kept; the roll-up and incidents keep what they said. 0: for ever.")
    ] = 30.0
    keep_other: Annotated[
        Days, _doc("Days that findings that are not clean are kept, where they are of no incident. 0: for ever.")
    ] = 0.0
    keep_evidence: Annotated[
        Days, _doc("Days that captures are kept whose findings are of no incident. 0: for ever.")
    ] = 365.0
    keep_rejects: Annotated[Days, _doc("Days that messages are kept that were refused. 0: for ever.")] = 90.0
    keep_heartbeats: Annotated[
        Days, _doc("Days that what heartbeats prove of each hour is kept; the signed ones are kept 90. 0: for ever.")
    ] = 0.0
    keep_readings: Annotated[Days, _doc("Days that readings of public counters are kept. 0: for ever.")] = 0.0
    keep_ids: Annotated[
        Days,
        _doc(
            "Days that the ids of findings are remembered that are kept no more: what is delivered again so long after"
            " is not counted again, and what was measured before is refused. 0: for ever."
        ),
    ] = 400.0
    trusted_keys: Annotated[
        dict[str, str], _doc("Probe id → its public key (base64). Empty: the first key seen for a probe is pinned.")
    ] = {}
    control: Annotated[
        list[Token],
        _doc("Probes of the control vantage: what fails for them as well is an outage. They count as no home."),
    ] = []
    unknown_homes: Annotated[
        Literal["shared", "own"],
        _doc("Probes whose prefix the broker did not tell, once it tells of any: one home together, or each one."),
    ] = "shared"
    consents: Annotated[
        list[str], _doc("Probes whose owners agreed to be their operator's only one in public; others need company.")
    ] = []
    site: Annotated[str, _doc("Public address of the monitor, for links in messages; empty: no links.")] = ""
    metrics_token: Annotated[
        str, _doc("File with a token in its first line: who shows it may read /metrics from elsewhere, too.")
    ] = ""
    notify: Annotated[
        list[WebhookConfig | EmailConfig | NtfyConfig],
        _doc("Who is told of incidents ([[collector.notify]]; docs/notifications.md)."),
    ] = []
    enrol: Annotated[EnrolmentConfig, _doc("The authority of probes' certificates.")] = EnrolmentConfig()
    counter: Annotated[
        list[CounterConfig], _doc("Public numbers to be read ([[collector.counter]]; docs/counters.md).")
    ] = []


class TargetEntry(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One target of a list. Fields that a measurement takes as options override the [measure] section."""

    target: str
    group: Name = ""
    category: Name = ""
    address: str = ""
    port: Port = 0
    measurements: list[str] = []
    every: Seconds | None = None
    options: dict[str, str | int | float | bool | list[str]] = {}


class TargetList(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A target list: TOML with [[targets]]."""

    version: int = 1
    dated: str = ""
    targets: list[TargetEntry] = []


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole configuration file (TOML)."""

    probe: ProbeConfig = ProbeConfig()
    line: LineConfig = LineConfig()
    safety: SafetyConfig = SafetyConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    mqtt: MqttConfig = MqttConfig()
    enrol: EnrolConfig = EnrolConfig()
    requests: RequestsConfig = RequestsConfig()
    homeassistant: HomeAssistantConfig = HomeAssistantConfig()
    spool: SpoolConfig = SpoolConfig()
    control: ControlConfig = ControlConfig()
    page: PageConfig = PageConfig()
    measure: MeasureConfig = MeasureConfig()
    targets: TargetsConfig = TargetsConfig()
    collector: CollectorConfig = CollectorConfig()
