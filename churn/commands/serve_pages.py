"""The pages as a part of `churn serve`: whether they are on, and who may open them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from churn.campaigns.delivery.settings import is_loopback
from churn.config import Settings, load_accounts, load_oidc, session_key
from churn.errors import ConfigError, check_extra

if TYPE_CHECKING:
    from churn.serving.application import Part


def pages_part(config: Path, settings: Settings, running: ExitStack, *, host: str) -> Part | None:
    """The part of the pages; None if they are switched off, or nothing has been published. What is
    done from them ends with `running`.

    Raises ConfigError if they were to be open beyond this machine without users.
    """
    if not _are_served(settings, host):
        return None
    check_extra("serve", "itsdangerous", what="the pages of `churn serve`")
    from churn.commands.serve_acts import acts_of
    from churn.serving.application import Part
    from churn.serving.dashboard.oidc import Provider
    from churn.serving.dashboard.pages import create_pages
    from churn.serving.dashboard.site import PageOptions

    if settings.serving.oidc is not None:
        for package in ("authlib", "joserfc", "requests"):
            check_extra("oidc", package, what="[serving.oidc]")
    client = load_oidc(settings)
    acts = acts_of(config, settings)
    running.callback(acts.stop)
    options = PageOptions(
        published=settings.path(settings.serving.published),
        accounts=load_accounts(settings),
        session_key=session_key(),
        acts=acts,
        provider=None if client is None else Provider(client),
    )
    return Part(create_pages(options))


def said_of_pages(settings: Settings) -> str:
    """What is served, for the start message: without users, who is let in."""
    if settings.serving.has_login:
        return "the pages, with login,"
    return "the pages, open to whoever uses this machine,"


def _are_served(settings: Settings, host: str) -> bool:
    """Whether the pages are on. By default they are off where nothing has been published, and
    where they would be open without login beyond this machine.
    """
    serving = settings.serving
    if serving.pages == "auto":
        published = settings.path(serving.published).is_file()
        return published and (serving.has_login or _is_private(settings, host))
    if serving.pages and not serving.has_login and not _is_private(settings, host):
        fix = (
            "Add [serving.users] or [serving.oidc], listen on 127.0.0.1, "
            "or set [serving] pages = false."
        )
        rule = "the pages must not be open without login beyond this machine"
        raise ConfigError(rule, got=f"--host {host} without a login", fix=fix)
    return serving.pages


def _is_private(settings: Settings, host: str) -> bool:
    """Whether only this machine reaches the service: a public unsubscribe link means that a proxy
    stands in front of it.
    """
    email = settings.delivery.email
    public = email is not None and not is_loopback(urlsplit(email.unsubscribe_url).hostname or "")
    return is_loopback(host) and not (public and settings.serving.unsubscribe)
