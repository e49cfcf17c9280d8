from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.errors import SecretNotFoundError, SecretStoreDownError, SecretStoreError
from pipelines.secret_store.redaction import Redactor
from pipelines.secret_store.resolver import SecretResolver
from pipelines.secret_store.vault import VaultProvider
from pipelines.spec.secret_settings import SecretSettings, VaultSettings
from tests.unit.secret_store.vault_server import (
    JWT,
    ROLE,
    ROLE_ID,
    SECRET_ID,
    TOKEN,
    Answer,
    FakeVault,
    make_certificate,
    serving,
)

Ask = Callable[..., VaultProvider]


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeVault]:
    """A Vault that has two entries."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("VAULT_TOKEN", "hvs.of-the-process")  # hvac would take it by itself
    held = {"PW": "hunter2", "PORT": 5432, "TLS": True, "KEYS": {"a": ["ü"]}, "NONE": None}
    with serving(FakeVault(secrets={"edfi/etl": held, "other/of ours": {"PW": "other"}})) as made:
        yield made


@pytest.fixture
def ask(vault: FakeVault, tmp_path: Path) -> Ask:
    """A function that makes a provider which asks the Vault; keywords are settings."""

    def make(
        environ: Mapping[str, str] | None = None, redactor: Redactor | None = None, **settings: Any
    ) -> VaultProvider:
        said = {"address": vault.address, "path": "edfi/etl", **settings}
        said.setdefault("auth", {"token": {"file": None}})
        variables = {"VAULT_TOKEN": TOKEN} if environ is None else environ
        return VaultProvider(
            VaultSettings.model_validate(said), tmp_path, variables, redactor or Redactor()
        )

    return make


def value(provider: VaultProvider, name: str) -> str | None:
    found = provider.get(name)
    return None if found is None else found.get_secret_value()


def refused(provider: VaultProvider, name: str = "PW") -> SecretStoreError:
    with pytest.raises(SecretStoreError) as caught:
        provider.get(name)
    error = caught.value
    assert error.hint
    assert error.__cause__ is None
    assert error.__context__ is None  # the libraries' errors hold what was sent
    assert TOKEN not in str(error)
    return error


# --- reading -----------------------------------------------------------------------------------


def test_name_when_it_is_a_key_of_the_entry_then_gives_its_value(
    ask: Ask, vault: FakeVault
) -> None:
    provider = ask()
    assert value(provider, "PW") == "hunter2"
    assert "hunter2" not in repr(provider.get("PW"))
    assert vault.reads() == ["/v1/secret/data/edfi/etl"]
    assert {one.token for one in vault.asked} == {TOKEN}


@pytest.mark.parametrize(
    ("name", "text"), [("PORT", "5432"), ("TLS", "true"), ("KEYS", '{"a": ["ü"]}'), ("NONE", None)]
)
def test_value_when_it_is_no_text_then_is_given_as_json(
    ask: Ask, name: str, text: str | None
) -> None:
    assert value(ask(), name) == text


def test_name_when_it_says_its_entry_then_that_is_read(ask: Ask, vault: FakeVault) -> None:
    provider = ask(path=None)
    assert value(provider, "other/of ours#PW") == "other"
    assert value(provider, "/edfi/etl#PW") == "hunter2"
    assert value(provider, "PW") is None
    assert vault.reads() == ["/v1/secret/data/other/of%20ours", "/v1/secret/data/edfi/etl"]


@pytest.mark.parametrize("name", ["#PW", "edfi/etl#", "edfi/../sys#PW", "edfi//etl#PW", "./a#PW"])
def test_name_when_it_leaves_the_engine_then_is_refused_and_nothing_asked(
    ask: Ask, vault: FakeVault, name: str
) -> None:
    assert repr(name) in refused(ask(), name).message
    assert vault.asked == []


def test_absent_when_it_is_the_key_or_the_entry_or_deleted_then_none(
    ask: Ask, vault: FakeVault
) -> None:
    vault.deleted.add("gone")
    provider = ask()
    assert [value(provider, name) for name in ("NOPE", "nowhere#PW", "gone#PW")] == [None] * 3


def test_entry_when_many_threads_ask_for_it_then_is_read_once_and_logged_in_once(
    ask: Ask, vault: FakeVault
) -> None:
    auth = {"approle": {"role_id": ROLE_ID}}
    provider = ask({"VAULT_SECRET_ID": SECRET_ID}, auth=auth)
    names = ["PW", "PORT", "NOPE", "nowhere#PW", "nowhere#OTHER"] * 4
    threads = [threading.Thread(target=provider.get, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(vault.reads()) == ["/v1/secret/data/edfi/etl", "/v1/secret/data/nowhere"]
    assert [one.path for one in vault.asked].count("/v1/auth/approle/login") == 1


def test_version_1_when_asked_for_then_is_read(ask: Ask, vault: FakeVault) -> None:
    vault.plain["edfi/etl"] = {"PW": "plain"}
    provider = ask(mount="kv", kv_version=1)
    assert value(provider, "PW") == "plain"
    assert value(provider, "nowhere#PW") is None
    assert vault.reads() == ["/v1/kv/edfi/etl", "/v1/kv/nowhere"]


def test_namespace_when_given_then_goes_with_all_but_the_health(ask: Ask, vault: FakeVault) -> None:
    provider = ask(
        {"VAULT_SECRET_ID": SECRET_ID}, auth={"approle": {"role_id": ROLE_ID}}, namespace="edu"
    )
    provider.state()
    provider.get("PW")
    assert [(one.path.split("/")[2], one.namespace) for one in vault.asked] == [
        ("sys", None),
        ("auth", "edu"),
        ("secret", "edu"),
    ]


# --- logging in --------------------------------------------------------------------------------


def test_token_when_the_variable_is_not_set_then_is_that_of_the_file(
    ask: Ask, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    auth = {"token": {"env": "MY_TOKEN", "file": "token"}}
    assert value(ask({"VAULT_TOKEN": "hvs.other"}, auth=auth), "PW") == "hunter2"
    assert value(ask({"MY_TOKEN": TOKEN}, auth={"token": {"env": "MY_TOKEN"}}), "PW") == "hunter2"
    assert "refuses to show" in refused(ask({"MY_TOKEN": "hvs.bad"}, auth=auth)).message


def test_token_when_nothing_is_said_of_it_then_is_where_vault_puts_it(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".vault-token").write_text(TOKEN)
    assert value(ask({}, auth={}), "PW") == "hunter2"


def test_token_when_there_is_none_then_says_where_it_was_looked_for(
    ask: Ask, vault: FakeVault, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    error = refused(ask({}, auth={"token": {"file": "empty"}}))
    assert error.message == (
        "no token to log in to Vault with: variable VAULT_TOKEN is not set, "
        f"{tmp_path / 'empty'} is empty"
    )
    error = refused(ask({}, auth={"token": {"file": "nowhere"}}))
    assert f"{tmp_path / 'nowhere'} cannot be read: No such file or directory" in error.message
    assert vault.asked == []


@pytest.mark.parametrize("token", ["two words", "hvs.\nX-Other: 1", "hvs.ü"])
def test_token_when_it_cannot_be_one_then_is_not_sent_and_not_shown(
    ask: Ask, vault: FakeVault, token: str
) -> None:
    error = refused(ask({"VAULT_TOKEN": token}))
    assert "in variable VAULT_TOKEN" in error.message
    assert token not in str(error)
    assert vault.asked == []


@pytest.mark.parametrize("from_file", [True, False])
def test_approle_when_its_secret_id_is_right_then_reads_with_the_token_it_got(
    ask: Ask, vault: FakeVault, tmp_path: Path, from_file: bool
) -> None:
    (tmp_path / "id").write_text(f"{SECRET_ID}\n")
    said = {"role_id": ROLE_ID, **({"secret_id_file": "id"} if from_file else {})}
    redactor = Redactor()
    provider = ask(
        {} if from_file else {"VAULT_SECRET_ID": SECRET_ID}, redactor, auth={"approle": said}
    )
    assert value(provider, "PW") == "hunter2"
    assert vault.asked[0].token is None
    token = vault.asked[-1].token
    assert token is not None
    assert token != TOKEN
    assert redactor.redact(f"{token} | {SECRET_ID}") == "*** | ***"


def test_approle_when_its_secret_id_is_wrong_then_says_so_without_it(ask: Ask) -> None:
    auth = {"approle": {"role_id": ROLE_ID}}
    error = refused(ask({"VAULT_SECRET_ID": "wrong-id"}, auth=auth))
    assert "refuses the log-in by approle" in error.message
    assert "variable VAULT_SECRET_ID" in error.message
    assert "invalid role or secret ID" in error.message
    assert "wrong-id" not in str(error)
    assert not isinstance(error, SecretStoreDownError)


def test_kubernetes_when_the_pods_token_is_right_then_reads(
    ask: Ask, vault: FakeVault, tmp_path: Path
) -> None:
    (tmp_path / "jwt").write_text(JWT)
    redactor = Redactor()
    auth = {"kubernetes": {"role": ROLE, "jwt_file": str(tmp_path / "jwt")}}
    provider = ask({}, redactor, auth=auth)
    assert value(provider, "PW") == "hunter2"
    assert redactor.redact(f"{JWT} {vault.asked[-1].token}") == "*** ***"
    (tmp_path / "jwt").write_text("eyJ.of.another")
    assert "refuses the log-in by kubernetes" in refused(ask({}, auth=auth)).message


def test_login_when_it_is_elsewhere_then_is_asked_there(ask: Ask, vault: FakeVault) -> None:
    auth = {"approle": {"role_id": ROLE_ID, "mount": "apps/of-etl"}}
    refused(ask({"VAULT_SECRET_ID": SECRET_ID}, auth=auth))
    assert vault.asked[0].path == "/v1/auth/apps/of-etl/login"


def test_token_when_it_has_run_out_then_another_is_got(vault: FakeVault, tmp_path: Path) -> None:
    from pipelines.secret_store.vault.client import VaultClient
    from pipelines.secret_store.vault.login import Login

    vault.lease_seconds, seconds = 60, [0.0]
    client = VaultClient(
        VaultSettings(address=vault.address),
        lambda: Login("approle", "approle", ROLE_ID, SECRET_ID, "a test"),
        lambda _: None,
        str,
        clock=lambda: seconds[0],
    )
    for at in (0.0, 59.0, 61.0):
        seconds[0] = at
        assert client.entry("edfi/etl") is not None
    assert [one.path.split("/")[2] for one in vault.asked] == [
        "auth", "secret", "secret", "auth", "secret",
    ]  # fmt: skip


# --- what goes wrong ---------------------------------------------------------------------------


def test_vault_when_nothing_listens_then_is_down_and_not_without_the_secret(
    ask: Ask, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    error = refused(ask(address=address))
    assert isinstance(error, SecretStoreDownError)
    assert error.message == f"Vault at {address} does not answer: Connection refused"
    assert "not found" not in str(error)
    settings = SecretSettings.model_validate(
        {
            "providers": ["vault", "env"],
            "vault": {"address": address, "path": "a"},
        }
    )
    resolver = SecretResolver(settings, tmp_path, {"VAULT_TOKEN": TOKEN, "PW": "of-env"})
    with pytest.raises(SecretStoreDownError):  # a later provider must not hide it
        resolver.get("PW")
    with pytest.raises(SecretStoreDownError):
        resolver.has("PW")


def test_vault_when_it_hangs_then_is_not_waited_for(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        error = refused(ask(address=address, timeout_seconds=0.1))
    assert time.monotonic() - began < 4
    assert isinstance(error, SecretStoreDownError)
    assert error.message.endswith("does not answer: nothing within 0.1 seconds")


def test_vault_when_sealed_then_says_so(ask: Ask, vault: FakeVault) -> None:
    vault.sealed = True
    for auth in ({"token": {}}, {"approle": {"role_id": ROLE_ID}}):
        error = refused(ask({"VAULT_TOKEN": TOKEN, "VAULT_SECRET_ID": SECRET_ID}, auth=auth))
        assert isinstance(error, SecretStoreDownError)
        assert error.message == f"Vault at {vault.address} is sealed"


@pytest.mark.parametrize(
    ("kv_version", "rule"), [(2, "secret/data/edfi/etl"), (1, "secret/edfi/etl")]
)
def test_vault_when_it_refuses_to_show_an_entry_then_says_which_policy_it_takes(
    ask: Ask, vault: FakeVault, kv_version: int, rule: str
) -> None:
    vault.tokens.clear()
    error = refused(ask(kv_version=kv_version))
    assert "refuses to show secret/edfi/etl" in error.message
    assert f'path "{rule}" {{ capabilities = ["read"] }}' in error.hint


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"mount": "nope"}, "has no engine at 'nope'", "secrets.vault.mount"),
        ({"kv_version": 1}, "another version of the key-value engine", "secrets.vault.kv_version"),
        ({"kv_version": 2, "mount": "kv", "path": "two"}, "no entry of version 2", "kv_version"),
    ],
)
def test_vault_when_the_config_has_the_wrong_engine_then_says_what_to_set(
    ask: Ask, vault: FakeVault, settings: dict[str, Any], message: str, hint: str
) -> None:
    vault.plain["data/two"] = {"PW": "x"}
    error = refused(ask(**settings))
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("answer", "message", "is_down"),
    [
        (Answer(500, {"errors": ["internal error"]}), "cannot answer now: internal error", True),
        (Answer(502, "<html>bad gateway"), "cannot answer now: BadGateway", True),
        (Answer(503, "<html>no backend"), "cannot answer now: VaultDown", True),
        (Answer(429, {"errors": ["request path: rate limit quota exceeded"]}), "quota", True),
        (Answer(404, "<html>not found"), "not as Vault does: status 404 without JSON", False),
        (Answer(418, {"errors": []}), "not as Vault does: an error for secret/edfi/etl", False),
        (Answer(200, "<html>Sign in"), "not as Vault does: no entry", False),
        (Answer(200, ["x"]), "not as Vault does: no entry", False),
        (Answer(200, {"data": {"PW": "x"}}), "not as Vault does: no entry of version 2", False),
    ],
)
def test_vault_when_it_answers_otherwise_then_is_never_taken_for_a_missing_secret(
    ask: Ask, vault: FakeVault, answer: Answer, message: str, is_down: bool
) -> None:
    vault.instead["/v1/secret/data/edfi/etl"] = answer
    provider = ask()
    error = refused(provider)
    assert message in error.message
    assert isinstance(error, SecretStoreDownError) is is_down
    del vault.instead["/v1/secret/data/edfi/etl"]
    assert value(provider, "PW") == "hunter2"  # a failure is not kept


def test_answer_when_it_repeats_what_was_sent_then_is_shown_without_it(
    ask: Ask, vault: FakeVault
) -> None:
    long = f"{'x' * 150} {TOKEN}"  # where it is cut, half a token would be left
    for told in (f"bad token {TOKEN}", long):
        vault.instead["/v1/secret/data/edfi/etl"] = Answer(500, {"errors": [told]})
        assert "hvs." not in refused(ask()).message


def test_login_when_it_gives_no_token_then_says_so(ask: Ask, vault: FakeVault) -> None:
    for body in ({"auth": None}, {"auth": {"client_token": ""}}, {}, "<html>"):
        vault.instead["/v1/auth/approle/login"] = Answer(200, body)
        error = refused(ask({"VAULT_SECRET_ID": SECRET_ID}, auth={"approle": {"role_id": ROLE_ID}}))
        assert "no token for the log-in by approle" in error.message


def test_secret_when_truly_absent_then_is_not_found_in_vault(
    vault: FakeVault, tmp_path: Path
) -> None:
    settings = SecretSettings.model_validate(
        {"providers": ["env", "vault"], "vault": {"address": vault.address, "path": "edfi/etl"}}
    )
    resolver = SecretResolver(settings, tmp_path, {"VAULT_TOKEN": TOKEN})
    with pytest.raises(SecretNotFoundError) as caught:
        resolver.get("NOPE")
    assert caught.value.message == (
        "secret 'NOPE' was not found in environment variables, "
        f"Vault at {vault.address} (secret/edfi/etl)"
    )
    assert resolver.has("PW")
    assert not resolver.has("NOPE")


# --- TLS and redirects -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_vault(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeVault]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(FakeVault(secrets={"edfi/etl": {"PW": "hunter2"}}), certificate) as made:
        yield made


def test_certificate_when_nobody_trusts_it_then_no_token_is_sent(
    ask: Ask, tls_vault: FakeVault
) -> None:
    error = refused(ask(address=tls_vault.address))
    assert "shows no certificate that is trusted: self" in error.message
    assert "secrets.vault.ca_file" in error.hint
    assert tls_vault.asked == []


def test_certificate_when_its_authority_is_given_then_is_trusted(
    ask: Ask, tls_vault: FakeVault, certificate: Path
) -> None:
    ca_file = str(certificate.parent / "cert.pem")
    assert value(ask(address=tls_vault.address, ca_file=ca_file), "PW") == "hunter2"
    error = refused(ask(address=tls_vault.address, ca_file="nowhere.pem"))
    assert "ca_file" in error.hint


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_when_it_leaves_tls_then_is_not_followed(
    ask: Ask, vault: FakeVault, tls_vault: FakeVault, certificate: Path, status: int
) -> None:
    path = "/v1/secret/data/edfi/etl"
    tls_vault.instead[path] = Answer(status, "", {"Location": vault.address + path})
    provider = ask(address=tls_vault.address, ca_file=str(certificate.parent / "cert.pem"))
    error = refused(provider)
    assert "sends on to http://127.0.0.1, where a token would go unencrypted" in error.message
    assert vault.asked == []


def test_redirect_when_it_is_to_another_node_with_tls_then_is_followed_once(
    ask: Ask, vault: FakeVault, tls_vault: FakeVault, certificate: Path
) -> None:
    path, ca_file = "/v1/secret/data/edfi/etl", str(certificate.parent / "cert.pem")
    vault.instead[path] = Answer(307, "", {"Location": tls_vault.address + path})
    assert value(ask(ca_file=ca_file), "PW") == "hunter2"
    tls_vault.instead[path] = Answer(307, "", {"Location": tls_vault.address + path})
    assert isinstance(refused(ask(ca_file=ca_file)), SecretStoreDownError)


# --- what doctor shows -------------------------------------------------------------------------


def test_state_when_it_is_well_then_says_version_and_log_in(ask: Ask, vault: FakeVault) -> None:
    told = ask().state()
    assert told == (
        f"{vault.address} answers, unsealed, version 1.18.3; a token from variable VAULT_TOKEN"
    )
    auth = {"approle": {"role_id": ROLE_ID}}
    told = ask({"VAULT_SECRET_ID": SECRET_ID}, auth=auth).state()
    assert told.endswith("; logged in by approle from variable VAULT_SECRET_ID")
    assert SECRET_ID not in told


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (501, {"initialized": False, "sealed": True}, "is not initialized"),
        (503, {"initialized": True, "sealed": True}, "is sealed"),
        (472, {"sealed": False}, "is there for disaster recovery"),
        (503, "<html>", "not as Vault does: status 503"),
        (200, {"up": True}, "not as Vault does: status 200"),
    ],
)
def test_state_when_it_is_not_well_then_says_why(
    ask: Ask, vault: FakeVault, status: int, body: object, message: str
) -> None:
    vault.instead["/v1/sys/health"] = Answer(status, body)
    with pytest.raises(SecretStoreError) as caught:
        ask().state()
    assert message in caught.value.message
    vault.instead["/v1/sys/health"] = Answer(429, {"sealed": False, "version": "1.9"})
    assert "answers, unsealed, a standby, version 1.9" in ask().state()


@pytest.mark.parametrize(
    ("address", "is_fine"),
    [
        ("https://vault.example", True),
        ("http://localhost:8200", True),
        ("http://127.0.0.1:8200", True),
        ("http://vault.example:8200", False),
    ],
)
def test_advice_when_the_token_goes_over_the_net_in_clear_then_is_given(
    ask: Ask, address: str, is_fine: bool
) -> None:
    assert (ask(address=address).advice == "") is is_fine


# --- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"address": "vault.example:8200"},
        {"address": "ftp://vault.example"},
        {"address": "https://ada:pw@vault.example"},
        {"address": "{{ env }}"},
        {"address": "https://h", "path": "{{ env }}/etl"},
        {"address": "https://h", "path": "a/../b"},
        {"address": "https://h", "path": ""},
        {"address": "https://h", "kv_version": 3},
        {"address": "https://h", "timeout_seconds": 0},
        {"address": "https://h", "auth": {"token": {}, "kubernetes": {"role": "x"}}},
        {"address": "https://h", "auth": {"approle": {"role_id": "r", "secret_id": "s"}}},
        {"address": "https://h", "auth": {"token": {"env": "hvs.a-token"}}},
    ],
)
def test_settings_when_wrong_then_are_refused(settings: dict[str, Any]) -> None:
    VaultSettings.model_validate({"address": "https://h/vault/", "path": "/a/b/"})
    with pytest.raises(ValidationError):
        VaultSettings.model_validate(settings)


def test_provider_when_its_settings_are_missing_then_says_so() -> None:
    with pytest.raises(ValidationError, match="provider 'vault' needs 'vault:"):
        SecretSettings.model_validate({"providers": ["vault"]})


# --- the library -------------------------------------------------------------------------------


def test_library_when_vault_is_not_asked_then_is_not_loaded() -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from pipelines.secret_store.resolver import SecretResolver\n"
        "from pipelines.spec.secret_settings import SecretSettings\n"
        "said = {'providers': ['env', 'vault', 'keyring'], 'vault': {'address': 'https://h'}}\n"
        "resolver = SecretResolver(SecretSettings.model_validate(said), Path(), {'PW': 'x'})\n"
        "assert resolver.has('PW')\n"
        "sys.exit(' '.join({'hvac', 'keyring', 'requests'} & {*sys.modules}) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_library_when_it_is_not_installed_then_says_how_to_get_it(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hvac", None)
    monkeypatch.delitem(sys.modules, "pipelines.secret_store.vault.client", raising=False)
    with pytest.raises(SecretStoreError) as caught:
        ask().get("PW")
    assert "needs the package hvac" in caught.value.message
    assert "pip install hvac" in caught.value.hint
