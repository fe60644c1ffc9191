"""What a machine without Maven takes from Maven's settings."""

from pathlib import Path

import pytest

from streams.command.local_kafka.cache import BrokerError
from streams.command.local_kafka.maven_settings import local_repository, remote

MIRROR = (
    "<mirrors><mirror><id>ours</id><mirrorOf>{of}</mirrorOf><url>https://mirror.test/maven/</url></mirror></mirrors>"
)
LOGIN = "<servers><server><id>ours</id><username>a@b</username><password>{password}</password></server></servers>"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home folder, and none of this machine's own settings."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("MAVEN_ARGS", "MAVEN_OPTS", "MAVEN_HOME", "M2_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".m2").mkdir()
    return tmp_path


def write(file: Path, body: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0">{body}</settings>')
    return file


def test_without_settings_the_default_is_used(home: Path) -> None:
    assert remote() == (None, {})
    assert local_repository() == home / ".m2" / "repository"


@pytest.mark.parametrize(
    ("of", "used"),
    [
        ("*", True),
        ("central", True),
        ("external:*", True),
        ("other, central", True),
        ("*,!central", False),
        ("other", False),
        ("external:http:*", False),
    ],
)
def test_a_mirror_of_the_central_repository_is_used(home: Path, of: str, used: bool) -> None:
    write(home / ".m2" / "settings.xml", MIRROR.format(of=of))
    assert remote().repositories == ({"ours": "https://mirror.test/maven"} if used else None)


def test_the_login_of_the_mirror_is_sent_and_may_come_from_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "p:w/d")
    write(home / ".m2" / "settings.xml", MIRROR.format(of="*") + LOGIN.format(password="${env.SECRET}"))
    assert remote().repositories == {"ours": "https://a%40b:p%3Aw%2Fd@mirror.test/maven"}


def test_an_encrypted_password_is_left_to_maven(home: Path) -> None:
    write(home / ".m2" / "settings.xml", MIRROR.format(of="*") + LOGIN.format(password="{COQLCE6DU6GtcS5P=}"))
    with pytest.raises(BrokerError, match=r"password of 'ours'.*encrypted.*apt install maven"):
        remote()


def test_the_settings_of_all_users_count_where_the_own_say_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAVEN_HOME", str(home / "maven"))
    write(home / "maven" / "conf" / "settings.xml", MIRROR.format(of="*"))
    write(home / ".m2" / "settings.xml", "<localRepository>${user.home}/jars</localRepository>")
    assert remote().repositories == {"ours": "https://mirror.test/maven"}
    assert local_repository() == home / "jars"


@pytest.mark.parametrize("option", ["-s {}", "--settings {}", "--settings={}", "-q -gs {} -T 2"])
def test_the_file_that_maven_args_names_is_read(home: Path, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    file = write(home / "other.xml", MIRROR.format(of="central"))
    monkeypatch.setenv("MAVEN_ARGS", option.format(file))
    assert remote().repositories == {"ours": "https://mirror.test/maven"}
    file.unlink()
    with pytest.raises(BrokerError, match=r"MAVEN_ARGS names the settings file .*other\.xml, which does not exist"):
        remote()


def test_the_local_repository_may_be_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAVEN_OPTS", "-Xmx1g -Dmaven.repo.local=/elsewhere")
    assert local_repository() == Path("/elsewhere")


def test_a_proxy_becomes_the_variables_that_clients_read(home: Path) -> None:
    body = (
        "<proxies><proxy><active>false</active><protocol>https</protocol><host>old</host></proxy>"
        "<proxy><protocol>http</protocol><host>proxy.test</host><port>3128</port><username>u</username>"
        "<password>p</password><nonProxyHosts>localhost|*.test</nonProxyHosts></proxy></proxies>"
    )
    write(home / ".m2" / "settings.xml", body)
    address = "http://u:p@proxy.test:3128"
    variables = {"http_proxy": address, "https_proxy": address, "no_proxy": "localhost,.test"}
    assert remote().proxy == variables
    # Who set one for this command means it.
    assert remote().environment({"https_proxy": "http://mine"})["https_proxy"] == "http://mine"


def test_settings_that_are_no_xml_are_named(home: Path) -> None:
    (home / ".m2" / "settings.xml").write_text("<settings>")
    with pytest.raises(BrokerError, match=r"settings\.xml cannot be read: no element found"):
        remote()
