"""What Maven's settings say of mirror, proxy and local repository, for machines that have them but not Maven."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from streams.command.local_kafka.cache import BrokerError

_CENTRAL = "central"
# What a pattern of `mirrorOf` must be to mean a public repository that is reached by TLS.
_ALL = {"*", "external:*", _CENTRAL}


class Remote(NamedTuple):
    """Where jars come from (None: the public default), and the proxy's variables for the process that fetches them."""

    repositories: dict[str, str] | None
    proxy: dict[str, str]

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """The process's environment; a proxy that is set there already stays."""
        return self.proxy | dict(base)


def remote() -> Remote:
    """The mirror of the central repository and the proxy, as the settings files name them, the user's own first."""
    trees = _settings()
    proxy: dict[str, str] = {}
    for tree in reversed(trees):
        proxy |= _proxy(tree)
    for tree in trees:
        for mirror in tree.iterfind("mirrors/mirror"):
            if _is_for_central(_text(mirror, "mirrorOf")):
                name = _text(mirror, "id")
                return Remote({name: _with_login(_text(mirror, "url"), name, trees)}, proxy)
    return Remote(None, proxy)


def local_repository() -> Path:
    """Where Maven on this machine keeps, or would keep, what it has fetched."""
    named = [_text(tree, "localRepository") for tree in _settings()]
    found = next(filter(None, [*_options("-Dmaven.repo.local="), *named]), None)
    return Path(found) if found else Path.home() / ".m2" / "repository"


def _options(prefix: str) -> list[str]:
    words = [word for name in ("MAVEN_ARGS", "MAVEN_OPTS") for word in shlex.split(os.environ.get(name, ""))]
    return [word.removeprefix(prefix) for word in words if word.startswith(prefix)]


def _settings() -> list[ElementTree.Element]:
    home = os.environ.get("MAVEN_HOME") or os.environ.get("M2_HOME")
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("-s", "--settings", type=Path)
    options.add_argument("-gs", "--global-settings", type=Path)
    named, _ = options.parse_known_args(shlex.split(os.environ.get("MAVEN_ARGS", "")))
    for file in filter(None, (named.settings, named.global_settings)):
        if not file.is_file():
            raise BrokerError(f"MAVEN_ARGS names the settings file {file}, which does not exist")
    user = named.settings or Path.home() / ".m2" / "settings.xml"
    everyone = named.global_settings or (Path(home) / "conf" / "settings.xml" if home else None)
    return [_parse(file) for file in (user, everyone) if file and file.is_file()]


def _parse(file: Path) -> ElementTree.Element:
    try:
        tree = ElementTree.fromstring(file.read_text())
    except ElementTree.ParseError as error:
        raise BrokerError(f"Maven's settings in {file} cannot be read: {error}") from error
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]
    return tree


def _text(element: ElementTree.Element, name: str) -> str:
    """A field with its `${env.NAME}` and `${user.home}` filled in."""
    written = (element.findtext(name) or "").strip()
    filled = re.sub(r"\$\{env\.(\w+)\}", lambda found: os.environ.get(found[1], ""), written)
    return filled.replace("${user.home}", str(Path.home()))


def _is_for_central(patterns: str) -> bool:
    names = {part.strip() for part in patterns.split(",")}
    return f"!{_CENTRAL}" not in names and bool(names & _ALL)


def _with_login(url: str, name: str, trees: list[ElementTree.Element]) -> str:
    """The mirror's address with the user and password of the server of the same id."""
    for server in (server for tree in trees for server in tree.iterfind("servers/server")):
        user, password = _text(server, "username"), _text(server, "password")
        if _text(server, "id") == name and user:
            parts = urlsplit(url)
            return parts._replace(netloc=f"{_login(user, password, name)}@{parts.netloc}").geturl().rstrip("/")
    return url.rstrip("/")


def _login(user: str, password: str, name: str) -> str:
    if re.fullmatch(r".*\{.+\}.*", password):
        raise BrokerError(
            f"the password of {name!r} in Maven's settings is encrypted, which only Maven can read; "
            "on Debian or Ubuntu: apt install maven"
        )
    return f"{quote(user, safe='')}:{quote(password, safe='')}"


def _proxy(tree: ElementTree.Element) -> dict[str, str]:
    found: dict[str, str] = {}
    for proxy in tree.iterfind("proxies/proxy"):
        protocol = (_text(proxy, "protocol") or "http").lower()
        if _text(proxy, "active").lower() != "false" and f"{protocol}_proxy" not in found:
            user = _text(proxy, "username")
            login = f"{_login(user, _text(proxy, 'password'), _text(proxy, 'id'))}@" if user else ""
            found[f"{protocol}_proxy"] = f"http://{login}{_text(proxy, 'host')}:{_text(proxy, 'port') or '8080'}"
            found["no_proxy"] = ",".join(part.removeprefix("*") for part in _text(proxy, "nonProxyHosts").split("|"))
    # As in Maven, one for http serves https too.
    return {"https_proxy": found["http_proxy"], **found} if "http_proxy" in found else found
